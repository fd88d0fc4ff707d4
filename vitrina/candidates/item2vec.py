"""Item2vec (Barkan, Koenigstein, MLSP 2016): skip-gram with negative sampling over carts, whose whole is the window.

What negatives are drawn by matters most (Caselles-Dupre, Lesaint, Royo-Letelier, RecSys 2018).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Literal

import numba
import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from vitrina.candidates import co_occurrence
from vitrina.candidates.carts import Carts, Float32s, ItemItem
from vitrina.candidates.neighbours import Neighbours, best_of_blocks

LAST_RATE: Final = 0.01
"""The learning rate falls in a straight line to this share of the first one."""

STEEPEST: Final = 8.0
"""Beyond it the sigmoid is taken as 0 or 1."""

ROWS: Final = 256
"""Items whose likeness to all others is in memory at once."""

Likeness = Literal["softmax", "cosine"]


@dataclass(frozen=True, kw_only=True)
class Item2Vec:
    """In each of `epochs` every item of a cart meets `contexts` others of the same cart, drawn evenly, and `negatives`
    items drawn by (number of carts) ** `negative_exponent` for each of them.

    What two items are to each other: "softmax" is the share of the other as context in the softmax of `sharpness` x
    product over all items; "cosine" exp(sharpness x (cosine of the items' own vectors - 1)). Summed over a cart, the
    bare products would let one item that fits nothing outvote all that fit. Over `co_occurrence.MOST_DENSE` items the
    `keep` best companions of each are kept.
    """

    factors: int = 128
    epochs: int = 30
    contexts: int = 3
    negatives: int = 10
    negative_exponent: float = 0.5
    rate: float = 0.05
    likeness: Likeness = "softmax"
    sharpness: float = 1.5
    keep: int = 500
    seed: int = 7

    def fit(self, carts: Carts) -> ItemItem | Neighbours:
        """One thread, so the same carts give the same weights; items of no cart have none."""
        own, context = self.vectors(carts)
        frequency = np.bincount(carts.profiles.indices, minlength=carts.items)
        if carts.items <= co_occurrence.MOST_DENSE:
            return ItemItem(matrix=self.matrix(own, context, frequency))
        blocks = self.blocks(own, context, frequency)
        return best_of_blocks(((start, sp.csr_array(block)) for start, block in blocks), keep=self.keep)

    def matrix(self, own: Float32s, context: Float32s, frequency: npt.NDArray[np.integer]) -> Float32s:
        """float32 (items, items) of vectors and the number of each item's carts."""
        matrix = np.empty((len(own), len(own)), np.float32)
        for start, block in self.blocks(own, context, frequency):
            matrix[start : start + len(block)] = block
        np.fill_diagonal(matrix, 0.0)
        return matrix

    def blocks(
        self, own: Float32s, context: Float32s, frequency: npt.NDArray[np.integer]
    ) -> Iterator[tuple[int, Float32s]]:
        """The same by ROWS rows, each block with the number of its first one; the diagonal is not emptied."""
        if self.likeness == "cosine":
            own = context = own / np.maximum(np.linalg.norm(own, axis=1, keepdims=True), np.float32(1e-12))
        known = frequency > 0
        for start in range(0, len(own), ROWS):
            rows = slice(start, start + ROWS)
            block = np.float32(self.sharpness) * (own[rows] @ context.T)
            block[:, ~known] = -np.inf
            if self.likeness == "cosine":
                block -= np.float32(self.sharpness)
            else:
                block -= block.max(axis=1, keepdims=True, initial=np.finfo(np.float32).min)
            np.exp(block, out=block)
            if self.likeness == "softmax":
                block /= np.maximum(block.sum(axis=1, keepdims=True), np.float32(1e-12))
            block[~known[rows]] = 0.0
            yield start, block

    def vectors(self, carts: Carts) -> tuple[Float32s, Float32s]:
        """What items are, and what they are as contexts: float32 (items, factors) each."""
        profiles = carts.profiles
        rng = np.random.default_rng(self.seed)
        frequency = np.bincount(profiles.indices, minlength=carts.items)
        own = ((rng.random((carts.items, self.factors)) - 0.5) / self.factors).astype(np.float32)
        own[frequency == 0] = 0.0
        context = np.zeros_like(own)
        if profiles.shape[0]:
            chance = np.where(frequency > 0, np.maximum(frequency, 1.0) ** self.negative_exponent, 0.0)
            share, other = _alias(chance)
            starts, items = profiles.indptr.astype(np.int64), profiles.indices.astype(np.int32)
            settings = (self.epochs, self.contexts, self.negatives, self.rate, np.uint64(self.seed))
            _train(starts, items, share, other, *settings, own, context)
        return own, context


def _alias(chance: npt.NDArray[np.float64]) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int32]]:
    """Walker's tables (Vose, IEEE TSE 17(9), 1991): place i is i itself with share[i], else other[i]."""
    scaled = chance / chance.sum() * len(chance)
    share, other = np.ones(len(chance)), np.arange(len(chance), dtype=np.int32)
    small, large = list(np.flatnonzero(scaled < 1.0)), list(np.flatnonzero(scaled >= 1.0))
    while small and large:
        few, many = small.pop(), large[-1]
        share[few], other[few] = scaled[few], many
        scaled[many] -= 1.0 - scaled[few]
        if scaled[many] < 1.0:
            small.append(large.pop())
    return share, other


@numba.njit(cache=True, nogil=True)
def _next(state):  # type: ignore[no-untyped-def]  # compiled
    """xorshift64* (Vigna, ACM TOMS 42(4), 2016); `state` uint64 (1,), never 0."""
    x = state[0]
    x ^= x >> np.uint64(12)
    x ^= x << np.uint64(25)
    x ^= x >> np.uint64(27)
    state[0] = x
    return x * np.uint64(2685821657736338717)


@numba.njit(cache=True, nogil=True)
def _below(state, size):  # type: ignore[no-untyped-def]  # compiled
    """A whole number from 0 to size - 1."""
    return np.int64((_next(state) >> np.uint64(32)) * np.uint64(size) >> np.uint64(32))


@numba.njit(cache=True, nogil=True, fastmath={"reassoc", "contract"})
def _learn(vector, context, row, label, rate, step):  # type: ignore[no-untyped-def]  # compiled
    """Moves context[row] by the gradient of one pair and adds that of `vector` (f,) to `step`."""
    score = np.float32(0.0)
    for d in range(len(vector)):
        score += vector[d] * context[row, d]
    if score > STEEPEST:
        foretold = np.float32(1.0)
    elif score < -STEEPEST:
        foretold = np.float32(0.0)
    else:
        foretold = np.float32(1.0) / (np.float32(1.0) + np.exp(-score))
    pull = rate * (label - foretold)
    for d in range(len(vector)):
        moved = context[row, d]
        step[d] += pull * moved
        context[row, d] = moved + pull * vector[d]


@numba.njit(cache=True, nogil=True)
def _train(starts, items, share, other, epochs, contexts, negatives, rate, seed, own, context):  # type: ignore[no-untyped-def]  # compiled
    """Fills `own` and `context` float32 (items, f); carts stand in a new order in each epoch."""
    carts = len(starts) - 1
    state = np.full(1, seed * np.uint64(2654435761) + np.uint64(88172645463325252), np.uint64)
    order, step = np.arange(carts), np.empty(own.shape[1], np.float32)
    vector, hit, miss = np.empty(own.shape[1], np.float32), np.float32(1.0), np.float32(0.0)
    done, total = 0, epochs * carts
    for _ in range(epochs):
        for c in range(carts - 1, 0, -1):
            swap = _below(state, c + 1)
            order[c], order[swap] = order[swap], order[c]
        for c in range(carts):
            now = np.float32(rate * max(1.0 - done / total, LAST_RATE))
            done += 1
            begin, size = starts[order[c]], starts[order[c] + 1] - starts[order[c]]
            if size < 2:
                continue
            for place in range(size):
                item = items[begin + place]
                vector[:] = own[item]
                step[:] = 0.0
                for _ in range(contexts):
                    drawn = _below(state, size - 1)
                    target = items[begin + drawn + (drawn >= place)]
                    _learn(vector, context, target, hit, now, step)
                    for _ in range(negatives):
                        negative = _below(state, len(share))
                        if (_next(state) >> np.uint64(11)) * 2.0**-53 >= share[negative]:
                            negative = other[negative]
                        if negative not in (target, item):
                            _learn(vector, context, negative, miss, now, step)
                for d in range(len(step)):
                    own[item, d] += step[d]

"""The tables from which the features of companions are made, as of a moment.

In: baskets before it and a fitted EASE. Out: `CartTables`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from vitrina.candidates.carts import CartScorer, Float32s, ItemItem
from vitrina.candidates.co_occurrence import MOST_DENSE
from vitrina.candidates.neighbours import Neighbours
from vitrina.events.baskets.baskets import Baskets
from vitrina.ranking.cart_features import DENSE_STEP, PAIRS, POPULAR_BEST, CartTables
from vitrina.ranking.cart_past import age_days, bought_before, popular_share, product_columns

KEPT: Final = {"ease": 200, "cosine": 200, "confidence": 0, "lift": 60, "likeness": 40}
"""How many of its best each product keeps by each measure; a kept pair has all of them."""

HALF_LIFE: Final = 120.0
SHRINK: Final = 5.0
LIFT_SHRINK: Final = 2.0
BLOCK_CELLS: Final = 4_000_000
_WORD = re.compile(r"[^\W_]+")
_NUMBER = re.compile(r"\d{1,15}")


def cart_tables(baskets: Baskets, until: int, ease: CartScorer | Neighbours) -> CartTables:
    """What the baskets before `until` (as `Baskets.ts`) say; `ease` is fitted on them."""
    past = baskets.between(None, until)
    starts, targets, values = _pairs(past, until, ease)
    share = popular_share(past, until)
    return CartTables(
        starts=starts,
        targets=targets,
        values=values,
        dense=_dense(ease, len(past.codes)),
        products=product_columns(past, until),
        numbers=np.array([_number(code) for code in past.codes], np.int64),
        popular=np.argsort(-share, kind="stable")[:POPULAR_BEST].astype(np.int32),
        bought=bought_before(past, until),
    )


def _pairs(
    past: Baskets, until: int, ease: CartScorer | Neighbours
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int32], Float32s]:
    items = len(past.codes)
    counts, targets, values = [np.zeros(1, np.int64)], [], []
    for block in _blocks(past, until, ease):
        kept = np.zeros(block[0].shape, np.bool_)
        for name, measure in zip(PAIRS, block, strict=True):
            most = min(KEPT[name], items - 1)
            if most:
                best = np.argpartition(-measure, most - 1, axis=1)[:, :most]
                rows = np.arange(len(measure))[:, None]
                kept[rows, best] |= measure[rows, best] > 0
        row, column = np.nonzero(kept)
        counts.append(np.bincount(row, minlength=len(kept)))
        targets.append(column.astype(np.int32))
        values.append(np.stack([measure[row, column] for measure in block]).astype(np.float32))
    return np.cumsum(np.concatenate(counts)), np.concatenate(targets), np.concatenate(values, axis=1)


def _blocks(past: Baskets, until: int, ease: CartScorer | Neighbours) -> Iterator[list[Float32s]]:
    """The measures of PAIRS for blocks of products, float32 (rows, items) each, 0 for a product with itself."""
    carts = past.of_size(2)
    binary = carts.matrix()
    items = binary.shape[1]
    decay = np.exp2(-age_days(carts, until) / HALF_LIFE).astype(np.float32)
    shared = (binary.T.tocsr(), sp.csr_array(sp.diags_array(decay) @ binary))
    weighted = (
        shared[0],
        sp.csr_array(sp.diags_array((decay / np.maximum(carts.sizes, 1)).astype(np.float32)) @ binary),
    )
    held = np.asarray(shared[1].sum(axis=0), np.float64)
    norm = np.sqrt(np.maximum(np.asarray(weighted[1].sum(axis=0)), 1e-9))
    words = _words(past.descriptions)
    total = max(float(decay.sum()), 1e-9)
    rows = max(1, BLOCK_CELLS // max(items, 1))
    for start in range(0, items, rows):
        part = slice(start, start + rows)
        together = (shared[0][part] @ shared[1]).toarray()
        expected = held[part, None] * held[None] / total
        block = [
            _weights(ease, part, items),
            (weighted[0][part] @ weighted[1]).toarray() / (norm[part, None] * norm[None]),
            together / (held[part, None] + SHRINK),
            np.log((together + LIFT_SHRINK) / (expected + LIFT_SHRINK)),
            (words[part] @ words.T).toarray(),
        ]
        diagonal = np.arange(len(together))
        for measure in block:
            measure[diagonal, start + diagonal] = 0.0
        yield block


def _weights(ease: CartScorer | Neighbours, part: slice, items: int) -> Float32s:
    if isinstance(ease, ItemItem):
        return ease.matrix[part].copy()
    if isinstance(ease, Neighbours):
        csr = sp.csr_array((ease.weights, ease.items, ease.indptr), shape=(items, items))
        return csr[part].toarray()
    every = sp.eye_array(items, dtype=np.float32, format="csr")
    return ease.scores(every[part])


def _dense(ease: CartScorer | Neighbours, items: int) -> npt.NDArray[np.int16]:
    if items > MOST_DENSE:
        return np.empty((0, 0), np.int16)
    dense, most, rows = np.empty((items, items), np.int16), np.iinfo(np.int16).max, max(1, BLOCK_CELLS // max(items, 1))
    for start in range(0, items, rows):
        weights = np.rint(_weights(ease, slice(start, start + rows), items) / DENSE_STEP)
        dense[start : start + rows] = np.clip(weights, -most, most)
    np.fill_diagonal(dense, 0)
    return dense


def _words(descriptions: tuple[str, ...]) -> sp.csr_array:
    """Words of the descriptions weighted by their rarity, rows of length 1, float32 (items, words)."""
    places: dict[str, int] = {}
    rows, columns = [], []
    for row, text in enumerate(descriptions):
        for word in dict.fromkeys(_WORD.findall(text.lower())):
            rows.append(row)
            columns.append(places.setdefault(word, len(places)))
    found = np.bincount(columns, minlength=max(len(places), 1))
    rarity = np.log((1 + len(descriptions)) / (1 + found)) + 1
    matrix = sp.csr_array(
        (rarity[columns].astype(np.float32), (rows, columns)), shape=(len(descriptions), max(len(places), 1))
    )
    lengths = np.sqrt(np.maximum(np.asarray(matrix.multiply(matrix).sum(axis=1)).ravel(), 1e-9))
    return sp.csr_array(sp.diags_array((1 / lengths).astype(np.float32)) @ matrix)


def _number(code: str) -> int:
    found = _NUMBER.match(code)
    return int(found[0]) if found else -1

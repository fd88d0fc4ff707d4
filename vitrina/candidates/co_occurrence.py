"""Companions by how often two items share a cart: lift, confidence and cosine with shrunk support, and BM25."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
import scipy.sparse as sp

from vitrina.candidates.carts import Carts, Float32s, ItemItem
from vitrina.candidates.neighbours import Neighbours, best_of_blocks, products

MOST_DENSE: Final = 8_000
"""Items up to which the whole matrix is kept; over it only the best companions of each item."""

ROWS: Final = 1024
Measure = Literal["lift", "confidence", "cosine"]
_POWERS: Final[dict[Measure, tuple[float, float]]] = {
    "lift": (1.0, 1.0),
    "confidence": (1.0, 0.0),
    "cosine": (0.5, 0.5),
}
"""Exponents (a, b): shared carts / (frequency of the item ** a x frequency of the companion ** b)."""


@dataclass(frozen=True, kw_only=True)
class Lift:
    """Rules of one item on each side: shared carts / (frequency of the item ** a x frequency of the companion ** b) by
    `measure`, times support / (support + shrink), support being the number of shared carts.

    A cart of n items counts n ** -cart_discount everywhere, halved every `half_life` days where that is given. Lift
    lacks its constant, the number of carts. Over MOST_DENSE items the `keep` best companions of each are kept.
    """

    measure: Measure = "lift"
    shrink: float = 100.0
    cart_discount: float = 1.0
    half_life: float | None = 365.0
    keep: int = 500

    def fit(self, carts: Carts) -> ItemItem | Neighbours:
        """`ItemItem` of all pairs for up to MOST_DENSE items of the catalogue; of more, `Neighbours`: for each item the
        `keep` companions with the largest weights. Items that share no cart weigh 0; weights are >= 0."""
        binary = carts.profiles
        weight = np.maximum(np.diff(binary.indptr), 1).astype(np.float64) ** -self.cart_discount
        if self.half_life is not None:
            weight *= np.exp2(-carts.age_days / self.half_life)
        weighted = sp.csr_array(sp.diags_array(weight.astype(np.float32)) @ binary)
        frequency = np.asarray(weighted.sum(axis=0), np.float64)
        frequency[frequency == 0] = 1.0  # sold in no cart: shares none either
        of_item, of_companion = _POWERS[self.measure]
        row, column = frequency**-of_item, frequency**-of_companion

        def worth(start: int, block: sp.csr_array) -> sp.csr_array:
            shared = block.data.astype(np.float64)
            source = start + np.repeat(np.arange(block.shape[0]), np.diff(block.indptr))
            block.data = (shared**2 / (shared + self.shrink) * row[source] * column[block.indices]).astype(np.float32)
            return block

        blocks = ((start, worth(start, block)) for start, block in products(binary.T.tocsr(), weighted, ROWS))
        return companions(blocks, carts.items, self.keep)


@dataclass(frozen=True, kw_only=True)
class BM25:
    """Item-kNN with the weights of BM25 (Robertson, Zaragoza, FnTIR 3(4), 2009): an item is a document, a cart one of
    its terms. A cart of n of all N items is worth log(N / (1 + n)) on both sides, an item in f carts
    (k1 + 1) / (k1 (1 - b + b f / mean f) + 1).
    """

    k1: float = 1.0
    b: float = 0.9
    keep: int = 500

    def fit(self, carts: Carts) -> ItemItem | Neighbours:
        """`ItemItem` for up to MOST_DENSE items, of more `Neighbours`, as `Lift.fit`. Weights are sums of products over
        the shared carts and >= 0."""
        binary = carts.profiles
        sizes = np.diff(binary.indptr)
        frequency = np.bincount(binary.indices, minlength=carts.items)
        informative = np.maximum(np.log(max(carts.items, 1)) - np.log1p(sizes), 0.0)
        norm = 1.0 - self.b + self.b * frequency / max(frequency.mean(), 1e-9)
        worth = (self.k1 + 1.0) / (self.k1 * norm + 1.0)
        weighted = sp.csr_array(
            sp.diags_array(informative.astype(np.float32)) @ binary @ sp.diags_array(worth.astype(np.float32))
        )
        return companions(products(weighted.T.tocsr(), weighted, ROWS), carts.items, self.keep)


def companions(blocks: Iterator[tuple[int, sp.csr_array]], items: int, keep: int) -> ItemItem | Neighbours:
    """The matrix of which these are blocks of rows, without its diagonal: whole, or the best of each row."""
    if items > MOST_DENSE:
        return best_of_blocks(blocks, keep=keep)
    matrix: Float32s = np.zeros((items, items), np.float32)
    for start, block in blocks:
        matrix[start : start + block.shape[0]] = block.toarray()
    np.fill_diagonal(matrix, 0.0)
    return ItemItem(matrix=matrix)

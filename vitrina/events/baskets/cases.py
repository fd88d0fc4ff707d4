"""Held-out carts: a part of each basket is visible, the rest is to be predicted. For training, calibration and
evaluation."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from vitrina.events.baskets.baskets import NOBODY, Baskets

Int64s = npt.NDArray[np.int64]


@dataclass(frozen=True, kw_only=True, eq=False)
class Cases:
    """What is visible of a basket and what is hidden, both float32 (cases, items) of ones; `customer` int32 (cases,),
    -1 unknown; `ts` int64 (cases,) in ms; `basket` int64 (cases,): its row among the baskets."""

    visible: sp.csr_array
    hidden: sp.csr_array
    customer: npt.NDArray[np.int32]
    ts: Int64s
    basket: Int64s

    def __len__(self) -> int:
        return len(self.basket)

    @property
    def clusters(self) -> Int64s:
        """Bootstrap cluster of each case: its customer, or the basket itself where nobody is known."""
        return np.where(self.customer >= 0, self.customer.astype(np.int64), -1 - self.basket)

    def part(self, start: int, stop: int) -> Cases:
        """Cases start .. stop - 1."""
        return self._take(slice(start, stop))

    def at_most(self, count: int, seed: int) -> Cases:
        """All of them, or `count` drawn evenly, in their order."""
        if len(self) <= count:
            return self
        return self._take(np.sort(np.random.default_rng([seed, 2]).choice(len(self), count, replace=False)))

    def _take(self, rows: slice | Int64s) -> Cases:
        return Cases(
            visible=self.visible[rows],
            hidden=self.hidden[rows],
            customer=self.customer[rows],
            ts=self.ts[rows],
            basket=self.basket[rows],
        )


def hide_one(baskets: Baskets, seed: int) -> Cases:
    """One product of each basket of two and more is hidden, drawn evenly."""
    sizes, rows = _sizes(baskets)
    return _hidden(baskets, rows, sizes - 1, seed)


def half(baskets: Baskets, seed: int) -> Cases:
    """Half of each basket of two and more is seen, the smaller half of an odd one."""
    sizes, rows = _sizes(baskets)
    return _hidden(baskets, rows, sizes // 2, seed)


def growing(baskets: Baskets, seed: int, per_basket: int = 1) -> Cases:
    """Partly filled carts: of each basket of two or more, 1 to all but one products (uniform) are visible; `per_basket`
    draws of each."""
    sizes, rows = _sizes(baskets)
    sizes, rows = np.repeat(sizes, per_basket), np.repeat(rows, per_basket)
    seen = np.random.default_rng([seed, 1]).integers(1, sizes) if len(sizes) else sizes
    return _hidden(baskets, rows, seen, seed)


def empty(baskets: Baskets) -> Cases:
    """Every basket before its first product: nothing is seen, all of it is hidden."""
    matrix = baskets.matrix()
    return Cases(
        visible=sp.csr_array(matrix.shape, dtype=np.float32),
        hidden=matrix,
        customer=baskets.customer,
        ts=baskets.ts,
        basket=np.arange(len(baskets)),
    )


def half_anonymous(cases: Cases) -> Cases:
    """The same cases; every second one has no customer."""
    return replace(cases, customer=np.where(np.arange(len(cases)) % 2, NOBODY, cases.customer).astype(np.int32))


def _sizes(baskets: Baskets) -> tuple[Int64s, Int64s]:
    """Sizes and rows of the baskets with two products and more."""
    sizes = np.diff(baskets.matrix().indptr).astype(np.int64)
    rows = np.flatnonzero(sizes >= 2)
    return sizes[rows], rows


def _hidden(baskets: Baskets, rows: Int64s, seen: Int64s, seed: int) -> Cases:
    """Cases of these rows in which `seen` (cases,) products, drawn evenly, are visible."""
    drawn = baskets.matrix()[rows]
    case = np.repeat(np.arange(len(rows)), np.diff(drawn.indptr))
    order = np.lexsort((np.random.default_rng(seed).random(drawn.nnz), case))
    place = np.empty(drawn.nnz, np.int64)
    place[order] = np.arange(drawn.nnz) - drawn.indptr[case]
    visible = place < seen[case]
    return Cases(
        visible=_only(drawn, case, visible),
        hidden=_only(drawn, case, ~visible),
        customer=baskets.customer[rows],
        ts=baskets.ts[rows],
        basket=rows.astype(np.int64),
    )


def _only(matrix: sp.csr_array, row: Int64s, mask: np.ndarray) -> sp.csr_array:
    indptr = np.zeros(matrix.shape[0] + 1, np.int64)
    np.cumsum(np.bincount(row[mask], minlength=matrix.shape[0]), out=indptr[1:])
    return sp.csr_array((matrix.data[mask], matrix.indices[mask], indptr), shape=matrix.shape)

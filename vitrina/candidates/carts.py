"""Carts: what was bought together, as the sources of companions are fitted on it, and what a fitted source can say."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, TypeAlias

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from vitrina.candidates.neighbours import Neighbours, best_products
from vitrina.events.baskets.baskets import Baskets
from vitrina.events.schema import DAY_MS

Float32s: TypeAlias = npt.NDArray[np.float32]
Int64s: TypeAlias = npt.NDArray[np.int64]


class Profiles(Protocol):
    """A user-item or cart-item matrix that item-item models are fitted on: `vitrina.features.past.Past` or `Carts`."""

    @property
    def profiles(self) -> sp.csr_array:
        """float32 (rows, items); rows of two items and more."""

    @property
    def items(self) -> int:
        """Columns of `profiles`, whether anybody had them or not."""

    @property
    def threads(self) -> int:
        """How many threads a source may use to be fitted."""


class CartScorer(Protocol):
    """A fitted source: how well each item goes with each cart."""

    def scores(self, carts: sp.csr_array) -> Float32s:
        """float32 (rows, items) for carts float32 (rows, items) of ones; the cart's own items have scores as well."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Carts:
    """`profiles` float32 (carts, items) of ones, `ts` int64 (carts,) in ms, all of them before `as_of` (ms).

    Profiles may be given as any matrix, sparse or dense, of counts: what is over 0 becomes a one. `ValueError` when a
    count is below 0 or no number, when there is not one `ts` for each cart, when one is not before `as_of`, and for
    fewer than one of `threads`.
    """

    profiles: sp.csr_array
    ts: Int64s
    as_of: int
    threads: int

    def __post_init__(self) -> None:
        profiles, ts = _ones(self.profiles), np.asarray(self.ts)
        if ts.shape != (profiles.shape[0],) or (len(ts) and ts.dtype.kind not in "iu"):
            raise ValueError(f"ts of {ts.shape} {ts.dtype} for {profiles.shape[0]} carts: one whole number of ms each")
        late = np.flatnonzero(ts >= self.as_of)
        if len(late):
            raise ValueError(f"cart {late[0]} (ts {ts[late[0]]}) is not before as_of {self.as_of}; {len(late)} are not")
        if self.threads < 1:
            raise ValueError(f"threads {self.threads}: one is the least")
        object.__setattr__(self, "profiles", profiles)
        object.__setattr__(self, "ts", ts.astype(np.int64, copy=False))

    @classmethod
    def of(cls, baskets: Baskets, *, threads: int, as_of: int | None = None, least: int = 2) -> Carts:
        """The baskets of `least` items and more before `as_of`, which is the moment after the last one unless given."""
        matrix = baskets.matrix()
        end = (int(baskets.ts.max(initial=-1)) + 1) if as_of is None else as_of
        kept = np.flatnonzero((np.diff(matrix.indptr) >= least) & (baskets.ts < end))
        return cls(profiles=matrix[kept], ts=baskets.ts[kept], as_of=end, threads=threads)

    @property
    def items(self) -> int:
        return int(self.profiles.shape[1])

    @property
    def age_days(self) -> npt.NDArray[np.float64]:
        """Age of each cart at `as_of`, float64 (carts,)."""
        return np.asarray((self.as_of - self.ts) / DAY_MS, np.float64)


@dataclass(frozen=True, kw_only=True, eq=False)
class ItemItem:
    """A linear source: the score of an item is the sum of `matrix` float32 (items, items) over the cart's rows."""

    matrix: Float32s

    def scores(self, carts: sp.csr_array) -> Float32s:
        """float32 (rows, items)."""
        return np.asarray(carts @ self.matrix, np.float32)


def _ones(profiles: sp.csr_array) -> sp.csr_array:
    """The same without a copy where it is CSR of float32 ones, each item of a cart once and in order."""
    matrix = sp.csr_array(profiles)
    if matrix.ndim != 2:
        raise ValueError(f"profiles of {matrix.shape}, not (carts, items)")
    if matrix.dtype == np.float32 and matrix.has_canonical_format and (matrix.data == 1.0).all():
        return matrix
    if not (matrix.data >= 0).all():
        raise ValueError("profiles: a count is below 0 or no number")
    matrix = matrix.copy()
    matrix.sum_duplicates()
    matrix.eliminate_zeros()
    return sp.csr_array((np.ones(matrix.nnz, np.float32), matrix.indices, matrix.indptr), shape=matrix.shape)


def nearest(fitted: ItemItem, keep: int) -> Neighbours:
    """The `keep` largest positive companions of each item, for catalogues whose matrix is too large to be served."""
    every = sp.eye_array(len(fitted.matrix), dtype=np.float32, format="csr")
    return best_products(every, sp.csr_array(fitted.matrix), keep=keep)

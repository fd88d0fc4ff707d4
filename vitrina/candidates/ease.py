"""EASE (Steck, WWW 2019): the ridge regression of each item on all others, solved exactly on the smaller side of the
profiles: items for many carts over a small catalogue, rows for few visitors of a large shop.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from vitrina.candidates.carts import Carts, ItemItem, Profiles, nearest
from vitrina.candidates.neighbours import Neighbours
from vitrina.errors import ConfigError

MOST_EQUATIONS = 12_000


@dataclass(frozen=True, kw_only=True)
class EaseKernel:
    """The ridge solution in the users' kernel: P = (I - profiles' solved) / ridge, never held over items x items.

    profiles float32 (users, items), solved float32 (users, items), diagonal float32 (items,) of P.
    """

    profiles: sp.csr_array
    solved: npt.NDArray[np.float32]
    diagonal: npt.NDArray[np.float32]
    ridge: float

    def scores(self, query: sp.csr_array) -> npt.NDArray[np.float32]:
        """float32 (rows, items) for binary profiles `query` (rows, items): query @ B with B = I - P / diag(P)."""
        dense = query.toarray()
        solution = (dense - (query @ self.profiles.T) @ self.solved) / self.ridge
        return np.asarray(dense - solution / self.diagonal, np.float32)


@dataclass(frozen=True, kw_only=True)
class EASE:
    """`ridge` is EASE's lambda, in units of rows that count n ** -(2 x user_discount) each for n items; a cart loses
    half of that in `half_life` days, where it is given. Of a catalogue over `most_items`, where that is given, the
    most frequent ones are solved for, and the `keep` largest weights of each are kept.
    """

    ridge: float = 10.0
    user_discount: float = 0.25
    half_life: float | None = None
    most_items: int | None = None
    keep: int = 500

    def fit(self, past: Profiles) -> ItemItem | EaseKernel | Neighbours:
        """Of the rows with at least two items; `ConfigError` when rows and items both are over MOST_EQUATIONS."""
        scaled = self._scaled(past)
        rows, items = scaled.shape
        if self.most_items is not None and items > self.most_items:
            return self._frequent(scaled, self.most_items)
        if min(rows, items) > MOST_EQUATIONS:
            raise ConfigError(
                f"EASE solves one equation for each row or item: {rows:,} rows and {items:,} items are both over "
                f"{MOST_EQUATIONS:,}. Use item-kNN instead"
            )
        with _one_thread():
            return self._by_item(scaled) if items <= rows else self._by_row(scaled)

    def _frequent(self, scaled: sp.csr_array, most: int) -> Neighbours:
        frequency = np.bincount(scaled.indices, minlength=scaled.shape[1])
        chosen = np.sort(np.lexsort((np.arange(len(frequency)), -frequency))[:most]).astype(np.int32)
        with _one_thread():
            found = nearest(self._by_item(sp.csr_array(scaled[:, chosen])), self.keep)
        lengths = np.zeros(len(frequency) + 1, np.int64)
        lengths[chosen + 1] = np.diff(found.indptr)
        return Neighbours(indptr=np.cumsum(lengths), items=chosen[found.items], weights=found.weights)

    def _scaled(self, past: Profiles) -> sp.csr_array:
        profiles = past.profiles
        binary = sp.csr_array((np.ones_like(profiles.data), profiles.indices, profiles.indptr), shape=profiles.shape)
        weight = np.maximum(np.diff(binary.indptr), 1).astype(np.float32) ** -self.user_discount
        if self.half_life is not None:
            if not isinstance(past, Carts):
                raise ConfigError("EASE: only carts, which have a time, can have a half-life. Leave half_life out")
            weight *= np.exp2(-0.5 * past.age_days / self.half_life)
        return sp.csr_array(sp.diags_array(weight.astype(np.float32)) @ binary)

    def _by_item(self, scaled: sp.csr_array) -> ItemItem:
        from scipy.linalg import lapack

        gram = (scaled.T @ scaled).toarray().astype(np.float64)
        gram[np.diag_indices_from(gram)] += self.ridge
        factor, failed = lapack.dpotrf(gram.T, lower=1, overwrite_a=1)  # in place: LAPACK's order is by column
        if failed:
            raise ConfigError(f"EASE: the equations have no solution with ridge {self.ridge}. Give a larger one")
        inverse, _ = lapack.dpotri(factor, lower=1, overwrite_c=1)  # the lower half of P
        for item in range(len(inverse)):
            inverse[item, item + 1 :] = inverse[item + 1 :, item]
        inverse /= -np.diag(inverse)
        np.fill_diagonal(inverse, 0.0)
        return ItemItem(matrix=np.ascontiguousarray(inverse, np.float32))

    def _by_row(self, scaled: sp.csr_array) -> EaseKernel:
        kernel = (scaled @ scaled.T).toarray() + self.ridge * np.eye(scaled.shape[0], dtype=np.float32)
        solved = np.linalg.solve(kernel.astype(np.float64), scaled.toarray()).astype(np.float32)
        diagonal = (1.0 - np.asarray(scaled.multiply(solved).sum(axis=0)).ravel()) / self.ridge
        return EaseKernel(profiles=scaled, solved=solved, diagonal=diagonal.astype(np.float32), ridge=self.ridge)


def _one_thread() -> AbstractContextManager[object]:
    """OpenBLAS on two busy cores took six times as long with two threads as with one: they wait for each other."""
    from threadpoolctl import threadpool_limits

    return threadpool_limits(1, "blas")

"""Implicit ALS (Hu, Koren, Volinsky, ICDM 2008): item factors, exact fold-in of anybody's history, neighbours in factor
space."""

from __future__ import annotations

from dataclasses import dataclass

import numba
import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from vitrina.candidates.carts import Profiles
from vitrina.candidates.fold_in import solve_user
from vitrina.candidates.neighbours import Neighbours

Float32 = npt.NDArray[np.float32]


@dataclass(frozen=True, kw_only=True)
class ItemFactors:
    """`factors` float32 (items, f), zeros for items that too few share; `gram` float32 (f, f) = factors' factors +
    regularisation; `alpha`: confidence of an interaction is 1 + alpha x its weight.
    """

    factors: Float32
    gram: Float32
    alpha: float

    def fold_in(self, items: npt.NDArray[np.int32], weights: Float32) -> Float32:
        """The factor of a user with these interactions, float32 (f,)."""
        out = np.zeros(self.factors.shape[1], np.float32)
        solve_user(self.factors, self.gram, self.alpha, items, weights, len(items), out)
        return out

    def scores(self, query: sp.csr_array) -> Float32:
        """float32 (rows, items): the product with the factor of each row, folded in."""
        folded = np.zeros((query.shape[0], self.factors.shape[1]), np.float32)
        for row, factor in enumerate(folded):
            span = slice(*query.indptr[row : row + 2])
            items, weights = query.indices[span].astype(np.int32), query.data[span]
            solve_user(self.factors, self.gram, self.alpha, items, weights, len(items), factor)
        return folded @ self.factors.T


@dataclass(frozen=True, kw_only=True)
class ALS:
    """Fitted on users with at least two items; everybody else is folded in. Items of fewer than `least_users` such
    users keep no factor: one user's company says nothing."""

    factors: int = 64
    regularization: float = 0.5
    alpha: float = 2.0
    iterations: int = 12
    least_users: int = 2
    seed: int = 7

    def fit(self, past: Profiles) -> ItemFactors:
        """Item factors by `implicit`, on the threads of the engine; deterministic for a seed and thread count."""
        profiles = past.profiles
        factors = np.zeros((past.items, self.factors), np.float32)
        if profiles.shape[0]:
            from implicit.cpu.als import AlternatingLeastSquares
            from threadpoolctl import threadpool_limits

            confidence = sp.csr_matrix(profiles, copy=True)
            confidence.data = 1.0 + self.alpha * confidence.data
            with threadpool_limits(1, "blas"):  # its own threads call BLAS; BLAS threads below them only get in the way
                model = AlternatingLeastSquares(
                    factors=self.factors,
                    regularization=self.regularization,
                    alpha=1.0,
                    iterations=self.iterations,
                    random_state=self.seed,
                    num_threads=past.threads,
                )
                model.fit(confidence, show_progress=False)
            shared = np.bincount(confidence.indices, minlength=past.items) >= self.least_users
            factors[shared] = model.item_factors[shared]
        gram = factors.T @ factors + self.regularization * np.eye(self.factors, dtype=np.float32)
        return ItemFactors(factors=factors, gram=gram.astype(np.float32), alpha=self.alpha)


def factor_neighbours(
    fitted: ItemFactors,
    popularity: npt.NDArray[np.floating],
    *,
    keep: int = 30,
    targets: int = 20_000,
    block: int = 2048,
) -> Neighbours:
    """For each item with a factor, its `keep` nearest by cosine among the `targets` most popular items that have one.

    popularity (items,). Items that nobody shares get no row: their factors say nothing.
    """
    norms = np.linalg.norm(fitted.factors, axis=1)
    known = np.flatnonzero(norms > 0).astype(np.int32)
    unit = np.zeros_like(fitted.factors)
    unit[known] = fitted.factors[known] / norms[known, None]
    shelf = np.sort(known[np.lexsort((known, -popularity[known]))][:targets])
    lengths = np.zeros(len(norms) + 1, np.int64)
    found_items, found_weights = [np.empty(0, np.int32)], [np.empty(0, np.float32)]
    for start in range(0, len(known), block):
        rows = known[start : start + block]
        similarity = unit[rows] @ unit[shelf].T  # (block, targets)
        lengths[rows + 1], items, weights = _nearest(similarity, rows, shelf, keep)
        found_items.append(items)
        found_weights.append(weights)
    return Neighbours(
        indptr=np.cumsum(lengths), items=np.concatenate(found_items), weights=np.concatenate(found_weights)
    )


@numba.njit(cache=True)
def _nearest(similarity, rows, shelf, keep):  # type: ignore[no-untyped-def]  # compiled
    """Per row the `keep` largest positive similarities to other items than itself, descending, ties to the smaller
    item."""
    lengths = np.zeros(len(rows), np.int64)
    items = np.empty(len(rows) * keep, np.int32)
    weights = np.empty(len(rows) * keep, np.float32)
    filled = 0
    for r in range(len(rows)):
        begin, floor = filled, np.float32(0.0)
        for t in range(len(shelf)):
            value = similarity[r, t]
            if value <= floor or shelf[t] == rows[r]:
                continue
            if filled - begin < keep:
                filled += 1
            spot = filled - 1
            while spot > begin and weights[spot - 1] < value:
                weights[spot] = weights[spot - 1]
                items[spot] = items[spot - 1]
                spot -= 1
            weights[spot] = value
            items[spot] = shelf[t]
            if filled - begin == keep:
                floor = weights[filled - 1]
        lengths[r] = filled - begin
    return lengths, items[:filled].copy(), weights[:filled].copy()

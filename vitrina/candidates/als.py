"""Implicit ALS (Hu, Koren, Volinsky, ICDM 2008): item factors, exact fold-in of anybody's history, neighbours in factor space."""

from __future__ import annotations

import os
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from vitrina.candidates.fold_in import solve_user
from vitrina.candidates.neighbours import Neighbours
from vitrina.features.past import Past

Float32 = npt.NDArray[np.float32]


@dataclass(frozen=True, kw_only=True)
class ItemFactors:
    """`factors` float32 (items, f), zeros for items never co-touched; `gram` float32 (f, f) = factors' factors + regularisation;
    `alpha`: confidence of an interaction is 1 + alpha x its weight.
    """

    factors: Float32
    gram: Float32
    alpha: float

    def fold_in(self, items: npt.NDArray[np.int32], weights: Float32) -> Float32:
        """The factor of a user with these interactions, float32 (f,)."""
        out = np.zeros(self.factors.shape[1], np.float32)
        solve_user(self.factors, self.gram, self.alpha, items, weights, len(items), out)
        return out


@dataclass(frozen=True, kw_only=True)
class ALS:
    """Fitted on users with at least two items; everybody else is folded in."""

    factors: int = 64
    regularization: float = 0.5
    alpha: float = 2.0
    iterations: int = 15
    seed: int = 7

    def fit(self, past: Past) -> ItemFactors:
        """Item factors by `implicit`; deterministic for a seed and thread count."""
        profiles = past.profiles
        factors = np.zeros((past.items, self.factors), np.float32)
        if profiles.shape[0]:
            from implicit.cpu.als import AlternatingLeastSquares
            from scipy.sparse import csr_matrix

            confidence = csr_matrix(profiles, copy=True)
            confidence.data = 1.0 + self.alpha * confidence.data
            model = AlternatingLeastSquares(
                factors=self.factors,
                regularization=self.regularization,
                alpha=1.0,
                iterations=self.iterations,
                random_state=self.seed,
                num_threads=os.cpu_count() or 1,
            )
            model.fit(confidence, show_progress=False)
            touched = np.bincount(confidence.indices, minlength=past.items) > 0
            factors[touched] = model.item_factors[touched]
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
    known = np.flatnonzero(norms > 0)
    unit = np.zeros_like(fitted.factors)
    unit[known] = fitted.factors[known] / norms[known, None]
    shelf = known[np.lexsort((known, -popularity[known]))][:targets]
    shelf.sort()
    lengths = np.zeros(len(norms) + 1, np.int64)
    found_items, found_weights = [], []
    depth = min(keep + 1, len(shelf))
    for start in range(0, len(known), block):
        rows = known[start : start + block]
        similarity = unit[rows] @ unit[shelf].T  # (block, targets)
        similarity[rows[:, None] == shelf[None, :]] = -np.inf
        best = (
            np.argpartition(-similarity, depth - 1, axis=1)[:, :depth] if depth else np.empty((len(rows), 0), np.int64)
        )
        weight = np.take_along_axis(similarity, best, axis=1)
        order = np.argsort(-weight, axis=1, kind="stable")[:, :keep]
        weight = np.take_along_axis(weight, order, axis=1)
        best = shelf[np.take_along_axis(best, order, axis=1)]
        valid = weight > 0
        lengths[rows + 1] = valid.sum(axis=1)
        found_items.append(best[valid])
        found_weights.append(weight[valid])
    empty = np.empty(0, np.float32)
    return Neighbours(
        indptr=np.cumsum(lengths),
        items=np.concatenate(found_items or [empty]).astype(np.int32),
        weights=np.concatenate(found_weights or [empty]).astype(np.float32),
    )

"""From a score to the share of carts in which the product was taken: one rising curve for each range of cart sizes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Self

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

SIZES: Final = (0, 1, 2, 4, 8, 16, 32)
"""The smallest cart of each range."""

_BINS = 40

LEAST_BASKETS: Final = 50
"""Baskets that a range needs for a curve of its own, and that what is said without any weighs as much as."""


@dataclass(frozen=True, kw_only=True, eq=False)
class CartConfidence:
    """`scores` and `shares` float64 (ranges, knots): a curve a range of `SIZES`, straight between knots, flat beyond
    them, never falling, so that it keeps the order of products within an answer."""

    scores: Floats
    shares: Floats

    def of(self, scores: npt.NDArray[np.floating], size: int) -> Floats:
        """The shares float64 (n,) for scores (n,) that a cart of `size` known products got."""
        curve = _range_of(size)
        return np.interp(scores, self.scores[curve], self.shares[curve])

    @classmethod
    def as_said(cls) -> Self:
        """For scores that are shares already."""
        knots = np.tile(np.linspace(0.0, 1.0, _BINS), (len(SIZES), 1))
        return cls(scores=knots, shares=knots)

    @classmethod
    def never(cls) -> Self:
        """Whatever the score, nothing is taken."""
        knots = np.tile(np.linspace(0.0, 1.0, _BINS), (len(SIZES), 1))
        return cls(scores=knots, shares=np.zeros_like(knots))

    @classmethod
    def fit(
        cls,
        scores: npt.NDArray[np.floating],
        taken: npt.NDArray[np.bool_],
        sizes: npt.NDArray[np.int64],
        baskets: npt.NDArray[np.int64],
        prior: CartConfidence | None = None,
    ) -> Self:
        """From rows (n,) that the model has not seen: what it showed, whether it was taken, how large the cart was, and
        of which basket (any numbers) it was a part.

        Isotonic regression (Ayer et al. 1955) over bins of about equal counts, equal scores in one bin. A range of few
        baskets takes the nearest one's; `prior`, when given, weighs as much as `LEAST_BASKETS` beside what is found.
        """
        ranges = np.searchsorted(SIZES, sizes, side="right") - 1
        seen = [len(np.unique(baskets[ranges == r])) for r in range(len(SIZES))]
        enough = [r for r, count in enumerate(seen) if count >= LEAST_BASKETS]
        curves = []
        for r, size in enumerate(SIZES):
            like = min(enough, key=lambda other: abs(other - r)) if enough else None
            chosen = np.ones(len(scores), np.bool_) if like is None else ranges == like
            knots, shares = _rising(np.asarray(scores, np.float64)[chosen], taken[chosen])
            if prior is not None:
                count = len(np.unique(baskets)) if like is None else seen[like]
                knots, found = np.sort(np.append(knots, prior.scores[r])), (knots, shares)
                shares = count * np.interp(knots, *found) + LEAST_BASKETS * prior.of(knots, size)
                shares /= count + LEAST_BASKETS
            curves.append((knots, shares))
        return cls(scores=np.stack([knots for knots, _ in curves]), shares=np.stack([shares for _, shares in curves]))


def _range_of(size: int) -> int:
    return sum(size >= least for least in SIZES[1:])


def _rising(scores: Floats, taken: npt.NDArray[np.bool_]) -> tuple[Floats, Floats]:
    """Knots and shares (_BINS,) each; without rows all shares are zero."""
    if len(scores) == 0:
        return np.linspace(0.0, 1.0, _BINS), np.zeros(_BINS)
    order = np.argsort(scores, kind="stable")
    begins = np.append(0, np.flatnonzero(np.diff(scores[order])) + 1)  # where each of the distinct scores begins
    if len(begins) > _BINS:
        even = np.linspace(0, len(order), _BINS, endpoint=False)
        begins = np.unique(begins[np.searchsorted(begins, even, side="right") - 1])
    bins = np.split(order, begins[1:])
    knots = np.array([scores[rows].mean() for rows in bins])
    weights = np.array([len(rows) for rows in bins], np.float64)
    shares = _pooled(np.array([taken[rows].mean() for rows in bins]), weights)
    padding = _BINS - len(bins)
    return np.pad(knots, (0, padding), mode="edge"), np.pad(shares, (0, padding), mode="edge")


def _pooled(values: Floats, weights: Floats) -> Floats:
    """Adjacent violators pooled: the nearest never falling sequence by weighted squares."""
    blocks: list[tuple[float, float, int]] = []
    for value, weight in zip(values.tolist(), weights.tolist(), strict=True):
        mean, mass, count = value, weight, 1
        while blocks and blocks[-1][0] >= mean:
            before, heavy, many = blocks.pop()
            mean = (mean * mass + before * heavy) / (mass + heavy)
            mass, count = mass + heavy, count + many
        blocks.append((mean, mass, count))
    return np.repeat([mean for mean, _, _ in blocks], [count for _, _, count in blocks])

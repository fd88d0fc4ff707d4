"""Probabilities that come true: each product's log odds stretched and shifted, as the validation month shows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from vitrina.events.panels.columns import PRODUCTS

Matrix = npt.NDArray[np.float64]
_LEAST_SLOPE = 0.2
_STEPS = 50


@dataclass(frozen=True, kw_only=True)
class ProductCalibration:
    """Log odds z of product p become `slope[p] * z + shift[p]`, float64 (24,) each; slopes are positive, so the order
    of customers within a product stays. Platt's scaling (1999), held towards the identity, since one month has a few
    acquisitions of a rare product.
    """

    slope: npt.NDArray[np.float64]
    shift: npt.NDArray[np.float64]

    @classmethod
    def fit(
        cls,
        log_odds: Matrix,
        taken: npt.NDArray[np.bool_],
        judged: npt.NDArray[np.bool_],
        *,
        slope_spread: float = 0.1,
        shift_spread: float = 0.3,
    ) -> Self:
        """From rows that the model has not seen, (rows, 24) each: `judged` tells which products could be taken. The
        spreads are the standard deviations of the normal priors around slope 1 and shift 0."""
        penalty = np.array([slope_spread, shift_spread]) ** -2.0
        found = [
            _platt(log_odds[judged[:, p], p], taken[judged[:, p], p].astype(np.float64), penalty)
            for p in range(log_odds.shape[1])
        ]
        slope, shift = np.array(found).T
        return cls(slope=slope, shift=shift)

    @classmethod
    def identity(cls) -> Self:
        """Leaves everything as it is."""
        return cls(slope=np.ones(len(PRODUCTS)), shift=np.zeros(len(PRODUCTS)))

    def apply(self, log_odds: Matrix) -> Matrix:
        """Probabilities float64 (rows, 24) of log odds (rows, 24)."""
        return 1 / (1 + np.exp(-(self.slope * log_odds + self.shift)))

    def as_json(self) -> dict[str, Any]:
        """Lists of numbers."""
        return {"slope": self.slope.tolist(), "shift": self.shift.tolist()}

    @classmethod
    def from_json(cls, document: dict[str, Any]) -> Self:
        """What `as_json` wrote."""
        return cls(slope=np.array(document["slope"]), shift=np.array(document["shift"]))


def _platt(
    z: npt.NDArray[np.float64], y: npt.NDArray[np.float64], penalty: npt.NDArray[np.float64]
) -> tuple[float, float]:
    """Slope and shift by Newton's method with halved steps."""
    identity = np.array([1.0, 0.0])
    at = identity.copy()

    def loss(slope: float, shift: float) -> float:
        scaled = slope * z + shift
        return float(
            np.sum(np.logaddexp(0, scaled) - y * scaled) + penalty @ (np.array([slope, shift]) - identity) ** 2 / 2
        )

    now = loss(*at)
    for _ in range(_STEPS):
        chance = 1 / (1 + np.exp(-(at[0] * z + at[1])))
        miss, weight = chance - y, chance * (1 - chance)
        gradient = np.array([miss @ z, miss.sum()]) + penalty * (at - identity)
        cross = weight @ z
        curve = np.array([[weight @ (z * z), cross], [cross, weight.sum()]]) + np.diag(penalty)
        step, length = np.linalg.solve(curve, gradient), 1.0
        while (then := loss(*(at - length * step))) > now and length > 1e-6:
            length /= 2
        if not then < now - 1e-10 * abs(now):
            break
        at, now = at - length * step, then
    return max(float(at[0]), _LEAST_SLOPE), float(at[1])

"""What the training months say of each product: how often it is taken, after which portfolios, in which season."""

from __future__ import annotations

from typing import Any, Final, NamedTuple, Self

import numpy as np
import numpy.typing as npt

from vitrina.events.panels.columns import PRODUCTS
from vitrina.features.panel_history import Masks, product_matrix, product_rows

YEAR: Final = 12
_PRIOR_TAKEN: Final = 0.5
_STEPS: Final = 25
Table = npt.NDArray[np.float32]


class ProductContext(NamedTuple):
    """prior float32 (24,): log odds that a customer who lacks the product takes it. owned float32 (24 owned, 24 taken)
    and start float32 (24,): `start[p] + sum of owned[o, p] over the portfolio` is the log odds of p given what is owned
    now. season float32 (12, 24), January first: log of how much oftener p is taken in that calendar month than its
    portfolios explain; NaN for a month without training rows."""

    prior: Table
    start: Table
    owned: Table
    season: Table

    @classmethod
    def fit(
        cls,
        month: npt.NDArray[np.int32],
        owned: Masks,
        taken: Masks,
        judged: Masks,
        *,
        ridge: float = 4.0,
        shrink: float = 10.0,
    ) -> Self:
        """From months of rows, what was owned in them, and what they were followed by, (rows,) each.

        Logistic regression on the owned products by Newton's method over the distinct portfolios, with the penalty
        `ridge / 2 * sum(owned ** 2)`; seasons are shrunk as if `shrink` acquisitions at the usual rate had been seen.
        """
        masks, portfolio = np.unique(owned, return_inverse=True)
        at = np.asarray(portfolio * YEAR + (month + 1) % YEAR, np.int32)  # a cell is a portfolio in a season
        design = np.hstack([np.ones((len(masks), 1)), product_matrix(masks)])  # (portfolios, 25)
        n = len(PRODUCTS)
        prior, start, weight = np.zeros(n), np.zeros(n), np.zeros((n, n))
        expected, found = np.zeros((YEAR, n)), np.zeros((YEAR, n))
        free = judged & ~owned
        for product in range(n):
            chances, positives = (_cells(at, mask, product, len(masks)) for mask in (free, taken))
            prior[product] = log_odds(positives.sum(), chances.sum())
            weights = _newton(design, chances.sum(axis=1), positives.sum(axis=1), prior[product], ridge)
            start[product], weight[:, product] = weights[0], weights[1:]
            chance = 1 / (1 + np.exp(-(design @ weights)))
            expected[:, product] = chance @ chances
            found[:, product] = positives.sum(axis=0)
        season = np.log((found + shrink) / (expected + shrink))
        season[np.bincount((month + 1) % YEAR, minlength=YEAR) == 0] = np.nan
        return cls(*(np.asarray(table, np.float32) for table in (prior, start, weight, season)))

    def as_json(self) -> dict[str, Any]:
        """Lists of numbers; a season without rows is null."""
        tables = dict(zip(self._fields, (table.tolist() for table in self), strict=True))
        tables["season"] = [[None if np.isnan(one) else one for one in month] for month in tables["season"]]
        return tables

    @classmethod
    def from_json(cls, document: dict[str, Any]) -> Self:
        """What `as_json` wrote."""
        return cls(**{name: np.array(document[name], np.float32) for name in cls._fields})


def log_odds(taken: float, chances: float) -> float:
    """Of a rate, with half an acquisition more and half a refusal more than were seen."""
    return float(np.log((taken + _PRIOR_TAKEN) / (chances - taken + _PRIOR_TAKEN)))


def _cells(at: npt.NDArray[np.int32], mask: Masks, product: int, portfolios: int) -> npt.NDArray[np.float64]:
    """Rows with the product's bit set, counted in each cell, (portfolios, 12)."""
    counts = np.bincount(at[product_rows(mask, product)], minlength=portfolios * YEAR)
    return counts.reshape(portfolios, YEAR).astype(np.float64)


def _newton(
    design: npt.NDArray[np.float64],
    chances: npt.NDArray[np.float64],
    positives: npt.NDArray[np.float64],
    prior: float,
    ridge: float,
) -> npt.NDArray[np.float64]:
    """Weights (columns,) of grouped rows; the first column is the constant, which only a slight penalty holds."""
    centre = np.zeros(design.shape[1])
    centre[0] = prior
    penalty = np.full(design.shape[1], ridge)
    penalty[0] = 0.1
    weights = centre.copy()

    def loss(at: npt.NDArray[np.float64]) -> float:
        logit = design @ at
        return float(chances @ np.logaddexp(0, logit) - positives @ logit + penalty @ (at - centre) ** 2 / 2)

    now = loss(weights)
    for _ in range(_STEPS):
        chance = 1 / (1 + np.exp(-(design @ weights)))
        slope = design.T @ (chances * chance - positives) + penalty * (weights - centre)
        curve = (design.T * (chances * chance * (1 - chance))) @ design + np.diag(penalty)
        step, length = np.linalg.solve(curve, slope), 1.0
        while (then := loss(weights - length * step)) > now and length > 1e-6:
            length /= 2
        if not then < now - 1e-9 * abs(now):
            break
        weights, now = weights - length * step, then
    return weights

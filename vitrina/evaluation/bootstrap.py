"""How sure a mean is. Users are drawn again, not rows: one user met in several windows is one cluster.

Percentile bootstrap over clusters (Efron, Tibshirani, 1993; Cameron, Gelbach, Miller, 2008): each replicate draws as
many clusters as there are, with replacement, and takes the mean over all rows of the drawn clusters. A pair of models
is compared on the differences of the same rows, so what makes one user hard for both cancels out.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from vitrina.evaluation.metrics import Floats


@dataclass(frozen=True)
class Interval:
    """A mean with its interval; low and high are infinite where fewer than two users leave them unknown."""

    mean: float
    low: float
    high: float

    def as_json(self) -> dict[str, float | None]:
        """Plain values; an unknown end is null."""
        return {
            "mean": self.mean,
            "low": self.low if math.isfinite(self.low) else None,
            "high": self.high if math.isfinite(self.high) else None,
        }


def mean_interval(
    values: Floats, clusters: npt.NDArray[np.integer], *, seed: int = 0, n: int = 2000, level: float = 0.95
) -> Interval:
    """Mean of `values` (rows,) and its central interval; `clusters` (rows,) names the user of each row."""
    return mean_intervals(values[:, None], clusters, seed=seed, n=n, level=level)[0]


def paired_difference(
    a: Floats, b: Floats, clusters: npt.NDArray[np.integer], *, seed: int = 0, n: int = 2000, level: float = 0.95
) -> Interval:
    """Mean of a - b over the same rows and its central interval, by user."""
    if a.shape != b.shape:
        raise ValueError(f"a pair needs the same rows, not {len(a)} and {len(b)}")
    return mean_interval(a - b, clusters, seed=seed, n=n, level=level)


def mean_intervals(
    values: Floats, clusters: npt.NDArray[np.integer], *, seed: int = 0, n: int = 2000, level: float = 0.95
) -> list[Interval]:
    """One interval per column of `values` (rows, columns), all columns from the same drawn users.

    n replicates; `level` is the share of them between low and high. `ValueError` without rows.
    """
    if len(values) == 0 or len(values) != len(clusters):
        raise ValueError(f"{len(values)} rows of values and {len(clusters)} of clusters: no interval")
    means = values.mean(axis=0)
    names, owner = np.unique(clusters, return_inverse=True)
    if len(names) < 2:
        return [Interval(float(mean), -math.inf, math.inf) for mean in means]
    size = np.bincount(owner).astype(np.float64)
    columns = [np.bincount(owner, weights=column) for column in values.T]
    sums = np.column_stack([*columns, size])  # (clusters, columns + 1)
    rng = np.random.default_rng(seed)
    drawn = np.empty((n, sums.shape[1]))
    for replicate in range(n):
        times = np.bincount(rng.integers(0, len(names), len(names), dtype=np.int32), minlength=len(names))
        drawn[replicate] = times.astype(np.float64) @ sums
    spread = drawn[:, :-1] / drawn[:, -1:]
    tail = (1.0 - level) / 2.0
    low, high = np.quantile(spread, [tail, 1.0 - tail], axis=0)
    return [Interval(float(m), float(lo), float(hi)) for m, lo, hi in zip(means, low, high, strict=True)]

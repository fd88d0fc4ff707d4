"""Drift: how far the last day's visitors lie from those of earlier weeks, feature by feature.

In: of each day the values that its visitors met. Out: the population stability index (PSI) of each feature, the limit
that it may reach without a reason, and the share of missing values. Rows of one visitor resemble each other, so every
visitor counts once and all noise is measured by drawing visitors (cluster bootstrap; Field, Welsh, JRSS B 2007).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from scipy.special import fdtri

BINS: Final = 10
FLOOR: Final = 0.2
"""A PSI below this is no drift whatever the noise: the usual reading of the index (Siddiqi, Credit Risk Scorecards,
2006) calls 0.1 to 0.2 a small change."""

FALSE_ALARMS: Final = 0.05
"""Share of undrifted days on which any feature at all is reported."""

WEEK_FREEDOM: Final = 3
"""Degrees of freedom of what sets one week apart from the others in a feature."""

LEAST_VISITORS: Final = 30
LEAST_WEEKS: Final = 3
DRAWS: Final = 400
_PRIOR: Final = (
    1.0  # visitors, distributed as both samples together, that each sample gets: no bin is empty in one alone
)

Shares = npt.NDArray[np.float32]


@dataclass(frozen=True, kw_only=True)
class Day:
    """What the visitors of one day met: `visitor` int32 (visitors,), each one once; `values` float32 (visitors, rows,
    features), NaN where missing."""

    visitor: npt.NDArray[np.int32]
    values: npt.NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.visitor)


@dataclass(frozen=True, kw_only=True)
class FeatureDrift:
    """`psi` drifted when it is over `limit`. `labels`, `training` and `last_day` are the bins and the shares of both
    samples in them; the last bin holds what is missing."""

    name: str
    psi: float
    limit: float
    labels: tuple[str, ...]
    training: tuple[float, ...]
    last_day: tuple[float, ...]

    @property
    def drifted(self) -> bool:
        return self.psi > self.limit

    @property
    def missing_training(self) -> float:
        return self.training[-1]

    @property
    def missing_last_day(self) -> float:
        return self.last_day[-1]

    def as_json(self) -> dict[str, Any]:
        """Numbers without the bins."""
        return {
            "psi": self.psi,
            "limit": self.limit,
            "missing_training": self.missing_training,
            "missing_last_day": self.missing_last_day,
            "drifted": self.drifted,
        }


@dataclass(frozen=True, kw_only=True)
class Drift:
    """The verdict on a day. Not `judged` says `why`, and has no features; `visitors` are those of the last day,
    `training_visitors` those of all reference days, a visitor counted on each of them."""

    judged: bool
    why: str
    visitors: int
    training_visitors: int
    features: tuple[FeatureDrift, ...]

    @property
    def drifted(self) -> tuple[str, ...]:
        """Names of the features over their limit, the furthest first."""
        return tuple(one.name for one in self.by_excess() if one.drifted)

    def by_excess(self) -> list[FeatureDrift]:
        """All features, the largest PSI for its limit first."""
        return sorted(self.features, key=lambda one: (-one.psi / one.limit, one.name))

    def as_json(self) -> dict[str, Any]:
        """What a step's result and `drift.json` tell."""
        why = {} if self.judged else {"why": self.why}
        return {
            "judged": self.judged,
            **why,
            "visitors": self.visitors,
            "training_visitors": self.training_visitors,
            "drifted": list(self.drifted),
            "features": {one.name: one.as_json() for one in self.features},
        }


def not_judged(why: str, *, visitors: int = 0, training_visitors: int = 0) -> Drift:
    """The verdict where there is too little to judge by."""
    return Drift(judged=False, why=why, visitors=visitors, training_visitors=training_visitors, features=())


def too_little(last: int, weeks: Sequence[int]) -> str:
    """Why a day of `last` visitors cannot be judged by weeks of so many on that day; empty when it can."""
    if last < LEAST_VISITORS:
        return f"the last day has {last} visitors with a past, {LEAST_VISITORS} are needed"
    busy = sum(visitors >= LEAST_VISITORS for visitors in weeks)
    if busy < LEAST_WEEKS:
        return f"{busy} earlier weeks have {LEAST_VISITORS} visitors with a past on this day, {LEAST_WEEKS} must"
    return ""


def judge(names: Sequence[str], last: Day, weeks: Sequence[Day], *, seed: int) -> Drift:
    """Compares the last day with the same day of earlier weeks.

    A feature's limit is `FLOOR`, or when that is more, what visitors drawn by chance make of two samples of this size
    plus what sets weeks apart beyond chance. Either part is passed in any feature on half of `FALSE_ALARMS` of the
    days. Fewer than `LEAST_VISITORS` on a day, or than `LEAST_WEEKS` such weeks, are not judged.
    """
    weeks = [week for week in weeks if len(week) >= LEAST_VISITORS]
    total = sum(len(week) for week in weeks)
    why = too_little(len(last), [len(week) for week in weeks])
    if why:
        return not_judged(why, visitors=len(last), training_visitors=total)
    reference = np.concatenate([week.values for week in weeks])
    edges = [edges_of(reference[:, :, j]) for j in range(len(names))]
    bins = max(len(cuts) for cuts in edges) + 2
    before, now = shares(reference, edges, bins), shares(last.values, edges, bins)
    visitor = np.concatenate([week.visitor for week in weeks])
    training, last_day = before.mean(axis=0), now.mean(axis=0)
    found = psi(training, last_day, total, len(last))
    drawn = _drawn(before, visitor, len(last), seed)
    limits = np.maximum(FLOOR, _chance(drawn) + _between_weeks(before, weeks, drawn.mean(axis=0), len(last)))
    features = tuple(
        FeatureDrift(
            name=name,
            psi=float(found[j]),
            limit=float(limits[j]),
            labels=labels_of(edges[j]),
            training=_packed(training[j], len(edges[j])),
            last_day=_packed(last_day[j], len(edges[j])),
        )
        for j, name in enumerate(names)
    )
    return Drift(judged=True, why="", visitors=len(last), training_visitors=total, features=features)


def edges_of(values: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Upper edges of bins (edge before < x <= edge) that hold about a tenth of the known values each; what lies above
    the last edge is a bin more. A value as frequent as a bin gets a bin of its own."""
    known = values[~np.isnan(values)]
    if not len(known):
        return np.empty(0, np.float32)
    ends = [0, *(-(-len(known) * tenth // BINS) - 1 for tenth in range(1, BINS + 1))]
    edges, times = np.unique(np.sort(known)[ends], return_counts=True)
    often = edges[times > 1]
    inner = edges[:-1] if times[-1] == 1 else edges
    return np.unique(np.concatenate([inner[inner > known.min()], often, np.nextafter(often, np.float32(-np.inf))]))


def shares(values: npt.NDArray[np.float32], edges: Sequence[npt.NDArray[np.float32]], bins: int) -> Shares:
    """Of each visitor's rows the share in each bin, float32 (visitors, features, bins); values as in `Day`. Missing
    values fill the last bin; a feature with fewer edges leaves the bins before it empty."""
    visitors, rows, features = values.shape
    found = np.empty((visitors, features, bins), np.float32)
    start = np.arange(visitors)[:, None] * bins
    for j in range(features):
        column = values[:, :, j]
        place = np.where(np.isnan(column), bins - 1, np.searchsorted(edges[j], column, side="left"))
        counted = np.bincount((start + place).ravel(), minlength=visitors * bins)
        found[:, j] = counted.reshape(visitors, bins) / max(rows, 1)
    return found


def psi(before: npt.NDArray[Any], now: npt.NDArray[Any], visitors_before: int, visitors_now: int) -> npt.NDArray[Any]:
    """Population stability index, sum of (now - before) ln(now / before) over the bins, float64 (..., features).

    before, now (..., features, bins): shares of two samples of so many visitors. Both are drawn together by one visitor
    who is distributed as the two samples are, so that a bin that is empty in one gives a finite index.
    """
    before, now = np.asarray(before, np.float64), np.asarray(now, np.float64)
    both = (before * visitors_before + now * visitors_now) / (visitors_before + visitors_now)
    p = (before * visitors_before + both * _PRIOR) / (visitors_before + _PRIOR)
    q = (now * visitors_now + both * _PRIOR) / (visitors_now + _PRIOR)
    ratio = np.divide(q, p, out=np.ones_like(p), where=both > 0)
    total: npt.NDArray[Any] = ((q - p) * np.log(ratio)).sum(axis=-1)
    return total


def _drawn(before: Shares, visitor: npt.NDArray[np.int32], size: int, seed: int) -> npt.NDArray[np.float64]:
    """PSI (draws, features) of pairs of samples of the reference: as many visitors with all their days, and `size`
    visitors of a day."""
    lots = np.random.default_rng(seed)
    _, cluster = np.unique(visitor, return_inverse=True)
    days, clusters = len(before), int(cluster.max()) + 1
    flat = before.reshape(days, -1)
    times = lots.multinomial(clusters, np.full(clusters, 1 / clusters), DRAWS)[:, cluster].astype(np.float32)
    training = times @ flat / times.sum(axis=1, keepdims=True)
    times = lots.multinomial(size, np.full(days, 1 / days), DRAWS).astype(np.float32)
    last_day = times @ flat / size
    shape = (DRAWS, *before.shape[1:])
    return np.asarray(psi(training.reshape(shape), last_day.reshape(shape), days, size))


def _chance(drawn: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """A bound (features,) that half of `FALSE_ALARMS` of the draws pass in any feature: that of the largest of many
    correlated statistics, each in units of its own tail (Westfall, Young, Resampling-Based Multiple Testing, 1993)."""
    tail = np.quantile(drawn, 0.99, axis=0)
    largest = np.divide(drawn, tail, out=np.zeros_like(drawn), where=tail > 0).max(axis=1)
    return np.asarray(tail * np.quantile(largest, 1 - FALSE_ALARMS / 2))


def _between_weeks(
    before: Shares, weeks: Sequence[Day], by_chance: npt.NDArray[np.float64], size: int
) -> npt.NDArray[np.float64]:
    """How much one more week may lie beyond chance (features,): the mean excess of a week over the others, times the
    quantile of the ratio of one such value to the mean of several (F distribution; half of `FALSE_ALARMS` over all
    features by Bonferroni). `by_chance` (features,): mean PSI of a sample of `size` visitors."""
    sizes = np.array([len(week) for week in weeks])
    total = int(sizes.sum())
    week_of = np.repeat(np.arange(len(weeks)), sizes)
    noise = (1 / sizes + 1 / (total - sizes)) / (1 / size + 1 / total)  # PSI by chance goes with this sum
    excess = [
        psi(before[week_of != w].mean(axis=0), before[week_of == w].mean(axis=0), total - sizes[w], sizes[w])
        - noise[w] * by_chance
        for w in range(len(weeks))
    ]
    ratio = fdtri(WEEK_FREEDOM, WEEK_FREEDOM * len(weeks), 1 - FALSE_ALARMS / 2 / before.shape[1])
    return np.asarray(ratio * np.maximum(np.mean(excess, axis=0), 0.0))


def _packed(bins: Shares, edges: int) -> tuple[float, ...]:
    """The bins in use, and the missing one."""
    return (*(float(share) for share in bins[: edges + 1]), float(bins[-1]))


def labels_of(edges: npt.NDArray[np.float32]) -> tuple[str, ...]:
    """What lies in each bin: "<= edge", "= value" for a value's own, "> last edge", "missing"."""
    labels = []
    for place, edge in enumerate(edges):
        alone = place > 0 and edges[place - 1] == np.nextafter(edge, np.float32(-np.inf))
        below = place + 1 < len(edges) and edge == np.nextafter(edges[place + 1], np.float32(-np.inf))
        labels.append(f"= {edge:.4g}" if alone else f"< {edges[place + 1]:.4g}" if below else f"\u2264 {edge:.4g}")
    return (*labels, f"> {edges[-1]:.4g}" if len(edges) else "known", "missing")

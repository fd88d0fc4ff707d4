"""Whether probabilities come true, and in which order they put what happened: areas, thresholds and reliability bins.

Everything is read off two sorted arrays, all scores and those of the positives, so that 24 million cases need seconds
and no copy in float64. scikit-learn's functions, which sort indices, give the same numbers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from vitrina.evaluation.truth import Bools, Int64s

Reals: TypeAlias = npt.NDArray[np.floating[Any]]
Bins = Literal["equal_mass", "equal_width"]


@dataclass(frozen=True, kw_only=True)
class SortedScores:
    """Scores of binary cases: `cases` all of them, `hits` those of the positives, both ascending and of one dtype."""

    cases: Reals
    hits: Reals

    @classmethod
    def of(cls, scores: Reals, positive: Bools) -> SortedScores:
        """From scores (cases,) without NaN and whether each case is positive."""
        return cls(cases=np.sort(scores), hits=np.sort(scores[positive]))

    @property
    def negatives(self) -> int:
        """Number of cases that are not positive."""
        return len(self.cases) - len(self.hits)

    def reached(self, threshold: float) -> tuple[int, int]:
        """How many cases, and how many positives among them, have a score of at least `threshold`."""
        at = self.cases.dtype.type(threshold)
        return len(self.cases) - int(self.cases.searchsorted(at)), len(self.hits) - int(self.hits.searchsorted(at))

    @property
    def roc_auc(self) -> float | None:
        """Share of (positive, negative) pairs in the right order, a tie counts half; None without such a pair."""
        if not len(self.hits) or not self.negatives:
            return None
        score, times, _ = self._steps()
        above = len(self.cases) - self.cases.searchsorted(score, side="right")
        at_least = len(self.cases) - self.cases.searchsorted(score, side="left")
        hits_at_least = np.cumsum(times)
        wrong = 0.5 * ((above - (hits_at_least - times)) + (at_least - hits_at_least))  # negatives above, half the ties
        return float(1.0 - (times * wrong).sum() / (float(len(self.hits)) * self.negatives))

    @property
    def pr_auc(self) -> float | None:
        """Average precision: precision at each threshold, weighted by the recall that it adds; None without a hit.

        The step-wise sum, not the trapezoid, which is too kind (Davis, Goadrich, 2006).
        """
        if not len(self.hits):
            return None
        _, times, at_least = self._steps()
        return float((times * (np.cumsum(times) / at_least)).sum() / len(self.hits))

    def best_threshold(self) -> float:
        """The highest threshold with the best F1; infinite when no positive has a score above 0.

        Only scores of positives are looked at: between two of them a lower threshold adds nothing but negatives.
        """
        score, times, at_least = self._steps()
        f1 = np.where(score > 0, 2.0 * np.cumsum(times) / (len(self.hits) + at_least), 0.0)
        return float(score[f1.argmax()]) if f1.any() else float("inf")

    def _steps(self) -> tuple[Reals, Int64s, Int64s]:
        """Distinct scores of positives, falling; how many positives have each; how many cases have that or more."""
        score, times = np.unique(self.hits, return_counts=True)
        at_least = len(self.cases) - self.cases.searchsorted(score)
        return score[::-1], times[::-1].astype(np.int64), at_least[::-1].astype(np.int64)

    def reliability(self, bins: int = 15, kind: Bins = "equal_mass") -> Reliability:
        """What was said against what happened, in at most `bins` bins that are not empty. `ValueError` below 1 bin.

        equal_mass: as many cases in each as ties allow, for a tie is never divided. equal_width: 0 .. 1 in equal parts.
        """
        if bins < 1:
            raise ValueError(f"reliability needs at least one bin, not {bins}")
        n = len(self.cases)
        if kind == "equal_width":
            ends = self.cases.searchsorted((np.arange(1, bins + 1) / bins).astype(self.cases.dtype), side="right")
        else:
            last = -(-np.arange(1, bins + 1) * n // bins) - 1
            ends = self.cases.searchsorted(self.cases[last[last >= 0]], side="right")
        ends = np.unique(ends[ends > 0])
        begins = np.concatenate([[0], ends])[: len(ends)]
        count = ends - begins
        sums = [self.cases[b:e].sum(dtype=np.float64) for b, e in zip(begins, ends, strict=True)]
        hits = np.diff(self.hits.searchsorted(self.cases[ends - 1], side="right"), prepend=0)
        return Reliability(
            kind=kind,
            low=self.cases[begins].astype(np.float64),
            high=self.cases[ends - 1].astype(np.float64),
            count=count.astype(np.int64),
            said=np.array(sums, dtype=np.float64) / count,
            happened=hits / count,
        )


@dataclass(frozen=True, kw_only=True)
class Reliability:
    """Bins of rising probability: their lowest and highest, `count` cases, mean probability said, share that happened.

    All are arrays (bins,); `kind` tells how the bins were cut.
    """

    kind: Bins
    low: npt.NDArray[np.float64]
    high: npt.NDArray[np.float64]
    count: Int64s
    said: npt.NDArray[np.float64]
    happened: npt.NDArray[np.float64]

    @property
    def error(self) -> float:
        """Expected calibration error: mean over cases of |said - happened| of their bin (Naeini et al., 2015)."""
        return float((self.count * np.abs(self.said - self.happened)).sum() / max(int(self.count.sum()), 1))

    def as_json(self) -> dict[str, object]:
        """Plain values for `json.dumps`, one object per bin."""
        columns = (self.low, self.high, self.count, self.said, self.happened)
        names = ("low", "high", "count", "said", "happened")
        rows = zip(*(column.tolist() for column in columns), strict=True)
        return {"kind": self.kind, "error": self.error, "bins": [dict(zip(names, row, strict=True)) for row in rows]}


def expected_calibration_error(p: Reals, y: Bools, bins: int = 15, kind: Bins = "equal_mass") -> float:
    """Error of probabilities `p` (cases,) for outcomes `y` (cases,), by default in bins of equal mass.

    Acquisitions are rare: of bins of equal width the first would hold nearly everything. `ValueError` for unequal
    lengths and for what is no probability.
    """
    if p.shape != y.shape or not bool(np.all((p >= 0) & (p <= 1))):
        raise ValueError(f"calibration needs probabilities in 0 .. 1, one per outcome: {p.shape} for {y.shape}")
    return SortedScores.of(p, y).reliability(bins, kind).error

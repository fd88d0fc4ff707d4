"""The promotion gate: scores of a candidate, the champion's recipe and the baselines in, the recipe to publish out.

All are trained on the same past and judged on the same rows. docs/decisions/0003-gate.md gives the reasons of the rule.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from vitrina.evaluation.bootstrap import Interval
from vitrina.evaluation.report import Scores

CANDIDATE: Final = "candidate"
CHAMPION: Final = "champion"


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """One paired comparison: is `model` at least as good as `reference`?

    `difference` is mean(model) - mean(reference) with its interval; `floor` is the largest loss allowed, as a negative
    number; `ahead`: a higher mean is asked for as well. A loss beyond doubt (high < 0) never passes.
    """

    model: str
    reference: str
    model_mean: float
    reference_mean: float
    difference: Interval
    floor: float
    ahead: bool

    @property
    def passed(self) -> bool:
        d = self.difference
        return d.low >= self.floor and d.high >= 0 and (d.mean > 0 or not self.ahead)

    def text(self, metric: str, users: int) -> str:
        """One sentence for a person: the two means, the interval, what was asked, and what is missing."""
        d = self.difference
        head = (
            f"{self.model} {metric} {self.model_mean:.4f} against {self.reference} {self.reference_mean:.4f}: "
            f"difference {d.mean:+.4f} [{d.low:+.4f}, {d.high:+.4f}]"
        )
        if self.passed:
            return f"{head}, passed (lowest allowed {self.floor:+.4f})"
        if d.high < 0:
            return f"{head}, worse"
        if self.ahead and d.mean <= 0:
            return f"{head}, not ahead"
        text = f"{head}, undecided: it may be worse by more than the allowed {self.floor:+.4f}"
        slack = d.mean - self.floor
        if slack > 0 and math.isfinite(d.low):
            needed = math.ceil(users * ((d.mean - d.low) / slack) ** 2)
            return f"{text}; about {needed} users would settle this difference"
        return text


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What to publish: `winner` is "candidate", "champion" or a baseline's name; `promote`: it is the candidate."""

    promote: bool
    winner: str
    reasons: tuple[str, ...]
    comparisons: tuple[Comparison, ...]

    def as_json(self) -> dict[str, Any]:
        """Plain values for `json.dumps`."""
        return {
            "promote": self.promote,
            "winner": self.winner,
            "reasons": list(self.reasons),
            "comparisons": [
                {
                    "model": c.model,
                    "reference": c.reference,
                    "model_mean": c.model_mean,
                    "reference_mean": c.reference_mean,
                    "difference": c.difference.as_json(),
                    "floor": c.floor,
                    "ahead": c.ahead,
                    "passed": c.passed,
                }
                for c in self.comparisons
            ],
        }


@dataclass(frozen=True, kw_only=True)
class Gate:
    """The rule.

    metric: the per-user metric that decides. margin: the largest loss against a reference that is tolerated, as a share
    of the reference's mean; lead_margin: the same where a higher mean is asked for as well (None: `margin`; 0: the lead
    itself must be sure). confidence: how sure we must be that the loss is smaller (one-sided). min_users: with fewer
    distinct users nothing is compared. replicates, seed: of the bootstrap.
    """

    metric: str = "ndcg@10"
    margin: float = 0.10
    lead_margin: float | None = None
    confidence: float = 0.95
    min_users: int = 100
    replicates: int = 2000
    seed: int = 0

    def __post_init__(self) -> None:
        shares = 0 <= self.margin < 1 and 0 <= (self.lead_margin or 0) < 1 and 0.5 < self.confidence < 1
        if not shares or self.min_users < 2 or self.replicates < 100:
            raise ValueError(f"out of range: {self}")

    def decide(self, candidate: Scores, champion: Scores | None, baselines: Mapping[str, Scores]) -> Verdict:
        """Compares on the same rows and names the winner, with the reasons.

        `ValueError` without a baseline, for a baseline called like a role, or when rows differ.
        """
        if not baselines or {CANDIDATE, CHAMPION} & baselines.keys():
            raise ValueError("the gate needs baselines, none of them called 'candidate' or 'champion'")
        best = max(baselines, key=lambda name: baselines[name].mean(self.metric))
        if candidate.users < self.min_users:
            reason = (
                f"only {candidate.users} users to judge on, {self.min_users} are needed: the best baseline is {best}"
            )
            return Verdict(promote=False, winner=best, reasons=(reason,), comparisons=())

        against = [self._compare(CANDIDATE, candidate, name, s, ahead=True) for name, s in baselines.items()]
        if champion is not None:
            against.insert(0, self._compare(CANDIDATE, candidate, CHAMPION, champion, ahead=False))
        reasons = [c.text(self.metric, candidate.users) for c in against]
        if all(c.passed for c in against):
            return Verdict(promote=True, winner=CANDIDATE, reasons=tuple(reasons), comparisons=tuple(against))
        if champion is None:
            reasons.append(f"no champion yet: the best baseline, {best}, is published")
            return Verdict(promote=False, winner=best, reasons=tuple(reasons), comparisons=tuple(against))

        fallback = self._compare(best, baselines[best], CHAMPION, champion, ahead=True)
        reasons.append(fallback.text(self.metric, candidate.users))
        winner = best if fallback.passed else CHAMPION
        reasons.append(f"{winner} is published")
        return Verdict(promote=False, winner=winner, reasons=tuple(reasons), comparisons=(*against, fallback))

    def _compare(self, model: str, scores: Scores, reference: str, rival: Scores, *, ahead: bool) -> Comparison:
        level = 2.0 * self.confidence - 1.0  # both tails of a two-sided interval hold 1 - confidence
        margin = self.lead_margin if ahead and self.lead_margin is not None else self.margin
        return Comparison(
            model=model,
            reference=reference,
            model_mean=scores.mean(self.metric),
            reference_mean=rival.mean(self.metric),
            difference=scores.minus(rival, self.metric, seed=self.seed, n=self.replicates, level=level),
            floor=-margin * rival.mean(self.metric),
            ahead=ahead,
        )

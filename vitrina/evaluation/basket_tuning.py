"""Tuning of sources of companions: a grid in stages, each the whole product of its values around the best so far.

In: what to start from, and what a setting is worth, by carts of the past and cases of the period after them. Out: the
best spec, and everything that was tried.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import product
from math import prod
from typing import Any, Final, Self

import numpy as np

from vitrina.candidates.cart_sources import CartSource
from vitrina.candidates.carts import Carts
from vitrina.evaluation.basket_protocol import judge
from vitrina.evaluation.report import Scores
from vitrina.events.baskets.cases import Cases

Stage = Mapping[str, Sequence[Any]]

GRIDS: Final[dict[str, tuple[Stage, ...]]] = {
    "popular": ({"days": (3.0, 7.0, 14.0, 30.0, 60.0, 120.0)},),
    "lift": (
        {
            "shrink": (0.0, 1.0, 3.0, 10.0, 30.0, 100.0, 300.0),
            "cart_discount": (0.0, 0.5, 1.0, 1.5),
            "half_life": (365.0,),
        },
        {"half_life": (None, 365.0, 180.0, 90.0)},
    ),
    "cosine": (
        {
            "shrink": (0.0, 1.0, 3.0, 10.0, 30.0, 100.0, 300.0),
            "cart_discount": (0.0, 0.5, 1.0, 1.5),
            "half_life": (180.0,),
        },
        {"half_life": (None, 365.0, 180.0, 90.0)},
    ),
    "item_knn": (
        {"user_discount": (0.0, 0.5, 1.0, 1.5), "damping": (0.0, 0.25, 0.5, 0.75, 1.0)},
        {"keep": (50, 100, 200, 500, 1000)},
    ),
    "bm25": ({"k1": (0.3, 1.0, 3.0, 10.0, 30.0, 100.0), "b": (0.25, 0.5, 0.75, 0.9, 1.0)},),
    "rp3beta": (
        {"alpha": (0.4, 0.6, 0.8, 1.0, 1.2, 1.5), "beta": (0.0, 0.2, 0.3, 0.4, 0.5, 0.7)},
        {"keep": (50, 100, 200, 500, 1000)},
    ),
    "ease": (
        {
            "ridge": (1.0, 3.0, 10.0, 30.0, 100.0, 300.0),
            "user_discount": (0.0, 0.15, 0.25, 0.35, 0.5),
            "half_life": (None,),
        },
        {"ridge": (1.0, 3.0), "half_life": (None, 720.0, 365.0, 180.0, 120.0, 90.0)},
    ),
    "als": (
        {"regularization": (0.1, 1.0, 10.0), "alpha": (1.0, 3.0, 10.0), "factors": (128,)},
        {"factors": (64, 128, 256, 512)},
        {"iterations": (8, 12, 24)},
    ),
    "item2vec": (
        {"negative_exponent": (-0.5, 0.0, 0.25, 0.5, 0.75, 1.0), "contexts": (3,)},
        {"contexts": (2, 3, 5)},
        {"rate": (0.05, 0.1), "factors": (64, 128)},
        {"negatives": (5, 10)},
        {"epochs": (30, 60)},
        {"likeness": ("cosine",), "sharpness": (0.1, 10.0, 15.0, 20.0, 30.0)},
        {"likeness": ("softmax",), "sharpness": (1.0, 1.5, 2.0, 3.0, 4.0)},
    ),
}
"""Stages by name of `CART_SOURCES`."""


@dataclass(frozen=True, kw_only=True)
class Trial:
    """One setting and its means over the cases."""

    spec: Any
    hr: float
    ndcg: float

    @classmethod
    def of(cls, spec: Any, drawn: Sequence[Scores]) -> Self:
        """From the scores of each draw of the cases."""
        means = [scores.means() for scores in drawn]
        hr, ndcg = (sum(mean[metric] for mean in means) / len(means) for metric in ("hr@10", "ndcg@10"))
        return cls(spec=spec, hr=hr, ndcg=ndcg)

    @property
    def aim(self) -> float:
        """Geometric mean of HR@10 and NDCG@10."""
        return float((self.hr * self.ndcg) ** 0.5)

    def as_json(self) -> dict[str, Any]:
        """The settings, then what they are worth."""
        return {**asdict(self.spec), "hr@10": round(self.hr, 5), "ndcg@10": round(self.ndcg, 5)}


@dataclass(frozen=True, kw_only=True)
class Tuning:
    """The best trial (of equal ones the first), and all of them in their order."""

    best: Trial
    trials: tuple[Trial, ...]


def tune(
    start: CartSource,
    stages: Sequence[Stage],
    carts: Carts,
    cases: Sequence[Cases],
    note: Callable[[str], None] = lambda _: None,
) -> Tuning:
    """Tries every setting by `Trial.aim`; `cases` are draws of the same baskets, all judged."""

    def tried(spec: Any) -> Trial:
        fitted = spec.fit(carts)
        trial = Trial.of(spec, [judge(drawn, fitted) for drawn in cases])
        note(f"{spec}: hr@10 {trial.hr:.4f}, ndcg@10 {trial.ndcg:.4f}")
        return trial

    return search(start, stages, tried, by=lambda trial: trial.aim)


def search(
    start: Any,
    stages: Sequence[Stage],
    tried: Callable[[Any], Trial],
    *,
    by: Callable[[Trial], float],
    at_most: int | None = None,
    seed: int = 0,
) -> Tuning:
    """Goes through the stages from `start`, a frozen dataclass, which is tried first; nothing is tried twice.

    Where not `at_most` settings are in them all, each stage has a share by its size, drawn at random."""
    best = tried(start)
    seen: dict[Any, Trial] = {start: best}
    sizes = [prod(len(values) for values in stage.values()) for stage in stages]
    random = np.random.default_rng(seed)
    for place, stage in enumerate(stages):
        asked = (replace(best.spec, **dict(zip(stage, values, strict=True))) for values in product(*stage.values()))
        new = [spec for spec in asked if spec not in seen]
        if at_most is not None:
            room = round((at_most - len(seen)) * sizes[place] / sum(sizes[place:]))
            new = [new[one] for one in sorted(random.permutation(len(new))[:room])]
        seen |= {spec: tried(spec) for spec in new}
        best = max(seen.values(), key=by)
    return Tuning(best=best, trials=tuple(seen.values()))

"""Companions of Online Retail by the protocol of baskets: every source tuned before the test, and the blend of them.

Each learns from all baskets before the test period and is asked about those in it: one product hidden (drawn
three times), or half of the basket. All differences are paired by basket and drawn again by customer.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, Final

import numpy as np

from benchmarks.basket.quality_tuning import opened
from vitrina.candidates.cart_popularity import PopularDays
from vitrina.candidates.cart_sources import CART_SOURCES, CartSource
from vitrina.candidates.carts import Carts
from vitrina.candidates.ease import EASE
from vitrina.candidates.item2vec import Item2Vec
from vitrina.evaluation.basket_protocol import judge, judge_lists
from vitrina.evaluation.report import Scores
from vitrina.events.baskets.baskets import NOBODY, Baskets
from vitrina.events.baskets.cases import Cases, growing, half, hide_one
from vitrina.events.baskets.splits import BasketSplit
from vitrina.recommend.companions_blend import Blend, fit_blend
from vitrina.recommend.companions_model import CompanionsModel
from vitrina.scenarios.basket_judgement import DEPTH, SHOWN, Answers

BLEND, STRANGERS = "blend", "blend, nobody known"
DRAWS: Final = 3
HIDDEN_ONE: Final = ("hr@5", "hr@10", "hr@20", "mrr", "ndcg@10")
HIDDEN_HALF: Final = "recall@10"
COMPARED: Final = ("hr@10", "ndcg@10", HIDDEN_HALF)
MUST_GAIN: Final = ("hr@10", "ndcg@10")
MOST_ERROR: Final = 0.02
RIVALS: Final[dict[str, CartSource]] = {
    "popular, 30 days": PopularDays(days=30.0),
    "popular, tuned": CART_SOURCES["popular"],
    "lift rules": CART_SOURCES["lift"],
    "cosine": replace(CART_SOURCES["cosine"], shrink=0.0, cart_discount=0.0, half_life=None),  # type: ignore[type-var]
    "cosine, tuned": CART_SOURCES["cosine"],
    "item-kNN": CART_SOURCES["item_knn"],
    "item-kNN, BM25": CART_SOURCES["bm25"],
    "RP3beta": CART_SOURCES["rp3beta"],
    "EASE, ridge 50": EASE(ridge=50.0, user_discount=0.0),
    "EASE, tuned": CART_SOURCES["ease"],
    "ALS, folded in": CART_SOURCES["als"],
    "item2vec, plain cosine": Item2Vec(factors=64, contexts=5, negatives=5, rate=0.1, likeness="cosine", sharpness=0.1),
    "item2vec, tuned": CART_SOURCES["item2vec"],
}
BLEND_SPEC: Final = Blend()
Note = Callable[[str], None]
Judge = Callable[[Cases], Scores]


def run(source: Path, told: str, *, note: Note) -> dict[str, Any]:
    """Everything, ready for JSON."""
    baskets, split = opened(source)
    threads = os.cpu_count() or 1
    judged: dict[str, Scores] = {}

    def add(name: str, judge_it: Judge) -> None:
        judged[name] = scored(judge_it, baskets, split)
        note(f"  {name}: {', '.join(f'{metric} {judged[name].mean(metric):.4f}' for metric in COMPARED)}")

    for name, spec in RIVALS.items():
        add(name, source_of(spec, baskets, split, threads))
    model = fit_blend(BLEND_SPEC, baskets, until=split.test, threads=threads, note=lambda text: note(f"    {text}"))
    add(STRANGERS, lambda cases: answered(model, baskets, cases, known=False))
    add(BLEND, lambda cases: answered(model, baskets, cases))
    specs = {**RIVALS, BLEND: BLEND_SPEC}
    return {
        "data": {"told": told, **sizes(baskets, split)},
        "settings": {name: {"source": type(spec).__name__, **asdict(spec)} for name, spec in specs.items()},  # type: ignore[call-overload]
        "calibration": calibration(model, baskets.between(split.test, split.end)),
        **summary(judged),
    }


def source_of(spec: CartSource, baskets: Baskets, split: BasketSplit, threads: int) -> Judge:
    """A source fitted on all that lay before the test."""
    fitted = spec.fit(Carts.of(baskets.between(None, split.test), threads=threads, as_of=split.test))
    return lambda cases: judge(cases, fitted)


def answered(model: CompanionsModel, baskets: Baskets, cases: Cases, *, known: bool = True) -> Scores:
    """A published model, asked as the service would ask it; not `known`: never told who the customer is."""
    asked = cases if known else replace(cases, customer=np.full(len(cases), NOBODY, np.int32))
    return judge_lists(cases, Answers.of(model, baskets, asked, DEPTH).items)


def calibration(model: CompanionsModel, test: Baskets) -> dict[str, Any] | None:
    """Whether the confidence of the products shown for carts that fill comes true: the expected calibration error, and
    what was said and what came by bins."""
    cases = growing(test, 1)
    found = Answers.of(model, test, cases, SHOWN).reliability(cases)
    return None if found is None else dict(found.as_json())


def scored(judge_it: Judge, baskets: Baskets, split: BasketSplit) -> Scores:
    """The metrics of one product hidden, over all draws, and the recall of half a basket, repeated beside them."""
    test = baskets.between(split.test, split.end)
    ones = Scores.pool([judge_it(hide_one(test, seed)) for seed in range(1, DRAWS + 1)])
    recall = judge_it(half(test, 1)).column(HIDDEN_HALF)
    values = {metric: ones.column(metric) for metric in HIDDEN_ONE}
    return Scores(values=values | {HIDDEN_HALF: np.tile(recall, DRAWS)}, clusters=ones.clusters)


def sizes(baskets: Baskets, split: BasketSplit) -> dict[str, int]:
    """Of what is learned from, chosen on and judged; baskets of two products and more."""
    spans = {
        "learned": (None, split.validation),
        "chosen": (split.validation, split.test),
        "judged": (split.test, None),
    }
    return {name: len(baskets.between(*span).of_size(2)) for name, span in spans.items()} | {
        "products": len(baskets.codes)
    }


def summary(judged: Mapping[str, Scores]) -> dict[str, Any]:
    """Means with intervals, and the gains of the blend over each other model where there is one."""
    first = next(iter(judged.values()))
    found: dict[str, Any] = {
        "customers": first.users,
        "models": {
            name: {metric: interval.as_json() for metric, interval in one.intervals([*HIDDEN_ONE, HIDDEN_HALF]).items()}
            for name, one in judged.items()
        },
    }
    if BLEND in judged:
        found["gains"] = {
            name: {metric: judged[BLEND].minus(one, metric).as_json() for metric in COMPARED}
            for name, one in judged.items()
            if name != BLEND
        }
    return found


def faults(found: Mapping[str, Any]) -> list[str]:
    """What does not hold of what must hold, in sentences; empty when all of it does."""
    wrong = [
        f"the blend is not above {name} by {metric}"
        for name, gains in found.get("gains", {}).items()
        for metric in MUST_GAIN
        if name != STRANGERS and not above(gains[metric])
    ]
    error = (found.get("calibration") or {"error": 0.0})["error"]
    return wrong if error <= MOST_ERROR else [*wrong, f"the confidence is off by {error:.3f}, not {MOST_ERROR} at most"]


def above(gain: Mapping[str, float]) -> bool:
    """Whether a gain's interval lies above 0."""
    return gain["low"] > 0

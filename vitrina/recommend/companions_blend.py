"""The blend: EASE, co-occurrence, likeness, popularity and the customer's purchases, weighed by trees.

The log is cut by its number of baskets into a past and `folds` + 1 periods of a tenth each. Trees learn, of all periods
but the last, which candidates of a cart were taken, from tables that know only what was before the period; the last
one tells what their scores are worth. What is published are these trees over tables of everything.

Where nobody says whose cart it is, the share of EASE counts beside what the trees say (`companions_desk.EASE_WEIGHT`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Final

import numpy as np

from vitrina.candidates.carts import Carts
from vitrina.candidates.co_occurrence import MOST_DENSE
from vitrina.candidates.ease import EASE
from vitrina.errors import DataError
from vitrina.events.baskets.baskets import NOBODY, Baskets
from vitrina.events.baskets.cases import growing, half_anonymous
from vitrina.ranking.cart_calibration import CartConfidence
from vitrina.ranking.cart_features import CartTables
from vitrina.ranking.cart_past import popular_share
from vitrina.ranking.cart_ranker import CartRanker
from vitrina.ranking.cart_rows import CartRows
from vitrina.ranking.cart_tables import cart_tables
from vitrina.ranking.trees import Trees
from vitrina.recommend.companions_calibration import DEPTH, DRAWS, calibrated, fallback_confidence
from vitrina.recommend.companions_desk import blended, new_cart_desk
from vitrina.recommend.companions_fit import CALIBRATION_SHARE, assembled, calibration_start
from vitrina.recommend.companions_model import FILLED, SHOWN, CompanionsModel, Curve, Floats, Rows
from vitrina.recommend.companions_pass import best

MOST_FOLDS: Final = round(1 / CALIBRATION_SHARE) - 2
"""A tenth of the log calibrates, and at least one stays before the first fold."""


@dataclass(frozen=True, kw_only=True)
class Blend:
    """For each basket of a fold `draws` partly filled carts are learned from, at most `most_cases` a fold, with one of
    `every` candidates that were not taken; every second cart is anonymous, as many requests are. Carts are cut at
    random sizes: training on carts that lack one product only scores slightly higher on that task, but teaches that
    small carts end soon. EASE is as in `EASE`; the rest are CatBoost's hyper-parameters, see `CartRanker`. `ValueError`
    for numbers below 1, and for folds that leave no past."""

    folds: int = 3
    draws: int = 4
    every: int = 3
    most_cases: int = 60_000
    ridge: float = 3.0
    user_discount: float = 0.25
    half_life: float | None = 150.0
    iterations: int = 200
    learning_rate: float = 0.08
    depth: int = 6
    seed: int = 7

    def __post_init__(self) -> None:
        for name in ("folds", "draws", "every", "most_cases"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}: at least 1 is needed")
        if self.folds > MOST_FOLDS:
            raise ValueError(f"folds is {self.folds}: with more than {MOST_FOLDS} nothing is left before them")


def fit_blend(
    spec: Blend,
    baskets: Baskets,
    *,
    until: int,
    threads: int = 2,
    note: Callable[[str], None] = lambda _: None,
) -> CompanionsModel:
    """The blend of the baskets before `until` (as `Baskets.ts`), deterministic for equal baskets, spec and threads.
    `DataError` when there are none."""
    past = baskets.between(None, until)
    if not len(past):
        raise DataError("there is no basket before it", where=f"until {until}", remedy="Give a later moment.")
    *cuts, calibrate = _cuts(past, spec.folds, until)
    parts = []
    for fold, (start, end) in enumerate(pairwise([*cuts, calibrate])):
        tables = _tables(spec, past, start, threads)
        period = past.between(start, end)
        carts = growing(period, spec.seed, spec.draws).at_most(spec.most_cases, spec.seed)
        parts.append(CartRows.of(tables, half_anonymous(carts), every=spec.every))
        note(f"fold {fold + 1} of {spec.folds}: {len(period):,} baskets")
    rows = CartRows.join(parts)
    ranker = CartRanker(
        iterations=spec.iterations, learning_rate=spec.learning_rate, depth=spec.depth, seed=spec.seed
    ).fit(rows, threads=threads)
    note(f"trees learned from {len(rows):,} candidates, of which {int(rows.taken.sum()):,} were taken")
    confidence = fallback_confidence(past, calibrate, until, spec.seed)
    confidence |= _confidence(spec, past, _tables(spec, past, calibrate, threads), ranker.trees, calibrate)
    model = assembled("blend", past, until, confidence)
    return replace(model, tables=_tables(spec, past, until, threads), trees=ranker.trees, cbm=ranker.cbm)


def _cuts(past: Baskets, folds: int, until: int) -> list[int]:
    """Where each fold begins, and where the period of calibration does."""
    last = calibration_start(past, until)
    shares = [1 - CALIBRATION_SHARE * (folds + 1 - fold) for fold in range(folds)]
    return [*(int(past.ts[int(len(past) * share)]) for share in shares if len(past)), last]


def _tables(spec: Blend, past: Baskets, until: int, threads: int) -> CartTables:
    ease = EASE(ridge=spec.ridge, user_discount=spec.user_discount, half_life=spec.half_life, most_items=MOST_DENSE)
    return cart_tables(past, until, ease.fit(Carts.of(past.between(None, until), threads=threads, as_of=until)))


def _confidence(
    spec: Blend, past: Baskets, tables: CartTables, trees: Trees, start: int
) -> dict[Curve, CartConfidence]:
    """What log odds are worth, by carts of the last period while they fill: of known customers, and of nobody.
    Answers are filled up with what is popular, as the model's are."""
    desk = new_cart_desk(tables, trees)
    popular = popular_share(past, start)
    scratch = np.empty(len(popular), np.float32)
    found, scores, because = np.empty(DEPTH, np.int32), np.empty(DEPTH, np.float32), np.empty(DEPTH, np.int32)

    def answer(cart: Rows, customer: int) -> tuple[Rows, Floats]:
        count = blended(desk, cart, cart[:0], customer, found, scores, because)
        if count >= SHOWN:
            scratch[:] = popular
            scratch[cart] = scratch[found[:count]] = -np.inf
            more = best(scratch, found[count:], scores[count:])
            scores[count:] += FILLED
            count += more
        return found[:count].copy(), scores[:count].copy()

    def named(cart: Rows, customer: int) -> tuple[Rows, Floats]:
        return answer(cart, customer) if customer != NOBODY else (cart[:0], scores[:0])

    drawn = growing(past.between(start, None), spec.seed, DRAWS)
    stranger, stranger_further = calibrated(lambda cart, _: answer(cart, NOBODY), drawn)
    cart, cart_further = calibrated(named, drawn, prior=(stranger, stranger_further))
    return {
        "cart": cart,
        "cart_further": cart_further,
        "stranger": stranger,
        "stranger_further": stranger_further,
    }

"""Companions models of one source: fitted before a period, calibrated on its carts, fitted again to its end.

In: baskets, and the period whose carts tell what a score is worth. Out: a `CompanionsModel` ready to be packed.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, Protocol

import numpy as np
import scipy.sparse as sp

from vitrina.candidates.carts import Carts, CartScorer, ItemItem
from vitrina.candidates.co_occurrence import MOST_DENSE, ROWS
from vitrina.candidates.ease import EaseKernel
from vitrina.candidates.neighbours import Neighbours, best_of_blocks
from vitrina.events.baskets.baskets import Baskets
from vitrina.events.baskets.cases import empty, growing
from vitrina.ranking.cart_calibration import CartConfidence
from vitrina.ranking.cart_past import POPULAR_DAYS, bought_before, popular_share
from vitrina.recommend.companions_calibration import (
    AS_SAID,
    DEPTH,
    DRAWS,
    POPULAR_SHOWN,
    calibrated,
    fallback_confidence,
)
from vitrina.recommend.companions_model import CURVES, CompanionsModel, Curve, Floats, Kind, Rows
from vitrina.recommend.companions_pass import NO_LINKS, PRIOR, Links, best, best_companions

KEEP: Final = 500
"""Companions of a product that are kept where the catalogue is too large for a whole matrix."""

CALIBRATION_SHARE: Final = 0.1


class Linear(Protocol):
    """A source whose score is a sum over the cart: EASE, Lift, BM25, Item2Vec, RP3Beta, ItemKNN and their like."""

    def fit(self, past: Carts, /) -> CartScorer | Neighbours: ...


def calibration_start(baskets: Baskets, until: int) -> int:
    """Where the last tenth of the baskets before `until` begins, as in `Baskets.ts`."""
    past = baskets.between(None, until)
    return int(past.ts[min(int(len(past) * (1 - CALIBRATION_SHARE)), len(past) - 1)]) if len(past) else until


def fit_popular(
    baskets: Baskets, *, until: int, days: float = POPULAR_DAYS, calibrate: int | None = None, seed: int = 7
) -> CompanionsModel:
    """What is in most baskets of the last `days`, whatever the cart. Its shares are compared with the carts of
    [`calibrate`, `until`), times as in `Baskets.ts` (see `calibration_start`), and then taken anew up to `until`."""
    start = calibration_start(baskets, until) if calibrate is None else calibrate
    later, shares = baskets.between(start, until), popular_share(baskets, start, days)

    def answer(cart: Rows, _: int) -> tuple[Rows, Floats]:
        others, found, scores = shares.copy(), np.empty(POPULAR_SHOWN, np.int32), np.empty(POPULAR_SHOWN, np.float32)
        others[cart] = -np.inf
        count = best(others, found, scores)
        return found[:count], scores[:count]

    cases = empty(later), growing(later, seed, DRAWS)
    came_true, _ = calibrated(answer, *cases, first=POPULAR_SHOWN, prior=(AS_SAID, None))
    return assembled("popular", baskets, until, dict.fromkeys(CURVES, came_true), days=days)


def fit_item_item(
    source: Linear, baskets: Baskets, *, until: int, calibrate: int | None = None, threads: int = 2, seed: int = 7
) -> CompanionsModel:
    """A linear source as a model, by the same two steps as `fit_popular`; `TypeError` for a source that is not."""
    start = calibration_start(baskets, until) if calibrate is None else calibrate

    def fitted(end: int) -> Links:
        return links_of(
            source.fit(Carts.of(baskets.between(None, end), threads=threads, as_of=end)), len(baskets.codes)
        )

    confidence = fallback_confidence(baskets, start, until, seed)
    early, prior = fitted(start), PRIOR * popular_share(baskets, start)
    scratch = np.empty(len(baskets.codes), np.float32)

    def answer(cart: Rows, _: int) -> tuple[Rows, Floats]:
        found, scores, because = np.empty(DEPTH, np.int32), np.empty(DEPTH, np.float32), np.empty(DEPTH, np.int32)
        count = best_companions(early, prior, cart, scratch, found, scores, because)
        return found[:count], scores[:count]

    first, further = calibrated(answer, growing(baskets.between(start, until), seed, DRAWS))
    confidence |= {"cart": first, "cart_further": further}
    confidence |= {"stranger": first, "stranger_further": further}  # whose cart it is changes nothing
    return assembled("item_item", baskets, until, confidence, fitted(until))


def assembled(
    kind: Kind,
    baskets: Baskets,
    until: int,
    confidence: dict[Curve, CartConfidence],
    links: Links = NO_LINKS,
    *,
    days: float = POPULAR_DAYS,
) -> CompanionsModel:
    """The model with what the baskets before `until` say of customers, and those of the last `days` of popularity."""
    return CompanionsModel(
        kind=kind,
        as_of=until,
        dated=baskets.dated,
        codes=baskets.codes,
        descriptions=baskets.descriptions,
        popular=popular_share(baskets, until, days),
        confidence=confidence,
        links=links,
        customers=baskets.customers,
        bought=bought_before(baskets, until),
    )


def links_of(fitted: CartScorer | Neighbours, items: int) -> Links:
    """A fitted source as links: whole for catalogues up to `MOST_DENSE`, else the `KEEP` best of each product.
    `TypeError` when what it says of a cart is not the sum of what it says of the products."""
    if isinstance(fitted, ItemItem) and items <= MOST_DENSE:
        return Links(fitted.matrix, NO_LINKS.starts, NO_LINKS.targets, NO_LINKS.weights)
    if isinstance(fitted, ItemItem | EaseKernel):
        fitted = best_of_blocks(_blocks(fitted, items), keep=KEEP)
    if not isinstance(fitted, Neighbours):
        raise TypeError(f"{type(fitted).__name__} is no sum over the cart, and cannot be published")
    return Links(NO_LINKS.dense, fitted.indptr.astype(np.int64), fitted.items, fitted.weights)


def _blocks(fitted: CartScorer, items: int) -> Iterator[tuple[int, sp.csr_array]]:
    """What a source says of each product alone, by blocks of rows."""
    every = sp.eye_array(items, dtype=np.float32, format="csr")
    for start in range(0, items, ROWS):
        yield start, sp.csr_array(fitted.scores(every[start : start + ROWS]))

"""Calibration: turns scores into confidence, on carts after the period that was learned from.

In: carts of which a part is hidden, and answers. Out: a `CartConfidence` for each source of answers.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np
import numpy.typing as npt

from vitrina.events.baskets.baskets import NOBODY, Baskets
from vitrina.events.baskets.cases import Cases, empty, growing
from vitrina.ranking.cart_calibration import CartConfidence
from vitrina.ranking.cart_past import bought_before, popular_share
from vitrina.recommend.companions_model import CURVES, SHOWN, Curve, Floats, Rows, join_bought
from vitrina.recommend.companions_pass import PRIOR, best

DEPTH: Final = 100
"""Products of each answer that confidence is learned from; those after the first SHOWN have a curve of their own."""

POPULAR_SHOWN: Final = 60
DRAWS: Final = 4
"""Carts that are drawn from each basket of the period."""

MOST_CASES: Final = 40_000
"""Carts that a curve is learned from; of more, these many are drawn."""

AS_SAID: Final = CartConfidence.as_said()


def calibrated(
    answer: Callable[[Rows, int], tuple[Rows, Floats]],
    *drawn: Cases,
    first: int = SHOWN,
    prior: tuple[CartConfidence | None, CartConfidence | None] = (None, None),
) -> tuple[CartConfidence, CartConfidence]:
    """The confidence of a source that answers a cart's rows and its customer's place (NOBODY: not known) with products
    and their scores, best first: of the first places, and of those after them. `drawn` are cases of the same baskets;
    `prior` is what would be said without them, see `CartConfidence.fit`."""
    scores, taken, sizes = [np.empty(0, np.float32)], [np.empty(0, np.bool_)], [np.empty(0, np.int64)]
    places, baskets = [np.empty(0, np.int64)], [np.empty(0, np.int64)]
    for cases in (some.at_most(MOST_CASES, seed=0) for some in drawn):
        starts, hidden_starts = cases.visible.indptr, cases.hidden.indptr
        visible, hidden = cases.visible.indices.astype(np.int32), cases.hidden.indices
        for case, customer in enumerate(cases.customer.tolist()):
            cart = visible[starts[case] : starts[case + 1]]
            found, worth = answer(cart, customer)
            scores.append(worth)
            taken.append(np.isin(found, hidden[hidden_starts[case] : hidden_starts[case + 1]]))
            sizes.append(np.full(len(found), len(cart)))
            places.append(np.arange(len(found)))
            baskets.append(np.full(len(found), cases.basket[case]))
    near = np.concatenate(places) < first
    rows = np.concatenate(scores), np.concatenate(taken), np.concatenate(sizes), np.concatenate(baskets)

    def curve(chosen: npt.NDArray[np.bool_], without: CartConfidence | None) -> CartConfidence:
        return CartConfidence.fit(rows[0][chosen], rows[1][chosen], rows[2][chosen], rows[3][chosen], without)

    return curve(near, prior[0]), curve(~near, prior[1])


def fallback_confidence(baskets: Baskets, start: int, until: int, seed: int) -> dict[Curve, CartConfidence]:
    """For answers from what is popular, of what the customer bought, of both in one order, and from a cart (the same as
    popular until a source is calibrated), by the baskets of [`start`, `until`) and what was known at `start`. The fewer
    baskets, the more shares are taken as they are; with few of customers who came back, habits count little."""
    later = baskets.between(start, until)
    popular, bought = popular_share(baskets, start), bought_before(baskets, start)
    scratch = np.empty(len(popular), np.float32)

    def from_popular(cart: Rows, _: int) -> tuple[Rows, Floats]:
        scratch[:] = popular
        scratch[cart] = -np.inf
        found, scores = np.empty(POPULAR_SHOWN, np.int32), np.empty(POPULAR_SHOWN, np.float32)
        count = best(scratch, found, scores)
        return found[:count], scores[:count]

    def from_bought(_: Rows, customer: int) -> tuple[Rows, Floats]:
        if customer == NOBODY:
            return np.empty(0, np.int32), np.empty(0, np.float32)
        begin, end = bought.starts[customer : customer + 2]
        order = np.argsort(-bought.rates[begin:end], kind="stable")[:SHOWN]
        return bought.items[begin:end][order], bought.rates[begin:end][order]

    cases = empty(later), growing(later, seed, DRAWS)
    shares, _ = calibrated(from_popular, *cases, first=POPULAR_SHOWN, prior=(AS_SAID, None))
    own, _ = calibrated(from_bought, empty(later), prior=(CartConfidence.never(), None))
    anybody = shares.of(popular, 0)

    def from_both(_: Rows, customer: int) -> tuple[Rows, Floats]:
        worth = anybody.copy()
        if customer == NOBODY or not join_bought(worth, bought, customer, own):
            return np.empty(0, np.int32), np.empty(0, np.float32)
        found, order = np.empty(DEPTH, np.int32), np.empty(DEPTH)
        count = best(worth + popular * PRIOR, found, order)
        return found[:count], worth[found[:count]].astype(np.float32)

    history, further = calibrated(from_both, empty(later), prior=(AS_SAID, AS_SAID))
    return dict.fromkeys(CURVES, shares) | {"bought": own, "history": history, "history_further": further}

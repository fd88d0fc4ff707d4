"""Per-thread workspace of the blend (a numba structref): candidates, features and scores of a cart in one compiled
call."""

from __future__ import annotations

from typing import Final

import numba
import numpy as np
from numba import types
from numba.experimental import structref

from vitrina.ranking.best_first import insert
from vitrina.ranking.cart_features import CANDIDATES, FEATURES, ROOM, CartTables, cart_features, new_scratch
from vitrina.ranking.trees import TOGETHER, Trees, score_columns

EASE_WEIGHT: Final = 1.0
"""What is added to the log odds of the best candidate by EASE, and to others' by their share of its sum, where nobody
says whose cart it is. Trees tell small differences apart by steps alone, and learn from carts while they fill; the
scale of EASE orders carts that lack little better. Carts of known customers are better told by the trees alone. Chosen
on Online Retail's September and October 2011."""

_EASE: Final = FEATURES.index("ease_sum")


@structref.register
class CartDeskType(types.StructRef):
    """The compiler's name for a `CartDesk`."""


class CartDesk(structref.StructRefProxy):
    """Opaque in Python; not shared between threads.

    tables, trees: the model. scratch: memory of the features; cand, because int32 (CANDIDATES,), columns float32
    (FEATURES, ROOM), leaf uint8 (TOGETHER, ROOM), worth float64 (ROOM,): candidates, their features and scores.
    """


_FIELDS: Final = ("tables", "trees", "scratch", "cand", "because", "columns", "leaf", "worth")
structref.define_proxy(CartDesk, CartDeskType, _FIELDS)


@numba.njit(cache=True)
def _furnish(tables, trees, scratch, cand, because, columns, leaf, worth):  # type: ignore[no-untyped-def]  # compiled
    return CartDesk(tables, trees, scratch, cand, because, columns, leaf, worth)


def new_cart_desk(tables: CartTables, trees: Trees) -> CartDesk:
    """A desk for this model; it keeps the model's arrays alive."""
    desk: CartDesk = _furnish(
        tables,
        trees,
        new_scratch(tables.products.shape[1]),
        np.empty(CANDIDATES, np.int32),
        np.empty(CANDIDATES, np.int32),
        np.zeros((len(FEATURES), ROOM), np.float32),
        np.zeros((TOGETHER, ROOM), np.uint8),
        np.empty(ROOM, np.float64),
    )
    return desk


@numba.njit(cache=True, nogil=True)
def blended(desk, cart, barred, customer, out_items, out_scores, out_because):  # type: ignore[no-untyped-def]  # compiled
    """Fills the outputs (n,) with the best candidates for the cart's rows and returns how many there are: int32 items,
    float32 scores, descending, ties in the order of the candidates, int32 rows of the cart or -1. A score is the trees'
    log odds and, of nobody's cart, the share of EASE, see `EASE_WEIGHT`. See `cart_features` for the arguments."""
    count = cart_features(desk.tables, desk.scratch, cart, barred, customer, desk.cand, desk.because, desk.columns)
    score_columns(desk.trees, 0, desk.columns, count, desk.leaf, desk.worth)
    ease, most = desk.columns[_EASE], np.float32(0.0)
    for c in range(count):
        most = max(most, ease[c])
    for c in range(count if customer < 0 and most > 0 else 0):
        desk.worth[c] += EASE_WEIGHT * max(ease[c], np.float32(0.0)) / most
    found = 0
    for c in range(count):
        found = insert(out_items, out_scores, found, c, np.float32(desk.worth[c]))
    for place in range(found):
        c = out_items[place]
        out_items[place] = desk.cand[c]
        out_because[place] = desk.because[c]
    return found

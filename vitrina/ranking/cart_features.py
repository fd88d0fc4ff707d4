"""What is known of a cart's possible companions, one column for each candidate: made in training and in serving by this
one compiled function.

In: the tables of a moment, a cart and its customer. Out: candidates and their features.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numba
import numpy as np
import numpy.typing as npt

from vitrina.ranking.best_first import insert

PAIRS: Final = ("ease", "cosine", "confidence", "lift", "likeness")
"""What is known of a pair of products: weights of EASE, of carts that count 1 / size, the share of carts with the one
that hold the other, log lift, likeness of descriptions."""

PRODUCT: Final = ("share_7", "share_30", "share_90", "trend", "age", "unsold", "company")
"""What is known of a product: the share of the last days' baskets that hold it, that of 7 days over that of 30, days
since it was sold first and last, and the mean of 1 / size of its baskets."""

FEATURES: Final = (
    *(f"{name}_sum" for name in PAIRS),
    *(f"{name}_max" for name in PAIRS),
    "links",
    "ease_place",
    "cosine_place",
    *PRODUCT,
    "own_count",
    "own_rate",
    "own_days",
    "own_baskets",
    "number_gap",
    "number_same",
    "cart_size",
    "cart_share",
)

EASE_BEST: Final = 48
COSINE_BEST: Final = 40
OWN_BEST: Final = 20
POPULAR_BEST: Final = 10
CANDIDATES: Final = EASE_BEST + COSINE_BEST + OWN_BEST + POPULAR_BEST
ROOM: Final = 128
"""Places of a column: the candidates, and up to a multiple of what the processor compares at once."""

WIDEST_GAP: Final = 1_000

DENSE_STEP: Final = np.float32(2.0**-14)
"""Half of the memory that is read for a cart is saved by it; EASE's weights are below 2."""

_SOURCES: Final = len(PAIRS)
_EASE: Final = PAIRS.index("ease")
_COSINE: Final = PAIRS.index("cosine")
_SHARE: Final = PRODUCT.index("share_30")


class Bought(NamedTuple):
    """What each customer took, as CSR over customers and a stranger, who comes last and took nothing: starts int64
    (customers + 2,), items int32, ascending in each; rates float32: the share of his baskets that held it, recent ones
    counting more; counts, days float32: how often, and how many days ago last; baskets float32 (customers + 1,): how
    many he had."""

    starts: npt.NDArray[np.int64]
    items: npt.NDArray[np.int32]
    rates: npt.NDArray[np.float32]
    counts: npt.NDArray[np.float32]
    days: npt.NDArray[np.float32]
    baskets: npt.NDArray[np.float32]


class CartTables(NamedTuple):
    """What a moment knows. starts int64 (items + 1,), targets int32 (pairs,): the products that are linked to each;
    values float32 (PAIRS, pairs). dense int16 (items, items), in units of DENSE_STEP: what EASE says of all pairs, of
    which the kept ones lack those that speak against each other; of no rows where the catalogue is too large for that.
    products float32 (PRODUCT, items); numbers int64 (items,): the number that a code begins with, -1 without one;
    popular int32: the most popular products, best first; bought: see `Bought`."""

    starts: npt.NDArray[np.int64]
    targets: npt.NDArray[np.int32]
    values: npt.NDArray[np.float32]
    dense: npt.NDArray[np.int16]
    products: npt.NDArray[np.float32]
    numbers: npt.NDArray[np.int64]
    popular: npt.NDArray[np.int32]
    bought: Bought


NOTHING_BOUGHT: Final = Bought(
    starts=np.zeros(2, np.int64),
    items=np.empty(0, np.int32),
    rates=np.empty(0, np.float32),
    counts=np.empty(0, np.float32),
    days=np.empty(0, np.float32),
    baskets=np.zeros(1, np.float32),
)
"""Of a stranger alone."""

NO_CART_TABLES: Final = CartTables(
    starts=np.zeros(1, np.int64),
    targets=np.empty(0, np.int32),
    values=np.empty((len(PAIRS), 0), np.float32),
    dense=np.empty((0, 0), np.int16),
    products=np.empty((len(PRODUCT), 0), np.float32),
    numbers=np.empty(0, np.int64),
    popular=np.empty(0, np.int32),
    bought=NOTHING_BOUGHT,
)
"""Of no product."""


class CartScratch(NamedTuple):
    """The memory of one thread. first float32 (2, items): sums of EASE and of cosine; state int8 and touched int32
    (items,): what was met; slot int32 (items,): the candidate that a product is, or -1; own int32 (items,): the
    place among the customer's products, or -1; best int32 and worth float32 (EASE_BEST,). Between calls all of `first`
    and `state` is 0 and all of `slot` and `own` -1."""

    first: npt.NDArray[np.float32]
    state: npt.NDArray[np.int8]
    touched: npt.NDArray[np.int32]
    slot: npt.NDArray[np.int32]
    own: npt.NDArray[np.int32]
    best: npt.NDArray[np.int32]
    worth: npt.NDArray[np.float32]


def new_scratch(items: int) -> CartScratch:
    """Memory for a catalogue of this size."""
    return CartScratch(
        first=np.zeros((2, items), np.float32),
        state=np.zeros(items, np.int8),
        touched=np.empty(items, np.int32),
        slot=np.full(items, -1, np.int32),
        own=np.full(items, -1, np.int32),
        best=np.empty(EASE_BEST, np.int32),
        worth=np.empty(EASE_BEST, np.float32),
    )


_MET: Final = 1
_CLOSED: Final = 2


@numba.njit(cache=True, nogil=True)
def cart_features(tables, scratch, cart, barred, customer, cand, because, columns):  # type: ignore[no-untyped-def]  # compiled
    """Fills cand int32 (CANDIDATES,) with candidates, because int32 (CANDIDATES,) with the cart's product with the
    largest cosine to each (-1: none) and columns float32 (FEATURES, ROOM); returns how many there are.

    cart int32: distinct products, which are no candidates; barred int32: more that are none. customer: his place, -1
    when not known.
    """
    touched = _gather(tables, scratch, cart, barred)
    count = _candidates(tables, scratch, touched, customer, cand)
    _describe(tables, scratch, cart, customer, cand, count, because, columns)
    scratch.first[0] = 0.0
    for t in range(touched):
        item = scratch.touched[t]
        scratch.first[1, item] = 0.0
        scratch.state[item] = 0
    for product in cart:
        scratch.state[product] = 0
    for product in barred:
        scratch.state[product] = 0
    for c in range(count):
        scratch.slot[cand[c]] = -1
    if customer >= 0:
        for p in range(tables.bought.starts[customer], tables.bought.starts[customer + 1]):
            scratch.own[tables.bought.items[p]] = -1
    return count


@numba.njit(cache=True, nogil=True)
def _gather(tables, scratch, cart, barred):  # type: ignore[no-untyped-def]  # compiled
    """Sums of EASE and cosine over the cart; the number of products that were touched."""
    ease, cosine, dense = tables.values[_EASE], tables.values[_COSINE], len(tables.dense) > 0
    for product in cart:
        scratch.state[product] = _CLOSED
    for product in barred:
        scratch.state[product] = _CLOSED
    touched = 0
    for product in cart:
        for p in range(tables.starts[product], tables.starts[product + 1]):
            item = tables.targets[p]
            state = scratch.state[item]
            if state == _CLOSED:
                continue
            if state == 0:
                scratch.state[item] = _MET
                scratch.touched[touched] = item
                touched += 1
            if not dense:
                scratch.first[0, item] += ease[p]
            scratch.first[1, item] += cosine[p]
    if dense:
        whole = scratch.first[0]
        for product in cart:
            row = tables.dense[product]
            for item in range(len(row)):
                whole[item] += np.float32(row[item])
        for item in range(len(whole)):
            whole[item] *= DENSE_STEP
    return touched


@numba.njit(cache=True, nogil=True)
def _candidates(tables, scratch, touched, customer, cand):  # type: ignore[no-untyped-def]  # compiled
    """The union of the best by EASE, by cosine, of the customer's own and of the popular; marks their slots."""
    count = 0
    for part in range(2):
        room = EASE_BEST if part == 0 else COSINE_BEST
        found = _best(scratch.first[part], scratch.touched, touched, room, scratch)
        for place in range(found):
            count = _add(scratch, scratch.best[place], cand, count)
    if customer >= 0:
        begin, end = tables.bought.starts[customer], tables.bought.starts[customer + 1]
        for p in range(begin, end):
            scratch.own[tables.bought.items[p]] = p
        found = _best(tables.bought.rates[begin:end], np.empty(0, np.int32), end - begin, OWN_BEST, scratch)
        for place in range(found):
            item = tables.bought.items[begin + scratch.best[place]]
            if scratch.state[item] != _CLOSED:
                count = _add(scratch, item, cand, count)
    for item in tables.popular[:POPULAR_BEST]:
        if scratch.state[item] != _CLOSED:
            count = _add(scratch, item, cand, count)
    return count


@numba.njit(cache=True, nogil=True)
def _add(scratch, item, cand, count):  # type: ignore[no-untyped-def]  # compiled
    if scratch.slot[item] >= 0:
        return count
    scratch.slot[item] = count
    cand[count] = item
    return count + 1


@numba.njit(cache=True, nogil=True)
def _best(scores, rows, many, room, scratch):  # type: ignore[no-untyped-def]  # compiled
    """The places with the highest positive scores, best first, into scratch.best; how many. `rows` (many,) are the
    places to look at, all of 0 .. many - 1 when there are none."""
    best, worth = scratch.best[:room], scratch.worth[:room]
    found = 0
    for r in range(many):
        row = rows[r] if len(rows) else r
        if scores[row] > 0.0:
            found = insert(best, worth, found, row, scores[row])
    return found


@numba.njit(cache=True, nogil=True)
def _describe(tables, scratch, cart, customer, cand, count, because, columns):  # type: ignore[no-untyped-def]  # compiled
    size = len(cart)
    columns[: 2 * _SOURCES + 1, :count] = 0.0
    because[:count] = -1
    links = columns[2 * _SOURCES]
    share = np.float32(0.0)
    for product in cart:
        share += tables.products[_SHARE, product]
        for p in range(tables.starts[product], tables.starts[product + 1]):
            slot = scratch.slot[tables.targets[p]]
            if slot < 0:
                continue
            links[slot] += 1.0
            if tables.values[_COSINE, p] > columns[_SOURCES + _COSINE, slot]:
                because[slot] = product
            for k in range(_SOURCES):
                value = tables.values[k, p]
                columns[k, slot] += value
                columns[_SOURCES + k, slot] = max(columns[_SOURCES + k, slot], value)
    for c in range(count):
        columns[_EASE, c] = scratch.first[0, cand[c]]
    _places(columns[_EASE], count, columns[2 * _SOURCES + 1])
    _places(columns[_COSINE], count, columns[2 * _SOURCES + 2])
    at = 2 * _SOURCES + 3
    for f in range(len(PRODUCT)):
        for c in range(count):
            columns[at + f, c] = tables.products[f, cand[c]]
    at += len(PRODUCT)
    for c in range(count):
        item = cand[c]
        own = scratch.own[item]
        columns[at, c] = tables.bought.counts[own] if own >= 0 else (0.0 if customer >= 0 else np.nan)
        columns[at + 1, c] = tables.bought.rates[own] if own >= 0 else (0.0 if customer >= 0 else np.nan)
        columns[at + 2, c] = tables.bought.days[own] if own >= 0 else np.nan
        columns[at + 3, c] = tables.bought.baskets[customer] if customer >= 0 else np.nan
        gap, same = _gap(tables.numbers, cart, item)
        columns[at + 4, c] = gap
        columns[at + 5, c] = same
        columns[at + 6, c] = size
        columns[at + 7, c] = share / size if size else 0.0


@numba.njit(cache=True, nogil=True)
def _gap(numbers, cart, item):  # type: ignore[no-untyped-def]  # compiled
    """The least difference to a number of the cart, at most WIDEST_GAP, and how many are the same."""
    gap, same, own = WIDEST_GAP, 0, numbers[item]
    if own < 0:
        return gap, same
    for product in cart:
        other = numbers[product]
        if other >= 0:
            gap = min(gap, abs(own - other))
            same += own == other
    return gap, same


@numba.njit(cache=True, nogil=True)
def _places(scores, count, out):  # type: ignore[no-untyped-def]  # compiled
    """How many of scores[:count] are higher than each."""
    for c in range(count):
        higher = 0
        for other in range(count):
            higher += scores[other] > scores[c]
        out[c] = higher

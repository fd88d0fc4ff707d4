"""One visitor after another: visits, views, carts and purchases, compiled.

Each visitor has a random stream of its own, seeded by (world seed, visitor), so a visitor's events do not depend on
which others are simulated with it, and the oracle can read a taste again without a table of all visitors. The stream
is splitmix64 (Steele, Lea, Flood: Fast Splittable Pseudorandom Number Generators, 2014). All compiled functions are
in this file, because numba's cache only notices changes of a function's own file.
"""

from __future__ import annotations

import math

import numba
import numpy as np
from numpy.typing import NDArray

from vitrina.events.schema import BUY, CART, VIEW
from vitrina.events.synthetic_shop.spec import DAY, HOUR, WEEK
from vitrina.events.synthetic_shop.world import BRANDS, Shop

TASTES = 4  # leaf categories that a visitor cares about
TASTE = 0.7  # a free choice follows the visitor's tastes, not the whole shop
BRAND = 0.4  # a choice within a taste follows the preferred brand
REVISIT = 0.3  # a visit begins with an item seen before
REVISIT_DEPTH = 3.0  # steps back in the own history over which its pull falls by e
REPEAT, COMPANION, STAY = 0.2, 0.1, 0.5  # next view: same item, companion, same category; else a free choice
COMPANION_AFTER_CART = 0.3
DRAWS = 8  # for an item that is already on sale, before the choice widens from the brand to the category
MEMORY = 32  # items that a visitor can come back to

_RELATED_TASTE = 0.4  # the next taste is the partner of the one before
MORE_EVENTS = 0.7  # a visit goes on
_STEP_LOG_MEDIAN, _STEP_SIGMA, _STEP_MOST = math.log(60_000), 1.1, 1_500_000
_GAP_LOG_MEDIAN, _GAP_SIGMA, _GAP_LEAST = math.log(DAY), 1.6, 35 * 60_000
_GAP_MEAN = DAY * math.exp(_GAP_SIGMA**2 / 2)
_SNAP = 8 * HOUR  # after a longer gap the visitor returns at an hour and weekday of the shop's traffic
_INTENT, _INTENT_POWER, _INTENT_MOST = 0.175, 0.55, 0.75
_CART, _CART_AFTER_REPEAT, _CART_OF_BUYER = 0.167, 2.0, 1.5
_BUYER, _BUY = 0.465, 0.99
_BASKET = 64

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_MIX_1, _MIX_2 = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
_COUNTS, _VISITS = np.uint64(0x632BE59BD9B4E019), np.uint64(0xD1342543DE82EF95)
_S30, _S27, _S31, _S11 = np.uint64(30), np.uint64(27), np.uint64(31), np.uint64(11)
_UNIT = 2.0**-53


@numba.njit(cache=True)
def _mix(z: np.uint64) -> np.uint64:
    z = (z ^ (z >> _S30)) * _MIX_1
    z = (z ^ (z >> _S27)) * _MIX_2
    return z ^ (z >> _S31)


@numba.njit(cache=True)
def _seeded(seed: int, user: int, stream: np.uint64) -> np.uint64:
    return _mix(_mix(np.uint64(seed) ^ stream) + np.uint64(user) * _GOLDEN)


@numba.njit(cache=True)
def _uniform(rng: NDArray[np.uint64]) -> float:
    rng[0] += _GOLDEN
    return (_mix(rng[0]) >> _S11) * _UNIT


@numba.njit(cache=True)
def _lognormal(rng: NDArray[np.uint64], log_median: float, sigma: float) -> float:
    normal = math.sqrt(-2.0 * math.log(1.0 - _uniform(rng))) * math.cos(2.0 * math.pi * _uniform(rng))
    return math.exp(log_median + sigma * normal)


@numba.njit(cache=True)
def _pick(cumulative: NDArray[np.float64], low: int, high: int, x: float) -> int:
    """The cell of `cumulative[low : high + 1]` that holds `x`: its left edge is the last one not above x."""
    last = high - 1
    while low < last:
        middle = (low + last + 1) // 2
        if cumulative[middle] <= x:
            low = middle
        else:
            last = middle - 1
    return low


@numba.njit(cache=True)
def _share(cumulative: NDArray[np.float64], u: float) -> int:
    """The cell that holds `u` when `cumulative` lists right edges, the last of them 1."""
    low, high = 0, len(cumulative) - 1
    while low < high:
        middle = (low + high) // 2
        if cumulative[middle] > u:
            high = middle
        else:
            low = middle + 1
    return low


@numba.njit(cache=True)
def _week(shop: Shop, t: int) -> int:
    return min(max((t - shop.start) // WEEK, 0), len(shop.demand) - 1)


@numba.njit(cache=True)
def _row(shop: Shop, rng: NDArray[np.uint64], low: int, high: int, t: int) -> int:
    """A row of low .. high by popularity; one that is on sale at t, if a few draws find one, else -1."""
    for _ in range(DRAWS):
        weight = shop.cumulative[high] - shop.cumulative[low]
        row = _pick(shop.cumulative, low, high, shop.cumulative[low] + _uniform(rng) * weight)
        if shop.birth[row] <= t:
            return row
    return -1


@numba.njit(cache=True)
def _row_of_leaf(shop: Shop, rng: NDArray[np.uint64], leaf: int, brand: int, t: int) -> int:
    """An item of the category (of the brand, unless -1). A category's first row is on sale from the first day."""
    if brand >= 0:
        group = leaf * BRANDS + brand
        row = _row(shop, rng, shop.group_ptr[group], shop.group_ptr[group + 1], t)
        if row >= 0:
            return row
    row = _row(shop, rng, shop.leaf_ptr[leaf], shop.leaf_ptr[leaf + 1], t)
    return row if row >= 0 else shop.leaf_ptr[leaf]


@numba.njit(cache=True)
def arrive(
    shop: Shop, seed: int, user: int, rng: NDArray[np.uint64], leaf: NDArray[np.int64], brand: NDArray[np.int64],
    weight: NDArray[np.float64],
) -> int:  # fmt: skip
    """Seeds `rng` (1,), writes the tastes (TASTES,) of the visitor and returns the time of the first visit (ms)."""
    rng[0] = _seeded(seed, user, _VISITS)
    hour = _share(shop.traffic, _uniform(rng))
    t = shop.start + hour * HOUR + int(_uniform(rng) * HOUR)
    total = 0.0
    week = _week(shop, t)
    for slot in range(TASTES):
        if slot > 0 and _uniform(rng) < _RELATED_TASTE:
            leaf[slot] = shop.partner[leaf[slot - 1]]
        else:
            leaf[slot] = _pick(shop.demand[week], 0, len(shop.leaf_id), _uniform(rng))
        low, high = shop.leaf_ptr[leaf[slot]], shop.leaf_ptr[leaf[slot] + 1]
        share = _uniform(rng) * (shop.cumulative[high] - shop.cumulative[low])
        row = _pick(shop.cumulative, low, high, shop.cumulative[low] + share)
        brand[slot] = 0
        while shop.group_ptr[leaf[slot] * BRANDS + brand[slot] + 1] <= row:
            brand[slot] += 1
        weight[slot] = (-math.log(1.0 - _uniform(rng))) ** 1.2
        total += weight[slot]
    for slot in range(TASTES):
        weight[slot] /= total
    return t


@numba.njit(cache=True)
def extra_events(shop: Shop, seed: int, first_user: int, extra: NDArray[np.int64]) -> None:
    """How many events each of the visitors first_user, first_user + 1, ... has beyond the first one, before scaling."""
    rng = np.empty(1, dtype=np.uint64)
    for i in range(len(extra)):
        rng[0] = _seeded(seed, first_user + i, _COUNTS)
        extra[i] = _share(shop.activity, _uniform(rng))


@numba.njit(cache=True)
def _next_visit(shop: Shop, rng: NDArray[np.uint64], t: int, events_left: int) -> int:
    visits = max(1.0, events_left * (1.0 - MORE_EVENTS))
    squeeze = min(1.0, max(0.0, 0.6 * (shop.end - t) / (visits * _GAP_MEAN)))
    gap = max(float(_GAP_LEAST), squeeze * _lognormal(rng, _GAP_LOG_MEDIAN, _GAP_SIGMA))
    back = t + int(gap)
    if gap > _SNAP:
        back = back - back % DAY + _share(shop.hours, _uniform(rng)) * HOUR + int(_uniform(rng) * HOUR)
        early = t + _GAP_LEAST - back
        if early >= 0:  # not a loop: LLVM would turn one into a 128-bit division, which numba cannot link
            back += (early // DAY + 1) * DAY
        while _uniform(rng) > shop.weekdays[(back // DAY + 3) % 7]:
            back += DAY
    return back


@numba.njit(cache=True)
def _plan(shop: Shop, rng: NDArray[np.uint64], t: int, ts: NDArray[np.int64], begins: NDArray[np.bool_]) -> None:
    """Times of all events of a visitor, and which of them begin a visit."""
    n = len(ts)
    left_in_visit = 0
    for i in range(n):
        begins[i] = left_in_visit == 0
        if begins[i]:
            if i > 0:
                t = _next_visit(shop, rng, t, n - i)
            left_in_visit = 1
            while left_in_visit < n - i and _uniform(rng) < MORE_EVENTS:
                left_in_visit += 1
        else:
            t += 1_000 + int(min(_lognormal(rng, _STEP_LOG_MEDIAN, _STEP_SIGMA), _STEP_MOST))
        ts[i] = t
        left_in_visit -= 1
    late = ts[n - 1] - shop.end + 1
    if late <= 0:
        return
    shift = (late + DAY - 1) // DAY * DAY  # whole days keep the hour
    if ts[0] - shift >= shop.start:
        for i in range(n):
            ts[i] -= shift
        return
    first, begin = ts[0], shop.start + int(_uniform(rng) * 0.1 * (shop.end - shop.start))
    squeeze = (shop.end - 1 - begin) / (ts[n - 1] - first)
    for i in range(n):
        ts[i] = begin + int((ts[i] - first) * squeeze)


@numba.njit(cache=True)
def simulate(
    shop: Shop, seed: int, first_user: int, offsets: NDArray[np.int64], ts: NDArray[np.int64], kinds: NDArray[np.int8],
    rows: NDArray[np.int64], baskets: NDArray[np.int64],
) -> int:  # fmt: skip
    """Fills the events of len(offsets) - 1 visitors; visitor i has the cells offsets[i] : offsets[i + 1].

    `baskets` gets the number of the transaction (from 0 within the call) or -1. Returns the number of transactions.
    """
    rng = np.empty(1, dtype=np.uint64)
    leaf, brand, weight = np.empty(TASTES, np.int64), np.empty(TASTES, np.int64), np.empty(TASTES, np.float64)
    begins = np.empty(0 if len(offsets) == 1 else np.max(np.diff(offsets)), dtype=np.bool_)
    seen, basket = np.empty(MEMORY, np.int64), np.empty(_BASKET, np.int64)
    structure, transactions = shop.structure, 0
    for i in range(len(offsets) - 1):
        low, high = offsets[i], offsets[i + 1]
        n = high - low
        t = arrive(shop, seed, first_user + i, rng, leaf, brand, weight)
        _plan(shop, rng, t, ts[low:high], begins[:n])
        intent = n > 1 and _uniform(rng) < min(_INTENT_MOST, _INTENT * (n - 1) ** _INTENT_POWER)
        buyer = intent and _uniform(rng) < _BUYER
        n_seen, in_basket, carted, end, slot, current, here = 0, 0, 0, 0, -1, -1, -1
        to_cart = after_cart = buying = False
        for k in range(n):
            if begins[k]:
                end = k + 1
                while end < n and not begins[end]:
                    end += 1
                in_basket, carted, current, to_cart, after_cart, buying = 0, 0, -1, False, False, False
            left, at = end - k, low + k
            kinds[at], baskets[at] = VIEW, -1
            if in_basket > 0 and in_basket >= left:
                if not buying:
                    transactions += 1
                    buying = True
                else:
                    ts[at] = ts[at - 1]
                in_basket -= 1
                kinds[at], rows[at], baskets[at] = BUY, basket[in_basket], transactions - 1
                continue
            if to_cart:
                kinds[at], rows[at] = CART, current
                to_cart, after_cart = False, True
                carted += 1
                if buyer and left - 1 > in_basket and in_basket < _BASKET and _uniform(rng) < _BUY:
                    basket[in_basket] = current
                    in_basket += 1
                continue
            before, current = current, -1
            u = _uniform(rng)
            if before < 0:
                if n_seen > 0 and u < structure * REVISIT:
                    back = int(-math.log(1.0 - _uniform(rng)) * REVISIT_DEPTH)
                    current = seen[(n_seen - 1 - back % min(n_seen, MEMORY)) % MEMORY]
                    slot, here = -1, _leaf_of_row(shop, current)
            else:
                companion = structure * (COMPANION_AFTER_CART if after_cart else COMPANION)
                if u < companion:
                    if shop.birth[shop.companion[before]] <= ts[at]:
                        current = shop.companion[before]
                elif u < companion + structure * REPEAT:
                    current = before
                elif u < companion + structure * (REPEAT + STAY):
                    liked = slot >= 0 and _uniform(rng) < BRAND
                    current = _row_of_leaf(shop, rng, here, brand[slot] if liked else -1, ts[at])
            if current < 0:
                week = _week(shop, ts[at])
                if _uniform(rng) < structure * TASTE:
                    slot = _slot(shop, rng, leaf, weight, week)
                    here = leaf[slot]
                    liked = _uniform(rng) < BRAND
                    current = _row_of_leaf(shop, rng, here, brand[slot] if liked else -1, ts[at])
                else:
                    slot = -1
                    here = _pick(shop.demand[week], 0, len(shop.leaf_id), _uniform(rng))
                    current = _row_of_leaf(shop, rng, here, -1, ts[at])
            rows[at] = current
            if n_seen == 0 or seen[(n_seen - 1) % MEMORY] != current:
                seen[n_seen % MEMORY] = current
                n_seen += 1
            after_cart = False
            if intent and left - 1 > in_basket and carted < _BASKET:
                chance = _CART * shop.conversion[current] * (_CART_AFTER_REPEAT if current == before else 1.0)
                on_sale = shop.available[current] != (ts[at] >= shop.toggle[current])
                if buyer:
                    chance *= _CART_OF_BUYER
                to_cart = on_sale and _uniform(rng) < chance
    return transactions


@numba.njit(cache=True)
def _slot(shop: Shop, rng: NDArray[np.uint64], leaf: NDArray[np.int64], weight: NDArray[np.float64], week: int) -> int:
    """One of the visitor's tastes, as strong as this week's drift makes it."""
    total = 0.0
    for slot in range(TASTES):
        total += weight[slot] * shop.drift[week, leaf[slot]]
    x = _uniform(rng) * total
    for slot in range(TASTES - 1):
        x -= weight[slot] * shop.drift[week, leaf[slot]]
        if x < 0.0:
            return slot
    return TASTES - 1


@numba.njit(cache=True)
def _leaf_of_row(shop: Shop, row: int) -> int:
    """The leaf category of a catalogue row."""
    low, high = 0, len(shop.leaf_ptr) - 2
    while low < high:
        middle = (low + high + 1) // 2
        if shop.leaf_ptr[middle] <= row:
            low = middle
        else:
            high = middle - 1
    return low

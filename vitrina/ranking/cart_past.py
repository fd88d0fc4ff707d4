"""Popularity, age and purchase history as of a moment (nothing on pairs of products)."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from vitrina.events.baskets.baskets import Baskets
from vitrina.events.schema import DAY_MS
from vitrina.ranking.cart_features import Bought

POPULAR_DAYS: Final = 30.0
HALF_LIFE_DAYS: Final = 90.0
NEVER_DAYS: Final = 1_000.0
_YEAR_DAYS = 365.0
_LEAST_BASKETS = 20

Floats = npt.NDArray[np.float32]


def age_days(baskets: Baskets, until: int) -> npt.NDArray[np.float64]:
    """Days from each basket to `until`, float64 (baskets,); a log without dates is taken to last a year."""
    if len(baskets) == 0:
        return np.empty(0)
    day = DAY_MS if baskets.dated else max(float(until - baskets.ts[0]), 1.0) / _YEAR_DAYS
    return np.asarray((until - baskets.ts) / day, np.float64)


def popular_share(baskets: Baskets, until: int, days: float = POPULAR_DAYS) -> Floats:
    """The share of the last `days`' baskets that hold each product, float32 (items,); of at least the last
    `_LEAST_BASKETS` baskets."""
    past = baskets.between(None, until)
    if len(past) == 0:
        return np.zeros(len(baskets.codes), np.float32)
    first = int(np.searchsorted(-age_days(past, until), -days))
    first = min(first, max(len(past) - _LEAST_BASKETS, 0))
    counts = np.bincount(past.items[past.starts[first] :], minlength=len(past.codes))
    return (counts / (len(past) - first)).astype(np.float32)


def product_columns(baskets: Baskets, until: int) -> Floats:
    """The columns of `cart_features.PRODUCT`, float32 (PRODUCT, items), by the baskets before `until`."""
    past = baskets.between(None, until)
    items = len(past.codes)
    ages = np.repeat(age_days(past, until), past.sizes)
    first, last = np.zeros(items), np.full(items, NEVER_DAYS)
    np.maximum.at(first, past.items, ages)
    np.minimum.at(last, past.items, ages)
    week, month, quarter = (popular_share(past, until, days) for days in (7.0, 30.0, 90.0))
    held = np.bincount(past.items, minlength=items)
    company = np.bincount(past.items, weights=np.repeat(1 / np.maximum(past.sizes, 1), past.sizes), minlength=items)
    trend = (week + 1e-3) / (month + 1e-3)
    return np.stack([week, month, quarter, trend, first, last, company / np.maximum(held, 1)]).astype(np.float32)


def bought_before(baskets: Baskets, until: int, half_life: float = HALF_LIFE_DAYS) -> Bought:
    """The purchases of every customer before `until`; rates are smoothed by one empty basket per customer. The last
    customer is a stranger."""
    past = baskets.between(None, until)
    items, customers = max(len(past.codes), 1), len(past.customers) + 1
    ages = age_days(past, until)
    named = past.customer >= 0
    worth = np.exp2(-ages / half_life)
    total = np.bincount(past.customer[named], weights=worth[named], minlength=customers) + 1.0
    line_customer, line_age = (np.repeat(column, past.sizes) for column in (past.customer.astype(np.int64), ages))
    lines = np.flatnonzero(line_customer >= 0)
    pairs, place = np.unique(line_customer[lines] * items + past.items[lines], return_inverse=True)
    owner = pairs // items
    days = np.full(len(pairs), NEVER_DAYS)
    np.minimum.at(days, place, line_age[lines])
    weight = np.bincount(place, weights=np.exp2(-line_age[lines] / half_life), minlength=len(pairs))
    return Bought(
        starts=np.searchsorted(owner, np.arange(customers + 1)).astype(np.int64),
        items=(pairs % items).astype(np.int32),
        rates=(weight / total[owner]).astype(np.float32),
        counts=np.bincount(place, minlength=len(pairs)).astype(np.float32),
        days=days.astype(np.float32),
        baskets=np.bincount(past.customer[named], minlength=customers).astype(np.float32),
    )

"""One week of a generated shop: who buys what."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from vitrina.events.synthetic_baskets.laws import (
    ALONE,
    NOBODY_SHARE,
    SIZE_SHARES,
    SIZES,
    Floats,
    Laws,
    Places,
    Week,
)
from vitrina.events.synthetic_baskets.spec import BasketSpec

NOBODY = -1


class Drawn(NamedTuple):
    """`basket`, `product` (lines,), by basket, each pair once; `customer` (baskets,), NOBODY for one without a
    number."""

    basket: Places
    product: Places
    customer: Places


def weeks_of(spec: BasketSpec) -> int:
    """Weeks that a spec touches."""
    return -(-spec.days // 7)


def draw_week(laws: Laws, week: int, weeks: int, count: int, seed: list[int]) -> Drawn:
    """`count` baskets of a week, none empty."""
    rng = np.random.default_rng(seed)
    now = laws.of_week(week, weeks)
    parts: list[Drawn] = []
    missing = count
    while missing:
        part = _nonempty(_draw(laws, now, missing, rng))
        parts.append(part)
        missing -= len(part.customer)
    offsets = np.cumsum([0, *(len(part.customer) for part in parts)])
    return Drawn(
        basket=np.concatenate([part.basket + at for part, at in zip(parts, offsets, strict=False)] or [_NONE]),
        product=np.concatenate([part.product for part in parts] or [_NONE]),
        customer=np.concatenate([part.customer for part in parts] or [_NONE]),
    )


_NONE = np.empty(0, dtype=np.int64)


def _draw(laws: Laws, now: Week, count: int, rng: np.random.Generator) -> Drawn:
    customer = rng.choice(len(laws.activity), count, p=laws.activity)
    customer = np.where(rng.random(count) < NOBODY_SHARE, NOBODY, customer)
    mission = rng.choice(len(now.shares), count, p=now.shares)
    own = laws.favourite[customer, rng.integers(0, 2, count)]
    mission = np.where((customer != NOBODY) & (rng.random(count) < laws.loyal), own, mission)
    totals = now.rates.sum(axis=1)
    sizes = rng.poisson(rng.choice(SIZES, count, p=SIZE_SHARES) * totals[mission])
    basket = np.repeat(np.arange(count), sizes)
    product = _choices(now.rates, mission[basket], rng)
    known = np.flatnonzero(customer != NOBODY)
    habits = laws.habits[customer[known]]
    habit = now.sold[habits] & (rng.random(habits.shape) < -np.expm1(-laws.habit))
    basket = np.concatenate([basket, np.repeat(known, habit.sum(axis=1))])
    product = np.concatenate([product, habits[habit]])
    basket, product = _pairs(basket, product, laws.products)
    return Drawn(*_brought(laws, now.sold, basket, product, rng), customer)


def _choices(rates: Floats, mission: Places, rng: np.random.Generator) -> Places:
    """A product for each draw, by the rates of its mission."""
    chosen = np.empty(len(mission), dtype=np.int64)
    luck = rng.random(len(mission))
    for one in np.unique(mission):
        here = mission == one
        sums = np.cumsum(rates[one])
        chosen[here] = np.searchsorted(sums, luck[here] * sums[-1], side="right")
    return chosen


def _brought(
    laws: Laws, sold: npt.NDArray[np.bool_], basket: Places, product: Places, rng: np.random.Generator
) -> tuple[Places, Places]:
    """The same lines and the companions that leaders bring along."""
    companion = np.full(laws.products, ALONE)
    follower = np.flatnonzero(laws.leader != ALONE)
    companion[laws.leader[follower]] = follower
    sells = (companion != ALONE) & sold[companion]
    comes = sells[product] & (rng.random(len(product)) < laws.brings)
    return _pairs(
        np.concatenate([basket, basket[comes]]), np.concatenate([product, companion[product[comes]]]), laws.products
    )


def _pairs(basket: Places, product: Places, products: int) -> tuple[Places, Places]:
    """Each pair once, by basket and product."""
    key: npt.NDArray[np.int64] = np.unique(basket * products + product)
    return key // products, key % products


def _nonempty(drawn: Drawn) -> Drawn:
    filled, basket = np.unique(drawn.basket, return_inverse=True)
    return Drawn(basket, drawn.product, drawn.customer[filled])

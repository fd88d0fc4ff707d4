"""The shop behind a generated world: category tree, catalogue, companions, drift and seasonality, from a `WorldSpec`.

Everything here is drawn once, with numpy, before the first visitor comes. Rows of the catalogue are sorted by (leaf
category, brand), so that both are contiguous ranges of one cumulative weight; `item_id` shuffles them for the
outside.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from vitrina.events.synthetic_shop.spec import CATALOGUE_ITEMS_PER_CATEGORY, DAY, HOUR, REAL_CATEGORIES, WEEK, WorldSpec

BRANDS = 4
NEVER = np.iinfo(np.int64).max

_LEVELS = np.array([25, 174, 702, 665, 90, 13])  # categories per depth of the real tree
_PARENT_SHARE = np.array([0.96, 0.71, 0.25, 0.05, 0.05])  # of each level, how many have children
_BRAND_SHARE = np.array([0.4, 0.3, 0.2, 0.1])
_SIGMA_BELOW, _SIGMA_ABOVE, _SIGMA_HEAD, _HEAD = 2.6, 2.3, 1.3, 2.6  # slope of log popularity by normal quantile
_DISTINCT_SHARE = 0.74  # distinct (visitor, item) draws per event, which is what decides how many items are ever seen
_NEW_ITEMS = 0.18
_TOGGLED = 0.2
_REFILED = 0.075
_AVAILABLE_AT_FIRST = 0.8
_ACTIVITY_SHIFT = 0.2
_MOST_EVENTS = 10_000

# Relative traffic by hour (UTC) and by weekday (Monday first): a shop whose customers live in the Americas.
_HOURS = np.array([55.0, 47, 40, 30, 22, 16, 12, 9, 7, 6, 6, 7, 10, 17, 35, 62, 80, 88, 88, 86, 85, 84, 78, 67])
_WEEKDAYS = np.array([1.0, 1.0, 0.98, 0.95, 0.85, 0.62, 0.65])


class Shop(NamedTuple):
    """The arrays that the simulation and the oracle read. L leaf categories, R catalogue rows, W weeks. Times are ms,
    UTC.
    """

    start: int
    end: int
    structure: float
    traffic: NDArray[np.float64]  # (days * 24,) cumulative share of first visits
    hours: NDArray[np.float64]  # (24,) cumulative share within a day
    weekdays: NDArray[np.float64]  # (7,) relative to the busiest, Monday first
    drift: NDArray[np.float64]  # (W, L) factor on a category's popularity
    demand: NDArray[np.float64]  # (W, L + 1) cumulative category popularity of the week, from 0 to 1
    leaf_id: NDArray[np.int64]  # (L,) category id
    leaf_ptr: NDArray[np.int64]  # (L + 1,) rows of a leaf category
    group_ptr: NDArray[np.int64]  # (L * BRANDS + 1,) rows of a brand in a leaf category
    partner: NDArray[np.int64]  # (L,) the leaf category that goes with it
    cumulative: NDArray[np.float64]  # (R + 1,) running sum of popularity
    birth: NDArray[np.int64]  # (R,) an item has no events before
    conversion: NDArray[np.float32]  # (R,) factor on the chance of a cart, mean about 1
    available: NDArray[np.bool_]  # (R,) at first
    toggle: NDArray[np.int64]  # (R,) when `available` flips, or NEVER
    companion: NDArray[np.int64]  # (R,) row that is bought together with it
    item_id: NDArray[np.int64]  # (R,)
    activity: NDArray[np.float64]  # cumulative share of visitors with 1, 2, ... events


class World(NamedTuple):
    """A shop and the parts of it that no visitor sees: the tree, and where items were filed before they were moved."""

    shop: Shop
    parent: NDArray[np.int64]  # (categories,) parent id, -1 for a root
    first_leaf: NDArray[np.int64]  # (R,) leaf category that item_properties shows at first
    refiled: NDArray[np.int64]  # (R,) when it shows the true one, or NEVER


def build_world(spec: WorldSpec) -> World:
    rng = np.random.default_rng([spec.seed, 1])
    rows = _catalogue_size(spec)
    parent = _tree(rng, min(REAL_CATEGORIES, max(12, rows // CATALOGUE_ITEMS_PER_CATEGORY)))
    leaf_id = np.setdiff1d(np.arange(len(parent)), parent)
    leaves = len(leaf_id)
    appeal = rng.lognormal(0.0, 1.0, leaves)
    brand_share = np.stack([rng.permutation(_BRAND_SHARE) for _ in range(leaves)])
    share = (appeal[:, None] * brand_share).ravel()
    sizes = rng.multinomial(rows, share / share.sum())
    group_ptr = np.concatenate([[0], np.cumsum(sizes)])
    leaf_ptr = group_ptr[::BRANDS].copy()
    cumulative = np.concatenate([[0.0], np.cumsum(_popularity(rng.normal(size=rows)))])

    birth = np.where(rng.random(rows) < _NEW_ITEMS, rng.integers(spec.start, spec.end, rows), spec.start)
    birth[leaf_ptr[:-1][np.diff(leaf_ptr) > 0]] = spec.start  # each category has something to sell from the first day
    toggle = np.where(rng.random(rows) < _TOGGLED, rng.integers(spec.start, spec.end, rows), NEVER)
    partner = _partners(rng, parent, leaf_id, leaf_ptr)
    leaf_of_row = np.repeat(np.arange(leaves), np.diff(leaf_ptr))
    low, high = cumulative[leaf_ptr[partner]], cumulative[leaf_ptr[partner + 1]]
    drawn = low[leaf_of_row] + rng.random(rows) * (high - low)[leaf_of_row]
    companion = np.searchsorted(cumulative, drawn, side="right") - 1
    drift, demand = _demand(rng, spec, np.diff(cumulative[leaf_ptr]))
    hour = (np.arange(spec.days * 24) * HOUR + spec.start) // HOUR
    traffic = _HOURS[hour % 24] * _WEEKDAYS[(hour // 24 + 3) % 7]  # 1970-01-01 was a Thursday
    shop = Shop(
        start=spec.start,
        end=spec.end,
        structure=float(spec.structure),
        traffic=_running_share(traffic),
        hours=_running_share(_HOURS),
        weekdays=_WEEKDAYS,
        drift=drift,
        demand=demand,
        leaf_id=leaf_id,
        leaf_ptr=leaf_ptr,
        group_ptr=group_ptr,
        partner=partner,
        cumulative=cumulative,
        birth=birth,
        conversion=rng.lognormal(-0.18, 0.6, rows).astype(np.float32),
        available=rng.random(rows) < _AVAILABLE_AT_FIRST,
        toggle=toggle,
        companion=np.clip(companion, 0, rows - 1),
        item_id=rng.permutation(rows),
        activity=_activity(spec),
    )
    moved = (rng.random(rows) < _REFILED) & (partner[leaf_of_row] != leaf_of_row)
    return World(
        shop=shop,
        parent=parent,
        first_leaf=np.where(moved, partner[leaf_of_row], leaf_of_row),
        refiled=np.where(moved, rng.integers(spec.start, spec.end, rows), NEVER),
    )


def _running_share(weights: NDArray[np.float64]) -> NDArray[np.float64]:
    total = np.cumsum(weights)
    return total / total[-1]


def _popularity(z: NDArray[np.float64]) -> NDArray[np.float64]:
    head = (_SIGMA_ABOVE - _SIGMA_HEAD) * np.maximum(z - _HEAD, 0.0)
    return np.exp(np.where(z < 0.0, _SIGMA_BELOW, _SIGMA_ABOVE) * z - head)


def _catalogue_size(spec: WorldSpec) -> int:
    """Rows so that, with lognormal popularity, `n_items` of them are expected to have an event."""
    z = np.linspace(-6.0, 6.0, 2001)
    density = np.exp(-z * z / 2)
    density /= density.sum()
    popularity = _popularity(z)
    popularity /= density @ popularity
    low, high = spec.n_items, 50 * spec.n_items
    while high - low > 1:
        rows = (low + high) // 2
        seen = rows * float(density @ -np.expm1(-spec.events * _DISTINCT_SHARE / rows * popularity))
        low, high = (rows, high) if seen < spec.n_items else (low, rows)
    return max(high, 24)


def _tree(rng: np.random.Generator, categories: int) -> NDArray[np.int64]:
    """Parent per category id (-1: root), with the real tree's share of categories at each depth."""
    bounds = np.round(np.cumsum(_LEVELS) / _LEVELS.sum() * categories).astype(np.int64)
    bounds[0] = max(bounds[0], 1)
    ids = rng.permutation(categories)
    parent = np.full(categories, -1, dtype=np.int64)
    for depth in range(1, len(bounds)):
        children = ids[bounds[depth - 1] : bounds[depth]]
        above = ids[bounds[depth - 2] if depth > 1 else 0 : bounds[depth - 1]]
        if len(above) == 0:  # a tiny tree can skip a depth
            above = ids[: bounds[0]]
        parents = above[: max(1, round(_PARENT_SHARE[depth - 1] * len(above)))]
        parent[children] = parents[rng.integers(0, len(parents), len(children))]
    return parent


def _partners(
    rng: np.random.Generator, parent: NDArray[np.int64], leaf_id: NDArray[np.int64], leaf_ptr: NDArray[np.int64]
) -> NDArray[np.int64]:
    """The next leaf under the same parent, in a ring; leaves without items are passed over and partner themselves."""
    partner = np.arange(len(leaf_id))
    filled = np.flatnonzero(np.diff(leaf_ptr) > 0)
    order = filled[np.lexsort((rng.random(len(filled)), parent[leaf_id[filled]]))]
    family = parent[leaf_id[order]]
    for first in np.flatnonzero(np.concatenate([[True], family[1:] != family[:-1]])):
        ring = order[first : first + int(np.count_nonzero(family == family[first]))]
        partner[ring] = np.roll(ring, -1)
    return partner


def _demand(
    rng: np.random.Generator, spec: WorldSpec, popularity: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Weekly factor per category (a trend plus a slow wave, log standard deviation `drift`) and the cumulative
    demand.
    """
    week = np.linspace(-1.0, 1.0, max(1, -(-spec.days * DAY // WEEK)))[:, None]
    trend, wave = rng.normal(size=(2, len(popularity)))
    phase = rng.uniform(0, 2 * np.pi, len(popularity))
    drift = np.exp(spec.drift * (1.2 * trend * week + wave * np.sin(np.pi * week + phase)))
    demand = np.cumsum(drift * popularity, axis=1)
    return drift, np.hstack([np.zeros((len(week), 1)), demand / demand[:, -1:]])


def _activity(spec: WorldSpec) -> NDArray[np.float64]:
    """Events per visitor: a shifted zeta law whose mean is events / users (the shape of RetailRocket)."""
    n = np.arange(1, max(2, min(spec.events, max(_MOST_EVENTS, 4 * spec.events // spec.n_users))) + 1, dtype=np.float64)
    low, high = -2.0, 30.0
    for _ in range(60):
        exponent = (low + high) / 2
        share = np.exp(-exponent * np.log((n + _ACTIVITY_SHIFT) / (1 + _ACTIVITY_SHIFT)))
        share /= share.sum()
        low, high = (exponent, high) if share @ n > spec.events / spec.n_users else (low, exponent)
    return np.cumsum(share)

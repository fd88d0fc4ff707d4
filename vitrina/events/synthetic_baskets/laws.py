"""The laws of a generated shop: missions, companions, habits, seasons. Drawn once from the seed, then all is chance.

A basket has a mission and a size, which are not seen. Given these, each product j is taken when a Poisson variable of
rate size x mission(j) x week(j) + habit(customer, j) is not 0, so by itself, with one exception: a leader brings its
companion along with a fixed chance.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from vitrina.events.synthetic_baskets.spec import BasketSpec

Floats = npt.NDArray[np.float64]
Places = npt.NDArray[np.int64]

SIZES = np.array([4.0, 11.0, 32.0])
"""Products to expect in small, usual and large baskets."""
SIZE_SHARES = np.array([0.40, 0.44, 0.16])
HABITS = 6
HABIT_RATE, COMPANION_CHANCE, OWN_MISSION, THEME, LEADERS = 0.45, 0.55, 0.6, 0.75, 0.2
NOBODY_SHARE = 0.12
ALONE = -1


class Week(NamedTuple):
    """`rates` (missions, products) of a basket of size 1, `shares` (missions,) of missions, `sold` (products,)."""

    rates: Floats
    shares: Floats
    sold: npt.NDArray[np.bool_]


class Laws(NamedTuple):
    """Everything that is fixed in a world.

    `missions` (missions, products): shares of each product, sums of 1. `weights` (missions,): how frequent each is.
    `phase` (missions,): the day of the year at which it is in season, `season` how much that matters. `slope`
    (products,): log change of each over the whole time; `first`, `last` (products,): weeks between which it is sold.
    `leader` (products,): the product that brings it along, ALONE for most; `brings`: the chance of that. `favourite`
    (customers, 2): missions, `habits` (customers, HABITS): products, `habit`: their rate; `loyal`: the share of a
    customer's baskets that has a favourite mission; `activity` (customers,): shares of the baskets.
    """

    missions: Floats
    weights: Floats
    phase: Floats
    season: float
    slope: Floats
    first: Places
    last: Places
    leader: Places
    brings: float
    favourite: Places
    habits: Places
    habit: float
    loyal: float
    activity: Floats

    @property
    def products(self) -> int:
        return self.missions.shape[1]

    def of_week(self, week: int, weeks: int) -> Week:
        """What holds in one of the weeks."""
        sold = (self.first <= week) & (week <= self.last)
        trend = np.exp(self.slope * (week / max(weeks - 1, 1) - 0.5))
        season = np.exp(self.season * np.cos(2 * np.pi * (7 * week - self.phase) / 365))
        shares = self.weights * season
        return Week(rates=self.missions * (trend * sold), shares=shares / shares.sum(), sold=sold)


def draw_laws(spec: BasketSpec) -> Laws:
    """The laws of a spec; the same spec gives the same laws."""
    rng = np.random.default_rng([spec.seed, 1])
    n = spec.products
    weeks = -(-spec.days // 7)
    popularity = rng.permutation(1.0 / (np.arange(n) + 8.0))
    count = int(np.clip(n // 40, 2, 40))
    home = rng.permutation(np.arange(n) % count)
    second = np.where(rng.random(n) < 0.25, rng.integers(0, count, n), home)
    member = (np.arange(count)[:, None] == home) | (np.arange(count)[:, None] == second)
    theme = popularity * member
    share = THEME * spec.structure
    missions = share * theme / theme.sum(axis=1, keepdims=True) + (1 - share) * popularity / popularity.sum()
    leader = np.full(n, ALONE)
    for mission in range(count):
        members = rng.permutation(np.flatnonzero(home == mission))
        pairs = int(len(members) * LEADERS)
        leader[members[pairs : 2 * pairs]] = members[:pairs]
    favourite = rng.integers(0, count, (spec.customers, 2))
    habits = np.empty((spec.customers, HABITS), dtype=np.int64)
    for mission in range(count):
        mine = np.flatnonzero(favourite[:, 0] == mission)
        habits[mine] = rng.choice(n, (len(mine), HABITS), p=missions[mission])
    activity = rng.permutation(1.0 / (np.arange(spec.customers) + 20.0))
    comes = np.where(rng.random(n) < 0.15 * spec.drift, rng.integers(0, weeks, n), 0)
    goes = np.where(rng.random(n) < 0.10 * spec.drift, rng.integers(0, weeks, n), weeks)
    return Laws(
        missions=missions,
        weights=rng.dirichlet(np.full(count, 4.0)),
        phase=rng.uniform(0, 365, count),
        season=0.9 * spec.drift,
        slope=rng.normal(0, 0.8, n) * spec.drift,
        first=np.minimum(comes, goes),
        last=np.maximum(comes, goes),
        leader=leader,
        brings=COMPANION_CHANCE * spec.structure,
        favourite=favourite,
        habits=habits,
        habit=HABIT_RATE * spec.structure,
        loyal=OWN_MISSION * spec.structure,
        activity=activity / activity.sum(),
    )

"""The life of a block of customers, month by month: what they own, and the chance of each acquisition.

`Walk` goes through the months in order; at each one it holds the portfolios and knows the chances of the next month.
Whoever walks the same customers sees the same life: the generator to write it, the oracle to tell its chances.
"""

from __future__ import annotations

from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from vitrina.events.synthetic_panels import laws as law
from vitrina.events.synthetic_panels.draws import uniforms
from vitrina.events.synthetic_panels.people import INCOME_CENTRE, INCOME_SPREAD, RETAIL, STUDENT, TOP, People
from vitrina.events.synthetic_panels.spec import PanelSpec

_FIRST_STREAM, _MONTH_STREAM = 2, 1_000
# Products that one draw decides together, as one visit to the bank does, and the chance that it does: pension deposit
# and salary account go with the salary deposit, then current account, digital account, card and direct debit.
_SALARY, _PACKAGES = 21, (((4, 22), 0.95), ((2, 12, 18, 23), 0.4))
_PACKAGE_SLOT, _SWITCH_SLOT, _ACTIVE_SLOT, _SLOTS = 24, 26, 27, 28
_SWITCH = 0.05  # chance that activity is drawn anew
_ACTIVE_AT, _ACTIVE_SLOPE = {TOP: 2.2, RETAIL: 0.55, STUDENT: -1.15}, 1.5
_YEAR = 12
_BITS = np.arange(law.N, dtype=np.uint32)

Masks = NDArray[np.uint32]
Matrix = NDArray[np.float64]


class Laws(NamedTuple):
    """Tables of `synthetic_panel_laws` and the intercepts that calibration found, (24,) each."""

    structure: float
    base: Matrix  # log of the chance of an acquisition, before effects and season
    drop: Matrix  # log of the chance of a drop
    first: Matrix  # log odds of being in the first portfolio
    season: Matrix  # (12, 24)
    owned: law.Table  # (3, 256, 24)
    segment: law.Table
    tenure: law.Table
    age: law.Table
    channel: law.Table
    income: law.Table
    loading: Matrix


def unpacked(masks: Masks) -> NDArray[np.bool_]:
    """(rows, 24) of portfolios (rows,)."""
    return ((masks[:, None] >> _BITS) & 1).astype(bool)


def packed(owned: NDArray[np.bool_]) -> Masks:
    """Portfolios (rows,) of (rows, 24)."""
    parts = np.packbits(owned, axis=1, bitorder="little").astype(np.uint32)  # (rows, 3)
    masks: Masks = parts[:, 0] | parts[:, 1] << np.uint32(8) | parts[:, 2] << np.uint32(16)
    return masks


class Walk:
    """Customers (n,) at one month, `offset` months after the panel's first; `forward` goes to the next."""

    def __init__(self, spec: PanelSpec, laws: Laws, who: People) -> None:
        n = len(who.place)
        self.spec, self.laws, self.who = spec, laws, who
        self.offset = 0
        self.masks: list[Masks] = [np.zeros(n, dtype=np.uint32)]  # by month; 0 before a customer has joined
        self.active = np.zeros(n, dtype=bool)
        self._join()

    @property
    def present(self) -> NDArray[np.bool_]:
        """(n,) customers with a row in this month."""
        return (self.who.first <= self.offset) & (self.offset <= self.who.last)

    @cached_property
    def rows(self) -> NDArray[np.int64]:
        """Places of the present customers."""
        return np.flatnonzero(self.present)

    def effects(self) -> NDArray[np.float32]:
        """(rows, 24): what is known at the month's end about present customers, as log factors without the season."""
        laws, rows = self.laws, self.rows
        if laws.structure == 0:
            return np.zeros((len(rows), law.N), dtype=np.float32)
        owned = self.masks[-1][rows]
        total = self._profile(rows, moving=True)
        total += laws.owned[0][owned & 255]
        total += laws.owned[1][(owned >> 8) & 255]
        total += laws.owned[2][owned >> 16]
        held = owned.copy()
        for months, value in enumerate(law.RETURNS, start=1):
            held |= self._raise(total, held, months, value)
        self._raise(total, held, _YEAR, law.YEAR_AGO)
        np.clip(total, -law.LARGEST, law.LARGEST, out=total)
        total *= np.float32(laws.structure)
        return total

    def chances(self, effects: NDArray[np.float32]) -> Matrix:
        """(rows, 24) chance that each product is taken next month; 0 where it is owned."""
        calendar = (self.spec.start + self.offset + 1) % _YEAR
        chance = np.exp(effects + (self.laws.base + self.laws.structure * self.laws.season[calendar]))
        np.negative(chance, out=chance)
        np.expm1(chance, out=chance)
        np.negative(chance, out=chance)
        chance[unpacked(self.masks[-1][self.rows])] = 0.0
        return chance

    def drops(self) -> Matrix:
        """(rows, 24) chance that each owned product is dropped next month; 0 where it is not owned."""
        rows, owned = self.rows, unpacked(self.masks[-1][self.rows])
        long = -np.expm1(-np.exp(self.laws.drop))
        short = -np.expm1(-np.exp(self.laws.drop + self.laws.structure * law.FRESH_DROP))
        if self.offset < 3:
            return np.where(owned, long, 0.0)
        fresh = owned & ~unpacked(self.masks[-4][rows]) & (self.who.first[rows] <= self.offset - 3)[:, None]
        return np.where(owned, np.where(fresh, short, long), 0.0)

    def forward(self, chances: Matrix) -> None:
        """Draws who takes and drops what, and goes to the next month."""
        rows, who = self.rows, self.who
        draws = uniforms(self.spec.seed, _MONTH_STREAM + self.offset, who.place[rows], _SLOTS)
        decided = self._together(draws)
        following = np.zeros_like(self.masks[-1])
        following[rows] = self.masks[-1][rows] ^ packed((decided < chances) | (decided < self.drops()))
        switched = draws[:, _SWITCH_SLOT] < _SWITCH
        anew = draws[:, _ACTIVE_SLOT] < self._activity(rows)
        self.active[rows] = np.where(switched, anew, self.active[rows])
        self.masks.append(following)
        self.offset += 1
        del self.rows
        self._join()

    def _join(self) -> None:
        """First portfolio and activity of those whose first month this is."""
        rows, laws = np.flatnonzero(self.who.first == self.offset), self.laws
        if not len(rows):
            return
        draws = uniforms(self.spec.seed, _FIRST_STREAM, self.who.place[rows], _SLOTS)
        odds = laws.first + self.first_effects(rows)
        self.masks[-1][rows] = packed(self._together(draws) < 1 / (1 + np.exp(-odds)))
        self.active[rows] = draws[:, _ACTIVE_SLOT] < self._activity(rows)

    def _together(self, draws: Matrix) -> Matrix:
        """(rows, 24) of draws (rows, slots): packages share the draw of the salary deposit."""
        for place, (products, chance) in enumerate(_PACKAGES):
            same = draws[:, _PACKAGE_SLOT + place] < chance * self.laws.structure
            for product in products:
                draws[same, product] = draws[same, _SALARY]
        return draws[:, : law.N]

    def first_effects(self, rows: NDArray[np.int64]) -> Matrix:
        """(rows, 24) log factors of being in the first portfolio."""
        profile = self._profile(rows, moving=False) + self.who.engagement[rows, None] * self.laws.loading
        return self.laws.structure * profile

    def _activity(self, rows: NDArray[np.int64]) -> Matrix:
        segment = self.who.segment[rows]
        at = np.select([segment == one for one in _ACTIVE_AT], list(_ACTIVE_AT.values()), 0.0)
        return 1 / (1 + np.exp(-at - _ACTIVE_SLOPE * self.who.engagement[rows]))

    def _profile(self, rows: NDArray[np.int64], *, moving: bool) -> NDArray[np.float32]:
        """(rows, 24): segment, age and income; when `moving` also tenure, channel and activity."""
        laws, who, blank = self.laws, self.who, self.who.blank[rows]
        known = (who.segment[rows] >= 0) & (who.segment_from[rows] <= self.offset)
        total: NDArray[np.float32] = laws.segment[np.where(known, who.segment[rows], law.NOT_KNOWN_SEGMENT)]
        age = np.minimum((self.offset - who.birth[rows]) // _YEAR, law.AGES - 2)
        total += laws.age[np.where(blank, law.NOT_KNOWN_AGE, age)]
        income = np.nan_to_num((np.log(who.income[rows]) - INCOME_CENTRE) / INCOME_SPREAD).astype(np.float32)
        total += income[:, None] * laws.income
        if moving:
            months = who.tenure[rows] + self.offset - who.first[rows]
            total += laws.tenure[np.where(blank, law.NOT_KNOWN_TENURE, np.searchsorted([6, 12, 60], months, "right"))]
            total += laws.channel[np.where(blank, -1, who.channel[rows])]
            activity = np.array(law.ACTIVITY, dtype=np.float32)
            total += activity[np.where(blank, law.NOT_KNOWN_ACTIVITY, self.active[rows])][:, None]
        return total

    def _raise(self, total: NDArray[np.float32], held: Masks, months: int, value: float) -> Masks:
        """Adds `value` where a product not in `held` was owned `months` ago; gives those products as masks."""
        if months > self.offset:
            return np.zeros_like(held)
        back = self.masks[-1 - months][self.rows] & ~held
        some = np.flatnonzero(back)
        total[some] += np.float32(value) * unpacked(back[some])
        return back

"""A block of walked customers as rows with the 22 profile columns, in the texts of train_ver2.csv.

A column is places in a list of raw texts; the validated table holds the same without padding and quotes, so both files
of one panel say the same.
"""

from __future__ import annotations

from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from vitrina.events.panels.columns import ALL_KNOWN
from vitrina.events.synthetic_panels.draws import uniforms
from vitrina.events.synthetic_panels.people import CHANNELS, COUNTRIES, EMPLOYEES, PROVINCES, SEGMENTS, People
from vitrina.events.synthetic_panels.spec import PanelSpec
from vitrina.events.synthetic_panels.walk import Laws, Masks, Walk

_GAP_STREAM = 3
_SALARY_BITS = np.uint32(1 << 21 | 1 << 22)
_SALARY_UNKNOWN = 0.0012  # rows where the two salary columns are NA
_NEW_MONTHS = 6


class Texts(NamedTuple):
    """A column: `codes` (rows,) are places in `levels`, -1 is no value, which the raw file writes as `nothing`."""

    codes: NDArray[np.int64]
    levels: tuple[str, ...]
    nothing: str


class Block:
    """All months of some customers; its rows are those of `at`, either by customer or by month."""

    def __init__(self, spec: PanelSpec, laws: Laws, who: People, *, by_month: bool) -> None:
        walk = Walk(spec, laws, who)
        present, active = [walk.present], [walk.active.copy()]
        while walk.offset < spec.months - 1:
            walk.forward(walk.chances(walk.effects()))
            present.append(walk.present)
            active.append(walk.active.copy())
        grid = np.array(present)  # (months, customers)
        if by_month:
            self.offset, self.at = np.nonzero(grid)
        else:
            self.at, self.offset = np.nonzero(grid.T)
        self.spec, self.who = spec, who
        self.active = np.array(active)[self.offset, self.at]
        unknown = uniforms(spec.seed, _GAP_STREAM, who.place, spec.months)[self.at, self.offset] < _SALARY_UNKNOWN
        self.known: Masks = np.where(unknown, ALL_KNOWN & ~_SALARY_BITS, np.uint32(ALL_KNOWN))
        self.owned: Masks = np.array(walk.masks)[self.offset, self.at] & self.known

    @property
    def month(self) -> NDArray[np.int32]:
        return (self.spec.start + self.offset).astype(np.int32)

    @property
    def customer(self) -> NDArray[np.int64]:
        return self.who.ncodpers[self.at]

    @cached_property
    def blank(self) -> NDArray[np.bool_]:
        """(rows,) nothing of the profile is known."""
        return self.who.blank[self.at]

    @cached_property
    def leaving(self) -> NDArray[np.bool_]:
        """(rows,) the last row of a customer that leaves before the panel ends."""
        return (self.offset == self.who.last[self.at]) & (self.offset < self.spec.months - 1)

    def age(self) -> NDArray[np.int64]:
        """(rows,) whole years; -1 not known."""
        return np.where(self.blank, -1, (self.offset - self.who.birth[self.at]) // 12)

    def tenure(self) -> NDArray[np.int64]:
        """(rows,) months; -1 not known."""
        return np.where(self.blank, -1, self.who.tenure[self.at] + self.offset - self.who.first[self.at])

    def income(self) -> NDArray[np.float64]:
        """(rows,) NaN: not known."""
        return self.who.income[self.at]

    def registration(self) -> NDArray[np.datetime64]:
        """(rows,) days; NaT: not known."""
        month = self.spec.start + self.who.first - self.who.tenure  # (customers,)
        day = _day(month, self.who.day)
        day[self.who.blank] = np.datetime64("NaT")
        return day[self.at]

    def left(self) -> NDArray[np.datetime64]:
        """(rows,) the day on which a leaving customer stopped being a primary one; NaT for all others."""
        day = _day(self.spec.start + self.offset, self.who.day[self.at])
        day[~self.leaving | self.blank] = np.datetime64("NaT")
        return day

    def texts(self) -> dict[str, Texts]:
        """The categories and flags, by request name."""
        who, at, tenure = self.who, self.at, self.tenure()
        segment = np.where(who.segment_from[at] <= self.offset, who.segment[at], -1)
        channel = np.where(self.blank, -1, who.channel[at])
        return {
            "ind_employee": self._of(who.employee, EMPLOYEES),
            "country_of_residence": self._of(who.country, COUNTRIES),
            "gender": self._of(who.man, ("V", "H")),
            "ind_new_client": Texts(np.where(self.blank, -1, tenure < _NEW_MONTHS), (" 0", " 1"), "NA"),
            "client_relationship_status": Texts(np.where(self.blank, -1, self.leaving), (" 1", "99"), "NA"),
            "client_type_1m": self._of(who.decimal, ("1", "1.0")),
            "client_activity_1m": Texts(np.where(self.blank, -1, self.active), ("I", "A"), ""),
            "ind_resident": self._of(who.country == 0, ("N", "S")),
            "ind_foreigner": self._of(who.foreigner, ("N", "S")),
            "ind_spouse_employee": self._of(who.spouse, ("N", "S")),
            "entry_channel": Texts(channel, CHANNELS, ""),
            "ind_deceased": self._of(who.deceased, ("N", "S")),
            "address_type": self._of(np.zeros(len(who.place)), (" 1",), "NA"),
            "province_code": self._of(who.province, tuple(f"{one + 1:2d}" for one in range(len(PROVINCES))), "NA"),
            "province_name": self._of(who.province, tuple(f'"{name}"' for name in PROVINCES), '""'),
            "ind_client_activity": Texts(np.where(self.blank, -1, self.active), (" 0", " 1"), "NA"),
            "client_segment": Texts(segment, SEGMENTS, ""),
        }

    def _of(self, codes: NDArray[np.generic], levels: tuple[str, ...], nothing: str = "") -> Texts:
        """A column that never changes, of codes by customer."""
        return Texts(np.where(self.blank, -1, codes.astype(np.int64)[self.at]), levels, nothing)


def _day(month: NDArray[np.int64], day: NDArray[np.int64]) -> NDArray[np.datetime64]:
    """Days of months (`year * 12 + month - 1`) and days of the month."""
    first = (month - 1970 * 12).astype("datetime64[M]").astype("datetime64[D]")
    return first + (day - 1).astype("timedelta64[D]")

"""The profile of a bank's customer as numbers: categories by how common they were, dates as months since."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from typing import Any, Final, Self

import numpy as np
import numpy.typing as npt

from vitrina.events.panels.columns import PROFILE, month_of
from vitrina.events.panels.panel import NO_DATE, NO_LEVEL, Panel

PROFILE_NAMES: Final = tuple(column.name for column in PROFILE)

_EPOCH: Final = 1970 * 12
_UNIX: Final = date(1970, 1, 1).toordinal()
_NOTHING: Final[dict[str, float]] = {}

Value = str | float | int | None
Matrix = npt.NDArray[np.float32]


@dataclass(frozen=True, kw_only=True)
class ProfileEncoding:
    """`levels` of each category and flag that was learned from, the most common first. A category becomes its place in
    them; a value that was not seen, a missing one and a column that the panel lacks are NaN.
    """

    levels: Mapping[str, tuple[str, ...]]

    @classmethod
    def fit(cls, panel: Panel, rows: npt.NDArray[np.int64]) -> Self:
        """Learns the levels from some rows of the panel, (n,)."""
        found = {}
        for name, levels in panel.levels.items():
            codes = panel.profile[name][rows]
            counts = np.bincount(codes[codes != NO_LEVEL], minlength=len(levels))
            order = np.argsort(-counts, kind="stable")
            found[name] = tuple(levels[code] for code in order if counts[code])
        return cls(levels=found)

    def encode(self, panel: Panel, rows: npt.NDArray[np.int64]) -> Matrix:
        """float32 (n, 22), columns in the order of PROFILE."""
        profile = {name: values[rows] for name, values in panel.profile.items()}
        return self.encode_columns(profile, panel.levels, panel.month[rows])

    def encode_client(self, values: Mapping[str, Value], month: int) -> Matrix:
        """float32 (1, 22) of one client by request names; dates are days since 1970, None and absent: not known."""
        row = []
        for column in PROFILE:
            value: Any = values.get(column.name)
            if value is None:
                row.append(np.nan)
            elif column.kind == "number":
                row.append(value)
            elif column.kind == "date":
                row.append(month - month_of(date.fromordinal(value + _UNIX)))
            else:
                row.append(self._ranks.get(column.name, _NOTHING).get(value, np.nan))
        return np.array([row], np.float32)

    def encode_columns(
        self,
        profile: Mapping[str, npt.NDArray[Any]],
        levels: Mapping[str, tuple[str, ...]],
        month: npt.NDArray[np.int32],
    ) -> Matrix:
        """float32 (n, 22) of columns as a `Panel` holds them, (n,) each; month int32 (n,)."""
        out = np.full((len(month), len(PROFILE)), np.nan, np.float32)
        for place, column in enumerate(PROFILE):
            if column.name not in profile:
                continue
            values = profile[column.name]
            if column.kind == "number":
                out[:, place] = values
            elif column.kind == "date":
                back = month - values.astype("datetime64[D]").astype("datetime64[M]").astype(np.int64) - _EPOCH
                out[:, place] = np.where(values == NO_DATE, np.nan, back)
            else:
                known = self._ranks.get(column.name, _NOTHING)
                ranks = [known.get(level, np.nan) for level in levels[column.name]]
                out[:, place] = np.array([*ranks, np.nan], np.float32)[values]  # NO_LEVEL is the last place
        return out

    @cached_property
    def _ranks(self) -> dict[str, dict[str, float]]:
        return {name: {level: float(rank) for rank, level in enumerate(levels)} for name, levels in self.levels.items()}

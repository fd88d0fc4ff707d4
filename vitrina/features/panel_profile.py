"""The profile of a bank's customer as numbers: categories by how common they were, dates as months since."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Self

import numpy as np
import numpy.typing as npt

from vitrina.events.panel import NO_DATE, NO_LEVEL, Panel
from vitrina.events.panel_columns import PROFILE

PROFILE_NAMES: Final = tuple(column.name for column in PROFILE)

_EPOCH: Final = 1970 * 12

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
        arrays: dict[str, npt.NDArray[Any]] = {}
        levels: dict[str, tuple[str, ...]] = {}
        for column in PROFILE:
            value = values.get(column.name)
            if column.kind == "number":
                arrays[column.name] = np.array([np.nan if value is None else value], np.float64)
            elif column.kind == "date":
                arrays[column.name] = np.array([NO_DATE if value is None else value], np.int32)
            else:
                arrays[column.name] = np.array([NO_LEVEL if value is None else 0], np.int32)
                levels[column.name] = (str(value),)
        return self.encode_columns(arrays, levels, np.array([month], np.int32))

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
                known = self.levels.get(column.name, ())
                ranks = [float(known.index(level)) if level in known else np.nan for level in levels[column.name]]
                out[:, place] = np.array([*ranks, np.nan], np.float32)[values]  # NO_LEVEL is the last place
        return out

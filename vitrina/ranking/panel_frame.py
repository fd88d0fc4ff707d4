"""Rows of a table as requests hold them, text and all, as the snapshots that a model takes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from vitrina.events.panels.columns import MONTH_COLUMN, PRODUCTS, PROFILE
from vitrina.events.panels.panel import NO_DATE
from vitrina.features.panel_profile import ProfileEncoding

if TYPE_CHECKING:
    import pandas as pd

_NO_VALUE: Final = ("", "NA")
_EPOCH: Final = 1970 * 12


@dataclass(frozen=True, kw_only=True)
class FrameSnapshot:
    """Callable for scikit-learn's FunctionTransformer. Columns have their request names; dates are dd-mm-yyyy or
    yyyy-mm-dd, padding and the `.0` of whole numbers do not matter. `fetch_date` must be there, any other may be absent
    or hold gaps. `ValueError` for a number that is none and for a wrong `fetch_date`.
    """

    encoding: ProfileEncoding

    def __call__(self, frame: pd.DataFrame) -> npt.NDArray[np.float64]:
        """float64 (rows, 46), columns SNAPSHOT."""
        day = _days(frame[MONTH_COLUMN[1]])
        if np.isnat(day).any():
            place = int(np.flatnonzero(np.isnat(day))[0])
            raise ValueError(f"{MONTH_COLUMN[1]}: {frame[MONTH_COLUMN[1]].iloc[place]!r} in row {place} is no date")
        month = day.astype("datetime64[M]").astype(np.int64) + _EPOCH
        profile: dict[str, npt.NDArray[Any]] = {}
        levels: dict[str, tuple[str, ...]] = {}
        for column in PROFILE:
            if column.name not in frame:
                continue
            values = frame[column.name]
            if column.kind == "number":
                profile[column.name] = _numbers(values)
            elif column.kind == "date":
                days = _days(values)
                known = np.where(np.isnat(days), np.datetime64(0, "D"), days).astype(np.int64)
                profile[column.name] = np.where(np.isnat(days), NO_DATE, known).astype(np.int32)
            else:
                import pandas as pd

                codes, found = pd.factorize(_texts(values))  # a gap is -1, which is NO_LEVEL
                profile[column.name], levels[column.name] = codes.astype(np.int32), tuple(map(str, found))
        owned = np.full((len(frame), len(PRODUCTS)), np.nan)
        for place, product in enumerate(PRODUCTS):
            if product.column in frame:
                owned[:, place] = _numbers(frame[product.column])
        return np.hstack([self.encoding.encode_columns(profile, levels, month.astype(np.int32)), owned])


def _texts(values: pd.Series[Any]) -> pd.Series[Any]:
    texts = (
        values.astype("object").where(values.notna(), "").astype(str).str.strip().str.replace(r"\.0$", "", regex=True)
    )
    return texts.where(~texts.isin(_NO_VALUE))


def _numbers(values: pd.Series[Any]) -> npt.NDArray[np.float64]:
    import pandas as pd

    if values.dtype.kind in "fiub":
        return values.to_numpy(dtype=np.float64)
    return np.asarray(pd.to_numeric(_texts(values)), dtype=np.float64)


def _days(values: pd.Series[Any]) -> npt.NDArray[np.datetime64]:
    import pandas as pd

    texts = _texts(values)
    found = [pd.to_datetime(texts, format=form, errors="coerce") for form in ("%d-%m-%Y", "%Y-%m-%d")]
    return np.asarray(found[0].fillna(found[1])).astype("datetime64[D]")

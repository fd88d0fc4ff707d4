"""Items as of a time: counts by window, conversions, trend, and the same for their category.

In: prepared events and the category of each item. Out: `ItemTable`, one float32 row per item.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import ibis
import ibis.expr.types as ir
import numpy as np
import numpy.typing as npt

from vitrina.engine import Engine
from vitrina.events.schema import BUY, CART, DAY_MS, VIEW
from vitrina.features.item_columns import ITEM_FEATURES, WINDOWS

if TYPE_CHECKING:
    import pyarrow as pa

SMOOTHING: Final = 20.0
"""Users that the shop's mean rate counts for in a smoothed rate."""


@dataclass(frozen=True, kw_only=True)
class ItemTable:
    """`values` float32 (items, len(ITEM_FEATURES)); unseen items have zeros, and NaN ages."""

    values: npt.NDArray[np.float32]

    def column(self, name: str) -> npt.NDArray[np.float32]:
        """One feature of all items, float32 (items,)."""
        return self.values[:, ITEM_FEATURES.index(name)]


def fit_item_table(engine: Engine, events: ir.Table, *, as_of: int, category: npt.NDArray[np.int32]) -> ItemTable:
    """The item table from events strictly before `as_of`; `category` int32 (items,), -1 where unknown."""
    counted = engine.to_arrow(item_counts(events, as_of=as_of))
    rows = _column(counted, "item").astype(np.int64)
    values = np.zeros((len(category), len(ITEM_FEATURES)), np.float32)
    names = {name: place for place, name in enumerate(ITEM_FEATURES)}
    for name in counted.column_names:
        if name in names:
            values[rows, names[name]] = _column(counted, name)
    unseen = values[:, names["item_events"]] == 0
    values[unseen, names["item_age_days"]] = np.nan
    values[unseen, names["item_idle_days"]] = np.nan
    viewers, wanters, buyers = (
        _scatter(counted, name, rows, len(category)) for name in ("viewers", "wanters", "buyers")
    )
    values[:, names["item_view_to_cart"]] = _smoothed(wanters, viewers)
    values[:, names["item_cart_to_buy"]] = _smoothed(buyers, wanters)
    week, month = values[:, names["item_events_7d"]], values[:, names["item_events_30d"]]
    values[:, names["item_trend"]] = (week + 1.0) * (30 / 7) / (month + 30 / 7)
    known = np.flatnonzero(category >= 0)
    if len(known):
        groups = category[known]
        size = int(category.max()) + 1

        def by_category(column: npt.NDArray[np.floating]) -> npt.NDArray[np.float64]:
            return np.bincount(groups, weights=column[known], minlength=size).astype(np.float64, copy=False)

        values[known, names["category_events_7d"]] = by_category(week)[groups]
        values[known, names["category_wanted_30d"]] = by_category(values[:, names["item_wanted_30d"]])[groups]
        values[known, names["category_view_to_cart"]] = _smoothed(by_category(wanters), by_category(viewers))[groups]
    return ItemTable(values=values)


def item_counts(events: ir.Table, *, as_of: int) -> ir.Table:
    """One row per item seen before `as_of`: event counts by window, distinct users by kind, ages in days."""
    past = events.filter(events.ts < as_of)
    wanted = past.kind != VIEW

    def inside(days: int) -> ir.Column:
        return past.ts >= as_of - days * DAY_MS

    return past.group_by("item").aggregate(
        **{f"item_events_{days}d": inside(days).sum() for days in WINDOWS},
        **{f"item_wanted_{days}d": (inside(days) & wanted).sum() for days in WINDOWS},
        item_events=past.count(),
        item_wanted=wanted.sum(),
        item_bought=(past.kind == BUY).sum(),
        item_users=past.user.nunique(),
        viewers=past.user.nunique(where=past.kind == VIEW),
        wanters=past.user.nunique(where=past.kind >= CART),
        buyers=past.user.nunique(where=past.kind == BUY),
        item_age_days=(ibis.literal(as_of, "int64") - past.ts.min()).cast("float64") / float(DAY_MS),
        item_idle_days=(ibis.literal(as_of, "int64") - past.ts.max()).cast("float64") / float(DAY_MS),
    )


def user_activity(events: ir.Table, *, as_of: int) -> ir.Table:
    """One row per user seen before `as_of`: `events`, `wanted` (carts and purchases), `last_ts` (ms)."""
    past = events.filter(events.ts < as_of)
    return past.group_by("user").aggregate(events=past.count(), wanted=(past.kind != VIEW).sum(), last_ts=past.ts.max())


def _smoothed(part: npt.NDArray[np.floating], whole: npt.NDArray[np.floating]) -> npt.NDArray[np.floating]:
    """part / whole pulled towards the overall rate by SMOOTHING pseudo-users (an empirical Bayes shrinkage)."""
    total = float(whole.sum())
    mean = min(float(part.sum()) / total, 1.0) if total else 0.0
    return (part + SMOOTHING * mean) / (whole + SMOOTHING)


def _column(table: pa.Table, name: str) -> npt.NDArray[np.generic]:
    return table.column(name).to_numpy()


def _scatter(table: pa.Table, name: str, rows: npt.NDArray[np.int64], size: int) -> npt.NDArray[np.float64]:
    column = np.zeros(size)
    column[rows] = _column(table, name)
    return column

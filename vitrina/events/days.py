"""Prepared events -> what happened in the shop by day: one row for each complete UTC day."""

from __future__ import annotations

from datetime import UTC, datetime

import ibis
import ibis.expr.types as ir

from vitrina.engine import Engine
from vitrina.events.schema import BUY, CART, DAY_MS, VIEW

MOST_DAYS = 400


def business_days(
    events: ir.Table, engine: Engine, *, as_of: int | None = None, most: int = MOST_DAYS
) -> list[dict[str, str | int]]:
    """What happened on the complete days before `as_of` (ms), the oldest first, at most `most` days back from the last.

    Each day has `day` (YYYY-MM-DD, UTC) and the counts of `by_day`. It is complete when the log goes on after its end,
    or when `as_of` lies at or after its end and the log was still going within the 24 hours before `as_of`: a log that
    stopped long ago does not become complete by asking late. Days without any event are left out.
    """
    if as_of is not None:
        events = events.filter(events.ts < as_of)
    last = engine.to_arrow(events.aggregate(ts=events.ts.max()))["ts"][0].as_py()
    if last is None:
        return []
    known = as_of if as_of is not None and last >= as_of - DAY_MS else last
    end = known // DAY_MS * DAY_MS
    complete = events.filter((events.ts < end) & (events.ts >= end - most * DAY_MS))
    rows = engine.to_arrow(by_day(complete)).to_pylist()
    return [{**row, "day": datetime.fromtimestamp(row["day"] * DAY_MS / 1000, UTC).date().isoformat()} for row in rows]


def by_day(events: ir.Table) -> ir.Table:
    """One row per UTC day with events, in order: `day` (days since the epoch) and these counts, int64.

    `views`, `carts`, `purchases`: events of the kind. A purchase is one line of a transaction: three items bought
    together are three. `visitors`: distinct users with an event of any kind. `carting_visitors`: those of them who put
    something into the cart that day; `carting_buyers`: those of these who bought something (whatever it was) that day,
    at or after their first cart.
    """
    at = events.mutate(day=events.ts // ibis.literal(DAY_MS, "int64"))
    visits = at.group_by("day", "user").aggregate(
        views=(at.kind == VIEW).sum(),
        carts=(at.kind == CART).sum(),
        purchases=(at.kind == BUY).sum(),
        carted=at.ts.min(where=at.kind == CART),
        bought=at.ts.max(where=at.kind == BUY),
    )
    days = visits.group_by("day").aggregate(
        views=visits.views.sum(),
        carts=visits.carts.sum(),
        purchases=visits.purchases.sum(),
        visitors=visits.count(),
        carting_visitors=visits.carted.count(),
        carting_buyers=visits.count(where=visits.bought >= visits.carted),
    )
    counts = {name: days[name].cast("int64") for name in days.columns}
    return days.select(**counts).order_by("day")

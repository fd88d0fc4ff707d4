"""Staged text rows -> typed rows, each with the first fault that it has. Ibis expressions over one parquet file."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import ibis
import ibis.expr.types as ir

from vitrina.engine import Engine
from vitrina.errors import ConfigError, DataError
from vitrina.events.columns import ColumnMap
from vitrina.events.schema import BUY, DAY_MS
from vitrina.events.staging import Staged, StagedFiles

EARLIEST_MS = 788_918_400_000
LATEST_MS = 4_102_444_800_000
LARGEST = 9e18
UNITS = {"s": 1000.0, "ms": 1.0, "us": 1e-3, "ns": 1e-6}
UNKNOWN_EVENT = "unknown event"
TEXT_IDS = "For ids that are text, name the columns: --columns user=...,item=...,event=...,timestamp=..."
REMEDIES = {
    "no user id": "Fill the user column, or remove rows of unknown visitors.",
    "no item id": "Fill the item column, or remove these rows.",
    "user id is over 128 bytes or holds a NUL": "Use shorter user ids.",
    "item id is over 128 bytes or holds a NUL": "Use shorter item ids.",
    "user id is not an integer": TEXT_IDS,
    "item id is not an integer": TEXT_IDS,
    "the time cannot be read": "Write times as ms or s since 1970, or as 2015-05-03T10:00:00Z.",
    "the time is before 1995": "Check the unit: RetailRocket files hold ms; --columns recognises s, ms, us and ns.",
    "the time is after 2100": "Check the unit: RetailRocket files hold ms; --columns recognises s, ms, us and ns.",
    "the time is after as_of": "Cut the log at as_of, or check the clock that wrote it.",
    "the time is far after the rest of the log": "Check the clock that wrote these rows.",
}
OTHER_REMEDY = "Correct or remove these rows."


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What a log may look like. `max_bad_share` of rows may be bad (they are dropped and counted).

    A visitor with more than `bot_events_per_hour` or `bot_events_per_day` events in one hour or day (UTC) is taken for
    a machine and left out. The report shows the first `examples` rows of each kind of fault.
    """

    max_bad_share: float = 0.001
    bot_events_per_hour: int = 1000
    bot_events_per_day: int = 3000
    examples: int = 3

    def __post_init__(self) -> None:
        if not 0 <= self.max_bad_share < 1:
            raise ConfigError(f"the share of bad rows must be at least 0 and under 1, not {self.max_bad_share}")
        if min(self.bot_events_per_hour, self.bot_events_per_day) < 1 or self.examples < 1:
            raise ConfigError("the limits of events per hour, per day and of examples must be at least 1")


@dataclass(frozen=True, kw_only=True)
class Reading:
    """How the columns of this log are read: the type of ids, the unit of time, and the end of its bulk (ms)."""

    user_ids: str
    item_ids: str
    unit: str
    bulk_end: int
    bulk_span: int


def judge(stage: ir.Table, staged: Staged | StagedFiles, columns: ColumnMap | None, engine: Engine) -> Reading:
    """Looks once over all rows. `columns` None means the RetailRocket format: integer ids and ms."""
    facts = stage.aggregate(
        users=stage.user.notnull().sum(),
        int_users=_is_int(stage.user).sum(),
        items=stage.item.notnull().sum(),
        int_items=_is_int(stage.item).sum(),
        numbers=stage.number.notnull().sum(),
        instants=stage.instant.notnull().sum(),
        **{f"number_{name}": stage.number.approx_quantile(at) for name, at in QUANTILES.items()},
        **{f"instant_{name}": stage.instant.cast("float64").approx_quantile(at) for name, at in QUANTILES.items()},
    )
    fact: dict[str, Any] = engine.to_arrow(facts).to_pylist()[0]
    numeric = (fact["numbers"] or 0) >= (fact["instants"] or 0)
    kind = "number" if numeric else "instant"
    low, middle, high = (fact[f"{kind}_{name}"] for name in QUANTILES)
    number_unit = "ms" if columns is None else _unit(middle)
    unit = number_unit if numeric else "date"
    if middle is None or not unit:
        value = engine.to_arrow(
            stage.filter(stage.time.notnull()).order_by("n").select("time", "n").limit(1)
        ).to_pylist()
        shown = repr(value[0]["time"]) if value else "all empty"
        file, row = staged.place(value[0]["n"] if value else 0)
        raise DataError(
            f"the times (such as {shown}) cannot be read",
            where=f"{file}, row {row}",
            remedy=REMEDIES["the time cannot be read"],
        )
    scale = UNITS.get(unit, 1.0)
    return Reading(
        user_ids="int" if columns is None or fact["users"] == fact["int_users"] else "str",
        item_ids="int" if columns is None or fact["items"] == fact["int_items"] else "str",
        unit=unit,
        bulk_end=int(min(max(high * scale, 0), LATEST_MS)),
        bulk_span=int(min(max((high - low) * scale, 0), LATEST_MS)),
    )


QUANTILES = {"low": 0.05, "middle": 0.5, "high": 0.95}


def typed(stage: ir.Table, reading: Reading, columns: ColumnMap, *, as_of: int | None) -> ir.Table:
    """`user_id`, `item_id`, `kind`, `ts`, `n`, the first `fault` (null for a good row) and the `value` at fault.

    Rows of ignored event names are not in it.
    """
    ts = times(stage, reading)
    kind = _kind(stage, columns)
    user = stage.user.try_cast("int64") if reading.user_ids == "int" else stage.user
    item = stage.item.try_cast("int64") if reading.item_ids == "int" else stage.item
    never = ibis.literal(False)
    far = reading.bulk_end + max(366 * DAY_MS, reading.bulk_span)
    faults = [
        (stage.user.isnull(), "no user id", stage.user),
        (stage.item.isnull(), "no item id", stage.item),
        (stage.user_odd, "user id is over 128 bytes or holds a NUL", stage.user.left(40)),
        (stage.item_odd, "item id is over 128 bytes or holds a NUL", stage.item.left(40)),
        (~_is_int(stage.user) if reading.user_ids == "int" else never, "user id is not an integer", stage.user),
        (~_is_int(stage.item) if reading.item_ids == "int" else never, "item id is not an integer", stage.item),
        (kind.isnull(), UNKNOWN_EVENT, stage.event),
        (ts.isnull(), "the time cannot be read", stage.time),
        (ts < EARLIEST_MS, "the time is before 1995", stage.time),
        (ts >= LATEST_MS, "the time is after 2100", stage.time),
        (ts > as_of if as_of is not None else never, "the time is after as_of", stage.time),
        (ts > far if as_of is None else never, "the time is far after the rest of the log", stage.time),
    ]
    fault = ibis.cases(*((test, reason) for test, reason, _ in faults), else_=ibis.null("string"))
    value = ibis.cases(*((test, text) for test, _, text in faults), else_=ibis.null("string"))
    rows = stage.select(
        user_id=user, item_id=item, kind=kind, ts=ts, n=stage.n, event=stage.event, fault=fault, value=value
    )
    if columns.event is not None and columns.ignored:
        rows = rows.filter(rows.event.isnull() | ~rows.event.isin(sorted(columns.ignored)))
    return rows.drop("event")


def bot_ids(events: ir.Table, limits: Limits) -> ir.Table:
    """`user_id` of visitors who went over the limits in some hour or day; only those with enough events are counted."""
    floor = min(limits.bot_events_per_hour, limits.bot_events_per_day)
    totals = events.group_by("user_id").aggregate(total=events.count())
    busy = events.semi_join(totals.filter(totals.total > floor), "user_id")
    found = []
    for span, most in ((DAY_MS // 24, limits.bot_events_per_hour), (DAY_MS, limits.bot_events_per_day)):
        slots = busy.select("user_id", slot=busy.ts // span)
        counts = slots.group_by(["user_id", "slot"]).aggregate(events=slots.count())
        found.append(counts.filter(counts.events > most).select("user_id"))
    return ibis.union(*found, distinct=True)


def _is_int(text: ir.StringColumn) -> ir.BooleanColumn:
    """True for the plain decimal writing of an int64: "7", not "07", "7.0" or "+7"."""
    return (text.try_cast("int64").cast("string") == text).fill_null(False)


def _unit(middle: float | None) -> str:
    if middle is None:
        return ""
    return next((unit for unit, scale in UNITS.items() if EARLIEST_MS <= middle * scale < LATEST_MS), "")


def times(stage: ir.Table, reading: Reading) -> ir.IntegerColumn:
    """The times of staged rows in ms; null where there is none."""
    if reading.unit == "date":
        return stage.instant
    ts = stage.number * UNITS[reading.unit]
    return ibis.ifelse(ts.abs() < LARGEST, ts, ibis.null("float64")).round().cast("int64")


def _kind(stage: ir.Table, columns: ColumnMap) -> ir.IntegerColumn:
    if columns.event is None:
        return ibis.literal(BUY, "int8")
    known = [(stage.event == name, ibis.literal(kind, "int8")) for name, kind in columns.names.items()]
    return ibis.cases(*known, else_=ibis.null("int8"))

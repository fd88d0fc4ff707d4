"""Business facts by day: planted counts, where a day ends, and the real extract against pandas."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import ibis
import ibis.expr.types as ir
import pandas as pd
import pyarrow as pa
import pytest

from vitrina.engine import LocalEngine
from vitrina.events.days import business_days
from vitrina.events.prepare import prepare
from vitrina.events.readers import read_log
from vitrina.events.schema import BUY, CART, DAY_MS, VIEW

TS = 1_438_560_000_000  # 2015-08-03 00:00 UTC
HOUR = 3_600_000


def log(*rows: tuple[int, int, int]) -> ir.Table:
    """(user, kind, ms since the first day's begin) as prepared events."""
    user, kind, at = zip(*rows, strict=True) if rows else ((), (), ())
    return ibis.memtable(
        pa.table(
            {
                "user": pa.array(user, pa.int32()),
                "item": pa.array([0] * len(rows), pa.int32()),
                "kind": pa.array(kind, pa.int8()),
                "ts": pa.array([TS + ms for ms in at], pa.int64()),
            }
        )
    )


def names(days: list[dict[str, Any]]) -> list[str]:
    return [day["day"] for day in days]


def test_planted_counts(engine: LocalEngine) -> None:
    events = log(
        (1, VIEW, 0),
        (1, VIEW, HOUR),
        (1, CART, 2 * HOUR),
        (1, BUY, 3 * HOUR),
        (1, BUY, 3 * HOUR),  # two lines of one transaction
        (2, CART, HOUR),
        (2, CART, 2 * HOUR),
        (3, BUY, HOUR),  # bought before he carted: no buyer of those who carted
        (3, CART, 2 * HOUR),
        (4, BUY, DAY_MS - 1),  # bought and never carted
        (2, BUY, DAY_MS),  # carted the day before
        (5, VIEW, DAY_MS),
        (5, CART, DAY_MS),
        (5, BUY, DAY_MS),
        (1, VIEW, 2 * DAY_MS),  # begins a third day, so the second has ended
    )
    assert business_days(events, engine) == [
        {
            "day": "2015-08-03",
            "views": 2,
            "carts": 4,
            "purchases": 4,
            "visitors": 4,
            "carting_visitors": 3,
            "carting_buyers": 1,
        },
        {
            "day": "2015-08-04",
            "views": 1,
            "carts": 1,
            "purchases": 2,
            "visitors": 2,
            "carting_visitors": 1,
            "carting_buyers": 1,
        },
    ]


@pytest.mark.parametrize(
    ("last", "as_of", "complete"),
    [
        (2 * DAY_MS - 1, None, 1),
        (2 * DAY_MS, None, 2),
        (2 * DAY_MS - HOUR, 2 * DAY_MS - 1, 1),
        (2 * DAY_MS - HOUR, 2 * DAY_MS, 2),
        (2 * DAY_MS - HOUR, 2 * DAY_MS + 3 * HOUR, 2),
        (DAY_MS + HOUR, 2 * DAY_MS + HOUR, 2),
        (DAY_MS + HOUR, 2 * DAY_MS + HOUR + 1, 1),  # nothing came for more than a day
        (DAY_MS + HOUR, 900 * DAY_MS, 1),
        (2 * DAY_MS + HOUR, 2 * DAY_MS, 2),  # what came later is not looked at
        (2 * DAY_MS + HOUR, DAY_MS + HOUR, 1),
        (2 * DAY_MS + HOUR, DAY_MS - 1, 0),
    ],
)
def test_only_complete_days_count(engine: LocalEngine, last: int, as_of: int | None, complete: int) -> None:
    events = log((1, VIEW, 0), (1, VIEW, DAY_MS), (2, VIEW, last))
    days = business_days(events, engine, as_of=None if as_of is None else TS + as_of)
    assert names(days) == ["2015-08-03", "2015-08-04"][:complete]


def test_holes_are_left_out_and_only_the_newest_days_are_told(engine: LocalEngine) -> None:
    events = log(*[(1, VIEW, day * DAY_MS) for day in range(10) if day != 7])
    assert names(business_days(events, engine, most=3)) == ["2015-08-09", "2015-08-11"]
    assert len(business_days(events, engine)) == 8


def test_no_event_is_no_day(engine: LocalEngine) -> None:
    assert business_days(log(), engine) == []
    assert business_days(log((1, VIEW, HOUR)), engine, as_of=TS) == []


def test_the_extract_agrees_with_pandas(data_dir: Path, tmp_path: Path, engine: LocalEngine) -> None:
    source = data_dir / "retailrocket" / "events.csv.gz"
    read_log(source, None, tmp_path / "validated", engine)
    made = prepare(tmp_path / "validated", tmp_path / "prepared", engine)
    days = business_days(made.events(engine), engine)

    raw = pd.read_csv(source).drop_duplicates(["timestamp", "visitorid", "event", "itemid"])
    raw["day"] = pd.to_datetime(raw["timestamp"], unit="ms", utc=True).dt.strftime("%Y-%m-%d")
    raw = raw[raw["day"] < raw["day"].max()]
    counts = raw.pivot_table(index="day", columns="event", values="itemid", aggfunc="count", fill_value=0)
    expected = []
    for day, part in raw.groupby("day"):
        first_cart = part[part["event"] == "addtocart"].groupby("visitorid")["timestamp"].min()
        last_buy = part[part["event"] == "transaction"].groupby("visitorid")["timestamp"].max()
        both = first_cart.index.intersection(last_buy.index)
        expected.append(
            {
                "day": day,
                "views": counts.loc[day, "view"],
                "carts": counts.loc[day, "addtocart"],
                "purchases": counts.loc[day, "transaction"],
                "visitors": part["visitorid"].nunique(),
                "carting_visitors": len(first_cart),
                "carting_buyers": int((last_buy[both] >= first_cart[both]).sum()),
            }
        )
    assert len(days) > 130
    assert days == expected

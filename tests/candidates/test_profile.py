"""A folded history: distinct items, latest first, with counts, ages and the weight of a query."""

from __future__ import annotations

import numpy as np
import pytest

from vitrina.candidates.profile import MOST_EVENTS, MOST_ITEMS, Taste, fold, new_profile
from vitrina.events.schema import BUY, CART, DAY_MS, VIEW
from vitrina.features.history import History

AS_OF = 1_440_000_000_000
TASTE = Taste(kind_weights=(1.0, 2.0, 4.0), half_life=1.0, position_power=1.0, alpha=2.0)


def history(*events: tuple[int, int, float]) -> History:
    """(item, kind, days ago), most recent first."""
    item, kind, ago = zip(*events, strict=True)
    ts = [AS_OF - round(days * DAY_MS) for days in ago]
    return History(items=np.array(item, np.int32), kinds=np.array(kind, np.int8), ts=np.array(ts, np.int64))


def folded(events: History, begin: int = 0, end: int | None = None) -> tuple[int, list[dict[str, object]]]:
    slot, profile = np.full(1000, -1, np.int32), new_profile()
    end = len(events) if end is None else end
    n = fold(events.items, events.kinds, events.ts, begin, end, AS_OF, TASTE, slot, profile)
    assert (slot == -1).all()
    rows: list[dict[str, object]] = [
        {
            "item": int(profile.item[row]),
            "counts": profile.counts[row].tolist(),
            "days": [None if np.isnan(days) else float(days) for days in profile.days[row]],
            "weight": float(profile.weight[row]),
        }
        for row in range(n)
    ]
    return n, rows


def test_an_item_keeps_its_counts_ages_and_strongest_event() -> None:
    n, rows = folded(history((3, VIEW, 0), (5, VIEW, 1), (3, CART, 1), (3, VIEW, 2), (5, BUY, 1)))
    assert n == 2
    assert rows[0] == {"item": 3, "counts": [2, 1, 0], "days": [0, 1, None], "weight": 1.0}
    assert rows[1] == {"item": 5, "counts": [1, 0, 1], "days": [1, None, 1], "weight": 2.0 / 2}


def test_only_the_given_part_is_read() -> None:
    events = history((3, VIEW, 0), (5, VIEW, 1), (7, VIEW, 2))
    assert [row["item"] for row in folded(events, begin=1)[1]] == [5, 7]
    assert folded(events, begin=1, end=1) == (0, [])


def test_an_event_of_the_future_counts_as_one_of_now() -> None:
    assert folded(history((3, VIEW, -2)))[1][0] == {
        "item": 3,
        "counts": [1, 0, 0],
        "days": [0, None, None],
        "weight": 1.0,
    }


def test_a_long_history_keeps_its_latest_items() -> None:
    n, rows = folded(history(*((item, VIEW, item) for item in range(MOST_ITEMS + 10)), (2, BUY, 60)))
    assert n == MOST_ITEMS
    assert [row["item"] for row in rows] == list(range(MOST_ITEMS))
    assert rows[2]["counts"] == [1, 0, 1]  # an older event of an item that is kept still counts


@pytest.mark.parametrize(("place", "counts"), [(MOST_EVENTS - 1, [1, 0, 0]), (MOST_EVENTS, None)])
def test_events_beyond_the_latest_are_not_read(place: int, counts: list[int] | None) -> None:
    events = [(0, VIEW, 1.0)] * (MOST_EVENTS + 5)
    events[place] = (9, VIEW, 1.0)
    rows = {row["item"]: row["counts"] for row in folded(history(*events))[1]}
    assert rows.get(9) == counts

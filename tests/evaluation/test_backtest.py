from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import pytest

from vitrina.evaluation.backtest import backtest, item_counts, window_truth
from vitrina.evaluation.truth import EventArrays, Int32s
from vitrina.events.schema import BUY, CART, VIEW
from vitrina.events.splits import Window

EventsOf = Callable[..., EventArrays]

N_ITEMS = 10


# User 0 views 1 and later buys 1 (a repeat) and 2 (new). User 1 has no past. User 2 has a past and buys 3 twice.
@pytest.fixture
def log(events: EventsOf) -> EventArrays:
    return events(
        (0, 10, 1, VIEW),
        (0, 110, 1, BUY),
        (0, 120, 2, CART),
        (0, 210, 4, BUY),
        (1, 130, 5, BUY),
        (2, 20, 6, CART),
        (2, 140, 3, BUY),
        (2, 150, 3, BUY),
        (2, 220, 3, BUY),
    )


FIRST, SECOND = Window(100, 200), Window(200, 300)


@dataclass
class Fixed:
    """Answers every user with one list, and keeps what it was asked."""

    items: list[int]
    asked: list[tuple[int, list[int], int, bool]] = field(default_factory=list)

    def recommend(self, window: Window, users: Int32s, k: int, *, new_only: bool) -> Int32s:
        self.asked.append((window.start, users.tolist(), k, new_only))
        return np.tile(np.array((self.items + [-1] * k)[:k], dtype=np.int32), (len(users), 1))


def test_truth_of_a_window_by_protocol(log: EventArrays) -> None:
    repeats, new = window_truth(log, FIRST, "repeats"), window_truth(log, FIRST, "new")
    assert (repeats.row_ids.tolist(), repeats.items.tolist()) == ([0, 2], [1, 2, 3])
    assert (new.row_ids.tolist(), new.items.tolist()) == ([0, 2], [2, 3])
    later = window_truth(log, SECOND, "new")
    assert (later.row_ids.tolist(), later.items.tolist()) == ([0], [4])
    views = window_truth(log, FIRST, "repeats", kinds=(VIEW,))
    assert len(views) == 0


def test_both_protocols_pooled_over_windows(log: EventArrays) -> None:
    recipe = Fixed([1, 2, 3])
    result = backtest({"fixed": recipe}, [FIRST, SECOND], log, n_items=N_ITEMS, ks=(1, 3))
    repeats, new = result["repeats"]["fixed"], result["new"]["fixed"]
    assert repeats.clusters.tolist() == [0, 2, 0, 2]
    assert repeats.values["recall@3"].tolist() == [1.0, 1.0, 0.0, 1.0]
    assert repeats.values["hr@1"].tolist() == [1.0, 0.0, 0.0, 0.0]
    assert new.clusters.tolist() == [0, 2, 0]
    assert new.values["recall@3"].tolist() == [1.0, 1.0, 0.0]
    # item 1 leaves the list of user 0, so that 2 is now its first item
    assert new.values["hr@1"].tolist() == [1.0, 0.0, 0.0]


def test_a_recipe_is_asked_window_by_window_only_for_judged_users(log: EventArrays) -> None:
    recipe = Fixed([1])
    backtest({"fixed": recipe}, [FIRST, SECOND], log, n_items=N_ITEMS, ks=(1, 4))
    assert recipe.asked == [
        (100, [0, 2], 4, False),
        (100, [0, 2], 4, True),
        (200, [0, 2], 4, False),
        (200, [0], 4, True),
    ]


def test_list_metrics_see_only_the_past(log: EventArrays) -> None:
    result = backtest({"fixed": Fixed([1, 6])}, [FIRST], log, n_items=N_ITEMS, ks=(2,), tasks=("repeats",))
    assert result["repeats"]["fixed"].lists["coverage@2"] == 0.2
    assert result["repeats"]["fixed"].lists["popularity@2"] == 1.0
    assert item_counts(log, N_ITEMS, before=100).tolist() == [0, 1, 0, 0, 0, 0, 1, 0, 0, 0]
    assert item_counts(log, N_ITEMS).sum() == len(log)


def test_all_recipes_share_the_rows_and_steps_are_told(log: EventArrays) -> None:
    heard: list[str] = []
    result = backtest(
        {"a": Fixed([1]), "b": Fixed([3])}, [FIRST, SECOND], log, n_items=N_ITEMS, ks=(1,), on_step=heard.append
    )
    np.testing.assert_array_equal(result["new"]["a"].clusters, result["new"]["b"].clusters)
    assert heard == [f"{name}, window {number} of 2, from 1970-01-01" for number in (1, 2) for name in "ab"]
    assert result["repeats"]["a"].minus(result["repeats"]["b"], "hr@1").mean == pytest.approx(-1 / 4)


def test_a_window_without_buyers_gives_no_rows_and_asks_nobody(log: EventArrays) -> None:
    recipe = Fixed([1])
    result = backtest({"fixed": recipe}, [Window(300, 400)], log, n_items=N_ITEMS, ks=(1,))
    assert len(result["new"]["fixed"]) == 0
    assert recipe.asked == []


def test_wrong_lists_and_no_windows_are_refused(log: EventArrays) -> None:
    class Short(Fixed):
        def recommend(self, window: Window, users: Int32s, k: int, *, new_only: bool) -> Int32s:
            return super().recommend(window, users, k - 1, new_only=new_only)

    with pytest.raises(ValueError, match=r"recipe 'short' gave int32 \(2, 1\), not int32 \(2, 2\)"):
        backtest({"short": Short([1])}, [FIRST], log, n_items=N_ITEMS, ks=(2,))
    with pytest.raises(ValueError, match="at least one window"):
        backtest({"fixed": Fixed([1])}, [], log, n_items=N_ITEMS)

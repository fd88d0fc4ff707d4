from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from vitrina.errors import DataError
from vitrina.evaluation.sequential import evaluate_sequential, instances
from vitrina.evaluation.truth import EventArrays, Int32s, Int64s
from vitrina.events.schema import BUY, CART, VIEW
from vitrina.features.history import Histories

EventsOf = Callable[..., EventArrays]


@pytest.fixture
def log(events: EventsOf) -> EventArrays:
    return events(
        (0, 10, 1, VIEW),
        (0, 20, 2, VIEW),
        (0, 30, 2, CART),
        (0, 30, 3, CART),
        (0, 30, 3, BUY),
        (0, 40, 2, BUY),
        (1, 30, 5, CART),
        (1, 50, 6, BUY),
        (4, 5, 7, VIEW),
        (4, 90, 8, BUY),
    )


class Spy:
    """Keeps what it was shown, and answers with the history, most recent first."""

    def __init__(self) -> None:
        self.rows: list[tuple[int, list[int], list[int]]] = []

    def recommend(self, histories: Histories, as_of: Int64s, k: int, *, new_only: bool) -> Int32s:
        recs = np.full((len(as_of), k), -1, dtype=np.int32)
        for row, instant in enumerate(as_of):
            history = histories.of(row)
            self.rows.append((int(instant), history.items.tolist(), history.ts.tolist()))
            recs[row, : min(k, len(history))] = history.items[:k]
        return recs


class Oracle:
    """Cheats as far as it can: shows everything that is in the arrays it was handed."""

    def recommend(self, histories: Histories, as_of: Int64s, k: int, *, new_only: bool) -> Int32s:
        visible = np.unique(histories.items)[:k]
        row = np.full(k, -1, dtype=np.int32)
        row[: len(visible)] = visible
        return np.tile(row, (len(as_of), 1))


def test_one_instance_per_instant_and_item_of_users_with_a_past(log: EventArrays) -> None:
    found = instances(log, start=0, end=100, task="repeats")
    rows = zip(found.moments.users.tolist(), found.moments.as_of.tolist(), found.item.tolist(), strict=True)
    assert list(rows) == [(0, 30, 2), (0, 30, 3), (0, 40, 2), (1, 50, 6), (4, 90, 8)]
    spy = Spy()
    evaluate_sequential({"spy": spy}, found, task="repeats", ks=(3,))
    assert spy.rows == [
        (30, [2, 1], [20, 10]),
        (30, [2, 1], [20, 10]),
        (40, [3, 3, 2, 2, 1], [30, 30, 30, 20, 10]),
        (50, [5], [30]),
        (90, [7], [5]),
    ]


def test_new_leaves_out_what_was_touched_before(log: EventArrays) -> None:
    found = instances(log, start=0, end=100, task="new")
    assert found.item.tolist() == [3, 6, 8]
    spy = Spy()
    scores = evaluate_sequential({"spy": spy}, found, task="new", ks=(3,))["spy"]
    assert scores.mean("hr@3") == 0.0
    assert [items for _, items, _ in spy.rows] == [[2, 1], [5], [7]]


def test_the_span_bounds_the_instants_but_not_the_history(log: EventArrays) -> None:
    found = instances(log, start=40, end=90, task="repeats")
    assert found.moments.as_of.tolist() == [40, 50]
    assert found.histories().of(0).items.tolist() == [3, 3, 2, 2, 1]
    only_carts = instances(log, start=0, end=100, task="repeats", kinds=(CART,))
    assert only_carts.moments.as_of.tolist() == [30, 30]


def test_scores_of_own_history(log: EventArrays) -> None:
    found = instances(log, start=0, end=100, task="repeats")
    scores = evaluate_sequential({"spy": Spy()}, found, task="repeats", ks=(1, 3))["spy"]
    assert scores.clusters.tolist() == [0, 0, 0, 1, 4]
    assert scores.values["hr@1"].tolist() == [1, 0, 0, 0, 0]
    assert scores.values["mrr@3"].tolist() == [1, 0, 1 / 3, 0, 0]


def test_nothing_at_or_after_the_instant_is_visible(events: EventsOf, rng: np.random.Generator) -> None:
    """Each target occurs once in the whole log, at its instant: any hit means that the future was seen."""
    rows = []
    for user in range(30):
        ts = np.sort(rng.integers(0, 50, 20))  # many equal time stamps
        rows += [(user, int(t), 100 * user + place, int(rng.integers(0, 3))) for place, t in enumerate(ts)]
    log = events(*rows)
    found = instances(log, start=10, end=50, task="repeats", per_user=1000)
    assert len(found) > 200
    scores = evaluate_sequential({"spy": Spy()}, found, task="repeats", ks=(50,))["spy"]
    assert scores.mean("hr@50") == 0.0
    one_by_one = evaluate_sequential({"oracle": Oracle()}, found, task="repeats", ks=(50,), batch=1)["oracle"]
    assert one_by_one.mean("hr@50") == 0.0
    histories = found.histories()
    for row, (user, instant) in enumerate(zip(found.moments.users, found.moments.as_of, strict=True)):
        past = (log.user == user) & (log.ts < instant)
        assert sorted(histories.of(row).items.tolist()) == log.item[past].tolist()
        assert (np.diff(histories.of(row).ts) <= 0).all()


def test_a_busy_user_is_capped_at_random_but_repeatably(events: EventsOf) -> None:
    busy = [(0, ts, ts % 7, CART) for ts in range(60)]
    log = events(*busy, (1, 10, 1, VIEW), (1, 20, 1, CART))
    found = instances(log, start=5, end=60, task="repeats", per_user=8)
    assert np.bincount(found.moments.users).tolist() == [8, 1]
    assert (np.diff(found.moments.as_of[:8]) > 0).all()
    again = instances(log, start=5, end=60, task="repeats", per_user=8)
    assert again.moments.as_of.tolist() == found.moments.as_of.tolist()
    other = instances(log, start=5, end=60, task="repeats", per_user=8, seed=1)
    assert other.moments.as_of.tolist() != found.moments.as_of.tolist()


def test_batches_change_nothing(events: EventsOf, rng: np.random.Generator) -> None:
    rows = sorted((int(u), int(t), int(i), CART) for u, t, i in rng.integers(0, 12, (200, 3)))
    log = events(*rows)
    found = instances(log, start=4, end=12, task="repeats")
    whole = evaluate_sequential({"spy": Spy()}, found, task="repeats", ks=(5,))["spy"]
    parts = evaluate_sequential({"spy": Spy()}, found, task="repeats", ks=(5,), batch=7)["spy"]
    for name in whole.values:
        np.testing.assert_array_equal(whole.values[name], parts.values[name])


def test_an_empty_span_and_wrong_shapes_are_refused(log: EventArrays) -> None:
    nothing = instances(log, start=200, end=300, task="repeats")
    assert len(nothing) == 0
    with pytest.raises(DataError, match="nobody carted"):
        evaluate_sequential({"spy": Spy()}, nothing, task="repeats")

    class Short(Spy):
        def recommend(self, histories: Histories, as_of: Int64s, k: int, *, new_only: bool) -> Int32s:
            return super().recommend(histories, as_of, k, new_only=new_only)[:, :-1]

    with pytest.raises(ValueError, match="recipe 'short' gave"):
        evaluate_sequential({"short": Short()}, instances(log, start=0, end=100, task="new"), task="new", ks=(2,))

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from vitrina.evaluation.truth import EventArrays, Touched, Truth
from vitrina.events.schema import BUY, CART, VIEW
from vitrina.features.history import Histories

EventsOf = Callable[..., EventArrays]


def int32(*values: int) -> np.ndarray:
    return np.array(values, dtype=np.int32)


def as_dict(truth: Truth) -> dict[int, list[int]]:
    spans = zip(truth.indptr[:-1], truth.indptr[1:], strict=True)
    return {int(u): truth.items[a:b].tolist() for u, (a, b) in zip(truth.row_ids, spans, strict=True)}


@pytest.fixture
def log(events: EventsOf) -> EventArrays:
    return events(
        (0, 10, 5, VIEW),
        (0, 20, 5, CART),
        (0, 20, 7, VIEW),
        (0, 30, 6, BUY),
        (0, 30, 6, CART),
        (2, 20, 9, BUY),
        (2, 29, 1, CART),
        (3, 25, 1, VIEW),
    )


def test_truth_holds_distinct_positive_items_of_the_window_only(log: EventArrays) -> None:
    assert as_dict(Truth.from_events(log, start=20, end=30)) == {0: [5], 2: [1, 9]}
    assert as_dict(Truth.from_events(log, start=20, end=31)) == {0: [5, 6], 2: [1, 9]}
    assert as_dict(Truth.from_events(log, start=0, end=31, kinds=(VIEW,))) == {0: [5, 7], 3: [1]}


def test_new_only_drops_every_touched_item_and_rows_left_empty(log: EventArrays) -> None:
    past = log.between(None, 20)
    histories = Histories.from_events(past.user, past.item, past.kind, past.ts, users=4)
    truth = Truth.from_events(log, start=20, end=31).new_only(histories)
    assert as_dict(truth) == {0: [6], 2: [1, 9]}
    seen_all = Histories.from_events(log.user, log.item, log.kind, log.ts, users=4)
    assert len(Truth.from_events(log, start=20, end=31).new_only(seen_all)) == 0


def test_new_only_refuses_histories_of_other_users(log: EventArrays) -> None:
    past = log.where(log.user == 0)
    histories = Histories.from_events(past.user, past.item, past.kind, past.ts, users=1)
    with pytest.raises(ValueError, match="not among the histories"):
        Truth.from_events(log, start=20, end=31).new_only(histories)


def test_from_pairs_sorts_and_drops_repeats() -> None:
    truth = Truth.from_pairs(int32(4, 1, 4, 4), int32(2, 3, 2, 0))
    assert as_dict(truth) == {1: [3], 4: [0, 2]}
    assert truth.sizes.tolist() == [1, 2]
    assert truth.items.dtype == truth.row_ids.dtype == np.int32
    assert as_dict(truth.where(truth.row_ids == 4)) == {4: [0, 2]}
    assert len(Truth.from_pairs(int32(), int32())) == 0


@pytest.mark.parametrize(
    ("row_ids", "indptr", "items", "says"),
    [
        ([0, 1], [0, 1, 1], [3], "empty"),
        ([0], [0, 2], [3, 3], "distinct"),
        ([0], [0, 2], [3, 2], "ascending"),
        ([0], [0, 1], [-1], "ascending"),
        ([0], [0, 1, 2], [3, 4], "does not fit"),
        ([0], [0, 1], [3, 4], "does not fit"),
    ],
)
def test_a_malformed_truth_is_refused(row_ids: list[int], indptr: list[int], items: list[int], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        Truth(row_ids=int32(*row_ids), indptr=np.array(indptr, dtype=np.int64), items=int32(*items))


def test_items_may_fall_at_a_row_border() -> None:
    truth = Truth(row_ids=int32(0, 1), indptr=np.array([0, 2, 3], dtype=np.int64), items=int32(8, 9, 1))
    assert as_dict(truth) == {0: [8, 9], 1: [1]}


def test_events_out_of_order_are_refused(events: EventsOf) -> None:
    with pytest.raises(ValueError, match="sorted"):
        events((1, 10, 1, VIEW), (0, 20, 1, VIEW))
    with pytest.raises(ValueError, match="sorted"):
        events((0, 20, 1, VIEW), (0, 10, 1, VIEW))
    events((0, 20, 1, VIEW), (1, 10, 1, VIEW))


def test_touched_items_leave_a_list_and_it_closes_up() -> None:
    touched = Touched(int32(0, 0, 3), int32(7, 9, 7))
    recs = np.array([[7, 8, 9, 1], [7, 8, 9, 1], [-1, 7, -1, 2]], dtype=np.int32)
    left = touched.removed_from(recs, int32(0, 5, 3))
    assert left.tolist() == [[8, 1, -1, -1], [7, 8, 9, 1], [2, -1, -1, -1]]
    assert left.dtype == np.int32
    wide = np.arange(200, dtype=np.int32)[None, :]
    odd_left = Touched(np.zeros(100, dtype=np.int32), wide[0, ::2]).removed_from(wide, int32(0))
    assert odd_left[0].tolist() == [*range(1, 200, 2), *[-1] * 100]
    assert not Touched(int32(), int32()).holds(int32(0, 1), int32(1, -1)).any()
    assert not Touched(int32(0), int32(-1)).holds(int32(0), int32(-1)).any()

"""Histories answer "what had this visitor done strictly before t", most recent first, like a scan of the log."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vitrina.features.history import Histories, History

Row = tuple[int, int, int, int]

LOG: list[Row] = [  # user, item, kind, ts
    (0, 5, 0, 10),
    (0, 6, 1, 20),
    (0, 5, 2, 20),
    (2, 7, 0, 15),
]


def built(rows: list[Row], users: int) -> Histories:
    """Histories of rows sorted by (user, ts), as prepared events are."""
    user, item, kind, ts = np.array(rows, np.int64).reshape(-1, 4).T
    return Histories.from_events(
        user.astype(np.int32), item.astype(np.int32), kind.astype(np.int8), ts.astype(np.int64), users=users
    )


def seen(rows: list[Row], user: int, before: int) -> list[tuple[int, int, int]]:
    """(item, kind, ts) of one user strictly before a time, the last row first: a scan, the slow way."""
    return [(item, kind, ts) for who, item, kind, ts in reversed(rows) if who == user and ts < before]


def content(history: History) -> list[tuple[int, int, int]]:
    return list(zip(history.items.tolist(), history.kinds.tolist(), history.ts.tolist(), strict=True))


def slices(histories: Histories, begin: int, end: int) -> list[tuple[int, int, int]]:
    part = slice(begin, end)
    return content(History(items=histories.items[part], kinds=histories.kinds[part], ts=histories.ts[part]))


def test_a_users_events_stand_most_recent_first() -> None:
    histories = built(LOG, users=4)
    assert histories.users == 4
    assert histories.indptr.tolist() == [0, 3, 3, 4, 4]
    assert content(histories.of(0)) == [(5, 2, 20), (6, 1, 20), (5, 0, 10)]
    assert content(histories.of(2)) == [(7, 0, 15)]
    assert len(histories.of(1)) == len(histories.of(3)) == len(History.empty()) == 0
    assert [one.dtype.name for one in (histories.items, histories.kinds, histories.ts)] == ["int32", "int8", "int64"]


@pytest.mark.parametrize(("as_of", "expected"), [(10, 0), (11, 1), (20, 1), (21, 3), (0, 0), (10**15, 3)])
def test_an_event_at_exactly_the_time_is_not_seen(as_of: int, expected: int) -> None:
    moments = built(LOG, users=4).at(np.array([0], np.int32), as_of)
    assert int(moments.end[0] - moments.begin[0]) == expected
    assert moments.end[0] == 3


def test_each_row_may_have_its_own_time() -> None:
    histories = built(LOG, users=4)
    moments = histories.at(np.array([2, 0, 0], np.int32), np.array([16, 20, 21]))
    assert (moments.end - moments.begin).tolist() == [1, 1, 3]
    assert moments.as_of.tolist() == [16, 20, 21]
    chosen = moments[np.array([2, 0])]
    assert (chosen.users.tolist(), chosen.as_of.tolist(), len(chosen)) == ([0, 2], [21, 16], 2)


def test_before_copies_the_past_and_keeps_the_latest() -> None:
    histories = built(LOG, users=4)
    past = histories.before(20)
    assert content(past.of(0)) == [(5, 0, 10)]
    assert content(past.of(2)) == [(7, 0, 15)]
    latest = histories.before(100, most=2)
    assert content(latest.of(0)) == [(5, 2, 20), (6, 1, 20)]
    assert latest.indptr.tolist() == [0, 2, 2, 3, 3]


def test_one_history_is_a_set_of_one() -> None:
    history = built(LOG, users=4).of(0)
    assert content(Histories.single(history).of(0)) == content(history)
    assert Histories.single(History.empty()).users == 1


logs = st.lists(st.tuples(st.integers(0, 4), st.integers(0, 9), st.integers(0, 2), st.integers(0, 12)), max_size=40)


@given(rows=logs, as_of=st.integers(-1, 14), most=st.integers(0, 5))
def test_every_cut_equals_a_scan_of_the_log(rows: list[Row], as_of: int, most: int) -> None:
    rows = sorted(rows, key=lambda row: (row[0], row[3]))
    histories = built(rows, users=6)
    moments = histories.at(np.arange(6, dtype=np.int32), as_of)
    cut, short = histories.before(as_of), histories.before(as_of, most=most)
    for user in range(6):
        expected = seen(rows, user, as_of)
        assert slices(histories, moments.begin[user], moments.end[user]) == expected
        assert content(cut.of(user)) == expected
        assert content(short.of(user)) == expected[:most]

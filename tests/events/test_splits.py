"""Windows touch, do not overlap, end where the log ends, and never let a label into the history."""

from __future__ import annotations

from itertools import pairwise

import ibis
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vitrina.engine import LocalEngine
from vitrina.errors import ConfigError
from vitrina.events.splits import Window, enough_windows, log_windows, most_windows, rolling_windows

DAY = 86_400_000
TS = 1_429_920_000_000


@given(count=st.integers(1, 20), days=st.floats(0.01, 60), end=st.integers(TS, TS * 2))
def test_rolling_windows_touch_and_end_at_the_end(count: int, days: float, end: int) -> None:
    windows = rolling_windows(end, count, days=days)
    assert len(windows) == count
    assert windows[-1].end == end
    assert all(before.end == after.start for before, after in pairwise(windows))
    assert len({window.end - window.start for window in windows}) == 1


@given(first=st.integers(TS, TS + 400 * DAY), span=st.integers(0, 400 * DAY), most=st.integers(1, 8))
def test_a_log_gets_the_windows_that_it_affords(first: int, span: int, most: int) -> None:
    last = first + span
    windows = log_windows(first, last, most=most)
    count = most_windows(first, last, most=most)
    assert len(windows) == max(count, 1) <= most
    assert windows[-1].end == last + 1
    if count:
        assert windows[0].start - first >= 28 * DAY
        assert count == most or windows[0].start - 14 * DAY - first < 28 * DAY
    else:
        assert first <= windows[0].start
        assert span + 1 < (28 + 14) * DAY


def test_history_ends_where_labels_begin(engine: LocalEngine) -> None:
    times = [TS - DAY, TS - 1, TS, TS + DAY - 1, TS + DAY]
    events = ibis.memtable(pa.table({"ts": times}))
    window = Window(TS, TS + DAY)
    assert engine.to_arrow(window.history(events))["ts"].to_pylist() == times[:2]
    assert engine.to_arrow(window.history(events, days=0.5))["ts"].to_pylist() == times[1:2]
    assert engine.to_arrow(window.labels(events))["ts"].to_pylist() == times[2:4]
    assert (window.as_of, window.days) == (TS - 1, 1.0)


def test_windows_are_added_backwards_until_there_are_enough_users() -> None:
    assert enough_windows([50, 90, 80, 100], 100) == 1
    assert enough_windows([50, 90, 80, 100], 101) == 2
    assert enough_windows([50, 90, 80, 100], 1000) == 4
    assert enough_windows([], 10) == 0


def test_impossible_windows_are_refused() -> None:
    with pytest.raises(ConfigError, match="after its start"):
        Window(TS, TS)
    with pytest.raises(ConfigError, match="at least one window"):
        rolling_windows(TS, 0)
    with pytest.raises(ConfigError, match="more than 0 days"):
        rolling_windows(TS, 1, days=0)

"""The comparison of drivers: every driver keeps each event once, and the ratios are those of the figures."""

from __future__ import annotations

import pytest

from benchmarks import state


def test_every_driver_is_measured_and_keeps_each_event_once() -> None:
    found = state.run(events=200, rounds=1)
    for shape in state.SHAPES:
        seen = found["shapes"][shape]
        assert set(seen) == set(state.DRIVERS)
        assert seen[state.FIRST]["ratio"] == 1
        for one in seen.values():
            assert one["ratio"] == pytest.approx(one["rate"] / seen[state.FIRST]["rate"], rel=0.01)
    first, second = state.tables(found)
    assert [row[0] for row in first.rows] == list(state.DRIVERS)
    assert "100 events" in second.title


def test_a_tenth_of_the_events_is_sent_twice() -> None:
    events = state.events_of(3, 100)
    assert len(events) == 100
    assert len({event[0] for event in events}) == 90

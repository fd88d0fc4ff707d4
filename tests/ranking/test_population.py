"""Who is asked on a day, and what of their candidates is taken."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from vitrina.candidates.union import UNRANKED
from vitrina.events.schema import DAY_MS
from vitrina.features.history import Histories
from vitrina.ranking.pair_features import FEATURES
from vitrina.ranking.population import candidate_values, day_moments


def log(*events: tuple[int, int]) -> Histories:
    """(user, ts) of views, sorted."""
    user, ts = (np.array(column) for column in zip(*sorted(events), strict=True))
    zeros = np.zeros(len(ts))
    return Histories.from_events(
        user.astype(np.int32), zeros.astype(np.int32), zeros.astype(np.int8), ts.astype(np.int64), users=5
    )


def test_each_visitor_with_a_past_is_asked_once_at_an_event_of_the_day() -> None:
    start = 10 * DAY_MS
    histories = log(
        (0, 5), (0, start + 7), (0, start + 9),  # comes back
        (1, start + 3),  # a stranger
        (2, 5), (2, start - 1),  # not there on the day
        (3, 6), (3, start),  # the day's first millisecond
        (4, 6), (4, start + DAY_MS),  # a day later
    )  # fmt: skip
    asked = set()
    for seed in range(30):
        moments = day_moments(histories, start, start + DAY_MS, most=9, seed=seed)
        assert moments.users.tolist() == [0, 3]
        assert (histories.ts[moments.begin] < moments.as_of).all() and moments.as_of[1] == start
        asked.add(int(moments.as_of[0]) - start)
    assert asked == {7, 9}


def test_at_most_so_many_are_drawn_and_the_same_again() -> None:
    histories = log(*((user, ts) for user in range(5) for ts in (1, 100 + user)))
    drawn = [day_moments(histories, 100, 200, most=3, seed=seed).users.tolist() for seed in range(20)]
    assert all(len(users) == 3 for users in drawn) and len({tuple(users) for users in drawn}) > 1
    assert day_moments(histories, 100, 200, most=3, seed=4).users.tolist() == drawn[4]


def test_a_day_without_anybody_is_empty() -> None:
    assert len(day_moments(log((0, 5), (1, 6)), 100, 200, most=3, seed=0)) == 0


@pytest.mark.parametrize(("rows", "threads"), [(7, 1), (40, 3), (60, 2)])
def test_values_are_those_of_the_candidates_that_the_service_would_rank(
    rows: int, threads: int, world: Any, ask: Callable[..., Any]
) -> None:
    moments = world.histories.at(np.arange(20, dtype=np.int32), world.as_of)
    found = candidate_values(
        world.histories, moments, taste=world.taste, tables=world.tables, limit=30, rows=rows, threads=threads
    )
    for place in range(len(moments)):
        served = ask(place, limit=30)
        taken = np.arange(rows) * len(served.cand) // rows
        assert taken[0] == 0 and len(set(taken.tolist())) == min(rows, len(served.cand))
        expected = served.rows[taken]
        ranks = slice(FEATURES.index("own_history_rank"), FEATURES.index("fused_rank"))
        assert (expected[:, ranks] == UNRANKED).any()
        expected[:, ranks][expected[:, ranks] == UNRANKED] = np.nan
        np.testing.assert_array_equal(found[place], expected)

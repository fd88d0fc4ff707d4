"""The user-item matrix of the past: summed, decayed weights, the heaviest items of a long profile."""

from __future__ import annotations

from collections.abc import Callable

import ibis.expr.types as ir
import numpy as np
import pytest

from vitrina.engine import LocalEngine
from vitrina.events.schema import BUY, CART, DAY_MS, VIEW
from vitrina.features.past import LONGEST_PROFILE, Past

AsTable = Callable[..., ir.Table]
AS_OF = 1_440_000_000_000


def past_of(engine: LocalEngine, events: ir.Table, *, users: int, items: int) -> Past:
    return Past(
        engine=engine, events=events, as_of=AS_OF, users=users, items=items, category=np.full(items, -1, np.int32),
        weights=(1.0, 3.0, 5.0), half_life=10.0,
    )  # fmt: skip


def test_interactions_are_a_matrix_of_decayed_weights(engine: LocalEngine, as_table: AsTable) -> None:
    rows = [
        (0, 3, VIEW, AS_OF - 10 * DAY_MS), (0, 3, CART, AS_OF - 20 * DAY_MS), (0, 1, BUY, AS_OF - 10 * DAY_MS),
        (2, 0, VIEW, AS_OF - 10 * DAY_MS), (1, 0, VIEW, AS_OF), (2, 2, BUY, AS_OF + 5),
    ]  # fmt: skip
    matrix = past_of(engine, as_table(rows), users=4, items=5).interactions
    expected = np.zeros((4, 5), np.float32)
    expected[0, 3], expected[0, 1], expected[2, 0] = 0.5 + 3 / 4, 2.5, 0.5
    assert matrix.dtype == np.float32
    np.testing.assert_allclose(matrix.toarray(), expected, rtol=1e-6)


def test_profiles_are_the_users_with_two_items(engine: LocalEngine, as_table: AsTable) -> None:
    rows = [(user, item, VIEW, AS_OF - DAY_MS) for user, item in [(0, 0), (1, 1), (1, 2), (3, 0), (3, 2), (3, 4)]]
    profiles = past_of(engine, as_table([*rows, (0, 0, CART, AS_OF - 1)]), users=5, items=5).profiles
    assert (profiles.toarray() > 0).tolist() == [[False, True, True, False, False], [True, False, True, False, True]]


def test_a_crawlers_profile_keeps_its_heaviest_items(engine: LocalEngine, as_table: AsTable) -> None:
    items = LONGEST_PROFILE + 20
    rows = [(0, item, VIEW, AS_OF - DAY_MS) for item in range(items)]
    rows += [(0, item, BUY, AS_OF - DAY_MS) for item in range(items - 5, items)]
    kept = past_of(engine, as_table(rows), users=1, items=items).interactions
    assert kept.nnz == LONGEST_PROFILE
    # the five bought ones, then the smallest rows
    assert kept.indices.tolist() == [*range(LONGEST_PROFILE - 5), *range(items - 5, items)]


@pytest.mark.parametrize("users", [1, 3])
def test_no_event_before_the_time_is_an_empty_matrix(engine: LocalEngine, as_table: AsTable, users: int) -> None:
    past = past_of(engine, as_table([(0, 0, VIEW, AS_OF)]), users=users, items=2)
    assert past.interactions.shape == (users, 2) and past.interactions.nnz == 0
    assert past.profiles.shape == (0, 2)

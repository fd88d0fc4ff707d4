"""Popularity by decay, by window and by category, on a log whose order is plain."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from vitrina.candidates.popular import Popular
from vitrina.events.schema import BUY, CART, DAY_MS, VIEW
from vitrina.features.past import Past

AS_OF = 1_440_000_000_000
LOG = [
    (0, 0, BUY, AS_OF - 14 * DAY_MS),  # 5 halved twice
    (0, 1, VIEW, AS_OF - 7 * DAY_MS),  # 1 halved once, twice over
    (1, 1, VIEW, AS_OF - 7 * DAY_MS),
    (0, 2, CART, AS_OF - 7 * DAY_MS),  # 3 halved once
    (2, 3, VIEW, AS_OF - 7 * DAY_MS),  # as often as item 4
    (2, 4, VIEW, AS_OF - 7 * DAY_MS),
    (2, 5, BUY, AS_OF),  # not yet
]
CATEGORY = [0, 1, 1, 1, -1, 0, 0]


@pytest.fixture
def past(past_of: Callable[..., Past]) -> Past:
    return past_of(LOG, users=3, items=7, category=CATEGORY)


def test_scores_decay_and_ties_go_to_the_smaller_row(past: Past) -> None:
    found = Popular(half_life=7.0).fit(past)
    np.testing.assert_allclose(found.score, [1.25, 1.0, 1.5, 0.5, 0.5, 0, 0], rtol=1e-6)
    assert found.order.tolist() == [2, 0, 1, 3, 4]


def test_a_window_counts_without_decay(past: Past) -> None:
    found = Popular(window_days=7.0).fit(past)
    np.testing.assert_allclose(found.score, [0, 2, 3, 1, 1, 0, 0])
    assert found.order.tolist() == [2, 1, 3, 4]


def test_each_category_has_its_own_order(past: Past) -> None:
    found = Popular(half_life=7.0).fit(past)
    shelves = [
        found.shelf_items[a:b].tolist() for a, b in zip(found.shelf_indptr, found.shelf_indptr[1:], strict=False)
    ]
    assert shelves == [[0], [2, 1, 3]]
    short = Popular(half_life=7.0, per_category=2).fit(past)
    assert short.shelf_items.tolist() == [0, 2, 1]


def test_no_categories_are_no_shelves(past_of: Callable[..., Past]) -> None:
    found = Popular().fit(past_of(LOG, users=3, items=7))
    assert found.shelf_indptr.tolist() == [0]
    assert len(found.shelf_items) == 0

"""EASE on carts: the textbook solution on either side, forgetting old carts, and a catalogue too large to be solved."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest

from vitrina.candidates.carts import Carts, ItemItem
from vitrina.candidates.ease import EASE, EaseKernel
from vitrina.candidates.neighbours import Neighbours
from vitrina.errors import ConfigError
from vitrina.events.baskets.baskets import Baskets
from vitrina.events.schema import DAY_MS
from vitrina.features.past import Past

ITEMS = 12
Floats = npt.NDArray[np.float64]


@pytest.fixture(scope="module")
def carts(baskets_of: Callable[..., Baskets]) -> Carts:
    """60 carts, one a day; item 11 is in none."""
    rng = np.random.default_rng(5)
    rows = [rng.choice(11, size, replace=False) for size in rng.integers(2, 6, 60)]
    return Carts.of(baskets_of(rows, items=ITEMS, ts=[day * DAY_MS for day in range(60)]), threads=1)


def textbook(X: Floats, ridge: float) -> Floats:
    P = np.linalg.inv(X.T @ X + ridge * np.eye(X.shape[1]))
    B: Floats = -P / np.diag(P)
    np.fill_diagonal(B, 0.0)
    return B


@pytest.mark.parametrize(("discount", "half_life"), [(0.0, None), (0.3, None), (0.3, 20.0)])
def test_more_carts_than_items_are_solved_by_item(carts: Carts, discount: float, half_life: float | None) -> None:
    binary = carts.profiles.toarray().astype(np.float64)
    age = np.arange(60, 0, -1) - 1 + 1 / DAY_MS
    weight = binary.sum(axis=1) ** -(2 * discount) * (1 if half_life is None else 0.5 ** (age / half_life))
    found = EASE(ridge=3.0, user_discount=discount, half_life=half_life).fit(carts)
    assert isinstance(found, ItemItem)
    np.testing.assert_allclose(found.matrix, textbook(binary * np.sqrt(weight)[:, None], 3.0), atol=1e-5)
    assert not found.matrix[11].any()


def test_both_sides_say_the_same(carts: Carts) -> None:
    few = replace(carts, profiles=carts.profiles[:8], ts=carts.ts[:8])
    by_row = EASE(ridge=2.0).fit(few)
    assert isinstance(by_row, EaseKernel)
    binary = few.profiles.toarray().astype(np.float64)
    X = binary * (binary.sum(axis=1) ** -0.25)[:, None]
    expected = carts.profiles.toarray() @ textbook(X, 2.0)
    np.testing.assert_allclose(by_row.scores(carts.profiles), expected, atol=1e-4)


def test_of_a_large_catalogue_the_frequent_items_are_solved_for(carts: Carts) -> None:
    found = EASE(ridge=3.0, user_discount=0.0, most_items=5, keep=3).fit(carts)
    assert isinstance(found, Neighbours)
    binary = carts.profiles.toarray().astype(np.float64)
    chosen = np.sort(np.argsort(-binary.sum(axis=0), kind="stable")[:5])
    expected = textbook(binary[:, chosen], 3.0)
    for place, item in enumerate(chosen):
        best = [c for c in np.argsort(-expected[place])[:3] if expected[place, c] > 0]
        np.testing.assert_array_equal(found.of(item)[0], chosen[best])
        np.testing.assert_allclose(found.of(item)[1], expected[place, best], atol=1e-5)
    for item in set(range(ITEMS)) - set(chosen):
        assert len(found.of(item)[0]) == 0


def test_visitors_have_no_time_to_forget(past_of: Callable[..., Past]) -> None:
    past = past_of([(0, 0, 0, 1), (0, 1, 0, 1)], users=1, items=2)
    with pytest.raises(ConfigError, match="half_life"):
        EASE(half_life=10.0).fit(past)

"""Item-kNN, RP3beta and EASE against their formulas in dense numpy."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pytest
import scipy.sparse as sp

from vitrina.candidates import ease
from vitrina.candidates.ease import EASE
from vitrina.candidates.item_knn import ItemKNN, RP3Beta
from vitrina.candidates.neighbours import Neighbours
from vitrina.errors import ConfigError
from vitrina.events.schema import VIEW
from vitrina.features.past import Past

USERS, ITEMS, AS_OF = 30, 14, 1_440_000_000_000
Floats = npt.NDArray[np.float64]


@pytest.fixture(scope="module")
def past(past_of: Callable[..., Past]) -> Past:
    """30 visitors, of whom the last five touched one item only; item 13 is touched by such a visitor alone."""
    rng = np.random.default_rng(5)
    rows = [
        (user, int(item), VIEW, AS_OF - 1) for user in range(25) for item in rng.choice(13, 2 + user % 5, replace=False)
    ]
    rows += [(user, 13 if user == 29 else 0, VIEW, AS_OF - 1) for user in range(25, 30)]
    return past_of(rows, users=USERS, items=ITEMS)


def binary(past: Past) -> Floats:
    """(users with two items or more, items) of zeros and ones."""
    return (past.profiles.toarray() > 0).astype(np.float64)


def dense(found: Neighbours) -> Floats:
    return sp.csr_array((found.weights, found.items, found.indptr), shape=(ITEMS, ITEMS)).toarray().astype(np.float64)


def without_diagonal(matrix: Floats) -> Floats:
    return matrix * (1 - np.eye(ITEMS))


@pytest.mark.parametrize(("user_discount", "damping"), [(0.0, 0.0), (0.5, 0.0), (0.5, 0.4)])
def test_item_knn_is_discounted_co_occurrence(past: Past, user_discount: float, damping: float) -> None:
    B = binary(past)
    sizes, frequency = B.sum(axis=1), np.maximum(B.sum(axis=0), 1)
    expected = (B.T * sizes**-user_discount) @ B * frequency**-damping
    found = ItemKNN(keep=ITEMS, user_discount=user_discount, damping=damping).fit(past)
    np.testing.assert_allclose(dense(found), without_diagonal(expected), rtol=1e-5)


def test_rp3beta_is_a_walk_of_three_steps(past: Past) -> None:
    B = binary(past)
    to_user = (B.T / np.maximum(B.sum(axis=0), 1)[:, None]) ** 0.7
    to_item = (B / B.sum(axis=1)[:, None]) ** 0.7
    expected = to_user @ to_item / np.maximum(B.sum(axis=0), 1) ** 0.4
    found = RP3Beta(keep=ITEMS, alpha=0.7, beta=0.4).fit(past)
    np.testing.assert_allclose(dense(found), without_diagonal(expected), rtol=1e-5)


def test_only_the_best_neighbours_stay(past: Past) -> None:
    every, few = ItemKNN(keep=ITEMS).fit(past), ItemKNN(keep=3).fit(past)
    for item in range(ITEMS):
        np.testing.assert_array_equal(few.of(item)[0], every.of(item)[0][:3])
    assert len(every.of(13)[0]) == 0


@pytest.mark.parametrize("user_discount", [0.0, 0.25])
def test_ease_in_the_users_kernel_is_the_textbook_solution(past: Past, user_discount: float) -> None:
    B = binary(past)
    X = B * (B.sum(axis=1) ** -user_discount)[:, None]
    ridge = 3.0
    P = np.linalg.inv(X.T @ X + ridge * np.eye(ITEMS))
    textbook = np.eye(ITEMS) - P / np.diag(P)
    np.testing.assert_allclose(np.diag(textbook), 0.0, atol=1e-12)
    query = (np.random.default_rng(1).random((6, ITEMS)) < 0.3).astype(np.float32)
    fitted = EASE(ridge=ridge, user_discount=user_discount).fit(past)
    np.testing.assert_allclose(fitted.scores(sp.csr_array(query)), query @ textbook, atol=2e-5)
    single = fitted.scores(sp.csr_array(np.eye(ITEMS, dtype=np.float32)))
    np.testing.assert_allclose(np.diag(single), 0.0, atol=2e-6)


def test_ease_refuses_more_users_than_it_can_solve(past: Past, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ease, "MOST_EQUATIONS", 13)
    with pytest.raises(ConfigError, match="25"):
        EASE().fit(past)

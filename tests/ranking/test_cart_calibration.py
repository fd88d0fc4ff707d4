"""Confidence comes true on rows that it has not seen, never falls with the score, and knows what size it speaks of."""

from __future__ import annotations

import numpy as np
import pytest

from vitrina.ranking.cart_calibration import SIZES, CartConfidence


def _carts(seed: int, rows: int = 40_000) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Scores, whether taken, sizes, and the true shares: a score is worth twice as much in a cart of eight or more."""
    random = np.random.default_rng(seed)
    scores, sizes = random.random(rows), random.integers(0, 40, rows)
    shares = scores**2 * np.where(sizes >= 8, 0.6, 0.3)
    return scores, random.random(rows) < shares, sizes, shares


def test_shares_are_found_for_every_size_on_rows_of_another_day() -> None:
    scores, taken, sizes, _ = _carts(1)
    confidence = CartConfidence.fit(scores, taken, sizes, np.arange(len(scores)))
    fresh, _, fresh_sizes, shares = _carts(2, 500)
    found = [float(confidence.of(np.array([s]), int(k))[0]) for s, k in zip(fresh, fresh_sizes, strict=True)]
    assert np.abs(np.array(found) - shares).mean() < 0.02


@pytest.mark.parametrize("prior", [None, CartConfidence.as_said(), CartConfidence.never()])
def test_a_higher_score_is_never_less_sure(prior: CartConfidence | None) -> None:
    scores, taken, sizes, _ = _carts(3, 2_000)
    confidence = CartConfidence.fit(scores, taken, sizes, np.arange(len(scores)), prior)
    grid = np.linspace(-1, 2, 500)
    for size in SIZES:
        shares = confidence.of(grid, size)
        assert (np.diff(shares) >= 0).all() and shares[0] >= 0 and shares[-1] <= 1


def test_a_size_without_rows_takes_the_nearest_curve_and_no_rows_promise_nothing() -> None:
    scores, taken = np.linspace(0, 1, 400), np.arange(400) >= 200
    alike = CartConfidence.fit(scores, taken, np.full(400, 5), np.arange(400))
    assert alike.of(np.array([0.9]), 1)[0] == alike.of(np.array([0.9]), 50)[0] == pytest.approx(1.0)
    none = CartConfidence.fit(np.empty(0), np.empty(0, np.bool_), np.empty(0, np.int64), np.empty(0, np.int64))
    assert none.of(np.array([0.5, 2.0]), 3).tolist() == [0.0, 0.0]


def test_a_size_of_few_baskets_takes_the_nearest_curve_however_many_rows_they_have() -> None:
    """All that a hundred small carts showed was taken by a tenth, all that the one large cart showed was bought."""
    sizes, baskets = np.repeat([1, 40], [1_000, 100]), np.append(np.arange(1_000) // 10, np.full(100, 100))
    taken = np.append(np.arange(1_000) % 10 == 0, np.ones(100, np.bool_))
    confidence = CartConfidence.fit(np.full(1_100, 0.5), taken, sizes, baskets)
    assert confidence.of(np.array([0.5]), 40)[0] == pytest.approx(0.1)


@pytest.mark.parametrize(("baskets", "said"), [(0, 0.5), (1, 0.49), (50, 0.25), (4_950, 0.005)])
def test_the_fewer_baskets_the_more_is_taken_as_it_is_said(baskets: int, said: float) -> None:
    """Nothing of what was said with one half was taken."""
    of = np.repeat(np.arange(baskets), 20)
    none = np.zeros(len(of), np.int64)
    found = CartConfidence.fit(np.full(len(of), 0.5), none > 0, none, of, CartConfidence.as_said())
    assert found.of(np.array([0.5]), 1)[0] == pytest.approx(said, abs=0.001)


def test_equal_scores_are_told_what_came_of_all_of_them() -> None:
    """Four scores, each taken at a share of its own; the order of rows says nothing."""
    random = np.random.default_rng(4)
    kind = random.choice(4, 8_000, p=[0.7, 0.2, 0.08, 0.02])
    shares = np.array([0.02, 0.06, 0.1, 0.2])
    taken = random.random(8_000) < shares[kind]
    confidence = CartConfidence.fit(kind / 20, taken, np.zeros(8_000, np.int64), np.arange(8_000))
    came = [taken[kind == each].mean() for each in range(4)]
    assert confidence.of(np.arange(4) / 20, 0) == pytest.approx(came)

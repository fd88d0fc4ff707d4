from __future__ import annotations

import math

import numpy as np
import pytest

from vitrina.evaluation.bootstrap import mean_interval, mean_intervals, paired_difference


def test_agrees_with_the_formula_for_independent_users(rng: np.random.Generator) -> None:
    values = rng.normal(0.3, 0.2, 800)
    got = mean_interval(values, np.arange(800))
    half = 1.96 * values.std(ddof=1) / math.sqrt(800)
    assert got.mean == pytest.approx(values.mean())
    assert got.low == pytest.approx(values.mean() - half, abs=0.12 * half)
    assert got.high == pytest.approx(values.mean() + half, abs=0.12 * half)


def test_the_same_seed_gives_the_same_interval_and_another_seed_another(rng: np.random.Generator) -> None:
    values, users = rng.random(200), np.arange(200)
    assert mean_interval(values, users, seed=3) == mean_interval(values, users, seed=3)
    assert mean_interval(values, users, seed=3) != mean_interval(values, users, seed=4)


def test_a_user_of_several_windows_is_one_cluster(rng: np.random.Generator) -> None:
    per_user = rng.normal(size=300)
    once = mean_interval(per_user, np.arange(300))
    copies, users = np.repeat(per_user, 5), np.repeat(np.arange(300), 5)
    five = mean_interval(copies, users)
    ignored = mean_interval(copies, np.arange(1500))
    assert (five.low, five.high) == pytest.approx((once.low, once.high))
    assert ignored.high - ignored.low < 0.6 * (five.high - five.low)


def test_the_mean_is_over_rows_and_order_of_rows_does_not_matter(rng: np.random.Generator) -> None:
    values, users = rng.random(90), rng.integers(0, 40, 90)
    turned = rng.permutation(90)
    straight, shuffled = mean_interval(values, users), mean_interval(values[turned], users[turned])
    assert straight.mean == pytest.approx(values.mean())
    assert (straight.low, straight.high) == pytest.approx((shuffled.low, shuffled.high))


def test_users_with_many_rows_do_not_move_a_constant() -> None:
    users = np.repeat(np.arange(20), np.arange(1, 21))
    constant = mean_interval(np.full(len(users), 0.25), users)
    assert (constant.mean, constant.low, constant.high) == pytest.approx((0.25, 0.25, 0.25), abs=1e-12)


def test_pairing_finds_what_two_separate_intervals_hide(rng: np.random.Generator) -> None:
    hard = rng.normal(0.0, 1.0, 500)  # what makes a user easy or hard for any model
    a, b = hard + 0.05 + rng.normal(0, 0.05, 500), hard + rng.normal(0, 0.05, 500)
    users = np.arange(500)
    paired = paired_difference(a, b, users)
    assert paired.low > 0
    assert paired.mean == pytest.approx(0.05, abs=0.01)
    assert mean_interval(a, users).low < mean_interval(b, users).high
    broken = paired_difference(a, rng.permutation(b), users)
    assert broken.low < 0
    assert broken.high - broken.low > 5 * (paired.high - paired.low)


def test_the_interval_covers_a_planted_difference_as_often_as_it_says(rng: np.random.Generator) -> None:
    planted, covered, trials = 0.02, 0, 200
    for trial in range(trials):
        users = np.repeat(np.arange(80), rng.integers(1, 4, 80))
        taste = rng.normal(0, 0.1, 80)[users]  # shared by all rows of one user
        a = planted + taste + rng.normal(0, 0.1, len(users))
        interval = paired_difference(a, np.zeros(len(users)), users, seed=trial, n=400)
        covered += interval.low <= planted <= interval.high
    assert 0.89 <= covered / trials <= 0.99


def test_columns_are_drawn_together(rng: np.random.Generator) -> None:
    values, users = rng.random((50, 2)), np.arange(50)
    both = mean_intervals(values, users, seed=1)
    assert both[0].low == pytest.approx(mean_interval(values[:, 0], users, seed=1).low)
    assert both[1].low == pytest.approx(mean_interval(values[:, 1], users, seed=1).low)


def test_level_moves_the_ends(rng: np.random.Generator) -> None:
    values, users = rng.normal(size=100), np.arange(100)
    wide, narrow = mean_interval(values, users, level=0.99), mean_interval(values, users, level=0.5)
    assert wide.low < narrow.low < narrow.high < wide.high


def test_no_difference_has_no_width() -> None:
    same = np.linspace(0, 1, 30)
    assert paired_difference(same, same, np.arange(30)).as_json() == {"mean": 0.0, "low": 0.0, "high": 0.0}


def test_one_user_says_nothing_about_others() -> None:
    alone = mean_interval(np.array([0.2, 0.4]), np.array([7, 7]))
    assert alone.mean == pytest.approx(0.3)
    assert (alone.low, alone.high) == (-math.inf, math.inf)
    assert alone.as_json()["low"] is None


def test_nothing_and_unequal_pairs_are_refused() -> None:
    with pytest.raises(ValueError, match="no interval"):
        mean_interval(np.empty(0), np.empty(0, dtype=np.int64))
    with pytest.raises(ValueError, match="same rows"):
        paired_difference(np.zeros(2), np.zeros(3), np.arange(2))

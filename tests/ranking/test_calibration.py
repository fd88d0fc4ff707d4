"""Calibration undoes a planted distortion, keeps the order, and trusts few acquisitions little."""

from __future__ import annotations

import json

import numpy as np
import numpy.typing as npt
import pytest

from vitrina.ranking.calibration import ProductCalibration

N = 24


@pytest.fixture(scope="module")
def log_odds() -> npt.NDArray[np.float64]:
    return np.random.default_rng(1).normal(-2.5, 1.5, (20_000, N))


def drawn(log_odds: npt.NDArray[np.float64]) -> npt.NDArray[np.bool_]:
    return np.random.default_rng(2).random(log_odds.shape) < 1 / (1 + np.exp(-log_odds))


def test_a_planted_distortion_is_undone(log_odds: npt.NDArray[np.float64]) -> None:
    taken = drawn(0.7 * log_odds - 0.5)
    found = ProductCalibration.fit(log_odds, taken, np.ones_like(taken))
    np.testing.assert_allclose(found.slope, 0.7, atol=0.08)
    np.testing.assert_allclose(found.shift, -0.5, atol=0.2)
    np.testing.assert_allclose(found.apply(log_odds).mean(axis=0), taken.mean(axis=0), rtol=0.03)


def test_true_log_odds_stay(log_odds: npt.NDArray[np.float64]) -> None:
    found = ProductCalibration.fit(log_odds, drawn(log_odds), np.ones(log_odds.shape, bool))
    np.testing.assert_allclose(found.slope, 1, atol=0.06)
    np.testing.assert_allclose(found.shift, 0, atol=0.12)


def test_the_order_within_a_product_stays(log_odds: npt.NDArray[np.float64]) -> None:
    contrary = drawn(-log_odds)  # the model is wrong way round
    found = ProductCalibration.fit(log_odds, contrary, np.ones_like(contrary), slope_spread=10.0)
    order = np.argsort(log_odds, axis=0)
    assert (np.diff(np.take_along_axis(found.apply(log_odds), order, 0), axis=0) >= 0).all()


def test_only_judged_products_count(log_odds: npt.NDArray[np.float64]) -> None:
    taken, judged = drawn(log_odds), np.ones(log_odds.shape, bool)
    judged[:, 3] = False
    judged[10_000:, 4] = False
    taken[10_000:, 4] = True
    found = ProductCalibration.fit(log_odds, taken, judged)
    assert (found.slope[3], found.shift[3]) == (1, 0)
    assert found.slope[4] == pytest.approx(1, abs=0.1)


def test_one_acquisition_moves_little() -> None:
    log_odds, taken = np.full((5_000, N), -9.0), np.zeros((5_000, N), bool)
    taken[0] = True
    found = ProductCalibration.fit(log_odds, taken, np.ones_like(taken))
    assert found.apply(log_odds[:1])[0, 0] < 1 / 5_000


def test_it_survives_json(log_odds: npt.NDArray[np.float64]) -> None:
    found = ProductCalibration.fit(log_odds, drawn(0.8 * log_odds), np.ones(log_odds.shape, bool))
    again = ProductCalibration.from_json(json.loads(json.dumps(found.as_json())))
    np.testing.assert_array_equal(again.apply(log_odds), found.apply(log_odds))

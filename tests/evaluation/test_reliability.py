"""Areas and reliability of probabilities: by hand, and the exaggeration that was planted."""

from __future__ import annotations

import numpy as np
import pytest

from vitrina.evaluation.reliability import SortedScores, expected_calibration_error


def test_areas_by_hand() -> None:
    scores = SortedScores.of(np.array([0.9, 0.8, 0.8, 0.3], dtype=np.float32), np.array([False, True, False, True]))
    assert scores.roc_auc == pytest.approx((0.5 + 0.0) / 4)  # one tie among four pairs, the rest in the wrong order
    assert scores.pr_auc == pytest.approx(0.5 * (1 / 3) + 0.5 * (2 / 4))
    assert scores.reached(0.8) == (3, 1)
    assert scores.reached(0.95) == (0, 0)


def test_areas_without_a_pair_are_undefined_and_constants_are_worth_the_base_rate() -> None:
    p = np.full(10, 0.25)
    assert SortedScores.of(p, np.zeros(10, dtype=np.bool_)).roc_auc is None
    assert SortedScores.of(p, np.zeros(10, dtype=np.bool_)).pr_auc is None
    assert SortedScores.of(p, np.ones(10, dtype=np.bool_)).roc_auc is None
    for same in (p, np.zeros(10)):
        scores = SortedScores.of(same, np.arange(10) < 3)
        assert (scores.roc_auc, scores.pr_auc) == (0.5, pytest.approx(0.3))


def test_calibration_error_by_hand() -> None:
    p = np.array([0.1, 0.1, 0.2, 0.2, 0.8, 0.8])
    y = np.array([False, True, False, False, True, True])
    # two bins of three cases: the tie of the third and fourth case draws the fourth into the first bin
    mass = (4 * abs(0.15 - 0.25) + 2 * abs(0.8 - 1.0)) / 6
    assert expected_calibration_error(p, y, 2) == pytest.approx(mass)
    table = SortedScores.of(p, y).reliability(2)
    assert (table.count.tolist(), table.low.tolist(), table.high.tolist()) == ([4, 2], [0.1, 0.8], [0.2, 0.8])
    assert table.happened.tolist() == [0.25, 1.0]
    ten = (2 * abs(0.1 - 0.5) + 2 * abs(0.2 - 0.0) + 2 * abs(0.8 - 1.0)) / 6
    assert expected_calibration_error(p, y, 10, "equal_width") == pytest.approx(ten)


@pytest.mark.parametrize("kind", ["equal_mass", "equal_width"])
def test_calibration_finds_the_planted_exaggeration(rng: np.random.Generator, kind: str) -> None:
    truth = rng.beta(0.5, 5.0, 200_000).astype(np.float32)
    y = rng.random(len(truth)) < truth
    honest = SortedScores.of(truth, y).reliability(20, kind)  # type: ignore[arg-type]
    assert honest.error < 0.004
    assert honest.count.sum() == 200_000
    assert (honest.count * honest.happened).sum() == pytest.approx(y.sum())
    half = SortedScores.of(truth / 2, y).reliability(20, kind)  # type: ignore[arg-type]
    assert half.error == pytest.approx(truth.mean() / 2, abs=0.002)
    assert (half.happened > half.said)[half.count > 500].all()


def test_bins_of_equal_mass_are_equal_and_those_of_equal_width_are_not(rng: np.random.Generator) -> None:
    p = rng.beta(0.5, 50.0, 1000)
    scores = SortedScores.of(p, p > 0.02)
    assert set(scores.reliability(8).count.tolist()) == {125}
    wide = scores.reliability(8, "equal_width")
    assert wide.count[0] > 900
    assert (wide.high <= (np.arange(len(wide.high)) + 1) / 8).all()
    assert SortedScores.of(p[:3], p[:3] > 1).reliability(8).count.tolist() == [1, 1, 1]
    assert SortedScores.of(p[:0], p[:0] > 1).reliability(8).error == 0.0


def test_one_constant_is_one_bin() -> None:
    table = SortedScores.of(np.zeros(50), np.arange(50) < 5).reliability(15)
    assert (table.count.tolist(), table.said.tolist(), table.happened.tolist()) == ([50], [0.0], [0.1])
    assert table.error == pytest.approx(0.1)


def test_no_bin_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one bin"):
        SortedScores.of(np.zeros(3), np.zeros(3, dtype=np.bool_)).reliability(0)

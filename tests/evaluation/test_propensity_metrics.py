from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from sklearn.metrics import average_precision_score, roc_auc_score

from vitrina.evaluation.propensity_metrics import (
    PRODUCT_CODES,
    Predictions,
    SortedScores,
    customer_scores,
    expected_calibration_error,
    offers,
)

Array = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]


def case(rng: np.random.Generator, rows: int, *, products: int = 24, digits: int | None = None) -> Predictions:
    """A world whose probabilities are true; `digits` rounds them, which makes ties."""
    p = rng.beta(0.4, 4.0, (rows, products)).astype(np.float32)
    p = p if digits is None else np.round(p, digits).astype(np.float32)
    owned = rng.random(p.shape) < 0.2
    acquired = (rng.random(p.shape) < p) & ~owned
    return Predictions(probabilities=p, acquired=acquired, owned=owned, products=PRODUCT_CODES[:products])


def slow_average_precision(p: Array, acquired: Mask, owned: Mask, k: int) -> float:
    """Kaggle's score of one row, written out."""
    ranked = sorted((j for j in range(len(p)) if not owned[j] and p[j] > 0), key=lambda j: (-p[j], j))[:k]
    if not acquired.any():
        return 0.0
    hits, total = 0, 0.0
    for place, product in enumerate(ranked, start=1):
        if acquired[product]:
            hits += 1
            total += hits / place
    return total / min(k, int(acquired.sum()))


def row(*values: float) -> Array:
    return np.array([values], dtype=np.float32)


def mask(*places: int, products: int = 8) -> Mask:
    return np.isin(np.arange(products), places)[None, :]


def test_map_by_hand() -> None:
    p = row(0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2)
    names = PRODUCT_CODES[:8]

    def value(acquired: Mask, owned: Mask) -> float:
        predictions = Predictions(probabilities=p, acquired=acquired, owned=owned, products=names)
        return customer_scores(predictions, np.array([5])).mean("map@7")

    nothing = mask()
    assert value(mask(0), nothing) == 1.0
    assert value(mask(2), nothing) == pytest.approx(1 / 3)
    assert value(mask(2), mask(0)) == pytest.approx(1 / 2)  # the owned one takes no place
    assert value(mask(1, 3), nothing) == pytest.approx((1 / 2 + 2 / 4) / 2)
    assert value(mask(7), nothing) == 0.0  # the eighth place is below the list
    assert value(mask(7), mask(4)) == pytest.approx(1 / 7)
    assert value(mask(*range(8)), nothing) == 1.0  # of eight acquisitions seven fit
    assert value(nothing, nothing) == 0.0


@pytest.mark.parametrize("digits", [None, 1])
@pytest.mark.parametrize("products", [24, 3])
def test_map_agrees_with_a_slow_loop(rng: np.random.Generator, digits: int | None, products: int) -> None:
    world = case(rng, 300, products=products, digits=digits)
    got = customer_scores(world, np.arange(300)).column("map@7")
    expected = [
        slow_average_precision(*one, 7) for one in zip(world.probabilities, world.acquired, world.owned, strict=True)
    ]
    np.testing.assert_allclose(got, expected, rtol=1e-12)
    assert 0 < np.mean(expected) < 1


def test_offers_leave_out_what_is_owned_or_impossible_and_keep_the_order_of_ties() -> None:
    p = row(0.5, 0.9, 0.0, 0.5, 0.7)
    assert offers(p, mask(4, products=5), 4).tolist() == [[1, 0, 3, -1]]
    assert offers(p, mask(products=5), 2).tolist() == [[1, 4]]
    assert offers(p, mask(products=5), 7).tolist() == [[1, 4, 0, 3, -1, -1, -1]]


def test_models_are_paired_by_customer(rng: np.random.Generator) -> None:
    world = case(rng, 900)
    noise = rng.random(world.probabilities.shape, dtype=np.float32)
    guess = Predictions(probabilities=noise, acquired=world.acquired, owned=world.owned)
    customers = np.repeat(np.arange(300), 3)
    better = customer_scores(world, customers).minus(customer_scores(guess, customers), "map@7", n=200)
    assert better.low > 0
    assert customer_scores(world, customers).users == 300
    with pytest.raises(ValueError, match="customers for 900 rows"):
        customer_scores(world, customers[1:])


def test_areas_by_hand() -> None:
    scores = SortedScores.of(np.array([0.9, 0.8, 0.8, 0.3], dtype=np.float32), np.array([False, True, False, True]))
    assert scores.roc_auc == pytest.approx((0.5 + 0.0) / 4)  # one tie among four pairs, the rest in the wrong order
    assert scores.pr_auc == pytest.approx(0.5 * (1 / 3) + 0.5 * (2 / 4))
    assert scores.reached(0.8) == (3, 1)
    assert scores.reached(0.95) == (0, 0)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("digits", [None, 2, 0])
def test_areas_agree_with_sklearn(rng: np.random.Generator, digits: int | None, dtype: type[np.floating]) -> None:
    world = case(rng, 400, digits=digits)
    world = Predictions(probabilities=world.probabilities.astype(dtype), acquired=world.acquired, owned=world.owned)
    opened = ~world.owned
    pairs = [(world.pooled(), world.acquired[opened], world.probabilities[opened])]
    pairs += [
        (scores, world.acquired[opened[:, j], j], world.probabilities[opened[:, j], j])
        for j, scores in enumerate(world.by_product())
    ]
    assert len(pairs) == 25
    for scores, y, p in pairs:
        assert scores.roc_auc == pytest.approx(roc_auc_score(y, p), rel=1e-12)
        assert scores.pr_auc == pytest.approx(average_precision_score(y, p), rel=1e-12)


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


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -0.1, 1.5])
def test_what_is_no_probability_is_refused_by_name(rng: np.random.Generator, bad: float) -> None:
    p = rng.random((4, 24), dtype=np.float32)
    p[2, 1] = bad
    nothing = np.zeros(p.shape, dtype=np.bool_)
    with pytest.raises(ValueError, match=r"row 2, ind_aval_fin_ult1: .* is no probability"):
        Predictions(probabilities=p, acquired=nothing, owned=nothing)
    with pytest.raises(ValueError, match="probabilities in 0"):
        expected_calibration_error(p.ravel(), nothing.ravel())


def test_contradictions_and_wrong_shapes_are_refused() -> None:
    p, nothing = np.zeros((3, 24), dtype=np.float32), np.zeros((3, 24), dtype=np.bool_)
    both = nothing.copy()
    both[1, 23] = True
    with pytest.raises(ValueError, match="row 1, ind_recibo_ult1: owned and acquired"):
        Predictions(probabilities=p, acquired=both, owned=both)
    with pytest.raises(ValueError, match=r"must be \(rows, 24\)"):
        Predictions(probabilities=p, acquired=nothing[:, :23], owned=nothing)
    with pytest.raises(ValueError, match="with rows"):
        Predictions(probabilities=p[:0], acquired=nothing[:0], owned=nothing[:0])
    with pytest.raises(ValueError, match="floating"):
        Predictions(probabilities=nothing, acquired=nothing, owned=nothing)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="at least one bin"):
        SortedScores.of(p[:, 0], nothing[:, 0]).reliability(0)

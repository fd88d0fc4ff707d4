from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from sklearn.metrics import average_precision_score, roc_auc_score

from vitrina.evaluation.propensity_metrics import (
    PRODUCT_CODES,
    Predictions,
    customer_scores,
    offers,
)
from vitrina.evaluation.reliability import expected_calibration_error

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

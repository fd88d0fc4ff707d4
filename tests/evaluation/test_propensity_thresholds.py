from __future__ import annotations

import math

import numpy as np
import pytest
from sklearn.metrics import f1_score

from vitrina.evaluation.propensity_metrics import PRODUCT_CODES, Predictions
from vitrina.evaluation.propensity_thresholds import Thresholds
from vitrina.evaluation.reliability import SortedScores

NAMES = ("a", "b", "c")


def small(p: list[list[float]], acquired: list[list[int]]) -> Predictions:
    y = np.array(acquired, dtype=np.bool_)
    return Predictions(probabilities=np.array(p), acquired=y, owned=np.zeros_like(y), products=NAMES)


def test_thresholds_by_hand() -> None:
    validation = small(
        [[0.9, 0.3, 0.0], [0.7, 0.2, 0.0], [0.6, 0.1, 0.0], [0.1, 0.1, 0.0]],
        [[1, 1, 0], [0, 0, 0], [1, 0, 0], [0, 0, 0]],
    )
    # a: yes to the first three has F1 4/5, more than 2/3 at the top; b: only the first; c: nobody, so the single one
    own = Thresholds.per_product(validation, least=1)
    assert own.values == (0.6, 0.3, 0.3)
    assert own.shared == ("c",)
    # together: 0.9 gives 2/4, 0.6 gives 4/6, 0.3 gives 6/7
    assert Thresholds.single(validation).values == (0.3, 0.3, 0.3)
    assert Thresholds.per_product(validation, least=2).shared == ("b", "c")


def test_no_other_threshold_has_a_better_f1(rng: np.random.Generator) -> None:
    p = np.round(rng.random(400), 2)
    y = rng.random(400) < p**3
    best = SortedScores.of(p, y).best_threshold()
    tried = {t: f1_score(y, p >= t, zero_division=0.0) for t in np.unique(p)}
    assert tried[best] == pytest.approx(max(tried.values()))


def test_zeros_never_become_a_yes() -> None:
    silent = small([[0.0, 0.0, 0.0]] * 20, [[1, 0, 0]] * 12 + [[0, 1, 0]] * 8)
    thresholds = Thresholds.per_product(silent)
    assert thresholds.values == (math.inf,) * 3
    assert not thresholds.decide(silent.probabilities, silent.owned).any()
    assert thresholds.as_json()["values"] == {"a": None, "b": None, "c": None}
    with pytest.raises(ValueError, match="above 0"):
        Thresholds.fixed(0.0)


def test_decisions_keep_to_their_product_and_spare_what_is_owned() -> None:
    thresholds = Thresholds(name="own", values=(0.5, 0.2, 1.0), products=NAMES)
    p = np.array([[0.5, 0.2, 1.0], [0.49, 0.19, 0.99], [0.9, 0.9, 1.0]], dtype=np.float32)
    owned = np.array([[0, 0, 0], [0, 0, 0], [1, 0, 1]], dtype=np.bool_)
    assert thresholds.decide(p, owned).tolist() == [[True, True, True], [False] * 3, [False, True, False]]


def test_a_threshold_tuned_on_float32_holds_for_the_case_it_came_from(rng: np.random.Generator) -> None:
    p = rng.random((200, 24), dtype=np.float32)
    acquired = p > 0.9
    validation = Predictions(probabilities=p, acquired=acquired, owned=np.zeros_like(acquired))
    thresholds = Thresholds.per_product(validation)
    assert thresholds.products == PRODUCT_CODES
    assert (thresholds.decide(p, validation.owned) == acquired).all()


def test_wrong_numbers_of_thresholds_are_refused() -> None:
    with pytest.raises(ValueError, match="2 thresholds for 3"):
        Thresholds(name="own", values=(0.5, 0.2), products=NAMES)

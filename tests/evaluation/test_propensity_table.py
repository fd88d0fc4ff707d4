"""The table of propensity models: differences of the same customers, and the decisions of each model's own choice."""

from __future__ import annotations

import numpy as np
import pytest

from vitrina.evaluation.bootstrap import Interval
from vitrina.evaluation.propensity_metrics import Predictions, customer_scores
from vitrina.evaluation.propensity_report import ALL_CUSTOMERS, PropensityReport
from vitrina.evaluation.propensity_table import AVERAGES, propensity_table
from vitrina.evaluation.propensity_thresholds import Thresholds
from vitrina.evaluation.report import Table

PRODUCTS = ("a", "b", "c", "d")


def table(cohort: np.ndarray | None = None) -> Table:
    """Model `right` gives each of 60 customers the product that it takes first, `wrong` last; every third takes
    nothing."""
    rng = np.random.default_rng(0)
    takes = rng.integers(0, 4, 60)
    acquired = np.eye(4, dtype=bool)[takes]
    acquired[::3] = False
    right = np.where(np.eye(4, dtype=bool)[takes], 0.6, 0.2)
    said = {"right": right, "wrong": 0.8 - right}
    customers = np.arange(60)
    rows = np.ones(60, dtype=bool) if cohort is None else cohort
    scores, reports = {}, {}
    for name, probabilities in said.items():
        predictions = Predictions(
            probabilities=probabilities, acquired=acquired, owned=np.zeros((60, 4), bool), products=PRODUCTS
        )
        limits = [Thresholds.fixed(0.5, PRODUCTS), Thresholds.fixed(0.1, PRODUCTS)]
        scores[name] = customer_scores(predictions, customers)
        reports[name] = PropensityReport.of(ALL_CUSTOMERS, predictions.where(rows), customers[rows], limits)
    limits_of = {"right": "fixed_0.5", "wrong": "fixed_0.1"}
    return propensity_table(ALL_CUSTOMERS, scores, rows, reports, limits_of, reference="wrong")


def test_a_row_tells_the_difference_and_the_models_own_decisions() -> None:
    made = table()
    assert made.metrics == ("map@7", "map@7 over wrong", *AVERAGES, "calibration_error")
    right, wrong = made.rows["right"], made.rows["wrong"]
    assert (made.users, made.cases) == (60, 60)
    lead = right["map@7 over wrong"]
    assert isinstance(lead, Interval) and isinstance(right["map@7"], Interval)
    assert right["map@7"].mean == pytest.approx(40 / 60) and lead.mean == pytest.approx(40 / 60 * 3 / 4)
    assert 0.3 < lead.low < lead.mean < lead.high < 0.7
    assert wrong["map@7 over wrong"] == Interval(0.0, 0.0, 0.0)
    assert (right["micro_precision"], right["micro_recall"]) == (pytest.approx(40 / 60), 1.0)
    assert (wrong["micro_precision"], wrong["micro_recall"]) == (pytest.approx(40 / 240), 1.0)


def test_a_cohort_has_its_own_customers() -> None:
    buyers = np.arange(60) % 3 != 0
    made = table(buyers)
    assert (made.users, made.cases) == (40, 40)
    best = made.rows["right"]["map@7"]
    assert isinstance(best, Interval) and best.mean == best.low == 1.0


def test_thresholds_come_back_from_json() -> None:
    for one in (
        Thresholds.fixed(0.25),
        Thresholds(name="mine", values=(0.5, float("inf")), products=("a", "b"), shared=("b",)),
    ):
        assert Thresholds.from_json(one.as_json()) == one

from __future__ import annotations

import json

import numpy as np
import pytest
from sklearn.metrics import f1_score, precision_score, recall_score, roc_auc_score

from vitrina.evaluation.propensity_metrics import PRODUCT_CODES, Predictions
from vitrina.evaluation.propensity_report import PropensityReport, cohort_reports, cohorts
from vitrina.evaluation.propensity_thresholds import Thresholds

HALF = Thresholds.fixed(0.5)


@pytest.fixture
def world(rng: np.random.Generator) -> Predictions:
    """True probabilities; nobody acquires the first product, and a fifth is owned."""
    p = rng.beta(0.4, 2.0, (500, 24)).astype(np.float32)
    owned = rng.random(p.shape) < 0.2
    acquired = (rng.random(p.shape) < p) & ~owned
    acquired[:, 0] = False
    return Predictions(probabilities=p, acquired=acquired, owned=owned)


def test_averages_agree_with_sklearn(world: Predictions) -> None:
    yes = HALF.decide(world.probabilities, world.owned)
    report = PropensityReport.of("all_customers", world, np.arange(500), [HALF])
    got = report.averages
    for what, score in (("precision", precision_score), ("recall", recall_score), ("f1", f1_score)):
        micro = score(world.acquired, yes, average="micro", zero_division=0.0)
        macro = score(world.acquired[:, 1:], yes[:, 1:], average="macro", zero_division=0.0)
        assert got[f"micro_{what}/fixed_0.5"] == pytest.approx(micro), what
        assert got[f"macro_{what}/fixed_0.5"] == pytest.approx(macro), what
        assert micro != pytest.approx(macro)
    opened = ~world.owned
    areas = [roc_auc_score(world.acquired[o, j], world.probabilities[o, j]) for j, o in enumerate(opened.T) if j]
    assert got["macro_roc_auc"] == pytest.approx(np.mean(areas))
    assert got["micro_roc_auc"] == pytest.approx(roc_auc_score(world.acquired[opened], world.probabilities[opened]))
    assert report.left_out == (PRODUCT_CODES[0],)


def test_a_row_per_product(world: Predictions) -> None:
    report = PropensityReport.of("all_customers", world, np.arange(500), [HALF])
    nobody, some = report.products[0], report.products[5]
    assert (nobody.roc_auc, nobody.pr_auc, nobody.acquisitions) == (None, None, 0)
    assert nobody.decisions["fixed_0.5"].recall == 0.0
    assert nobody.decisions["fixed_0.5"].yes > 0
    assert some.rows == (~world.owned[:, 5]).sum()
    assert some.acquisitions == world.acquired[:, 5].sum()
    assert some.said == pytest.approx(world.probabilities[~world.owned[:, 5], 5].mean(), rel=1e-6)
    decided = HALF.decide(world.probabilities, world.owned)[:, 5]
    assert some.decisions["fixed_0.5"].f1 == pytest.approx(f1_score(world.acquired[:, 5], decided))


def test_with_nothing_marked_as_owned_every_cell_counts(world: Predictions) -> None:
    bare = Predictions(probabilities=world.probabilities, acquired=world.acquired, owned=np.zeros_like(world.owned))
    report = PropensityReport.of("ever_bought", bare, np.arange(500), [HALF])
    expected = roc_auc_score(world.acquired.ravel(), world.probabilities.ravel())
    assert report.averages["micro_roc_auc"] == pytest.approx(expected)


def test_thresholds_come_from_validation_and_are_only_applied(world: Predictions) -> None:
    validation, test = world.where(np.arange(500) < 250), world.where(np.arange(500) >= 250)
    own, peeked = Thresholds.per_product(validation), Thresholds.per_product(test)
    honest = PropensityReport.of("all_customers", test, np.arange(250), [own, Thresholds.single(validation)])
    cheat = PropensityReport.of("all_customers", test, np.arange(250), [peeked])
    assert [row.decisions["per_product"].threshold for row in honest.products] == list(own.values)
    f1, best = honest.averages["macro_f1/per_product"], cheat.averages["macro_f1/per_product"]
    assert f1 is not None and best is not None and f1 < best
    assert "micro_f1/single" in honest.metrics()
    with pytest.raises(ValueError, match="different products"):
        PropensityReport.of("all_customers", test, np.arange(250), [Thresholds.fixed(0.5, ("a",))])


def test_a_silent_model_gets_zeros_and_a_coin_s_area(world: Predictions) -> None:
    silent = Predictions(probabilities=np.zeros_like(world.probabilities), acquired=world.acquired, owned=world.owned)
    tuned = [Thresholds.per_product(silent), Thresholds.single(silent)]
    report = PropensityReport.of("all_customers", silent, np.arange(500), tuned)
    assert report.map.mean == 0.0
    assert report.averages["micro_roc_auc"] == 0.5
    assert report.averages["micro_f1/single"] == report.averages["macro_f1/per_product"] == 0.0
    assert report.reliability["equal_mass"].error == pytest.approx(world.acquired[~world.owned].mean())


def test_a_month_without_acquisitions_is_told_not_failed(world: Predictions) -> None:
    quiet = Predictions(probabilities=world.probabilities, acquired=np.zeros_like(world.acquired), owned=world.owned)
    report = PropensityReport.of("all_customers", quiet, np.arange(500), [HALF])
    assert report.left_out == PRODUCT_CODES
    assert report.averages["micro_roc_auc"] is report.averages["macro_f1/fixed_0.5"] is None
    assert "micro_roc_auc" not in report.metrics()
    assert json.loads(json.dumps(report.as_json(), allow_nan=False))["averages"]["macro_pr_auc"] is None


def test_cohorts_are_told_apart_and_the_biased_one_flatters(rng: np.random.Generator) -> None:
    customers = np.repeat(np.arange(1000), 2)
    likes = rng.random(1000)[customers] < 0.1
    p = np.where(likes[:, None], 0.05, 0.001).astype(np.float32) * rng.random((2000, 24), dtype=np.float32) * 2
    acquired = rng.random(p.shape) < p
    world = Predictions(probabilities=p, acquired=acquired, owned=np.zeros_like(acquired))
    buyers = np.unique(customers[acquired.any(axis=1)])
    rows = cohorts(customers, buyers)
    assert list(rows) == ["all_customers", "ever_bought"]
    assert rows["all_customers"].all()
    assert rows["ever_bought"].tolist() == [c in set(buyers.tolist()) for c in customers]

    reports = cohort_reports(world, customers, buyers, [HALF])
    everyone, bought = reports["all_customers"], reports["ever_bought"]
    assert (everyone.customers, bought.customers) == (1000, len(buyers))
    assert everyone.acquisitions == bought.acquisitions == acquired.sum()
    assert bought.map.mean > 3 * everyone.map.mean
    assert "looking at the answers" in bought.markdown()
    assert "looking" not in everyone.markdown()
    assert list(cohort_reports(world, customers, buyers[:0], [HALF])) == ["all_customers"]


def test_texts_hold_every_product_and_what_was_left_out(world: Predictions) -> None:
    report = PropensityReport.of("all_customers", world, np.arange(500), [HALF])
    text = report.markdown()
    assert all(f"| {code} |" in text for code in PRODUCT_CODES)
    assert f"nobody acquired them: {PRODUCT_CODES[0]}." in text
    widths = {line.count("|") for line in text.splitlines() if line.startswith("| ind_")}
    assert widths == {12}
    plain = json.loads(json.dumps(report.as_json(), allow_nan=False))
    assert plain["map@7"]["low"] < plain["map@7"]["mean"] < plain["map@7"]["high"]
    assert len(plain["products"]) == 24
    assert {len(plain["reliability"][kind]["bins"]) for kind in plain["reliability"]} <= set(range(1, 16))

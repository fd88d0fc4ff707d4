"""A classifier per product: what serves without scikit-learn gives the pipeline's own numbers."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from vitrina.engine import LocalEngine
from vitrina.errors import ConfigError
from vitrina.events.panels.columns import PRODUCTS, PROFILE
from vitrina.events.panels.panel import NO_DATE, Panel
from vitrina.events.synthetic_panels.generator import PanelSpec, generate_panel
from vitrina.features.panel_history import product_matrix
from vitrina.features.panel_labels import acquisitions
from vitrina.features.panel_profile import ProfileEncoding
from vitrina.ranking.calibration import ProductCalibration
from vitrina.ranking.multi_output_propensity import FittedMultiOutput, MultiOutputPropensity
from vitrina.ranking.preprocessing import SNAPSHOT, Preprocessing, snapshot_matrix, steps
from vitrina.ranking.propensity_rows import PropensityRows, propensity_rows

QUICK = MultiOutputPropensity(iterations=20, learning_rate=0.2, depth=4, rows_at_most=15_000)
CARD = next(place for place, product in enumerate(PRODUCTS) if product.column == "ind_1m_credit_card")


@pytest.fixture(scope="module")
def panel(tmp_path_factory: pytest.TempPathFactory) -> Panel:
    folder = tmp_path_factory.mktemp("bank")
    generate_panel(PanelSpec(customers=2_000, seed=6), folder)
    with LocalEngine(memory_limit="500MB", threads=1) as engine:
        return Panel.open(folder, engine)


@pytest.fixture(scope="module")
def encoding(panel: Panel) -> ProfileEncoding:
    return ProfileEncoding.fit(panel, np.flatnonzero(panel.month < panel.month.max() - 1))


@pytest.fixture(scope="module")
def bank(panel: Panel, encoding: ProfileEncoding) -> tuple[PropensityRows, PropensityRows]:
    last = int(panel.month.max())
    return propensity_rows(panel, encoding, last=last - 2), propensity_rows(panel, encoding, last - 1)


@pytest.fixture(scope="module")
def fitted(bank: tuple[PropensityRows, PropensityRows]) -> FittedMultiOutput:
    return QUICK.fit(bank[0])


def test_the_pipeline_and_the_service_agree(
    bank: tuple[PropensityRows, PropensityRows], fitted: FittedMultiOutput
) -> None:
    rows = bank[1]
    served = fitted.probabilities(rows.inputs)
    owned = product_matrix(rows.inputs.past.owned)
    expected = fitted.pipeline.predict_proba(snapshot_matrix(rows.inputs))
    assert len(expected) == len(fitted.learned) > 8
    for product, found in zip(fitted.learned, expected, strict=True):
        np.testing.assert_allclose(
            served[:, product], np.where(owned[:, product], 0, found[:, 1]), rtol=1e-9, atol=1e-12
        )
    assert (served[owned] == 0).all() and (served[~owned] > 0).all()


def test_a_product_nobody_took_has_a_small_chance(fitted: FittedMultiOutput) -> None:
    rest = sorted(set(range(len(PRODUCTS))) - set(fitted.learned.tolist()))
    assert rest and len(fitted.trees.spans) == len(fitted.learned) and sorted(fitted.cbm) == fitted.learned.tolist()
    assert (fitted.start[rest] < -9).all()


def test_it_learns_who_takes_a_card(bank: tuple[PropensityRows, PropensityRows], fitted: FittedMultiOutput) -> None:
    rows = bank[1]
    found, taken = fitted.probabilities(rows.inputs)[:, CARD], rows.labels[:, CARD]
    open_ = rows.open[:, CARD]
    assert found[open_ & taken].mean() > 2 * found[open_ & ~taken].mean()


def test_batch_equals_single(bank: tuple[PropensityRows, PropensityRows], fitted: FittedMultiOutput) -> None:
    batch = fitted.probabilities(bank[1].inputs)
    for row in (0, 700, len(batch) - 1):
        np.testing.assert_array_equal(fitted.probabilities(bank[1].inputs.take(np.array([row])))[0], batch[row])


def test_validation_rows_calibrate(bank: tuple[PropensityRows, PropensityRows], fitted: FittedMultiOutput) -> None:
    found = QUICK.fit(bank[0], bank[1])
    np.testing.assert_array_equal(fitted.calibration.slope, ProductCalibration.identity().slope)
    raw, log_odds = replace(found, calibration=ProductCalibration.identity()), found.log_odds(bank[1].inputs)
    np.testing.assert_array_equal(raw.probabilities(bank[1].inputs), fitted.probabilities(bank[1].inputs))
    np.testing.assert_array_equal(
        found.calibration.slope, ProductCalibration.fit(log_odds, bank[1].labels, bank[1].open).slope
    )


def test_no_acquisition_is_refused(bank: tuple[PropensityRows, PropensityRows]) -> None:
    with pytest.raises(ConfigError, match="no product is taken"):
        QUICK.fit(replace(bank[0], taken=np.zeros_like(bank[0].taken)))


def test_preprocessing_is_the_same_without_scikit_learn(
    bank: tuple[PropensityRows, PropensityRows], tmp_path: Path
) -> None:
    snapshot = snapshot_matrix(bank[0].inputs)
    fitted = steps().fit(snapshot[:5_000])
    path = tmp_path / "preprocessing.json"
    path.write_text(json.dumps(Preprocessing.of(fitted).as_json()))
    plain = Preprocessing.from_json(json.loads(path.read_text()))
    empty = np.full((1, len(SNAPSHOT)), np.nan)
    for rows in (snapshot, snapshot[:1], empty):
        np.testing.assert_array_equal(plain.apply(rows), fitted.transform(rows))
        assert not np.isnan(plain.apply(rows)).any()
    assert sorted(column.name for column in plain.columns) == sorted(SNAPSHOT)


def test_preprocessing_fills_and_straightens() -> None:
    snapshot = np.zeros((3, len(SNAPSHOT)))
    snapshot[:, SNAPSHOT.index("age")] = [20, 60, np.nan]
    snapshot[:, SNAPSHOT.index("income")] = [0, np.e**2 - 1, np.nan]
    snapshot[2, SNAPSHOT.index("gender")] = np.nan
    plain = Preprocessing.of(steps().fit(snapshot))
    found = dict(zip((column.name for column in plain.columns), plain.apply(snapshot).T, strict=True))
    np.testing.assert_allclose(found["age"], [-(1.5**0.5), 1.5**0.5, 0], atol=1e-9)
    assert found["gender"].tolist() == [0, 0, -1]
    income = {column.name: column for column in plain.columns}["income"]
    assert income.log and income.fill == pytest.approx((np.e**2 - 1) / 2)
    assert found["income"][1] > found["income"][2] > found["income"][0]
    assert found["income"].mean() == pytest.approx(0, abs=1e-9)


def test_the_whole_pipeline_takes_rows_as_requests_hold_them(
    bank: tuple[PropensityRows, PropensityRows], fitted: FittedMultiOutput, panel: Panel, encoding: ProfileEncoding
) -> None:
    rows = acquisitions(panel, int(panel.month.max()) - 1).rows[:300]
    frame = pd.DataFrame({"fetch_date": [f"28-{m % 12 + 1:02d}-{m // 12}" for m in panel.month[rows].tolist()]})
    for column in PROFILE:
        values = panel.profile[column.name][rows]
        if column.name in panel.levels:
            levels = np.array([*panel.levels[column.name], None], object)
            frame[column.name] = levels[values]
        elif column.kind == "date":
            days = [None if day == NO_DATE else date(1970, 1, 1) + timedelta(day) for day in values.tolist()]
            frame[column.name] = [None if day is None else day.strftime("%d-%m-%Y") for day in days]
        else:
            frame[column.name] = values
    for place, product in enumerate(PRODUCTS):
        frame[product.column] = np.where(panel.known[rows] >> place & 1, panel.owned[rows] >> place & 1, np.nan)
    expected = snapshot_matrix(bank[1].inputs.take(np.arange(300)))
    whole = fitted.whole_pipeline(encoding)
    np.testing.assert_array_equal(whole["encode"].transform(frame), expected)
    untidy = frame.assign(ind_client_activity=" " + frame["ind_client_activity"].fillna("NA") + ".0")
    untidy["registration_date"] = pd.to_datetime(frame["registration_date"], format="%d-%m-%Y").dt.strftime("%Y-%m-%d")
    untidy["ind_client_activity"] = untidy["ind_client_activity"].replace(" NA.0", " NA")
    np.testing.assert_array_equal(whole["encode"].transform(untidy), expected)
    for one, other in zip(whole.predict_proba(frame), fitted.pipeline.predict_proba(expected), strict=True):
        np.testing.assert_array_equal(one, other)
    few = whole["encode"].transform(frame[["fetch_date", "age"]])
    assert np.isnan(np.delete(few, SNAPSHOT.index("age"), axis=1)).all()


def test_a_row_without_its_month_is_refused(fitted: FittedMultiOutput, encoding: ProfileEncoding) -> None:
    frame = pd.DataFrame({"fetch_date": ["28-01-2016", "soon"]})
    with pytest.raises(ValueError, match="fetch_date: 'soon' in row 1 is no date"):
        fitted.whole_pipeline(encoding).predict(frame)


def test_buyers_are_kept_and_weighted_back(bank: tuple[PropensityRows, PropensityRows]) -> None:
    train, valid = bank
    buyers = int((train.taken > 0).sum())
    small = replace(QUICK, rows_at_most=3 * buyers).fit(train)
    whole = replace(QUICK, rows_at_most=None).fit(train)
    found, expected = (np.where(valid.open, model.probabilities(valid.inputs), 0).sum() for model in (small, whole))
    assert small.learned.tolist() == whole.learned.tolist()
    assert found == pytest.approx(expected, rel=0.1)
    assert found == pytest.approx(valid.labels.sum(), rel=0.25)


@pytest.mark.parametrize("others", [0, 3, 40])
def test_it_learns_where_nearly_every_row_is_an_acquisition(
    bank: tuple[PropensityRows, PropensityRows], others: int
) -> None:
    train = bank[0]
    bought = train.taken > 0
    mostly = train.take(np.sort(np.concatenate([np.flatnonzero(bought), np.flatnonzero(~bought)[:others]])))
    few = replace(QUICK, rows_at_most=len(mostly) - 60)
    some, weights = few._some(mostly)
    assert len(np.unique(some.places)) == few.rows_at_most == len(weights)
    assert weights.sum() == pytest.approx(len(mostly)), "every row is stood for"
    assert weights[some.taken == 0].tolist() == [1.0] * others, "the others are so few that all are kept"
    found, expected = (
        np.where(mostly.open, model.fit(mostly).probabilities(mostly.inputs), 0).sum(axis=0)
        for model in (few, replace(QUICK, rows_at_most=None))
    )
    assert found.sum() == pytest.approx(expected.sum(), rel=0.1)

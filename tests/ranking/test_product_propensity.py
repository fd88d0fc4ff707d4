"""Propensity models on a generated bank whose true chances are known, and on one without structure."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from catboost import CatBoost, Pool

from vitrina.engine import LocalEngine
from vitrina.errors import ConfigError
from vitrina.events.panels.columns import PRODUCTS
from vitrina.events.panels.panel import Panel
from vitrina.events.synthetic_panels.generator import PanelSpec, generate_panel
from vitrina.features.panel_features import HISTORY_FEATURES, PANEL_FEATURES, pair_features
from vitrina.features.panel_history import product_matrix
from vitrina.features.panel_labels import acquisitions
from vitrina.features.panel_profile import ProfileEncoding
from vitrina.ranking.product_propensity import FittedProductPropensity, ProductPropensity
from vitrina.ranking.propensity import ConstantPropensity, FittedPropensity, PopularityPropensity
from vitrina.ranking.propensity_rows import PropensityRows, draw_pairs, propensity_rows

N, K = len(PRODUCTS), 7
QUICK = ProductPropensity(iterations=60, learning_rate=0.15, at_least=500, refusals_each=8.0)


@dataclass(frozen=True, kw_only=True)
class Bank:
    """A split by month; `truth` float64 (test rows, 24) are the oracle's chances."""

    train: PropensityRows
    valid: PropensityRows
    test: PropensityRows
    truth: npt.NDArray[np.float64]

    def precisions(self, probabilities: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """AP@7 of each test row; 0 without an acquisition."""
        order = np.argsort(-probabilities, axis=1, kind="stable")[:, :K]
        hit = np.take_along_axis(self.test.labels, order, 1)
        sums = (np.cumsum(hit, axis=1) / np.arange(1, K + 1) * hit).sum(axis=1)
        return np.asarray(sums / np.clip(self.test.labels.sum(axis=1), 1, K))

    def judge(self, model: FittedPropensity) -> npt.NDArray[np.float64]:
        return self.precisions(model.probabilities(self.test.inputs))


def bank_of(spec: PanelSpec, folder: Path) -> Bank:
    world = generate_panel(spec, folder)
    with LocalEngine(memory_limit="500MB", threads=1) as engine:
        panel = Panel.open(folder, engine)
    last = int(panel.month.max())
    encoding = ProfileEncoding.fit(panel, np.flatnonzero(panel.month <= last - 3))
    rows = acquisitions(panel, last - 1).rows
    return Bank(
        train=propensity_rows(panel, encoding, last=last - 3),
        valid=propensity_rows(panel, encoding, last - 2, last - 2),
        test=propensity_rows(panel, encoding, last - 1),
        truth=world.probabilities(panel.customer[rows], panel.month[rows]),
    )


@pytest.fixture(scope="module")
def bank(tmp_path_factory: pytest.TempPathFactory) -> Bank:
    return bank_of(PanelSpec(customers=8_000, seed=8), tmp_path_factory.mktemp("bank"))


@pytest.fixture(scope="module")
def fitted(bank: Bank) -> FittedProductPropensity:
    return QUICK.fit(bank.train, bank.valid)


def test_lags_beat_no_lags_beat_popularity_and_come_close_to_the_oracle(
    bank: Bank, fitted: FittedProductPropensity
) -> None:
    lags = bank.judge(fitted)
    without = bank.judge(replace(QUICK, lags=False).fit(bank.train, bank.valid))
    popular = bank.judge(PopularityPropensity().fit(bank.train))
    constant = bank.judge(ConstantPropensity().fit(bank.train))
    oracle = bank.precisions(bank.truth)
    assert lags.mean() > without.mean() > popular.mean() > constant.mean()
    for better, worse in ((lags, without), (lags, popular)):
        gain = better - worse
        assert gain.mean() > 2 * gain.std() / len(gain) ** 0.5
    assert lags.mean() >= 0.92 * oracle.mean()
    # Popularity itself is near: most of what lies between it and the oracle is closed too.
    assert lags.mean() - popular.mean() > 0.6 * (oracle.mean() - popular.mean())


def test_without_structure_nothing_beats_popularity(tmp_path: Path) -> None:
    bank = bank_of(PanelSpec(customers=4_000, seed=9, structure=0.0), tmp_path)
    popular = bank.judge(PopularityPropensity().fit(bank.train))
    gain = bank.judge(QUICK.fit(bank.train, bank.valid)) - popular
    assert gain.mean() < 2 * gain.std() / len(gain) ** 0.5
    np.testing.assert_allclose(popular.mean(), bank.precisions(bank.truth).mean(), rtol=0.05)


def test_probabilities_come_true_though_refusals_were_drawn(bank: Bank, fitted: FittedProductPropensity) -> None:
    sparse = replace(QUICK, refusals_each=2.0, at_least=100).fit(bank.train)
    for model, rows in ((sparse, bank.train), (fitted, bank.valid)):
        found = np.where(rows.open, model.probabilities(rows.inputs), 0).sum()
        assert found == pytest.approx(rows.labels.sum(), rel=0.1)


def test_owned_products_have_no_chance_and_all_others_have_one(bank: Bank, fitted: FittedProductPropensity) -> None:
    owned = product_matrix(bank.test.inputs.past.owned)
    for model in (fitted, PopularityPropensity().fit(bank.train), ConstantPropensity(probability=0.5).fit(bank.train)):
        found = model.probabilities(bank.test.inputs)
        assert found.shape == owned.shape and found.dtype == np.float64
        np.testing.assert_array_equal(found == 0, owned)
        assert (found < 1).all()


def test_batch_equals_single(bank: Bank, fitted: FittedProductPropensity) -> None:
    some = np.arange(0, len(bank.test.taken), 97)
    batch = fitted.probabilities(bank.test.inputs, threads=2)
    for row in some:
        alone = fitted.probabilities(bank.test.inputs.take(np.array([row])))
        np.testing.assert_array_equal(alone[0], batch[row])


def test_the_trees_are_those_of_catboost(bank: Bank, fitted: FittedProductPropensity) -> None:
    rows, products = np.repeat(np.arange(200), N), np.tile(np.arange(N), 200)
    features = pair_features(bank.test.inputs, fitted.context, rows, products)
    model = CatBoost()
    model.load_model(blob=fitted.cbm)
    start = features[:, PANEL_FEATURES.index("portfolio_log_odds")].astype(np.float64)
    expected = model.predict(Pool(features, baseline=start), prediction_type="RawFormulaVal")
    found = fitted.log_odds(bank.test.inputs.take(np.arange(200)))
    np.testing.assert_allclose(found.ravel(), expected, rtol=0, atol=1e-9)


def test_without_lags_the_past_changes_nothing(bank: Bank) -> None:
    model = replace(QUICK, lags=False, iterations=10).fit(bank.train)
    assert all(model.importance[name] == 0 for name in HISTORY_FEATURES)
    past = bank.test.inputs.past
    other = past._replace(
        lag_owned=~past.lag_owned, changes=past.changes + 1, since=past.since // 2, seen=past.seen + 3
    )
    found = model.probabilities(bank.test.inputs._replace(past=other))
    np.testing.assert_array_equal(found, model.probabilities(bank.test.inputs))


def test_pairs_hold_every_acquisition_and_the_wanted_refusals(bank: Bank) -> None:
    pairs = draw_pairs(bank.train, at_most=1_000_000, refusals_each=4.0, at_least=50, seed=1)
    labels, free = bank.train.labels, bank.train.open
    np.testing.assert_array_equal(labels[pairs.rows, pairs.products], pairs.taken)
    assert free[pairs.rows, pairs.products].all()
    assert len(np.unique(pairs.rows * N + pairs.products)) == len(pairs.rows)
    for product in range(N):
        mine = pairs.products == product
        taken, refused = pairs.taken[mine].sum(), (~pairs.taken[mine]).sum()
        assert taken == labels[:, product].sum()
        assert refused == max(50, 4 * taken)
        assert pairs.kept[product] == pytest.approx(refused / (free & ~labels)[:, product].sum())


def test_the_same_seed_gives_the_same_model(bank: Bank) -> None:
    spec = replace(QUICK, iterations=5)
    one, two = (spec.fit(bank.train, bank.valid).probabilities(bank.test.inputs) for _ in range(2))
    np.testing.assert_array_equal(one, two)


def test_a_constant_is_a_probability(bank: Bank) -> None:
    with pytest.raises(ConfigError, match=r"probability=1\.5"):
        ConstantPropensity(probability=1.5)
    rate = ConstantPropensity().fit(bank.train).rates
    assert np.unique(rate) == pytest.approx([bank.train.labels.sum() / bank.train.open.sum()])

"""A propensity model from its folder answers as the fitted one, as CatBoost's own files and as the sklearn pipeline."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from catboost import CatBoost, CatBoostClassifier, Pool

from vitrina.errors import ModelFormatError
from vitrina.evaluation.propensity_thresholds import Thresholds
from vitrina.events.panels.columns import PRODUCTS
from vitrina.events.panels.panel import Panel
from vitrina.features.panel_features import PANEL_FEATURES, pair_features
from vitrina.features.panel_history import product_matrix
from vitrina.features.panel_marginals import PanelMarginals
from vitrina.features.panel_profile import ProfileEncoding
from vitrina.ranking.calibration import ProductCalibration
from vitrina.ranking.multi_output_propensity import FittedMultiOutput, MultiOutputPropensity
from vitrina.ranking.preprocessing import snapshot_matrix
from vitrina.ranking.product_propensity import FittedProductPropensity, ProductPropensity
from vitrina.ranking.propensity import ConstantPropensity, FittedPropensity, PopularityPropensity, Propensity
from vitrina.ranking.propensity_rows import PropensityRows, propensity_rows
from vitrina.recommend.propensity_model import PRODUCT_COLUMNS, Kind, PropensityModel, packed
from vitrina.recommend.stored import Packed
from vitrina.registry.model_format import StoredModel, read_model, write_model

N = len(PRODUCTS)
SPECS: dict[Kind, Propensity] = {
    "constant": ConstantPropensity(),
    "popularity": PopularityPropensity(),
    "product": ProductPropensity(iterations=30, learning_rate=0.2, at_least=100),
    "multi_output": MultiOutputPropensity(iterations=10, learning_rate=0.3, depth=4, rows_at_most=4_000),
}


@dataclass(frozen=True, kw_only=True)
class Bank:
    encoding: ProfileEncoding
    marginals: PanelMarginals
    train: PropensityRows
    valid: PropensityRows
    as_of_month: int

    def pack(self, fitted: FittedPropensity, kind: Kind) -> Packed:
        return packed(
            fitted,
            kind=kind,
            encoding=self.encoding,
            thresholds=np.linspace(0.0005, 0.1, N),
            as_of_month=self.as_of_month,
            marginals=self.marginals,
        )


@pytest.fixture(scope="module")
def bank(bank_panel: Panel) -> Bank:
    last = int(bank_panel.month.max())
    encoding = ProfileEncoding.fit(bank_panel, np.flatnonzero(bank_panel.month < last - 1))
    return Bank(
        encoding=encoding,
        marginals=PanelMarginals.fit(bank_panel, np.arange(len(bank_panel))),
        train=propensity_rows(bank_panel, encoding, last=last - 2),
        valid=propensity_rows(bank_panel, encoding, last - 1),
        as_of_month=last,
    )


@pytest.fixture(scope="module")
def fit(bank: Bank) -> Callable[[Kind], FittedPropensity]:
    fitted: dict[Kind, FittedPropensity] = {}

    def one(kind: Kind) -> FittedPropensity:
        if kind not in fitted:
            fitted[kind] = SPECS[kind].fit(bank.train, bank.valid)
        return fitted[kind]

    return one


def stored(made: Packed, folder: Path) -> StoredModel:
    write_model(folder, **made._asdict())
    return read_model(folder)


@pytest.mark.parametrize("kind", SPECS)
def test_loading_changes_no_answer(
    kind: Kind, bank: Bank, fit: Callable[..., FittedPropensity], tmp_path: Path
) -> None:
    model = PropensityModel.load(stored(bank.pack(fit(kind), kind), tmp_path / "model"))
    inputs = bank.valid.inputs
    found = model.probabilities(inputs)
    np.testing.assert_array_equal(found, fit(kind).probabilities(inputs))
    owned = product_matrix(inputs.past.owned)
    np.testing.assert_array_equal(found == 0, owned)
    decided = model.decide(found, inputs)
    np.testing.assert_array_equal(decided, (found >= np.linspace(0.0005, 0.1, N)) & ~owned)
    assert decided.any() and not decided.all()
    assert (model.kind, model.as_of_month, model.marginals) == (kind, bank.as_of_month, bank.marginals)
    assert {name: tuple(levels) for name, levels in model.encoding.levels.items()} == bank.encoding.levels


def test_the_answer_is_catboosts_own(bank: Bank, fit: Callable[..., FittedPropensity], tmp_path: Path) -> None:
    fitted = fit("product")
    assert isinstance(fitted, FittedProductPropensity)
    folder = stored(bank.pack(fitted, "product"), tmp_path / "model")
    inputs = bank.valid.inputs.take(np.arange(300))
    rows, products = np.repeat(np.arange(300), N), np.tile(np.arange(N), 300)
    features = pair_features(inputs, fitted.context, rows, products)
    judge = CatBoost().load_model(str(folder.files["propensity.cbm"]))
    start = features[:, PANEL_FEATURES.index("portfolio_log_odds")].astype(np.float64)
    log_odds = judge.predict(Pool(features, baseline=start), prediction_type="RawFormulaVal").reshape(300, N)
    compare(PropensityModel.load(folder).probabilities(inputs), fitted.calibration.apply(log_odds))
    assert np.ptp(log_odds - start.reshape(300, N)) > 0.5, "the trees say nothing"


def test_the_answer_is_the_sklearn_pipelines(bank: Bank, fit: Callable[..., FittedPropensity], tmp_path: Path) -> None:
    fitted = fit("multi_output")
    assert isinstance(fitted, FittedMultiOutput) and len(fitted.learned) > 5
    folder = stored(bank.pack(fitted, "multi_output"), tmp_path / "model")
    inputs = bank.valid.inputs
    found = PropensityModel.load(folder).probabilities(inputs)
    snapshot = snapshot_matrix(inputs)
    prepared = fitted.pipeline["preprocessing"].transform(snapshot)
    for product, pair in zip(fitted.learned.tolist(), fitted.pipeline.predict_proba(snapshot), strict=True):
        calibration = ProductCalibration(
            slope=fitted.calibration.slope[product], shift=fitted.calibration.shift[product]
        )
        log_odds = np.log(pair[:, 1] / pair[:, 0])
        compare(found[:, product], calibration.apply(log_odds))
        own = CatBoostClassifier().load_model(str(folder.files[f"propensity_{PRODUCT_COLUMNS[product]}.cbm"]))
        np.testing.assert_allclose(own.predict_proba(prepared), pair, rtol=1e-12)


def compare(found: npt.NDArray[np.float64], expected: npt.NDArray[np.float64]) -> None:
    """Where the product is not owned."""
    assert (found > 0).mean() > 0.2
    np.testing.assert_allclose(found[found > 0], expected[found > 0], rtol=1e-9)


def test_it_decides_as_the_evaluation_does(bank: Bank, fit: Callable[..., FittedPropensity], tmp_path: Path) -> None:
    probabilities = fit("popularity").probabilities(bank.valid.inputs)
    values = np.append(np.unique(probabilities)[1:], np.inf)[:N]  # thresholds that are met exactly, and one never
    values = np.append(values, np.full(N - len(values), np.inf))
    made = packed(
        fit("popularity"),
        kind="popularity",
        encoding=bank.encoding,
        thresholds=values,
        as_of_month=1,
        marginals=bank.marginals,
    )
    model = PropensityModel.load(stored(made, tmp_path / "model"))
    expected = Thresholds(name="planted", values=tuple(values)).decide(
        probabilities, product_matrix(bank.valid.inputs.past.owned)
    )
    np.testing.assert_array_equal(model.decide(probabilities, bank.valid.inputs), expected)
    assert expected.any()


def test_files_hold_nothing_that_is_executed(bank: Bank, fit: Callable[..., FittedPropensity], tmp_path: Path) -> None:
    for kind in ("product", "multi_output"):
        folder = stored(bank.pack(fit(kind), kind), tmp_path / kind).folder
        assert {path.suffix for path in folder.rglob("*") if path.is_file()} == {".npy", ".json", ".cbm"}


@pytest.mark.parametrize(
    ("meta", "arrays", "problem"),
    [
        ({"features": ["age"]}, {}, "its features are not those"),
        ({"profile_columns": ["age"]}, {}, "its profile_columns are not those"),
        ({"products": list(PRODUCT_COLUMNS[::-1])}, {}, "its products are not those"),
        ({"kind": "oracle"}, {}, "kind 'oracle' is not known"),
        ({"kind": "product"}, {}, "has no 'trees_feature'"),
        ({}, {"thresholds": None}, "has no 'thresholds'"),
    ],
)
def test_a_foreign_folder_is_refused(
    bank: Bank, fit: Callable[..., FittedPropensity], tmp_path: Path, meta: dict, arrays: dict, problem: str
) -> None:
    made = bank.pack(fit("popularity"), "popularity")
    kept = {name: array for name, array in made.arrays.items() if name not in arrays}
    with pytest.raises(ModelFormatError, match=problem):
        PropensityModel.load(stored(Packed(kept, made.files, made.meta | meta), tmp_path / "model"))


def test_only_known_models_are_packed(bank: Bank) -> None:
    with pytest.raises(TypeError, match="object has no form in a model folder"):
        bank.pack(object(), "product")  # type: ignore[arg-type]  # on purpose

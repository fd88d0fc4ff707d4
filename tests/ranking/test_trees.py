"""The compiled trees score as CatBoost does, bit for bit: NaN, infinities, on a border, beside it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from catboost import CatBoost, Pool

from vitrina.errors import ModelFormatError
from vitrina.ranking.regimes import BETWEEN, VISIT
from vitrina.ranking.trees import NO_TREES, TOGETHER, Trees, joined, score_columns, trees_of

FEATURES = 7
Rows = npt.NDArray[np.float32]


def trained(loss: str, *, iterations: int = 120, depth: int = 6, **more: object) -> CatBoost:
    """A model of noisy data with missing values in four of seven columns."""
    rng = np.random.default_rng(2)
    rows = rng.standard_normal((2_000, FEATURES)).astype(np.float32)
    rows[:, 3] = np.round(rows[:, 3])
    label = (rows[:, 0] + rows[:, 1] * rows[:, 2] + rows[:, 3] + rng.standard_normal(2_000) > 0.5).astype(np.float32)
    rows[rng.random(rows.shape) < [0.3, 0.1, 0, 0, 0.5, 0, 0.9]] = np.nan
    params = {
        "loss_function": loss, "iterations": iterations, "depth": depth, "random_seed": 1, "thread_count": 2,
        "allow_writing_files": False, "logging_level": "Silent", "nan_mode": "Min",
    }  # fmt: skip
    model = CatBoost(params | more)
    model.fit(Pool(rows, label, group_id=np.arange(2_000) // 20))
    return model


def difficult(trees: Trees, rng: np.random.Generator) -> Rows:
    """Ordinary rows, and rows of borders, their neighbours in float32, NaN, infinities, both zeros and extremes."""
    ordinary = rng.standard_normal((300, FEATURES)).astype(np.float32)
    with np.errstate(over="ignore"):  # the border of missing values is the least float32 there is
        beside = [np.nextafter(trees.border, np.float32(side)) for side in (np.inf, -np.inf)]
    on = np.concatenate([trees.border, *beside])
    extremes = np.array([np.nan, np.inf, -np.inf, 0.0, -0.0, 3.4e38, -3.4e38, 1e-45], np.float32)
    edges = rng.choice(np.concatenate([on, np.repeat(extremes, len(on) // 16)]), (2_000, FEATURES))
    exact = np.full((len(trees.border), FEATURES), np.nan, np.float32)
    exact[np.arange(len(trees.border)), trees.feature] = trees.border
    return np.concatenate(
        [ordinary, edges, exact, np.full((1, FEATURES), np.nan), np.full((1, FEATURES), np.inf)]
    ).astype(np.float32)


def scored(trees: Trees, rows: Rows, regime: int = VISIT) -> npt.NDArray[np.float64]:
    out = np.full(len(rows), np.nan)
    score_columns(trees, regime, rows.T.copy(), len(rows), np.empty((TOGETHER, len(rows)), np.uint8), out)
    return out


@pytest.mark.parametrize("loss", ["Logloss", "YetiRank"])
@pytest.mark.parametrize("depth", [1, 6, 8])
def test_scores_are_catboosts_own_bit_for_bit(loss: str, depth: int, tmp_path: Path, rng: np.random.Generator) -> None:
    model = trained(loss, depth=depth)
    trees = trees_of(model, tmp_path)
    assert len(trees.split_start) - 1 == model.tree_count_
    rows = difficult(trees, rng)
    expected = model.predict(rows, prediction_type="RawFormulaVal", thread_count=1)
    np.testing.assert_array_equal(scored(trees, rows), expected)
    assert len(np.unique(expected)) > 100 if depth > 1 else len(np.unique(expected)) > 10


def test_a_row_has_the_same_score_alone_and_among_others(tmp_path: Path, rng: np.random.Generator) -> None:
    trees = trees_of(trained("Logloss", iterations=30), tmp_path)
    rows = difficult(trees, rng)[:200]
    together = scored(trees, rows)
    assert [scored(trees, rows[r : r + 1])[0] for r in range(200)] == together.tolist()


def test_only_the_asked_rows_are_scored(tmp_path: Path) -> None:
    trees = trees_of(trained("Logloss", iterations=5), tmp_path)
    columns, out = np.zeros((FEATURES, 4), np.float32), np.full(4, 7.0)
    score_columns(trees, BETWEEN, columns, 2, np.empty((TOGETHER, 4), np.uint8), out)
    assert (out[:2] != 7).all() and (out[2:] == 7).all()


def test_a_shrunk_model_keeps_its_scale_and_bias(tmp_path: Path, rng: np.random.Generator) -> None:
    model = trained("RMSE", iterations=40, use_best_model=False)
    model.set_scale_and_bias(0.25, -3.5)
    trees = trees_of(model, tmp_path)
    rows = difficult(trees, rng)
    np.testing.assert_allclose(scored(trees, rows), model.predict(rows), rtol=1e-15)


def test_each_regime_is_scored_by_its_own_trees(tmp_path: Path, rng: np.random.Generator) -> None:
    near, far = trained("Logloss", iterations=30), trained("YetiRank", iterations=50, depth=3)
    far.set_scale_and_bias(0.5, 2.0)
    parts = [trees_of(model, tmp_path) for model in (near, far)]
    forest = joined(parts)
    rows = difficult(parts[0], rng)
    for regime, part in ((VISIT, parts[0]), (BETWEEN, parts[1])):
        np.testing.assert_array_equal(scored(forest, rows, regime), scored(part, rows, regime))
        np.testing.assert_array_equal(scored(part, rows, VISIT), scored(part, rows, BETWEEN))
    assert len(forest.split_start) - 1 == 80
    assert (scored(forest, rows, VISIT) != scored(forest, rows, BETWEEN)).any()


def test_no_trees_say_nothing() -> None:
    assert scored(NO_TREES, np.ones((3, FEATURES), np.float32)).tolist() == [0, 0, 0]


def test_missing_as_large_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelFormatError, match="nan_mode"):
        trees_of(trained("Logloss", iterations=20, nan_mode="Max"), tmp_path)


def test_categorical_splits_are_refused(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    kind, number = rng.integers(0, 40, 500), rng.random(500)
    table = np.array([[str(k), x] for k, x in zip(kind, number, strict=True)], dtype=object)
    model = CatBoost(
        {"loss_function": "Logloss", "iterations": 10, "allow_writing_files": False, "logging_level": "Silent"}
    )
    model.fit(Pool(table, (kind % 2).astype(int), cat_features=[0]))
    with pytest.raises(ModelFormatError, match="float"):
        trees_of(model, tmp_path)


def test_trees_too_deep_for_a_byte_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelFormatError, match="depth=8"):
        trees_of(trained("Logloss", iterations=2, depth=9), tmp_path)

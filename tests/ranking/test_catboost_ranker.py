"""The ranker finds the one column that decides, keeps the better loss, learns from all rows, and stores what serves."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from catboost import CatBoost

from vitrina.ranking.catboost_ranker import CatBoostRanker, FittedRanker
from vitrina.ranking.pair_features import FEATURES
from vitrina.ranking.regimes import VISIT
from vitrina.ranking.sampling import Rows
from vitrina.ranking.trees import TOGETHER, score_columns

DECIDES = FEATURES.index("session_max")
SMALL = CatBoostRanker(losses=("Logloss", "YetiRank"), iterations=40, learning_rate=0.2, depth=3)


def planted(groups: int, seed: int) -> Rows:
    """In each group of 12 the row with the largest `session_max` is wanted; all else is noise, part of it missing."""
    rng = np.random.default_rng(seed)
    features = rng.random((groups * 12, len(FEATURES))).astype(np.float32)
    features[rng.random(features.shape) < 0.2] = np.nan
    features[:, DECIDES] = rng.random(groups * 12)
    best = features[:, DECIDES].reshape(groups, 12).argmax(axis=1)
    label = np.zeros((groups, 12), np.float32)
    label[np.arange(groups), best] = 1
    group = np.repeat(np.arange(groups, dtype=np.int32), 12)
    return Rows(features=features, label=label.ravel(), group=group, user=group)


@pytest.fixture(scope="module")
def fitted() -> FittedRanker:
    return SMALL.fit(planted(300, 1), planted(80, 2))


def test_the_deciding_column_is_found(fitted: FittedRanker) -> None:
    assert fitted.ndcg > 0.9
    assert max(fitted.importance, key=lambda name: fitted.importance[name]) == "session_max"
    assert set(fitted.importance) == set(FEATURES)


def test_the_loss_that_wins_the_race_grows_all_trees(fitted: FittedRanker) -> None:
    assert set(fitted.race) == {"Logloss", "YetiRank"}
    assert fitted.race[fitted.loss] == max(fitted.race.values()) > 0.9
    assert len(fitted.trees.split_start) - 1 == len(fitted.curve) == SMALL.iterations


def test_the_stored_model_is_the_one_that_serves(fitted: FittedRanker, tmp_path: Path) -> None:
    (tmp_path / "ranker.cbm").write_bytes(fitted.cbm)
    model = CatBoost().load_model(str(tmp_path / "ranker.cbm"))
    assert model.feature_names_ == list(FEATURES)
    rows = planted(20, 3).features
    out = np.empty(len(rows))
    score_columns(fitted.trees, VISIT, rows.T.copy(), len(rows), np.empty((TOGETHER, len(rows)), np.uint8), out)
    np.testing.assert_array_equal(out, model.predict(rows, prediction_type="RawFormulaVal"))


def test_the_same_rows_give_the_same_ranker(fitted: FittedRanker) -> None:
    again = SMALL.fit(planted(300, 1), planted(80, 2))
    assert again.race == fitted.race and again.loss == fitted.loss
    np.testing.assert_array_equal(again.trees.leaves, fitted.trees.leaves)


def test_the_judging_rows_are_learned_from_in_the_end() -> None:
    """Only the validation groups show what decides; the value on them is of a model that had not seen them."""
    noise = planted(100, 1)
    noise.features[:, DECIDES] = np.random.default_rng(4).random(len(noise))
    one = CatBoostRanker(losses=("Logloss",), iterations=40, learning_rate=0.2, depth=3)
    fitted = one.fit(noise, planted(300, 2))
    assert fitted.ndcg < 0.6
    assert max(fitted.importance, key=lambda name: fitted.importance[name]) == "session_max"
    asked = planted(50, 3)
    out = np.empty(len(asked))
    columns, leaf = asked.features.T.copy(), np.empty((TOGETHER, len(asked)), np.uint8)
    score_columns(fitted.trees, VISIT, columns, len(asked), leaf, out)
    first = out.reshape(50, 12).argmax(axis=1)
    assert (asked.label.reshape(50, 12)[np.arange(50), first] == 1).mean() > 0.8


def test_the_race_is_short() -> None:
    """Fewer trees and rows than the whole: with one tree and a handful of groups, no loss gets far."""
    heard: list[str] = []
    fitted = replace(SMALL, race_iterations=1, race_rows=36).fit(planted(300, 1), planted(80, 2), note=heard.append)
    assert max(fitted.race.values()) < 0.9 < fitted.ndcg
    assert [line.split(":")[0] for line in heard] == ["Logloss", "YetiRank", fitted.loss]
    assert "after 1 trees" in heard[0] and "40 trees" in heard[2]


def test_one_loss_can_be_asked_for() -> None:
    heard: list[str] = []
    only = CatBoostRanker(losses=("YetiRank",), iterations=5, depth=2).fit(
        planted(60, 1), planted(20, 2), note=heard.append
    )
    assert (only.loss, only.race) == ("YetiRank", {})
    assert len(heard) == 1 and "YetiRank" in heard[0]


def test_the_learning_curve_can_be_left_out(fitted: FittedRanker) -> None:
    bare = SMALL.fit(planted(300, 1), planted(80, 2), judged=False)
    assert len(bare.curve) == 0 and np.isnan(bare.ndcg)
    np.testing.assert_array_equal(bare.trees.leaves, fitted.trees.leaves)

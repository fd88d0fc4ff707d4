"""A search tries the given recipe first and gives back one that is at least as good."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest

from vitrina.ranking.catboost_ranker import CatBoostRanker
from vitrina.recommend.tuning import tune
from vitrina.recommend.two_stage import TwoStage, train_ranker


@pytest.fixture
def weak(shop: Any) -> TwoStage:
    return replace(
        shop.recipe, ranker=CatBoostRanker(losses=("Logloss",), iterations=6, learning_rate=0.02, depth=3), groups=40
    )


def test_the_best_of_two_trials_is_no_worse_than_the_first(shop: Any, weak: TwoStage) -> None:
    heard: list[str] = []
    options = {"before": shop.test_cut, "threads": 2}
    best = tune(weak, shop.histories, shop.cuts, shop.tables_at, trials=2, note=heard.append, **options)
    values = [float(re.findall(r"NDCG@10 ([\d.]+)", line)[0]) for line in heard]
    assert len(values) == 2
    first, found = (
        train_ranker(one, shop.histories, shop.cuts, shop.tables_at, **options).ndcg for one in (weak, best)
    )
    assert first == pytest.approx(values[0], abs=6e-5)
    assert found == pytest.approx(max(values), abs=6e-5)
    assert found >= first
    assert best.ranker.losses == weak.ranker.losses and best.sources.als == weak.sources.als


def test_one_trial_gives_the_recipe_back(shop: Any, weak: TwoStage) -> None:
    best = tune(weak, shop.histories, shop.cuts, shop.tables_at, before=shop.test_cut, trials=1)
    assert best.negatives == weak.negatives
    assert best.ranker.depth == weak.ranker.depth
    assert best.sources.taste.half_life == pytest.approx(weak.sources.taste.half_life)

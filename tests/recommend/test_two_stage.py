"""The recipe goes through JSON unchanged, and its ranker learns what decides, from labels of the past alone."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pytest

from vitrina.candidates.als import ALS
from vitrina.candidates.covisitation import CoVisitation
from vitrina.candidates.item_knn import ItemKNN
from vitrina.errors import DataError, ModelFormatError
from vitrina.events.schema import DAY_MS
from vitrina.features.history import Histories
from vitrina.ranking.catboost_ranker import CatBoostRanker
from vitrina.ranking.moments import cut_moments
from vitrina.recommend.recommender import Recommender
from vitrina.recommend.sources import Sources
from vitrina.recommend.two_stage import BOTH, Trained, TwoStage, train_ranker

Build = Callable[[str], Recommender]

CHANGED = TwoStage(
    ranker_name="fusion",
    sources=Sources(
        covisitation=(
            CoVisitation(name="next", sources=(1,), targets=(2, 0), within_days=0.5, both_ways=True, keep=3),
        ),
        item_knn=ItemKNN(keep=9),
        als=ALS(factors=5, alpha=0.5),
    ),
    ranker=CatBoostRanker(losses=("YetiRank",), depth=3),
    between=CatBoostRanker(losses=("Logloss", "YetiRank"), iterations=9),
    negatives=17,
    visit_days=2.5,
)


@pytest.mark.parametrize("recipe", [TwoStage(), CHANGED])
def test_a_recipe_survives_json(recipe: TwoStage) -> None:
    assert TwoStage.from_json(json.loads(json.dumps(recipe.as_json()))) == recipe


@pytest.mark.parametrize(
    "change", [{"warp": 1}, {"ranker": {"warp": 1}}, {"sources": {"als": {"warp": 1}}}, {"sources": None}]
)
def test_a_recipe_of_another_version_is_refused(change: dict[str, Any]) -> None:
    plain = TwoStage().as_json()
    for key, value in change.items():
        plain[key] = plain[key] | value if isinstance(value, dict) else value
    with pytest.raises(ModelFormatError, match="recipe"):
        TwoStage.from_json(plain)


def test_parameters_have_dotted_names() -> None:
    params = CHANGED.params()
    assert params["sources.als.factors"] == 5
    assert params["ranker.depth"] == 3
    assert params["sources.covisitation.next.keep"] == 3
    assert not any(isinstance(value, dict) for value in params.values())


def test_labels_end_before_the_time() -> None:
    recipe = TwoStage(horizon_days=10)
    cuts = [day * DAY_MS for day in (1, 5, 20, 10, 11)]
    assert [cut // DAY_MS for cut in recipe.training_cuts(cuts, 20 * DAY_MS)] == [10, 5, 1]


def ndcg(model: Recommender, shop: Any, k: int = 10) -> float:
    """NDCG@k of lists at the test cut-off for everybody who then wanted something, worked out list by list."""
    moments, wanted = cut_moments(shop.histories, shop.test_cut, shop.test_cut + 14 * DAY_MS)
    items, _ = model.recommend_batch(shop.histories, moments, k=k)
    values = []
    for row, begin, end in zip(items, wanted.indptr[:-1], wanted.indptr[1:], strict=True):
        truth = set(wanted.items[begin:end].tolist())
        gain = sum(1 / np.log2(place + 2) for place, item in enumerate(row.tolist()) if item in truth)
        values.append(gain / sum(1 / np.log2(place + 2) for place in range(min(k, len(truth)))))
    assert len(values) > 20
    return float(np.mean(values))


def test_the_ranker_learns_what_decides(shop: Any, trained: Trained, recommender: Build) -> None:
    assert ndcg(recommender("catboost"), shop) > 0.95
    assert ndcg(recommender("fusion"), shop) < 0.7
    assert trained.ndcg > 0.95
    assert trained.groups >= shop.recipe.groups or len(trained.cuts) == len(shop.cuts) - 1


def test_only_past_labels_teach(shop: Any, trained: Trained) -> None:
    assert list(trained.cuts) == sorted(trained.cuts, reverse=True)
    assert all(cut + 14 * DAY_MS <= shop.test_cut for cut in trained.cuts)
    assert trained.recall is not None and trained.recall.by_source["own_history"] == pytest.approx(1.0)
    # nothing after the test cut-off is read: the same ranker comes out of a log that ends there
    again = train_ranker(
        shop.recipe, shop.histories.before(shop.test_cut), shop.cuts, shop.tables_at, before=shop.test_cut
    )
    np.testing.assert_array_equal(again.trees.leaves, trained.trees.leaves)


def test_a_log_that_teaches_nothing_says_so(shop: Any) -> None:
    h = shop.histories
    views = Histories(indptr=h.indptr, items=h.items, kinds=np.zeros_like(h.kinds), ts=h.ts)
    with pytest.raises(DataError, match="0 moments"):
        train_ranker(shop.recipe, views, shop.cuts, shop.tables_at, before=shop.test_cut)
    with pytest.raises(DataError, match="0 moments"):
        train_ranker(shop.recipe, h, [], shop.tables_at, before=shop.test_cut)


def test_each_regime_has_its_ranker_where_moments_are_many(shop: Any) -> None:
    quick = replace(
        shop.recipe,
        groups=10_000,
        least_groups=5,
        ranker=CatBoostRanker(iterations=4, depth=2),
        between=CatBoostRanker(iterations=3, depth=1),
    )
    heard: list[str] = []
    learn = partial(train_ranker, cuts=shop.cuts, tables_at=shop.tables_at, before=shop.test_cut)
    own = learn(quick, shop.histories, note=heard.append)
    assert list(own.rankers) == ["visit", "between"]
    assert [len(own.rankers[name].curve) for name in own.rankers] == [4, 3]
    assert own.trees.spans.tolist() == [[0, 4], [4, 7]]
    assert list(dict.fromkeys(line.split(":")[0] for line in heard if "NDCG" in line)) == ["visit", "between"]
    settled = quick.settled(own.rankers)
    assert (settled.ranker.losses, settled.between.losses) == (
        (own.rankers["visit"].loss,),
        (own.rankers["between"].loss,),
    )
    shared = learn(replace(quick, least_groups=10_000), shop.histories)
    assert quick.settled(shared.rankers).between.losses == (shared.rankers[BOTH].loss,)
    assert list(shared.rankers) == [BOTH]
    assert shared.trees.spans.tolist() == [[0, 4], [0, 4]]
    assert shared.groups == own.groups


def test_enough_groups_need_no_older_cut(shop: Any) -> None:
    few = replace(shop.recipe, groups=10, ranker=CatBoostRanker(losses=("Logloss",), iterations=3, depth=2))
    trained = train_ranker(few, shop.histories, shop.cuts, shop.tables_at, before=shop.test_cut)
    assert trained.cuts == (shop.test_cut - 14 * DAY_MS,)

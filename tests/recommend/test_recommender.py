"""Answers for one and for many are the same; rules are kept and the answer is still full."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from vitrina.candidates.retrieval import MATRICES, SOURCES
from vitrina.errors import ModelFormatError
from vitrina.events.schema import DAY_MS, VIEW
from vitrina.features.history import History
from vitrina.ranking.trees import Trees, joined
from vitrina.recommend.recommender import Recommender, Rules, mode_of

Build = Callable[[str], Recommender]
RANKERS = ("catboost", "fusion", "popular", "item_knn")
ITEMS, UNTOUCHED = 80, {76, 77, 78, 79}


def past(shop: Any, user: int) -> History:
    return shop.histories.before(shop.test_cut).of(user)


def content(ranked: Any) -> tuple[list[int], list[float], list[int]]:
    return ranked.items.tolist(), ranked.scores.tolist(), ranked.sources.tolist()


@pytest.mark.parametrize("ranker", RANKERS)
@pytest.mark.parametrize("new_only", [False, True])
@pytest.mark.parametrize("k", [1, 10, 90])
def test_one_by_one_and_all_at_once_are_the_same(
    ranker: str, new_only: bool, k: int, shop: Any, recommender: Build
) -> None:
    model = recommender(ranker)
    moments = shop.histories.at(np.arange(120, dtype=np.int32), shop.test_cut)
    finished: list[int] = []
    items, scores = model.recommend_batch(shop.histories, moments, k=k, new_only=new_only, note=finished.append)
    assert items.shape == scores.shape == (120, k)
    assert (items.dtype.name, scores.dtype.name) == ("int32", "float32")
    assert sum(finished) == 120
    for user in range(120):
        one = model.recommend(past(shop, user), k=k, rules=Rules(new_only=new_only), as_of=shop.test_cut)
        assert one.items.tolist() == items[user][items[user] >= 0].tolist()
        np.testing.assert_array_equal(one.scores, scores[user][: len(one.items)])
        assert (items[user, len(one.items) :] == -1).all()


def test_half_an_hour_after_the_last_event_other_trees_answer(shop: Any, recommender: Build) -> None:
    model = recommender("catboost")
    constant = [  # one tree without a question: every candidate has the score of its regime
        Trees(
            feature=np.empty(0, np.int32),
            border=np.empty(0, np.float32),
            split_start=np.zeros(2, np.int64),
            leaves=np.array([value]),
            leaf_start=np.array([0, 1], np.int64),
            spans=np.array([[0, 1], [0, 1]], np.int64),
            scale_bias=np.array([[1.0, 0.0], [1.0, 0.0]]),
        )
        for value in (1.0, 2.0)
    ]
    model = replace(model, trees=joined(constant))
    half = 30 * 60_000
    for user in range(0, 400, 40):
        history = shop.histories.of(user)
        last = int(history.ts[0])
        for gap, score in ((1, 1.0), (half - 1, 1.0), (half, 2.0), (40 * DAY_MS, 2.0)):
            one = model.recommend(history, k=3, as_of=last + gap)
            moments = shop.histories.at(np.array([user], np.int32), last + gap)
            _, many = model.recommend_batch(shop.histories, moments, k=3)
            assert one.scores.tolist() == many[0].tolist() == [score] * 3
    assert model.recommend(History.empty(), k=3, as_of=shop.test_cut).scores.tolist() == [2.0] * 3


def test_many_blocks_and_threads_change_nothing(shop: Any, recommender: Build) -> None:
    model = recommender("catboost")
    users = np.resize(np.arange(400, dtype=np.int32), 5_000)
    moments = shop.histories.at(users, shop.test_cut)
    one = model.recommend_batch(shop.histories, moments, k=5, threads=1)
    many = model.recommend_batch(shop.histories, moments, k=5, threads=4)
    for left, right in zip(one, many, strict=True):
        np.testing.assert_array_equal(left, right)
        np.testing.assert_array_equal(left[:400], left[4_400:4_800])


def test_eight_threads_get_the_answers_of_one(shop: Any, recommender: Build) -> None:
    model = recommender("catboost")
    rules = [
        Rules(),
        Rules(new_only=True),
        Rules(exclude=np.array([1, 2, 3], np.int32)),
        Rules(allowed=np.arange(ITEMS) % 2 == 0),
    ]

    def answers(_: int) -> list[Any]:
        return [
            content(model.recommend(past(shop, user), k=12, rules=rules[user % 4], as_of=shop.test_cut))
            for user in range(0, 400, 5)
        ]

    alone = answers(0)
    with ThreadPoolExecutor(8) as pool:
        assert all(found == alone for found in pool.map(answers, range(8)))


@pytest.mark.parametrize("ranker", RANKERS)
def test_answers_fall_and_hold_no_item_twice(ranker: str, shop: Any, recommender: Build) -> None:
    model = recommender(ranker)
    for user in range(0, 400, 20):
        ranked = model.recommend(past(shop, user), k=76, as_of=shop.test_cut)
        assert len(ranked.items) == len(set(ranked.items.tolist())) == 76
        assert (np.diff(ranked.scores) <= 0).all()
        assert (ranked.sources < len(SOURCES)).all()


@pytest.mark.parametrize("user", [0, 4, 398])
def test_a_session_is_the_newest_part_of_the_history(user: int, shop: Any, recommender: Build) -> None:
    model, as_of, stored = recommender("catboost"), shop.test_cut, past(shop, user)
    session = np.array([5, 9, 5, 41], np.int32)
    whole = History(
        items=np.concatenate([session[::-1], stored.items]),
        kinds=np.concatenate([np.full(4, VIEW, np.int8), stored.kinds]),
        ts=np.concatenate([as_of - 1 - np.arange(4), stored.ts]),
    )
    expected = content(model.recommend(whole, k=20, as_of=as_of))
    assert content(model.recommend(stored, session=session, k=20, as_of=as_of)) == expected
    assert content(model.recommend(stored, session=session[:0], k=20, as_of=as_of)) != expected


def test_a_stranger_gets_what_is_popular(shop: Any, recommender: Build) -> None:
    model = recommender("fusion")
    ranked = model.recommend(History.empty(), k=8, as_of=shop.test_cut)
    assert ranked.items.tolist() == model.tables.popular[:8].tolist()
    assert {model.source_names[source] for source in ranked.sources} == {"popular"}


def test_one_source_orders_and_fusion_follows(shop: Any, recommender: Build) -> None:
    user = next(user for user in range(400) if len(past(shop, user)) == 13)
    history = past(shop, user)
    own = recommender("own_history").recommend(history, k=40, as_of=shop.test_cut)
    assert set(own.items[:13].tolist()) == set(history.items.tolist())
    assert [SOURCES[source] for source in own.sources[:1]] == ["own_history"]


@pytest.mark.parametrize("ranker", RANKERS)
@pytest.mark.parametrize("k", [5, 60])
def test_rules_are_kept_and_the_answer_is_filled(ranker: str, k: int, shop: Any, recommender: Build) -> None:
    model, rng = recommender(ranker), np.random.default_rng(k)
    for user in range(0, 400, 16):
        history = past(shop, user)
        best = model.recommend(history, k=5, as_of=shop.test_cut).items
        exclude = np.concatenate([best, rng.integers(0, ITEMS, 4)]).astype(np.int32)
        allowed = rng.random(ITEMS) < 0.8
        new_only = bool(user % 32)
        rules = Rules(exclude=exclude, allowed=allowed, new_only=new_only)
        open_items = set(range(ITEMS)) - UNTOUCHED - set(exclude.tolist()) - set(np.flatnonzero(~allowed).tolist())
        if new_only:
            open_items -= set(history.items.tolist())
        ranked = model.recommend(history, k=k, rules=rules, as_of=shop.test_cut)
        assert set(ranked.items.tolist()) <= open_items
        assert len(ranked.items) == min(k, len(open_items))


def test_nothing_allowed_is_an_empty_answer(shop: Any, recommender: Build) -> None:
    rules = Rules(allowed=np.zeros(ITEMS, np.bool_))
    assert len(recommender("catboost").recommend(past(shop, 0), k=5, rules=rules, as_of=shop.test_cut).items) == 0


def test_a_rule_does_not_outlive_its_request(shop: Any, recommender: Build) -> None:
    model = recommender("catboost")
    before = content(model.recommend(past(shop, 9), k=70, as_of=shop.test_cut))
    model.recommend(
        past(shop, 9), k=70, as_of=shop.test_cut, rules=Rules(exclude=np.arange(40, dtype=np.int32), new_only=True)
    )
    assert content(model.recommend(past(shop, 9), k=70, as_of=shop.test_cut)) == before


def test_similar_items_are_those_of_all_matrices(recommender: Build) -> None:
    tables = (model := recommender("fusion")).tables
    for item in range(0, ITEMS, 7):
        worth: dict[int, float] = {}
        for m in range(len(MATRICES)):
            row = tables.neighbours[tables.starts[item, m] : tables.starts[item, m + 1]]
            for place, other in enumerate(row.tolist()):
                worth[other] = worth.get(other, 0.0) + 1 / (60 + place)
        items, scores = model.similar(item, 6)
        assert items.tolist() == sorted(worth, key=lambda other: (-worth[other], other))[:6]
        np.testing.assert_allclose(scores, [worth[other] for other in items.tolist()], rtol=1e-6)
        assert item not in items
    assert len(recommender("fusion").similar(79, 6)[0]) == 0


def test_a_category_holds_those_below_it(recommender: Build) -> None:
    catalogue = recommender("fusion").catalogue
    numbers = np.where(catalogue.category >= 0, catalogue.categories[catalogue.category], -1)
    for wanted, below in (([11], [11, 12, 13]), ([12], [12, 13]), ([13, 22], [13, 22]), ([21], [21, 22]), ([99], [])):
        assert catalogue.in_categories(wanted).tolist() == np.isin(numbers, below).tolist()


def test_an_unknown_ranker_is_refused() -> None:
    with pytest.raises(ModelFormatError, match="oracle"):
        mode_of("oracle")

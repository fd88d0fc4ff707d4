"""Each link of the fallback chain gives the planted items, says its source and counts its reason."""

from __future__ import annotations

import numpy as np
import pytest

from vitrina.serving.answer import Answer, Ask, answer, similar
from vitrina.serving.lists import Lists
from vitrina.serving.state import STALE_AFTER_MS, ServingState

NOW = 1_442_003_600_000


@pytest.fixture
def state(stage) -> ServingState:
    stage.watcher().look()
    return stage.served.state


def ask(stage, state: ServingState, **fields) -> Answer:
    return answer(state, Ask(**{"user": 1, "k": 3, **fields}), now=NOW, metrics=stage.metrics)


def ids(state: ServingState, found: Answer) -> list[int]:
    return state.items.ids_of(found.items)


def test_known_user_gets_the_list(stage, state) -> None:
    found = ask(stage, state)
    assert (ids(state, found), found.source) == ([119, 118, 117], "precomputed")
    assert found.scores.tolist() == pytest.approx([0.9, 0.8, 0.7])
    assert stage.value("vitrina_recommendations_total", source="precomputed") == 1
    assert stage.value("vitrina_cold_users_total") == 0


def test_a_list_that_is_too_short_is_refilled_online(stage, state) -> None:
    found = ask(stage, state, k=7)
    # the list has five, then the partner of the seen 104, then the most popular
    assert (ids(state, found), found.source) == ([119, 118, 117, 116, 115, 105, 100], "precomputed")
    assert stage.value("vitrina_fallbacks_total", reason="too_few") == 1


def test_exclude_is_applied_before_the_cut(stage, state) -> None:
    assert ids(state, ask(stage, state, exclude=(119, 117))) == [118, 116, 115]


def test_user_without_a_list_is_ranked_online(stage, state) -> None:
    found = ask(stage, state, user=2)
    assert (ids(state, found)[0], found.source) == (107, "history")
    assert stage.value("vitrina_fallbacks_total", reason="no_list") == 1


def test_session_comes_before_the_list_and_its_last_item_first(stage, state) -> None:
    found = ask(stage, state, session=(110, 112))
    assert (ids(state, found), found.source) == ([113, 111, 105], "session")
    history, as_of = state.recommender.seen[-1]
    assert state.items.ids_of(history.items) == [112, 110, 104]
    assert as_of == NOW
    assert (np.diff(history.ts) < 0).all()
    assert history.ts[0] < NOW


def test_session_of_a_stranger(stage, state) -> None:
    found = ask(stage, state, user=777, session=(110,))
    assert (ids(state, found)[0], found.source) == (111, "session")
    assert stage.value("vitrina_cold_users_total") == 1
    assert stage.value("vitrina_fallbacks_total", reason="unknown_user") == 0


def test_stranger_gets_popular(stage, state) -> None:
    found = ask(stage, state, user=777)
    assert (ids(state, found), found.source) == ([100, 101, 102], "popular")
    assert stage.value("vitrina_fallbacks_total", reason="unknown_user") == 1


def test_unknown_items_are_left_out_and_named(stage, state) -> None:
    found = ask(stage, state, session=(5, 110, 5), exclude=(6,))
    assert (found.ignored, found.source) == ((5, 6), "session")
    assert ask(stage, state, session=(5,)).source == "precomputed"


@pytest.mark.parametrize(
    ("category", "available", "expected"),
    [((3,), False, [119, 118, 117]), ((2,), False, [110, 111, 112]), ((3,), True, [118, 116]), ((999,), False, [])],
)
def test_filter_is_applied_before_the_cut_and_refilled(stage, state, category, available, expected) -> None:
    assert ids(state, ask(stage, state, category=category, available=available)) == expected


def test_a_category_includes_those_under_it(stage, state) -> None:
    found = ask(stage, state, user=777, category=(1,), k=100)
    assert ids(state, found) == list(range(100, 115))


def test_no_item_comes_twice_and_never_more_than_k(stage, state) -> None:
    for k in (1, 5, 6, 19, 20, 100):
        found = ask(stage, state, k=k, session=(110,))
        assert len(found.items) == min(k, 20) == len(set(found.items.tolist())) == len(found.scores)


def test_a_failing_ranker_falls_back_and_is_counted(stage, state, monkeypatch) -> None:
    def fail(*_args, **_kwargs):
        raise FloatingPointError("broken on purpose")

    monkeypatch.setattr(type(state.recommender), "recommend", fail)
    assert ask(stage, state, session=(110,)).source == "precomputed"
    assert ask(stage, state, user=2).source == "popular"
    assert ids(state, ask(stage, state, user=777, category=(3,), k=50)) == [115, 116, 117, 118, 119]
    assert stage.value("vitrina_fallbacks_total", reason="source_failed") == 3


def test_lists_of_another_model_lend_only_their_histories(stage, state) -> None:
    old = ServingState(
        version="2", copy="2-run", model=state.model, lists=state.lists, popular=state.popular, loaded_at=0
    )
    found = ask(stage, old)
    assert (ids(old, found)[0], found.source) == (105, "history")
    assert stage.value("vitrina_fallbacks_total", reason="lists_of_other_model") == 1


def test_time_does_not_run_away_from_an_old_log(state) -> None:
    assert state.as_of(NOW) == NOW
    assert state.as_of(NOW * 2) == state.model.as_of + STALE_AFTER_MS


def test_list_of_exactly_the_stored_rows(stage, state) -> None:
    lists = state.lists
    assert isinstance(lists, Lists)
    items, scores = lists.top(lists.row_of(1))
    assert (items.tolist(), len(scores)) == ([19, 18, 17, 16, 15], 5)
    assert lists.top(lists.row_of(2)) is None
    assert lists.history(lists.row_of(2)).items.tolist() == [6]


def test_an_item_without_neighbours_gets_what_is_popular_in_its_category_or_anywhere(stage, state) -> None:
    def like(row: int) -> tuple[list[int], str]:
        items, scores, source = similar(state, row, 3, now=NOW, metrics=stage.metrics)
        assert len(items) == len(scores)
        return state.items.ids_of(items), source

    assert like(10) == ([111], "neighbours")
    state.recommender.pairs[10] = 0
    assert like(10) == ([111, 112, 113], "category")
    state.recommender.catalogue.category[10] = -1
    assert like(10) == ([100, 101, 102], "popular")
    state.recommender.pairs[0], state.recommender.catalogue.category[0] = 0, -1
    assert like(0) == ([101, 102, 103], "popular")

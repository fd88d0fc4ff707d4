"""Recall on planted tables: every source's items and ranks, the rules, the fused order, and nothing left behind."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from vitrina.candidates.profile import MOST_ITEMS, Taste
from vitrina.candidates.retrieval import MATRICES, SHELVES, SOURCES, Tables
from vitrina.candidates.union import FUSION, PER_SOURCE
from vitrina.events.schema import BUY, CART, DAY_MS, VIEW
from vitrina.features.history import History

AS_OF = 1_440_000_000_000
TablesOf = Callable[..., Tables]
Recall = Callable[..., Any]  # the tuple of conftest: items, rank, known
Links = dict[str, dict[tuple[int, int], float]]


def history(*events: Iterable[Any]) -> History:
    """(item, kind, whole days ago), most recent first."""
    item, kind, days = np.array([tuple(event) for event in events], np.int64).reshape(-1, 3).T
    return History(items=item.astype(np.int32), kinds=kind.astype(np.int8), ts=AS_OF - days * DAY_MS)


def in_order(ranks: dict[int, int]) -> list[int]:
    return sorted(ranks, key=ranks.__getitem__)


def test_own_history_is_ordered_by_kind_and_age(tables_of: TablesOf, recall: Recall) -> None:
    _, rank, known = recall(
        tables_of(items=5), history((0, VIEW, 0), (1, VIEW, 1), (2, CART, 1), (3, BUY, 1), (1, VIEW, 3))
    )
    assert known == 4
    assert in_order(rank["own_history"]) == [3, 0, 2, 1]  # 2; 1 and 1, the smaller row first; 0.5


@pytest.mark.parametrize("matrix", [name for name in MATRICES if name != "als"])
def test_each_matrix_sums_over_the_history(matrix: str, tables_of: TablesOf, recall: Recall) -> None:
    links = {matrix: {(0, 2): 1.0, (0, 3): 0.75, (1, 3): 1.0, (4, 5): 9.0}}
    _, rank, _ = recall(tables_of(items=6, links=links), history((0, VIEW, 0), (1, VIEW, 1)))
    assert in_order(rank[matrix]) == [3, 2]  # 0.75 + 0.5 over 1
    assert all(not ranks for source, ranks in rank.items() if source not in ("own_history", matrix))


def test_als_ranks_neighbours_by_the_folded_in_factor(tables_of: TablesOf, recall: Recall) -> None:
    factors = np.array([[1, 0], [0.9, 0.1], [0.5, 0.5], [0, 1], [-1, 0], [2, 0]], np.float32)
    links = {"als": {(0, 1): 0.1, (0, 2): 0.9, (0, 3): 0.2, (0, 4): 0.8}}
    _, rank, _ = recall(tables_of(items=6, links=links, factors=factors), history((0, VIEW, 0)))
    # by the factor, not by the neighbours' weights; 3 is orthogonal and 4 opposite; 5 is nobody's neighbour
    assert in_order(rank["als"]) == [1, 2]


def test_popular_items_and_the_shelves_of_recent_categories(tables_of: TablesOf, recall: Recall) -> None:
    tables = tables_of(items=6, popularity=[1, 5, 3, 4, 2], category=[0, 0, 1, 1, 0, -1], parent=[-1, -1])
    items, rank, known = recall(tables, history())
    assert (in_order(rank["popular"]), rank["category"], known) == ([1, 3, 2, 4, 0], {}, 0)
    assert items == [1, 3, 2, 4, 0]
    _, rank, _ = recall(tables, history((5, VIEW, 0), (3, VIEW, 1)))
    assert in_order(rank["category"]) == [3, 2]
    _, rank, _ = recall(tables, history((3, VIEW, 0), (0, VIEW, 3)))
    assert in_order(rank["category"]) == [3, 2, 1, 4, 0]  # 4, 3 and an eighth of 5, 2, 1


def test_only_a_few_categories_are_opened(tables_of: TablesOf, recall: Recall) -> None:
    tables = tables_of(items=6, popularity=[1] * 6, category=range(6), parent=[-1] * 6)
    _, rank, _ = recall(tables, history(*((item, VIEW, 0) for item in range(6))))
    assert set(rank["category"]) == set(range(SHELVES))


def test_a_source_keeps_its_best_and_ties_go_to_the_smaller_item(tables_of: TablesOf, recall: Recall) -> None:
    many = PER_SOURCE + 20
    weights = [1.0 + (item % 2) for item in range(1, many)]
    tables = tables_of(items=many, links={"next": {(0, item): weights[item - 1] for item in range(1, many)}})
    _, rank, _ = recall(tables, history((0, VIEW, 0)))
    odd, even = range(1, many, 2), range(2, many, 2)
    assert in_order(rank["next"]) == [*odd, *even][:PER_SOURCE]


def test_barred_items_never_appear_and_leave_their_place_to_others(tables_of: TablesOf, recall: Recall) -> None:
    many = PER_SOURCE + 5
    tables = tables_of(items=many, popularity=np.arange(many, 0, -1), links={"next": {(0, 1): 2.0, (0, 2): 1.0}})
    items, rank, known = recall(tables, history((0, VIEW, 0)), barred=[0, 1, 1])
    assert 0 not in items and 1 not in items
    assert known == 1
    assert in_order(rank["next"]) == [2]
    assert in_order(rank["popular"]) == list(range(2, PER_SOURCE + 2))


def test_only_allowed_items_appear_but_all_of_the_history_speaks(tables_of: TablesOf, recall: Recall) -> None:
    tables = tables_of(items=4, popularity=[4, 3, 2, 1], links={"session": {(0, 3): 1.0}})
    allowed = np.array([False, False, True, True])
    items, rank, _ = recall(tables, history((0, VIEW, 0)), allowed=allowed)
    assert set(items) == {2, 3}
    assert in_order(rank["session"]) == [3]
    assert recall(tables, history((0, VIEW, 0)), allowed=np.zeros(4, np.bool_)).items == []


def test_new_only_bars_the_whole_history_even_what_is_not_read(tables_of: TablesOf, recall: Recall) -> None:
    many = MOST_ITEMS + 10
    tables = tables_of(
        items=many + 2, popularity=np.arange(1, many + 3), links={"carts": {(0, many): 1.0, (0, 1): 1.0}}
    )
    events = history(*((item, VIEW, item) for item in range(many)))
    items, rank, known = recall(tables, events, new_only=True)
    assert known == MOST_ITEMS
    assert set(items) == {many, many + 1}
    assert in_order(rank["carts"]) == [many]
    assert rank["own_history"] == {}


def test_the_best_fused_stay_when_room_is_short(tables_of: TablesOf, recall: Recall) -> None:
    tables = tables_of(items=6, popularity=[6, 5, 4, 3, 2, 1], links={"next": {(0, 5): 1.0}, "session": {(0, 5): 1.0}})
    items, _, _ = recall(tables, history((0, VIEW, 0)), limit=2)
    assert items == [5, 0]  # 5: twice first and last of six; 0: twice first


def test_an_item_weighed_by_nothing_is_no_candidate_twice(tables_of: TablesOf, recall: Recall) -> None:
    """A kind of weight zero touches the neighbour first, with nothing; the next event touches it again."""
    taste = Taste(kind_weights=(0.0, 2.0, 4.0), half_life=1.0, position_power=0.0, alpha=2.0)
    tables = tables_of(items=4, links={"next": {(0, 2): 1.0, (1, 2): 1.0, (1, 3): 0.5}})
    items, rank, _ = recall(tables, history((0, VIEW, 0), (1, CART, 1)), taste=taste)
    assert in_order(rank["next"]) == [2, 3]
    assert rank["next"] == {2: 0, 3: 1}
    assert len(items) == len(set(items))


def expected_scores(
    tables: Tables, links: Links, events: History, allowed: npt.NDArray[np.bool_], taste: Taste
) -> dict[str, dict[int, float]]:
    """What each source says of each item, item by item."""
    weight: dict[int, float] = {}
    for item, kind, ts in zip(events.items.tolist(), events.kinds.tolist(), events.ts.tolist(), strict=True):
        worth = taste.kind_weights[kind] * 0.5 ** ((AS_OF - ts) / DAY_MS / taste.half_life)
        weight[item] = max(weight.get(item, 0.0), worth)
    said: dict[str, dict[int, float]] = {source: defaultdict(float) for source in SOURCES}
    for item, worth in weight.items():
        said["own_history"][item] = worth
        for name in MATRICES:
            for (source, target), strength in links.get(name, {}).items():
                if source == item:
                    said[name][target] += worth * strength
    if weight:
        Y = tables.factors.astype(np.float64)
        c = np.zeros(len(Y))
        c[list(weight)] = [taste.alpha * worth for worth in weight.values()]
        user = np.linalg.solve(tables.gram + (Y.T * c) @ Y, Y.T @ np.where(c > 0, 1 + c, 0))
        said["als"] = {item: float(Y[item] @ user) for item in said["als"]}
    popular = [item for item in tables.popular.tolist() if allowed[item]][:PER_SOURCE]
    said["popular"] = {item: float(tables.popularity[item]) for item in popular}
    opened: list[int] = []
    for item, worth in weight.items():
        shelf = int(tables.category[item])
        if shelf < 0 or (opened and opened[-1] == shelf) or len(opened) == SHELVES:
            continue
        opened.append(shelf)
        for other in np.flatnonzero((tables.category == shelf) & (tables.popularity > 0)).tolist():
            lifted = float(tables.popularity[other]) * worth
            said["category"][other] = max(said["category"][other], lifted)
    return {
        source: {item: score for item, score in scores.items() if allowed[item] and score > 0}
        for source, scores in said.items()
    }


@pytest.mark.parametrize("seed", range(25))
def test_random_worlds_agree_with_the_slow_way(seed: int, tables_of: TablesOf, recall: Recall) -> None:
    rng = np.random.default_rng(seed)
    items = 30
    links: Links = {
        name: {(int(a), int(b)): float(rng.integers(1, 9)) / 4 for a, b in rng.integers(0, items, (40, 2)) if a != b}
        for name in MATRICES
    }
    tables = tables_of(
        items=items, links=links, popularity=rng.integers(0, 6, items), category=rng.integers(-1, 4, items),
        parent=[-1, 0, 0, 1], factors=rng.standard_normal((items, 4)).astype(np.float32),
    )  # fmt: skip
    length = int(rng.integers(0, 12))
    events = history(
        *zip(rng.integers(0, items, length), rng.integers(0, 3, length), np.arange(length) // 2, strict=True)
    )
    barred = rng.integers(0, items, 3)
    given = rng.random(items) < 0.7 if seed % 2 else None
    new_only = seed % 3 == 0
    allowed = np.ones(items, np.bool_) if given is None else given.copy()
    allowed[barred] = False
    if new_only:
        allowed[events.items] = False
    taste = Taste(kind_weights=(1.0, 2.0, 4.0), half_life=1.0, position_power=0.0, alpha=2.0)
    found, rank, known = recall(tables, events, taste=taste, barred=barred, allowed=given, new_only=new_only)
    assert known == len(set(events.items.tolist()))
    said = expected_scores(tables, links, events, allowed, taste)
    for source in SOURCES:
        scores = said[source]
        assert in_order(rank[source]) == sorted(scores, key=lambda item: (-scores[item], item)), source
        assert sorted(rank[source].values()) == list(range(len(scores)))
    fused = {item: sum(1 / (FUSION + ranks[item]) for ranks in rank.values() if item in ranks) for item in found}
    assert len(found) == len(fused) == len(set().union(*said.values()))
    values = [fused[item] for item in found]
    assert all(one >= other - 1e-6 for one, other in pairwise(values))


def test_the_same_question_has_the_same_answer(tables_of: TablesOf, recall: Recall) -> None:
    tables = tables_of(items=40, popularity=[1] * 40, links={"next": {(0, item): 1.0 for item in range(1, 40)}})
    first = recall(tables, history((0, VIEW, 0)))
    assert all(recall(tables, history((0, VIEW, 0))) == first for _ in range(3))
    assert first.items[:3] == [0, 1, 2]

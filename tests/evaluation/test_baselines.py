from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from vitrina.candidates.als import ALS
from vitrina.candidates.ease import EASE
from vitrina.candidates.item_knn import ItemKNN, RP3Beta
from vitrina.engine import LocalEngine
from vitrina.evaluation.baselines import Baseline, BaselineAtWindows, OwnRecent, Personal, PopularLately, Query
from vitrina.events.schema import BUY, CART, DAY_MS, VIEW
from vitrina.events.splits import Window
from vitrina.features.history import Histories, Moments
from vitrina.features.past import Past

ITEMS, BUSY = 12, 40
NOW = 100 * DAY_MS
SHELVES = (np.arange(0, 5), np.arange(5, 10))
USERS = 68
NEWCOMER, FAN = 66, 67
MODELS = (
    ItemKNN(),
    RP3Beta(alpha=0.5, beta=0.1),
    ALS(factors=4, iterations=30, regularization=0.01),
    EASE(ridge=1.0, user_discount=0.0),
)


@dataclass(frozen=True)
class World:
    """A checkerboard: even users touch items 0 .. 4, odd users 5 .. 9. Item 11 was popular long ago and item 10 is now,
    with people who touched nothing else."""

    past: Past
    histories: Histories


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    rng = np.random.default_rng(3)
    rows = []
    for user in range(BUSY):
        chosen = rng.choice(SHELVES[user % 2], 4, replace=False)
        rows += [(user, int(item), VIEW, NOW - int(rng.integers(8, 30)) * DAY_MS) for item in chosen]
    rows += [(user, 11, BUY, NOW - 60 * DAY_MS) for user in range(BUSY, 60)]
    rows += [(user, 10, VIEW, NOW - 2 * DAY_MS) for user in range(60, NEWCOMER)]
    # A visitor of the second shelf: cart of 5, views of 6 and, last, 7; and later what nobody may know yet.
    rows += [(FAN, 6, VIEW, NOW - 9 * DAY_MS), (FAN, 5, CART, NOW - 8 * DAY_MS), (FAN, 7, VIEW, NOW - 7 * DAY_MS)]
    rows += [(FAN, 0, BUY, NOW), (FAN, 1, BUY, NOW + 1)]
    user, item, kind, ts = np.array(sorted(rows, key=lambda row: (row[0], row[3])), np.int64).T
    columns = {"user": user.astype(np.int32), "item": item.astype(np.int32), "kind": kind.astype(np.int8), "ts": ts}
    path = tmp_path_factory.mktemp("checkerboard") / "events.parquet"
    pq.write_table(pa.table(columns), path)
    with LocalEngine(threads=1) as engine:
        yield World(
            past=Past(
                engine=engine,
                events=engine.read_parquet(path),
                as_of=NOW,
                users=USERS,
                items=ITEMS,
                category=np.full(ITEMS, -1, np.int32),
            ),
            histories=Histories.from_events(columns["user"], columns["item"], columns["kind"], ts, users=USERS),
        )


def ask(world: World, baseline: Baseline, users: list[int], k: int, *, new_only: bool = False) -> list[list[int]]:
    moments = world.histories.at(np.array(users, np.int32), NOW)
    lists = baseline.fit(world.past).top(world.histories, moments, k, new_only)
    assert lists.shape == (len(users), k) and lists.dtype == np.int32
    return [[int(item) for item in row] for row in lists]


def test_popular_looks_at_the_last_days_only(world: World) -> None:
    assert ask(world, PopularLately(days=7.5), [0, NEWCOMER], 3) == [[10, 7, -1], [10, 7, -1]]
    assert ask(world, PopularLately(days=90), [NEWCOMER], 1) == [[11]]


def test_own_recent_gives_the_last_touched_first_then_popular(world: World) -> None:
    assert ask(world, OwnRecent(), [FAN, NEWCOMER], 5) == [[7, 5, 6, 10, -1], [10, 7, -1, -1, -1]]
    assert ask(world, OwnRecent(), [FAN], 3, new_only=True) == [[10, -1, -1]]


def test_own_recent_keeps_the_order_of_a_long_history(world: World) -> None:
    items = np.arange(10, dtype=np.int32)
    kinds = np.tile(np.array([VIEW, BUY], np.int8), 5)
    ts = NOW - np.arange(10) * 30 * DAY_MS - 1
    histories = Histories(indptr=np.array([0, 10]), items=items, kinds=kinds, ts=ts)
    lists = OwnRecent().fit(world.past).top(histories, histories.at(np.zeros(1, np.int32), NOW), 10, False)
    assert lists[0].tolist() == list(range(10))


@pytest.mark.parametrize("model", MODELS, ids=lambda model: type(model).__name__)
def test_a_model_finds_the_rest_of_the_shelf(world: World, model: ItemKNN | RP3Beta | ALS | EASE) -> None:
    (found,) = ask(world, Personal(model=model), [FAN], 2, new_only=True)
    assert set(found) == {8, 9}


@pytest.mark.parametrize("model", MODELS, ids=lambda model: type(model).__name__)
def test_new_only_leaves_out_the_history_and_nothing_else(world: World, model: ItemKNN | RP3Beta | ALS | EASE) -> None:
    (found,) = ask(world, Personal(model=model, own=4.0), [FAN], ITEMS, new_only=True)
    shown = [item for item in found if item >= 0]
    assert not {5, 6, 7} & set(shown) and len(set(shown)) == len(shown)
    assert {8, 9, 10} <= set(shown)


@pytest.mark.parametrize("model", MODELS, ids=lambda model: type(model).__name__)
def test_own_items_lead_when_they_are_mixed_in(world: World, model: ItemKNN | RP3Beta | ALS | EASE) -> None:
    query = Query(kind_weights=(1.0, 3.0, 5.0))
    (found,) = ask(world, Personal(model=model, query=query, own=50.0), [FAN], 3)
    assert found[0] == 5 and set(found) == {5, 6, 7}


@pytest.mark.parametrize("model", MODELS, ids=lambda model: type(model).__name__)
def test_an_empty_history_gets_the_popular_list(world: World, model: ItemKNN | RP3Beta | ALS | EASE) -> None:
    for new_only in (False, True):
        assert ask(world, Personal(model=model, own=1.0), [NEWCOMER], 2, new_only=new_only) == [[10, 7]]


@pytest.mark.parametrize("model", MODELS, ids=lambda model: type(model).__name__)
def test_many_rows_at_once_answer_as_one_by_one(
    world: World, model: ItemKNN | RP3Beta | ALS | EASE, monkeypatch: pytest.MonkeyPatch
) -> None:
    baseline = Personal(model=model, own=0.5, query=Query(half_life=10.0, position_power=0.5))
    users = [FAN, 3, NEWCOMER, 8, 1]
    single = [ask(world, baseline, [user], 6)[0] for user in users]
    monkeypatch.setattr("vitrina.evaluation.baselines.MOST_CELLS", 2 * ITEMS)
    assert ask(world, baseline, users, 6) == single


def test_a_query_weighs_kind_age_and_place(world: World) -> None:
    moments = world.histories.at(np.array([NEWCOMER, FAN], np.int32), NOW)
    query = Query(kind_weights=(1.0, 4.0, 9.0), half_life=8.0, position_power=1.0)
    dense = query.rows(world.histories, moments, items=ITEMS).toarray()
    assert dense[0].sum() == 0
    expected = np.zeros(ITEMS)
    expected[[7, 5, 6]] = 0.5 ** (7 / 8), 4 * 0.5 / 2, 0.5 ** (9 / 8) / 3
    assert dense[1] == pytest.approx(expected)
    assert set(Query(most=1).rows(world.histories, moments, items=ITEMS).indices) == {7}


def test_an_item_touched_twice_weighs_its_strongest_event_at_its_latest_place(world: World) -> None:
    histories = Histories(
        indptr=np.array([0, 3]),
        items=np.array([2, 4, 2], np.int32),
        kinds=np.array([VIEW, VIEW, BUY], np.int8),
        ts=np.full(3, NOW - 1),
    )
    moments = Moments(users=np.zeros(1, np.int32), begin=np.array([0]), end=np.array([3]), as_of=np.array([NOW]))
    query = Query(kind_weights=(1.0, 2.0, 7.0), position_power=1.0)
    assert query.rows(histories, moments, items=5).toarray()[0] == pytest.approx([0, 0, 7.0, 0, 0.5], abs=1e-6)


def test_windows_are_answered_from_what_lies_before_them(world: World) -> None:
    """The fan buys items 0 and 1 from NOW on: a model that saw that would show the first shelf."""
    asked = []

    def past_at(cut: int) -> Past:
        asked.append(cut)
        return world.past

    recipe = BaselineAtWindows(baseline=Personal(model=ItemKNN()), histories=world.histories, past_at=past_at)
    window = Window(NOW, NOW + 14 * DAY_MS)
    users = np.array([FAN], np.int32)
    assert set(recipe.recommend(window, users, 2, new_only=True)[0]) == {8, 9}
    recipe.recommend(window, users, 2, new_only=False)
    assert asked == [NOW]

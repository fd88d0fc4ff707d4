"""A shop where one thing decides: what somebody put into the cart and did not buy is bought within ten days.

Each of 400 visitors comes once: a cart first, then twelve views; 3 to 10 days later the purchase.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import ibis
import numpy as np
import pyarrow as pa
import pytest

from vitrina.candidates.als import ALS
from vitrina.candidates.retrieval import Tables
from vitrina.engine import LocalEngine
from vitrina.events.ids import IdMap
from vitrina.events.schema import BUY, CART, DAY_MS, VIEW
from vitrina.features.history import Histories
from vitrina.features.past import Past
from vitrina.ranking.catboost_ranker import CatBoostRanker
from vitrina.ranking.trees import NO_TREES
from vitrina.recommend.recommender import Catalogue, Recommender, mode_of
from vitrina.recommend.sources import Sources
from vitrina.recommend.two_stage import Trained, TwoStage, train_ranker

START = 1_430_611_200_000
USERS, ITEMS, DAYS = 400, 80, 70
TEST_CUT = START + 56 * DAY_MS
CATEGORIES = np.array([11, 12, 13, 21, 22], np.int64)
PARENT = np.array([-1, 0, 1, -1, 3], np.int32)  # 11 > 12 > 13, 21 > 22

RECIPE = TwoStage(
    sources=Sources(als=ALS(factors=8)),
    ranker=CatBoostRanker(iterations=40, learning_rate=0.2, depth=4),
    groups=200,
)


@dataclass(frozen=True, kw_only=True)
class Shop:
    """Histories, weekly cut-offs before TEST_CUT, and the tables of any cut-off, fitted once."""

    histories: Histories
    cuts: list[int]
    tables_at: Callable[[int], Tables]
    recipe: TwoStage
    test_cut: int


@pytest.fixture(scope="session")
def shop() -> Shop:
    rng = np.random.default_rng(4)
    rows = []
    for user in range(USERS):
        visit = START + int(rng.integers(0, DAYS * DAY_MS))
        seen = rng.choice(ITEMS - 4, 13, replace=False)  # the last four items are never touched
        rows.append((user, int(seen[0]), CART, visit))
        rows += [(user, int(item), VIEW, visit + 60_000 * place) for place, item in enumerate(seen[1:], start=1)]
        rows.append((user, int(seen[0]), BUY, visit + int(rng.integers(3 * DAY_MS, 10 * DAY_MS))))
    user, item, kind, ts = np.array(sorted(rows, key=lambda row: (row[0], row[3])), np.int64).T
    columns = {"user": user.astype(np.int32), "item": item.astype(np.int32), "kind": kind.astype(np.int8), "ts": ts}
    category = rng.integers(-1, len(CATEGORIES), ITEMS).astype(np.int32)
    fitted: dict[int, Tables] = {}

    def tables_at(cut: int) -> Tables:
        if cut not in fitted:
            with LocalEngine(memory_limit="500MB", threads=2) as engine:
                events = ibis.memtable(pa.table(columns))
                past = Past(engine=engine, events=events, as_of=cut, users=USERS, items=ITEMS, category=category)
                fitted[cut] = RECIPE.sources.fit(past, PARENT)
        return fitted[cut]

    return Shop(
        histories=Histories.from_events(**columns, users=USERS),
        cuts=[TEST_CUT - 7 * week * DAY_MS for week in range(1, 6)],
        tables_at=tables_at,
        recipe=RECIPE,
        test_cut=TEST_CUT,
    )


@pytest.fixture(scope="session")
def trained(shop: Shop) -> Trained:
    return train_ranker(shop.recipe, shop.histories, shop.cuts, shop.tables_at, before=shop.test_cut)


@pytest.fixture(scope="session")
def recommender(shop: Shop, trained: Trained) -> Callable[[str], Recommender]:
    """A recommender as of the test cut-off by the name of its ranker; ids are 1000 .. 1079."""

    def build(ranker: str) -> Recommender:
        tables = shop.tables_at(shop.test_cut)
        return Recommender(
            items=IdMap(np.arange(1000, 1000 + ITEMS)),
            catalogue=Catalogue(
                category=tables.category,
                categories=CATEGORIES,
                parent=PARENT,
                available=np.arange(ITEMS) % 5 > 0,
                titles=np.array([f"item {row} ä".encode() for row in range(ITEMS)]),
            ),
            tables=tables,
            taste=shop.recipe.sources.taste,
            trees=trained.trees if ranker == "catboost" else NO_TREES,
            mode=mode_of(ranker),
            as_of=shop.test_cut,
        )

    return build

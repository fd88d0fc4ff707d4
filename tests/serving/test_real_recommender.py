"""The served answers are those of the real recommender over a model folder, with the lists' histories and a session."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from vitrina.candidates.profile import Taste
from vitrina.candidates.retrieval import MATRICES, Tables
from vitrina.events.ids import IdMap
from vitrina.features.history import History
from vitrina.features.item_columns import ITEM_FEATURES
from vitrina.ranking.pair_features import FEATURES
from vitrina.ranking.regimes import REGIMES
from vitrina.ranking.trees import Trees
from vitrina.recommend.model_folder import describe, pack
from vitrina.recommend.recommender import Catalogue, Recommender, Rules, mode_of
from vitrina.registry.model_format import write_model
from vitrina.serving.answer import Ask, answer
from vitrina.serving.loading import load_model
from vitrina.serving.state import ServingState

ITEMS = 20
AS_OF = 1_442_000_000_000
NOW = AS_OF + 3_600_000


def small_model(
    seed: int = 5, items: int = ITEMS, near: int = 5, trees: int = 30, shelf: int = ITEMS // 2
) -> Recommender:
    """Random tables, factors and trees: the answer is not planted, but it must be the same on every way to it."""
    rng = np.random.default_rng(seed)
    rows = len(MATRICES) * items
    starts = np.arange(items)[:, None] * len(MATRICES) * near + np.arange(len(MATRICES) + 1) * near
    neighbours = np.concatenate([rng.choice(items, near, replace=False) for _ in range(rows)]).astype(np.int32)
    factors = rng.normal(size=(items, 8)).astype(np.float32)
    category = (np.arange(items) % 2).astype(np.int32)
    tables = Tables(
        starts=starts.astype(np.int64),
        neighbours=neighbours,
        weights=np.sort(rng.random((rows, near), dtype=np.float32))[:, ::-1].reshape(-1).copy(),
        factors=factors,
        gram=(factors.T @ factors).astype(np.float32),
        popular=np.arange(items, dtype=np.int32),
        popularity=np.linspace(1, 0, items, dtype=np.float32),
        category=category,
        parent=np.array([-1, -1], np.int32),
        shelf_indptr=np.array([0, shelf, 2 * shelf], np.int64),
        shelf_items=np.concatenate([np.arange(0, 2 * shelf, 2), np.arange(1, 2 * shelf, 2)]).astype(np.int32),
        item_values=rng.random((items, len(ITEM_FEATURES)), dtype=np.float32),
    )
    depth = 6
    forest = Trees(
        feature=rng.integers(len(FEATURES), size=trees * depth).astype(np.int32),
        border=rng.random(trees * depth, dtype=np.float32),
        split_start=np.arange(0, (trees + 1) * depth, depth, dtype=np.int64),
        leaves=rng.normal(size=trees * 2**depth),
        leaf_start=np.arange(0, (trees + 1) * 2**depth, 2**depth, dtype=np.int64),
        spans=np.tile(np.array([0, trees], np.int64), (len(REGIMES), 1)),
        scale_bias=np.tile([1.0, 0.0], (len(REGIMES), 1)),
    )
    catalogue = Catalogue(
        category=category,
        categories=np.array([10, 20], np.int64),
        parent=tables.parent,
        available=np.arange(items) % 3 > 0,
    )
    return Recommender(
        items=IdMap(np.arange(100, 100 + items)),
        catalogue=catalogue,
        tables=tables,
        taste=Taste(kind_weights=(1.0, 3.0, 5.0), half_life=30.0, position_power=0.5, alpha=10.0),
        trees=forest,
        mode=mode_of("catboost"),
        as_of=AS_OF,
    )


@pytest.fixture
def state(stage, tmp_path: Path) -> ServingState:
    model = small_model()
    write_model(
        tmp_path / "made" / "real",
        arrays=pack(model),
        files={},
        meta={**describe(model, "catboost"), "user_kind": "int"},
    )
    stage.registry.publish("1", tmp_path / "made" / "real")
    stage.load = load_model
    stage.watcher().look()
    assert stage.served.state is not None
    return stage.served.state


def expected(events: list[int], rules: Rules, k: int, ts: list[int]) -> list[int]:
    history = History(items=np.array(events, np.int32), kinds=np.zeros(len(events), np.int8), ts=np.array(ts, np.int64))
    return [int(item) for item in small_model().recommend(history, k=k, rules=rules, as_of=NOW).items]


def test_served_equals_in_memory(stage, state) -> None:
    def ask(**fields) -> tuple[list[int], str]:
        found = answer(state, Ask(**{"k": 5, **fields}), now=NOW, metrics=stage.metrics)
        return found.items.tolist(), found.source

    assert ask(user=1) == ([19, 18, 17, 16, 15], "precomputed")
    assert ask(user=2) == (expected([6], Rules(), 5, [AS_OF - 1000]), "history")
    times = [NOW - 1, NOW - 2, AS_OF - 1000]
    assert ask(user=2, session=(103, 108)) == (expected([8, 3, 6], Rules(), 5, times), "session")
    shut = Rules(exclude=np.array([1, 2], np.int32), allowed=state.recommender.catalogue.in_categories([20]))
    found, source = ask(user=2, session=(103, 108), exclude=(101, 102), category=(20,))
    assert (found, source) == (expected([8, 3, 6], shut, 5, times), "session")
    assert all(item % 2 == 1 and item not in (1, 2) for item in found)
    assert stage.value("vitrina_fallbacks_total", reason="source_failed") == 0


def test_rules_leave_exactly_what_they_allow(stage, state) -> None:
    found = answer(state, Ask(user=777, k=100, category=(10,), available=True), now=NOW, metrics=stage.metrics)
    assert sorted(found.items.tolist()) == [row for row in range(ITEMS) if row % 2 == 0 and row % 3 > 0]
    assert found.source == "popular"


def test_one_compiled_version_serves_every_request(stage, state) -> None:
    from vitrina.recommend.ranking_pass import rank_one

    before = len(rank_one.signatures)
    for ask in (
        Ask(user=1, k=5, session=(103,)),
        Ask(user=2, k=5),
        Ask(user=2, k=5, exclude=(101,)),
        Ask(user=2, k=5, category=(10,), available=True, session=(104,)),
        Ask(user=777, k=5, available=True),
    ):
        answer(state, ask, now=NOW, metrics=stage.metrics)
    assert len(rank_one.signatures) == before, "a request would have waited for a compiler"

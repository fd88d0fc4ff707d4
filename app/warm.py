"""`python -m app.warm`: compiles the kernels of an answer into numba's cache, so that a service need not.

A model of four items goes the way of every model: written, read, mapped, warmed up. What it answers does not matter.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np

from vitrina.candidates.profile import Taste
from vitrina.candidates.retrieval import MATRICES, Tables
from vitrina.events.ids import IdMap
from vitrina.features.history import History
from vitrina.features.item_columns import ITEM_FEATURES
from vitrina.ranking.trees import NO_TREES
from vitrina.recommend.model_folder import describe, pack
from vitrina.recommend.recommender import Catalogue, Recommender, Rules, mode_of
from vitrina.registry.model_format import write_model
from vitrina.serving.loading import load_model
from vitrina.serving.state import build_state

ITEMS = 4
FACTORS = 2
AS_OF = 1_700_000_000_000


def main() -> None:
    """Answers for a stranger, a visitor and a visitor under rules, over integer and over text ids."""
    for ids in (IdMap(np.arange(ITEMS)), IdMap(["a", "b", "c", "d"])):
        with tempfile.TemporaryDirectory() as scratch:
            folder = Path(scratch) / "model"
            tiny = _tiny(ids)
            write_model(folder, arrays=pack(tiny), files={}, meta={**describe(tiny, "catboost"), "user_kind": ids.kind})
            state = build_state(version="0", copy="0", model=load_model(folder), lists=None, now=AS_OF)
            seen = History(items=np.zeros(1, np.int32), kinds=np.zeros(1, np.int8), ts=np.full(1, AS_OF - 1))
            rules = Rules(exclude=np.ones(1, np.int32), allowed=state.allowed(None, True))
            state.recommender.recommend(seen, k=2, rules=rules, as_of=AS_OF)


def _tiny(ids: IdMap) -> Recommender:
    each = np.arange(ITEMS, dtype=np.int32)
    ones = np.ones(ITEMS, np.float32)
    category = np.zeros(ITEMS, np.int32)
    parent = np.full(1, -1, np.int32)
    tables = Tables(
        starts=np.arange(ITEMS, dtype=np.int64)[:, None] * len(MATRICES) + np.arange(len(MATRICES) + 1),
        neighbours=np.repeat(each[::-1], len(MATRICES)),
        weights=np.tile(ones, len(MATRICES)),
        factors=np.ones((ITEMS, FACTORS), np.float32),
        gram=np.eye(FACTORS, dtype=np.float32),
        popular=each,
        popularity=ones,
        category=category,
        parent=parent,
        shelf_indptr=np.array([0, ITEMS], np.int64),
        shelf_items=each,
        item_values=np.ones((ITEMS, len(ITEM_FEATURES)), np.float32),
    )
    catalogue = Catalogue(
        category=category, categories=np.zeros(1, np.int64), parent=parent, available=np.ones(ITEMS, np.bool_)
    )
    return Recommender(
        items=ids,
        catalogue=catalogue,
        tables=tables,
        taste=Taste(kind_weights=(1.0, 1.0, 1.0), half_life=14.0, position_power=0.5, alpha=2.0),
        trees=NO_TREES,
        mode=mode_of("catboost"),
        as_of=AS_OF,
    )


if __name__ == "__main__":
    main()

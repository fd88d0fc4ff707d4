"""The registered model answers through MLflow as it answers in memory."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from vitrina.candidates.profile import Taste
from vitrina.candidates.retrieval import MATRICES, Tables
from vitrina.events.ids import IdMap
from vitrina.features.history import History
from vitrina.features.item_columns import ITEM_FEATURES
from vitrina.ranking.trees import NO_TREES
from vitrina.recommend.model_folder import describe, pack
from vitrina.recommend.recommender import Catalogue, Recommender, mode_of
from vitrina.registry.mlflow_registry import MlflowRegistry
from vitrina.registry.model_format import write_model
from vitrina.registry.registry import RunRecord

IDS = np.array([b"apple", b"bread", b"cheese", b"dill"])
POPULAR = ["dill", "cheese", "bread", "apple"]
AS_OF = 1_442_000_000_000


@pytest.fixture
def recommender() -> Recommender:
    """Four items of one shelf; the later in the alphabet, the more popular; each item's one neighbour is the next."""
    items, matrices = len(IDS), len(MATRICES)
    factors = np.eye(items, dtype=np.float32)
    tables = Tables(
        starts=np.arange(items, dtype=np.int64)[:, None] * matrices + np.arange(matrices + 1),
        neighbours=np.repeat((np.arange(items, dtype=np.int32) + 1) % items, matrices),
        weights=np.ones(matrices * items, np.float32),
        factors=factors,
        gram=factors.T @ factors,
        popular=np.arange(items, dtype=np.int32)[::-1].copy(),
        popularity=np.linspace(0.25, 1, items, dtype=np.float32),
        category=np.zeros(items, np.int32),
        parent=np.array([-1], np.int32),
        shelf_indptr=np.array([0, items], np.int64),
        shelf_items=np.arange(items, dtype=np.int32)[::-1].copy(),
        item_values=np.zeros((items, len(ITEM_FEATURES)), np.float32),
    )
    return Recommender(
        items=IdMap(IDS),
        catalogue=Catalogue(
            category=tables.category,
            categories=np.array([1], np.int64),
            parent=tables.parent,
            available=np.ones(items, np.bool_),
        ),
        tables=tables,
        taste=Taste(kind_weights=(1.0, 3.0, 5.0), half_life=30.0, position_power=0.5, alpha=10.0),
        trees=NO_TREES,
        mode=mode_of("fusion"),
        as_of=AS_OF,
    )


@pytest.mark.slow
def test_the_champion_answers_through_mlflow(
    recommender: Recommender, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_model(tmp_path / "model", arrays=pack(recommender), files={}, meta=describe(recommender, "fusion"))
    uri = f"sqlite:///{tmp_path}/mlflow.db"
    registry = MlflowRegistry(uri)
    registry.register(tmp_path / "model", RunRecord(fingerprint="0" * 64))
    registry.promote()

    import mlflow

    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    model = mlflow.pyfunc.load_model("models:/ranking_model@champion")
    assert model.predict(pd.DataFrame({"user_id": ["anyone"]})) == [POPULAR]

    session = ["bread", "unknown", "apple"]
    history = History(
        items=np.array([0, 1], np.int32), kinds=np.zeros(2, np.int8), ts=np.array([AS_OF - 1, AS_OF - 2], np.int64)
    )
    expected = recommender.items.ids_of(recommender.recommend(history, k=2, as_of=AS_OF).items)
    rows = pd.DataFrame({"user_id": ["a", "b"], "k": [2, 1], "session": [session, None]})
    assert model.predict(rows) == [expected, POPULAR[:1]]

    for k in (0, 101, 1.5, "many"):
        with pytest.raises(Exception, match=r"k: .* is not a whole number from 1 to 100"):
            model.predict(pd.DataFrame({"user_id": [1], "k": [k]}))
    with pytest.raises(Exception, match="user_id: the column is missing"):
        model.predict(pd.DataFrame({"k": [1]}))

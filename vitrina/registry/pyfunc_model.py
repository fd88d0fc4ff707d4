"""The model as MLflow's pyfunc: `mlflow models serve` and `mlflow.pyfunc.load_model` answer with recommendations.

In: a DataFrame with `user_id` and optionally `k` and `session` (item ids, the oldest first, as the service takes it).
Out: one list of item ids per row. The folder holds no user's history, so that a row without a session is a new user.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from mlflow.pyfunc import PythonModel

from vitrina.errors import RequestError
from vitrina.registry.model_format import read_model

DEFAULT_K = 10


class PublishedModel(PythonModel):
    """Loads the model folder of the artifact `model` and recommends from it."""

    def load_context(self, context: Any) -> None:
        from pathlib import Path

        from vitrina.recommend.recommender import Recommender

        stored = read_model(Path(context.artifacts["model"]))
        self._recommender = Recommender.load(stored)
        self._as_of = int(stored.meta["as_of"])

    def predict(self, context: Any, model_input: pd.DataFrame, params: dict[str, Any] | None = None) -> list[list[Any]]:
        missing = {"user_id"} - set(model_input.columns)
        if missing:
            raise RequestError(
                "the column is missing", field="user_id", remedy="Send user_id, and k and session if wanted"
            )
        rows = model_input.to_dict(orient="records")
        return [self._recommend(_items(row.get("session")), int(row.get("k", DEFAULT_K))) for row in rows]

    def _recommend(self, session: list[Any], k: int) -> list[Any]:
        from vitrina.events.schema import VIEW
        from vitrina.features.history import History
        from vitrina.recommend.recommender import Rules

        known = np.array(
            [row for row in map(self._recommender.items.index_of, reversed(session)) if row >= 0], np.int32
        )
        history = History(
            items=known,
            kinds=np.full(len(known), VIEW, np.int8),
            ts=self._as_of - 1 - np.arange(len(known), dtype=np.int64),
        )
        ranked = self._recommender.recommend(history, k=k, rules=Rules(), as_of=self._as_of)
        ids = self._recommender.items.ids_of(ranked.items)
        return [_plain(item) for item in ids]


def _items(session: Any) -> list[Any]:
    return [] if session is None or isinstance(session, float) else list(session)


def _plain(item: Any) -> Any:
    plain = item.item() if isinstance(item, np.generic) else item
    return plain.decode() if isinstance(plain, bytes) else plain

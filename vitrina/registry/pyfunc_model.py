"""The model as MLflow's pyfunc: `mlflow models serve` and `mlflow.pyfunc.load_model` answer with recommendations.

In: a DataFrame with `user_id` and optionally `k` and `session` (item ids, the oldest first, as the service takes it).
Out: one list of item ids per row. The folder holds no user's history, so that a row without a session is a new user.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from mlflow.pyfunc import PythonModel

from vitrina.errors import RequestError
from vitrina.registry.model_format import read_model
from vitrina.registry.pyfunc_cells import is_gap, whole

DEFAULT_K = 10
MOST_K = 100


class PublishedModel(PythonModel):
    """Loads the model folder of the artifact `model` and recommends from it as of the end of its training data."""

    def load_context(self, context: Any) -> None:
        from vitrina.recommend.recommender import Recommender

        self._recommender = Recommender.load(read_model(Path(context.artifacts["model"])))

    def predict(self, context: Any, model_input: pd.DataFrame, params: dict[str, Any] | None = None) -> list[list[Any]]:
        if "user_id" not in model_input.columns:
            raise RequestError(
                "the column is missing", field="user_id", remedy="Send user_id, with k and session if wanted"
            )
        rows = model_input.to_dict(orient="records")
        return [self._recommend(row.get("session"), row.get("k")) for row in rows]

    def _recommend(self, session: Any, k: Any) -> list[Any]:
        from vitrina.features.history import History

        model = self._recommender
        seen = [] if session is None or isinstance(session, float) else list(session)  # pandas fills gaps with NaN
        viewed = np.array([row for row in map(model.items.index_of, seen) if row >= 0], np.int32)
        wanted = DEFAULT_K if is_gap(k) else whole(k, "k", MOST_K)
        ranked = model.recommend(History.empty(), session=viewed, k=wanted, as_of=model.as_of)
        return list(model.items.ids_of(ranked.items))

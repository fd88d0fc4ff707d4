"""The propensity model as MLflow's pyfunc: `mlflow models serve` and `mlflow.pyfunc.load_model` answer with it.

In: a DataFrame of clients as /predict takes them: columns of requests or of train_ver2.csv, gaps and text and all, and
optionally `history`, a list of objects per row. Out: a DataFrame of 24 probabilities by the products' request names.
"""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from mlflow.pyfunc import PythonModel

from vitrina.errors import RequestError
from vitrina.features.panel_client import client_inputs, read_client
from vitrina.features.panel_features import PanelInputs
from vitrina.features.panel_history import PanelHistory
from vitrina.recommend.propensity_model import PRODUCT_COLUMNS, PropensityModel
from vitrina.registry.model_format import read_model


class PublishedPropensity(PythonModel):
    """Loads the model folder of the artifact `model`. A row without its month is one of the model's last month."""

    def load_context(self, context: Any) -> None:
        self._model = PropensityModel.load(read_model(Path(context.artifacts["model"])))

    def predict(self, context: Any, model_input: pd.DataFrame, params: dict[str, Any] | None = None) -> pd.DataFrame:
        """`RequestError` names the row and the column at fault."""
        rows = model_input.to_dict(orient="records")
        found = np.empty((0, len(PRODUCT_COLUMNS)))
        if rows:
            found = self._model.probabilities(_stacked([self._inputs(row, place) for place, row in enumerate(rows)]))
        return pd.DataFrame(found, columns=list(PRODUCT_COLUMNS), index=model_input.index)

    def _inputs(self, row: dict[Any, Any], place: int) -> PanelInputs:
        document = {str(name): _plain(value) for name, value in row.items()}
        try:
            client = read_client(document, default_month=self._model.as_of_month)
            return client_inputs(client, self._model.encoding)
        except RequestError as error:
            raise RequestError(error.problem, field=f"row {place}, {error.field}", remedy=error.remedy) from error


def _stacked(parts: list[PanelInputs]) -> PanelInputs:
    past = PanelHistory._make(np.concatenate(arrays) for arrays in zip(*(part.past for part in parts), strict=True))
    return PanelInputs(profile=np.concatenate([part.profile for part in parts]), past=past)


def _plain(value: Any) -> Any:
    """A cell as JSON would hold it; a gap of pandas is null."""
    if isinstance(value, np.ndarray | list | dict):
        return value.tolist() if isinstance(value, np.ndarray) else value
    if pd.isna(value):
        return None
    if isinstance(value, date):  # pandas' timestamps too
        return value.strftime("%Y-%m-%d")
    return value.item() if isinstance(value, np.generic) else value

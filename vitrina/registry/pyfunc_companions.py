"""The companions model as MLflow's pyfunc: `mlflow models serve` and `mlflow.pyfunc.load_model` answer with it.

In: a DataFrame of carts as /send_data takes them: `product_list`, and if wanted `n`, `customer_id` and `exclude`. Out:
one `result` per row: `recommendation` as [StockCode, Description, confidence], `because`, `source`, `unknown_products`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from mlflow.pyfunc import PythonModel

from vitrina.errors import RequestError
from vitrina.recommend.companions_limits import DEFAULT_N, MOST_N
from vitrina.recommend.companions_model import CompanionsModel
from vitrina.registry.model_format import read_model
from vitrina.registry.pyfunc_cells import is_gap, whole


class PublishedCompanions(PythonModel):
    """Loads the model folder of the artifact `model`."""

    def load_context(self, context: Any) -> None:
        self._model = CompanionsModel.load(read_model(Path(context.artifacts["model"])))

    def predict(
        self, context: Any, model_input: pd.DataFrame, params: dict[str, Any] | None = None
    ) -> list[dict[str, Any]]:
        """`RequestError` names the row and the column at fault."""
        rows = model_input.to_dict(orient="records")
        return [
            self._answer({str(name): value for name, value in row.items()}, place) for place, row in enumerate(rows)
        ]

    def _answer(self, row: dict[str, Any], place: int) -> dict[str, Any]:
        if "product_list" not in row:
            raise RequestError("the column is missing", field="product_list", remedy="Send a list of product codes")
        n = row.get("n")
        customer = row.get("customer_id")
        found = self._model.companions(
            _codes(row["product_list"], f"row {place}, product_list"),
            DEFAULT_N if is_gap(n) else whole(n, f"row {place}, n", MOST_N),
            customer=None if is_gap(customer) else str(customer),
            exclude=_codes(row.get("exclude"), f"row {place}, exclude"),
        )
        offered = zip(found.codes, found.descriptions, found.confidence, strict=True)
        return {
            "recommendation": [list(one) for one in offered],
            "because": list(found.because),
            "source": found.source,
            "unknown_products": list(found.unknown),
        }


def _codes(value: Any, field: str) -> list[str]:
    if is_gap(value):
        return []
    if not isinstance(value, list | tuple | np.ndarray):
        raise RequestError(f"{value!r} is no list", field=field, remedy='Send a list of codes, as ["85123A"]')
    return [str(code) for code in value]

"""The registered propensity model answers through MLflow, also over its own HTTP, as it answers in memory."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from starlette.testclient import TestClient

from vitrina.events.panels.columns import PRODUCTS, month_text
from vitrina.events.panels.panel import Panel
from vitrina.features.panel_features import panel_inputs
from vitrina.features.panel_marginals import PanelMarginals
from vitrina.features.panel_profile import ProfileEncoding
from vitrina.ranking.product_propensity import ProductPropensity
from vitrina.ranking.propensity_rows import propensity_rows
from vitrina.recommend.propensity_model import PRODUCT_COLUMNS, PropensityModel, packed
from vitrina.registry.mlflow_registry import MlflowRegistry, code_file
from vitrina.registry.model_format import read_model, write_model
from vitrina.registry.registry import RunRecord


@pytest.fixture
def folder(bank_panel: Panel, tmp_path: Path) -> Path:
    """A model that has learned from a small bank."""
    last = int(bank_panel.month.max())
    encoding = ProfileEncoding.fit(bank_panel, np.arange(len(bank_panel)))
    made = packed(
        ProductPropensity(iterations=10, at_least=50).fit(propensity_rows(bank_panel, encoding, last=last - 1)),
        kind="product",
        encoding=encoding,
        thresholds=np.full(len(PRODUCTS), 0.1),
        as_of_month=last,
        marginals=PanelMarginals.fit(bank_panel, np.arange(len(bank_panel))),
    )
    write_model(tmp_path / "model", **made._asdict())
    return tmp_path / "model"


@pytest.mark.slow
def test_the_champion_answers_through_mlflow(
    folder: Path, bank_panel: Panel, bank_csv: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    uri = f"sqlite:///{tmp_path}/mlflow.db"
    registry = MlflowRegistry(uri, model_name="bank_products", pyfunc_code=code_file("pyfunc_propensity_code.py"))
    registry.register(folder, RunRecord(fingerprint="0" * 64))
    registry.promote()

    import mlflow
    from mlflow.pyfunc.scoring_server import init

    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    served = mlflow.pyfunc.load_model("models:/bank_products@champion")
    model = PropensityModel.load(read_model(folder))

    customer = bank_panel.customers[np.argmax(np.diff(bank_panel.indptr))].item()
    rows = bank_panel.rows_of(customer)
    places = np.arange(rows.start, rows.stop)
    with bank_csv.open(newline="", encoding="utf-8") as lines:
        raw = [row for row in csv.DictReader(lines) if int(row["ncodpers"]) == customer]
    raw.sort(key=lambda row: row["fecha_dato"])
    assert [row["fecha_dato"][:7] for row in raw] == [month_text(month) for month in bank_panel.month[places].tolist()]

    with_past = [{**row, "history": raw[:place]} for place, row in enumerate(raw)]
    expected = model.probabilities(panel_inputs(bank_panel, places, model.encoding))
    found = served.predict(pd.DataFrame(with_past))
    assert list(found.columns) == list(PRODUCT_COLUMNS)
    np.testing.assert_array_equal(found.to_numpy(), expected)

    alone = served.predict(pd.DataFrame(raw, index=[f"r{place}" for place in places]))
    assert alone.index[0] == f"r{places[0]}" and not np.array_equal(alone.to_numpy(), expected)
    np.testing.assert_array_equal(alone.to_numpy()[0], expected[0])  # nothing was before the first month
    typed = pd.read_csv(bank_csv, skipinitialspace=True, na_values=["NA", ""], keep_default_na=False, low_memory=False)
    typed = typed[typed["ncodpers"] == customer].assign(fecha_dato=lambda frame: pd.to_datetime(frame["fecha_dato"]))
    typed = typed.sort_values("fecha_dato")  # floats with gaps, NaN, timestamps
    np.testing.assert_array_equal(served.predict(typed).to_numpy(), alone.to_numpy())
    assert served.predict(typed[:0]).shape == (0, len(PRODUCTS))

    with TestClient(init(served)) as client:
        answer = client.post("/invocations", json={"dataframe_records": with_past})
        predictions = pd.DataFrame(answer.json()["predictions"])[list(PRODUCT_COLUMNS)]
        np.testing.assert_allclose(predictions.to_numpy(), expected, rtol=1e-15)

    with pytest.raises(Exception, match=r"row 0, agee: no column of a client\. Is age meant"):
        served.predict(pd.DataFrame([{"age": 35, "agee": 35}]))
    with pytest.raises(Exception, match="row 1, sexo: neither text nor a number"):
        served.predict(pd.DataFrame([{"sexo": "V"}, {"sexo": True}]))

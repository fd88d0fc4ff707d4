"""The registered companions model answers through MLflow, also over its own HTTP, as it answers in memory."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from starlette.testclient import TestClient

from vitrina.ranking.cart_calibration import CartConfidence
from vitrina.ranking.cart_features import NOTHING_BOUGHT
from vitrina.recommend.companions_model import CURVES, Companions, CompanionsModel, packed
from vitrina.recommend.companions_pass import Links
from vitrina.registry.mlflow_registry import MlflowRegistry, code_file
from vitrina.registry.model_format import read_model, write_model
from vitrina.registry.registry import RunRecord

KNOTS = np.tile(np.linspace(0, 1, 3), (7, 1))
AS_IT_IS = CartConfidence(scores=KNOTS, shares=KNOTS)
DENSE = np.array([[0, 0.9, 0.2, 0], [0.5, 0, 0.3, 0], [0, 0, 0, 0.6], [0, 0, 0.8, 0]], np.float32)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A model of four products and one customer."""
    model = CompanionsModel(
        kind="item_item",
        as_of=1_320_000_000_000,
        codes=("85123A", "22423", "71053", "20725"),
        descriptions=("LIGHT HOLDER", "CAKE STAND", "LANTERN", "LUNCH BAG"),
        popular=np.array([0.1, 0.2, 0.3, 0.05], np.float32),
        confidence=dict.fromkeys(CURVES, AS_IT_IS),
        links=Links(DENSE, np.zeros(1, np.int64), np.empty(0, np.int32), np.empty(0, np.float32)),
        customers=("17850",),
        bought=NOTHING_BOUGHT._replace(
            starts=np.array([0, 1, 1]), items=np.array([3], np.int32), rates=np.array([0.6], np.float32)
        ),
    )
    write_model(tmp_path / "model", **packed(model)._asdict())
    return tmp_path / "model"


def result(found: Companions) -> dict[str, object]:
    return {
        "recommendation": [list(one) for one in zip(found.codes, found.descriptions, found.confidence, strict=True)],
        "because": list(found.because),
        "source": found.source,
        "unknown_products": list(found.unknown),
    }


@pytest.mark.slow
def test_the_champion_answers_through_mlflow(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    uri = f"sqlite:///{tmp_path}/mlflow.db"
    registry = MlflowRegistry(uri, model_name="basket", pyfunc_code=code_file("pyfunc_companions_code.py"))
    registry.register(folder, RunRecord(fingerprint="0" * 64))
    registry.promote()

    import mlflow
    from mlflow.pyfunc.scoring_server import init

    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    served = mlflow.pyfunc.load_model("models:/basket@champion")
    model = CompanionsModel.load(read_model(folder))

    rows = pd.DataFrame(
        [
            {"product_list": ["85123a", 22423.0], "n": 2, "customer_id": None, "exclude": None},
            {"product_list": ["nothing"], "n": None, "customer_id": 17850.0, "exclude": ["71053"]},
            {"product_list": [], "n": 1, "customer_id": None, "exclude": ["71053"]},
        ]
    )
    expected = [
        model.companions(["85123A", "22423"], 2),
        model.companions(["nothing"], 10, customer="17850", exclude=["71053"]),
        model.companions([], 1, exclude=["71053"]),
    ]
    assert [one.source for one in expected] == ["cart", "history", "popular"]
    assert served.predict(rows) == [result(one) for one in expected]
    assert served.predict(rows[["product_list"]])[0] == result(model.companions(["85123A", "22423"], 10))

    with TestClient(init(served)) as client:
        records = [{"product_list": ["85123A"], "n": 2}]
        answer = client.post("/invocations", json={"dataframe_records": records})
        assert answer.status_code == 200, answer.text
        assert json.loads(answer.text)["predictions"] == [result(model.companions(["85123A"], 2))]
        for wrong, says in (
            ([{"products": ["85123A"]}], "product_list: the column is missing"),
            ([{"product_list": "85123A"}], "row 0, product_list: '85123A' is no list"),
            ([{"product_list": ["85123A"], "n": 0}], "row 0, n: 0 is not a whole number from 1 to 100"),
        ):
            answer = client.post("/invocations", json={"dataframe_records": wrong})
            assert answer.status_code >= 400 and says in answer.text, answer.text

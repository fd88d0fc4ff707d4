"""POST /predict, POST /predict_proba and GET /random: the bank's contract, in front of models that are planted."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from otlp_server import OtlpServer
from starlette.testclient import TestClient

from app.main import create_app
from app.settings import Settings
from vitrina.events.panels.columns import NAME_OF, PRODUCTS
from vitrina.events.panels.panel import Panel
from vitrina.features.panel_features import panel_inputs
from vitrina.features.panel_history import product_matrix
from vitrina.features.panel_marginals import PanelMarginals
from vitrina.features.panel_profile import ProfileEncoding
from vitrina.ranking.product_propensity import ProductPropensity
from vitrina.ranking.propensity import FixedPropensity
from vitrina.ranking.propensity_rows import propensity_rows
from vitrina.recommend.propensity_model import PropensityModel, packed
from vitrina.registry.model_format import read_model, write_model
from vitrina.serving.propensity_state import PropensityState

RUSSIAN = [product.russian for product in PRODUCTS]
ENGLISH = [product.english for product in PRODUCTS]
N = len(PRODUCTS)
MAY = 2016 * 12 + 4
Ask = Callable[[PropensityModel], TestClient]


@pytest.fixture
def ask(tmp_path: Path) -> Ask:
    """A client of an app that serves a model, without the watcher."""

    def served(model: PropensityModel | None, **settings: Any) -> TestClient:
        app = create_app(Settings(home=tmp_path, **settings))
        if model is not None:
            state = PropensityState(version="7", copy="", model=model, as_of=0, loaded_at=0)
            app.state.service.of("bank_products").served.state = state
        return TestClient(app, raise_server_exceptions=False)

    return served


def fixed(rates: list[float], thresholds: list[float] | None = None) -> PropensityModel:
    """The first rates; the other products have the chance 0.001, and a threshold that they do not reach."""
    return PropensityModel(
        kind="popularity",
        encoding=ProfileEncoding(levels={}),
        propensity=FixedPropensity(rates=np.array(rates + [0.001] * (N - len(rates)))),
        thresholds=np.array((thresholds or []) + [np.inf] * (N - len(thresholds or []))),
        as_of_month=MAY,
        marginals=PanelMarginals(profile={}, owned=(0.5,) * N),
    )


@pytest.fixture(scope="module")
def model(bank_panel: Panel, tmp_path_factory: pytest.TempPathFactory) -> PropensityModel:
    """It has learned, and was read from its folder."""
    last = int(bank_panel.month.max())
    encoding = ProfileEncoding.fit(bank_panel, np.arange(len(bank_panel)))
    rows = propensity_rows(bank_panel, encoding, last=last - 1)
    made = packed(
        ProductPropensity(iterations=10, at_least=50).fit(rows),
        kind="product",
        encoding=encoding,
        thresholds=np.full(N, 0.02),
        as_of_month=last,
        marginals=PanelMarginals.fit(bank_panel, np.arange(len(bank_panel))),
    )
    folder = tmp_path_factory.mktemp("bank") / "model"
    write_model(folder, **made._asdict())
    return PropensityModel.load(read_model(folder))


@pytest.mark.parametrize("naming", ["train_ver2.csv", "requests"])
@pytest.mark.parametrize("past", [True, False])
def test_the_answer_is_that_of_the_panels_row(
    ask: Ask, model: PropensityModel, bank_panel: Panel, bank_csv: Path, naming: str, past: bool
) -> None:
    client = ask(model)
    with bank_csv.open(newline="", encoding="utf-8") as lines:
        rows: dict[int, list[dict[str, str]]] = {}
        for row in csv.DictReader(lines):
            named = {NAME_OF[name]: text for name, text in row.items()} if naming == "requests" else row
            rows.setdefault(int(row["ncodpers"]), []).append(named)
    yes = 0
    for customer in bank_panel.customers[:40].tolist():
        mine = bank_panel.rows_of(customer)
        place = mine.stop - 1 if past else mine.start  # nobody's first row has a past
        *earlier, document = rows[customer][: place - mine.start + 1]
        inputs = panel_inputs(bank_panel, np.array([place]), model.encoding)
        (expected,) = model.probabilities(inputs)
        body = {**document, "history": earlier} if past else document
        shown = {name: round(p, 4) for name, p in zip(RUSSIAN, expected.tolist(), strict=True) if p >= 0.01}
        found = client.post("/predict_proba", json=body).json()
        assert found == shown and list(found.values()) == sorted(shown.values(), reverse=True)
        taken = ((expected >= 0.02) & ~product_matrix(inputs.past.owned)[0]).astype(int).tolist()
        assert client.post("/predict", json=body).json() == dict(zip(RUSSIAN, taken, strict=True))
        yes += sum(taken)
    assert yes


def test_without_history_the_answer_is_another_one(ask: Ask, model: PropensityModel, bank_panel: Panel) -> None:
    """So that the test above would see a history that is dropped."""
    row = int(np.argmax(bank_panel.month == bank_panel.month.max()))
    inputs = panel_inputs(bank_panel, np.array([row]), model.encoding)
    past = inputs.past._replace(present=inputs.past.present & False, lag_known=inputs.past.lag_known * 0)
    assert not np.array_equal(model.probabilities(inputs), model.probabilities(inputs._replace(past=past)))


def test_predict_says_yes_or_no_of_every_product(ask: Ask) -> None:
    client = ask(fixed([0.3, 0.2, 0.1, 0.4], [0.3, 0.21, 0.05, 0.1]))
    answer = client.post("/predict", json={"ind_1m_derivatives": 1, "age": 35})
    assert answer.headers["content-type"] == "application/json"
    assert list(answer.json().items()) == [(name, int(place in (0, 2))) for place, name in enumerate(RUSSIAN)]
    english = client.post("/predict/?lang=en", json={"ind_1m_derivatives": 1})
    assert list(english.json().items()) == [(name, int(place in (0, 2))) for place, name in enumerate(ENGLISH)]
    assert client.post("/predict?lang=ru", json={"ind_cder_fin_ult1": " 1.0"}).content == answer.content


def test_predict_proba_shows_what_is_likely(ask: Ask) -> None:
    rates = [0.01, 0.00999, 0.12341, 0.5, 0.12342, 0.99999, 0.12344, 0.0100049]
    client = ask(fixed(rates))
    answer = client.post("/predict_proba?lang=en", content=b"{}").text
    shown = [(5, 1.0), (3, 0.5), (2, 0.1234), (4, 0.1234), (6, 0.1234), (0, 0.01), (7, 0.01)]
    assert answer == json.dumps({ENGLISH[p]: chance for p, chance in shown}, separators=(",", ":"), ensure_ascii=False)
    assert client.post("/predict_proba/", json={PRODUCTS[5].code: 1}).json() == {RUSSIAN[p]: c for p, c in shown[1:]}
    assert ask(fixed([0.009])).post("/predict_proba", json={}).text == "{}"


def test_the_month_is_the_models_unless_it_is_told(ask: Ask) -> None:
    client = ask(fixed([0.2]))
    history = [{"fetch_date": "28-05-2016"}]
    refused = client.post("/predict", json={"history": history})
    assert (refused.status_code, "as fetch_date" in refused.json()["error"]["remedy"]) == (422, True)
    assert client.post("/predict", json={"history": history, "fetch_date": "28-06-2016"}).status_code == 200
    assert client.post("/predict", json={"history": [{"fetch_date": "30-04-2016"}]}).status_code == 200


def test_random_clients_are_answered(ask: Ask, model: PropensityModel) -> None:
    client = ask(model)
    answers = [client.get("/random?lang=en").json() for _ in range(60)]
    assert all(list(answer) == ENGLISH and set(answer.values()) <= {0, 1} for answer in answers)
    assert len({tuple(answer.values()) for answer in answers}) > 1
    assert list(client.get("/random/").json()) == RUSSIAN


def test_what_is_said_yes_to_is_counted(ask: Ask) -> None:
    client = ask(fixed([0.3, 0.2, 0.1], [0.3, 0.3, 0.1]))
    for _ in range(3):
        client.post("/predict", json={})
    client.post("/predict", json={PRODUCTS[0].column: 1})
    client.post("/predict_proba", json={})
    client.post("/predict", json={"agee": 1})
    drawn = sum(client.get("/random?lang=en").json()[ENGLISH[2]] for _ in range(20))
    assert 0 < drawn < 20
    lines = dict(line.rsplit(" ", 1) for line in client.get("/metrics").text.splitlines() if line[0] != "#")

    def count(place: int) -> float:
        labels = f'product="{PRODUCTS[place].column}",scenario="bank_products"'
        return float(lines[f"vitrina_predicted_products_total{{{labels}}}"])

    assert (count(2), count(1)) == (4 + drawn, 0)
    assert 3 <= count(0) < 23


@pytest.mark.parametrize(
    ("path", "body", "field", "reason"),
    [
        ("/predict", b"", "body", "missing"),
        ("/predict", b"{", "body", "not JSON at line 1"),
        ("/predict", b'{"age": NaN}', "body", "not JSON"),
        ("/predict_proba", b'{"income": Infinity}', "body", "not JSON"),
        ("/predict", b'{"income": 1e999}', "body", "a number that is too large at line 1, column 12"),
        ("/predict", b'{"age": 1, "age": 2}', "age", "given twice"),
        ("/predict", b'{"history": [{"age": 1, "age": 2}, {}]}', "age", "given twice"),
        ("/predict", b"[]", "body", "not a JSON object"),
        ("/predict", b'"age"', "body", "not a JSON object"),
        ("/predict_proba", b'{"age": true}', "age", "neither a number"),
        ("/predict_proba", b'{"ind_nomina_ult1": "yes"}', "ind_nomina_ult1", "not 0 or 1"),
        ("/predict", '{"возраст": 3}'.encode(), "возраст", "no column of a client"),
        ("/predict", b'{"history": [{"fetch_date": 5}]}', "history.0.fetch_date", "not a date"),
        ("/predict", b'{"history": [{"fetch_date": "28-05-2016"}]}', "history", "2016-05 is not before"),
        ("/predict?lang=de", b"{}", "lang", "not ru or en"),
        ("/predict?lang=", b"{}", "lang", "not ru or en"),
        ("/predict_proba?lang=ru&lang=en", b"{}", "lang", "given twice"),
    ],
)
def test_what_is_wrong_is_422_with_the_fields_name(ask: Ask, path: str, body: bytes, field: str, reason: str) -> None:
    answer = ask(fixed([0.2])).post(path, content=body)
    error = answer.json()["error"]
    assert (answer.status_code, error["field"]) == (422, field)
    assert reason in error["reason"] and error["remedy"]


def test_other_refusals(ask: Ask) -> None:
    nobody = ask(None)
    for answer in (nobody.post("/predict", json={}), nobody.post("/predict_proba", json={}), nobody.get("/random")):
        assert answer.status_code == 503
        assert "vitrina train bank_products --data FOLDER" in answer.json()["error"]["remedy"]
    client = ask(fixed([0.2]), max_body_bytes=1_024)  # type: ignore[call-arg]  # a setting
    assert client.post("/predict", json={"gender": "x" * 1_024}).status_code == 413
    assert client.get("/predict").status_code == client.post("/random").status_code == 405
    assert client.get("/random?lang=xx").status_code == 422


def test_the_routes_are_documented(ask: Ask) -> None:
    text = ask(fixed([0.2])).get("/openapi.json").json()
    schema = text["components"]["schemas"]["BankClient"]
    assert not set(NAME_OF.values()) - schema["properties"].keys()
    paths = {path for path in text["paths"] if path.startswith(("/predict", "/random"))}
    assert paths == {"/predict", "/predict/", "/predict_proba", "/predict_proba/", "/random", "/random/"}
    example = schema["example"]
    assert ask(fixed([0.2])).post("/predict", json=example).status_code == 200


def test_a_span_says_which_model_foretold(serve: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with OtlpServer() as collector:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url)
        monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "50")
        with serve(tmp_path, champion=False, bank=True) as running:
            running.until(lambda: running.client.post("/predict", json={}).status_code == 200)
            span = collector.named("foretell")[0]
    assert span.attributes == {"vitrina.scenario": "bank_products", "vitrina.model_version": "1"}

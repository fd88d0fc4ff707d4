"""The bank in the composed stack: a panel that is uploaded to S3, trained on by Airflow, served, and told to carbon."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from composed_stack import Stack
from waiting import wait

from vitrina.events.panels.columns import PRODUCTS

pytestmark = [pytest.mark.slow, pytest.mark.stack, pytest.mark.timeout(3600)]
COLUMN_OF = {product.russian: product.column for product in PRODUCTS}
CLIENT = {"fetch_date": "28-05-2016", "id": 7, "age": 41, "income": None, "ind_1m_checking_acc": 1}
NAME_OF = {column: name for name, column in COLUMN_OF.items()}
RETURNING = ("ind_1m_salary_acc", "ind_1m_pension_obligation_account", "ind_1m_debit_account")
"""What comes back when it was not seen for a month."""


def back(column: str) -> dict[str, Any]:
    """A client who had a product for seven months, but not in the last one, and is likely to have it again."""
    owned = {name: int(name in ("ind_1m_checking_acc", "ind_1m_payroll_acc")) for name in NAME_OF}
    history = [{**owned, column: 1, "fetch_date": f"28-0{month}-2015"} for month in range(1, 8)]
    return {**owned, "fetch_date": "28-08-2015", "age": 40, "income": 90_000, "history": history}


@pytest.fixture(scope="module")
def client(stack: Stack) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=stack.url("VITRINA_PORT")) as client:
        yield client


@pytest.fixture(scope="module")
def before(client: httpx.Client) -> httpx.Response:
    """The answer before anything was trained."""
    return client.post("/predict", json=CLIENT)


@pytest.fixture(scope="module")
def trained(stack: Stack, before: httpx.Response, client: httpx.Client) -> dict[str, Any]:
    """What the upload said, after a first training on what it put there is served."""
    with stack.engine.stage("the bank's training"):
        stack.vitrina("generate", "--shape", "bank", "--out", "/tmp/bank", "--customers", "1000", "--months", "8")
        sent: dict[str, Any] = stack.vitrina("upload", "--scenario", "bank_products", "--data", "/tmp/bank")
        stack.train("bank_products")
        wait(lambda: client.post("/predict", json=CLIENT).status_code == 200)
    return sent


def test_before_the_first_training_the_service_says_what_to_do(before: httpx.Response) -> None:
    assert before.status_code == 503
    assert "vitrina train bank_products" in before.json()["error"]["remedy"]


def test_a_panel_in_s3_becomes_the_champion_that_mlflow_names(stack: Stack, trained: dict[str, Any]) -> None:
    assert trained["to"] == "s3://vitrina-events/bank"
    there = stack.vitrina("events", "--scenario", "bank_products")
    assert (there["file"], there["fingerprint"]) == ("train_ver2.csv", trained["fingerprint"])
    assert (stack.champion("bank_products"), stack.champion()) == ("1", None)
    wait(lambda: stack.messages("bank_products: version 1") != [], pause=2)
    (message,) = stack.messages("bank_products: version 1")
    assert "is the new champion" in message
    assert "MAP@7" in message


def test_the_bank_answers_through_the_proxy(client: httpx.Client, trained: dict[str, Any]) -> None:
    decided = client.post("/predict/", json=CLIENT).json()
    assert list(decided) == list(COLUMN_OF)
    assert set(decided.values()) <= {0, 1}
    assert decided["Текущий счёт"] == 0, "what is owned is not foretold"
    chances = client.post("/predict_proba", json=CLIENT).json()
    assert list(chances.values()) == sorted(chances.values(), reverse=True)
    assert all(0.01 <= chance < 1 for chance in chances.values())
    assert client.get("/random").json().keys() == COLUMN_OF.keys()
    wrong = client.post("/predict", json={**CLIENT, "ind_1m_chequing_acc": 1})
    assert (wrong.status_code, "ind_1m_chequing_acc" in wrong.text) == (422, True)


def test_carbon_holds_what_was_asked_and_answered(stack: Stack, client: httpx.Client, trained: dict[str, Any]) -> None:
    """Against what Prometheus counts of the same answers, and what is sure to be among them."""
    for column in RETURNING:
        assert {client.post("/predict", json=back(column)).json()[NAME_OF[column]] for _ in range(20)} == {1}
    assert {client.get("/random").status_code for _ in range(100)} == {200}
    asked = 20 * len(RETURNING) + 100

    def latest(target: str) -> dict[str, float]:
        today = f"{datetime.now(UTC):%Y%m%d}"
        return {name: points[-1][0] for name, points in stack.graphite(target, today).items() if points}

    def counted(name: str, labels: str = "") -> dict[str, float]:
        found = stack.prometheus(f"sum by (product) ({name}{labels})")
        return {one["metric"].get("product", ""): float(one["value"][1]) for one in found}

    def targets() -> dict[str, float]:
        return {name.removeprefix("target."): value for name, value in latest("target.*").items()}

    def agreed() -> bool:
        requests = latest("bank-rs.requests").get("bank-rs.requests", 0.0)
        routes = '{route=~"/predict|/predict_proba|/random"}'
        same = {"": requests} == counted("vitrina_http_requests_total", routes)
        return same and requests >= asked and targets() == counted("vitrina_predicted_products_total")

    wait(agreed, otherwise=stack.said, pause=2)
    assert targets().keys() == set(COLUMN_OF.values())
    assert all(targets()[column] >= 20 for column in RETURNING)
    codes = latest("response_code.*")
    assert codes["response_code.200"] >= asked
    assert {"response_code.422", "response_code.503"} <= codes.keys()
    assert latest("bank-rs.system.up_time")["bank-rs.system.up_time"] > 0
    assert latest("bank-rs.system.memory_free_mb")["bank-rs.system.memory_free_mb"] > 100
    assert 0 <= latest("bank-rs.system.cpu_load")["bank-rs.system.cpu_load"] <= 100
    assert 0 < latest("response_time")["response_time"] < 60_000

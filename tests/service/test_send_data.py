"""POST /send_data: the contract that people already call, in front of a planted model."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from otlp_server import OtlpServer

from vitrina.accounts.api_keys import make_api_key
from vitrina.storage.sql_accounts import SqlAccounts

Serve = Callable[..., Any]
REQUESTS, CLIENTS = 100, 4


@pytest.fixture(scope="module")
def basket(serve: Serve, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A service with a basket's champion alone; its client has a token."""
    with serve(tmp_path_factory.mktemp("home"), champion=False, basket=True) as running:
        running.client.headers["authorization"] = f"Bearer {running.token()}"
        yield running


@pytest.mark.parametrize("path", ["/send_data", "/send_data/"])
def test_what_goes_with_a_cart(basket: Any, path: str) -> None:
    answer = basket.client.post(path, json={"product_list": ["80003", "80004", "odd"], "n": 3})
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json")
    assert answer.json() == {
        "result": {
            "recommendation": [
                ["80002", "PRODUCT 80002", 0.8],
                ["80005", "PRODUCT 80005", 0.8],
                ["80000", "PRODUCT 80000", 0.0],
            ],
            "source": "cart",
            "because": ["80003", "80004", None],
            "unknown_products": ["odd"],
            "model_version": "1",
        }
    }


def ask(running: Any, **body: Any) -> dict[str, Any]:
    answer = running.client.post("/send_data", json=body)
    assert answer.status_code == 200, answer.text
    result: dict[str, Any] = answer.json()["result"]
    return result


def codes(result: dict[str, Any]) -> list[str]:
    return [code for code, _, _ in result["recommendation"]]


def test_codes_as_spreadsheets_write_them(basket: Any) -> None:
    for product in (80003, 80003.0, "80003.0", " 80003 "):
        assert codes(ask(basket, product_list=[product], n=1.0)) == ["80002"]


def test_a_customers_purchases_step_in_for_an_unknown_cart(basket: Any) -> None:
    for customer in ("17850", 17850, 17850.0):
        result = ask(basket, product_list=["odd"], n=1, customer_id=customer)
        assert (codes(result), result["source"], result["because"]) == (["80009"], "history", [None])
    for nobody in (None, "", " ", "nan", "1"):
        result = ask(basket, product_list=["odd"], n=2, customer_id=nobody)
        assert (codes(result), result["source"]) == (["80000", "80001"], "popular")


def test_neither_the_cart_nor_what_is_excluded_comes_back(basket: Any) -> None:
    result = ask(basket, product_list=["80000"], n=100, exclude=["80001", 80002])
    assert sorted(codes(result)) == [f"8000{row}" for row in range(3, 10)]
    assert len(ask(basket, product_list=[])["recommendation"]) == 10, "n is 10 when it is left out"


@pytest.mark.parametrize(
    ("body", "field", "reason"),
    [
        (b"", "body", "missing"),
        (b"{", "body", "not JSON at line 1"),
        (b'{"product_list": [NaN]}', "body", "not JSON"),
        (b"[]", "body", "not a JSON object"),
        (b"{}", "product_list", "missing"),
        (b'{"product_list": null}', "product_list", "not a list of product codes"),
        (b'{"product_list": "85123A"}', "product_list", "not a list of product codes"),
        (b'{"product_list": [""]}', "product_list", "neither text"),
        (b'{"product_list": [true]}', "product_list", "neither text"),
        (b'{"product_list": [1.5]}', "product_list", "neither text"),
        (b'{"product_list": [["85123A"]]}', "product_list", "neither text"),
        (b'{"product_list": [9223372036854775808]}', "product_list", "neither text"),
        (b'{"product_list": ["%s"]}' % (b"x" * 129), "product_list", "neither text"),
        (b'{"product_list": [%s]}' % b",".join([b"1"] * 501), "product_list", "over 500 products"),
        (b'{"product_list": [], "exclude": {}}', "exclude", "not a list of product codes"),
        (b'{"product_list": [], "n": 0}', "n", "not an integer from 1 to 100"),
        (b'{"product_list": [], "n": 101}', "n", "not an integer from 1 to 100"),
        (b'{"product_list": [], "n": true}', "n", "not an integer from 1 to 100"),
        (b'{"product_list": [], "n": "7"}', "n", "not an integer from 1 to 100"),
        (b'{"product_list": [], "customer_id": [1]}', "customer_id", "neither text"),
        (b'{"product_list": [], "customer_id": "%s"}' % (b"x" * 129), "customer_id", "neither text"),
        (b'{"product_list": [], "excl": []}', "excl", "a field that is not known"),
        (b'{"product_list": [], "n": 2, "n": 3}', "n", "given twice"),
        (b'{"product_list": ["\xff"]}', "body", "not UTF-8 at byte 19"),
        (b'{"product_list": [], "n": 1e400}', "body", "a number that is too large at line 1, column 27"),
    ],
)
def test_what_is_wrong_is_422_with_the_fields_name(basket: Any, body: bytes, field: str, reason: str) -> None:
    answer = basket.client.post("/send_data", content=body)
    error = answer.json()["error"]
    assert (answer.status_code, error["field"]) == (422, field)
    assert reason in error["reason"] and error["remedy"]
    assert field != "customer_id" or ("customer" in error["remedy"].lower() and "codes" not in error["remedy"])


def test_null_means_what_is_left_out_and_a_colon_may_be_in_a_code(basket: Any) -> None:
    body = {"product_list": ["a:b", "100"]}
    assert ask(basket, **body, n=None, exclude=None, customer_id=None) == ask(basket, **body)


def test_other_refusals(serve: Serve, tmp_path: Path) -> None:
    cart = {"product_list": ["80003"]}
    with serve(tmp_path, champion=False, max_body_bytes=1_024) as running:
        assert running.client.post("/send_data", json=cart).status_code == 401
        only_events = {"authorization": f"Bearer {running.token('events')}"}
        assert running.client.post("/send_data", json=cart, headers=only_events).status_code == 403
        running.client.headers["authorization"] = f"Bearer {running.token()}"
        answer = running.client.post("/send_data", json=cart)
        assert (answer.status_code, answer.json()["error"]) == (
            503,
            {"reason": "no model of basket is published", "remedy": "Make one: vitrina train basket --data FILE"},
        )
        assert running.client.post("/send_data", content=b"x" * 1_025).status_code == 413
        assert running.client.get("/send_data").status_code == 405


def test_an_api_key_opens_it_as_well(serve: Serve, tmp_path: Path) -> None:
    with serve(tmp_path, champion=False, basket=True) as running:
        running.token("recommendations")
        accounts = SqlAccounts.open(running.app.state.service.settings.state_address)
        (account,) = accounts.accounts()
        _, text = make_api_key(accounts, account, scopes=(), expires=None, now=0)
        for headers in ({"x-api-key": text}, {"authorization": f"Bearer {text}"}):
            answer = running.client.post("/send_data", json={"product_list": ["80003"], "n": 1}, headers=headers)
            assert answer.json()["result"]["recommendation"] == [["80002", "PRODUCT 80002", 0.8]]
        assert running.client.post("/send_data", json={}, headers={"x-api-key": text[:-1] + "_"}).status_code == 401


def test_what_is_answered_is_counted(serve: Serve, tmp_path: Path) -> None:
    with serve(tmp_path, champion=False, basket=True) as running:
        running.client.headers["authorization"] = f"Bearer {running.token()}"
        running.client.post("/token", data={"username": "eve", "password": "wrong"})
        ask(running, product_list=["80003", "odd"], n=4)
        ask(running, product_list=["odd"], n=4)
        running.client.post("/send_data/", json={"n": 4})
        lines = dict(line.rsplit(" ", 1) for line in running.client.get("/metrics").text.splitlines() if line[0] != "#")
    expected = {
        'vitrina_http_requests_total{route="/send_data",status="200"}': 2,
        'vitrina_http_requests_total{route="/send_data",status="422"}': 1,
        'vitrina_http_requests_total{route="/token",status="200"}': 1,
        'vitrina_recommendations_total{scenario="basket",source="cart"}': 1,
        'vitrina_recommendations_total{scenario="basket",source="popular"}': 1,
        'vitrina_recommended_items_total{scenario="basket",source="popular"}': 4,
        'vitrina_fallbacks_total{reason="unknown_products",scenario="basket"}': 1,
        'vitrina_unknown_products_total{scenario="basket"}': 2,
        'vitrina_companion_confidence_count{scenario="basket"}': 2,
        'vitrina_sign_ins_total{outcome="done"}': 1,
        'vitrina_sign_ins_total{outcome="refused"}': 1,
        'vitrina_sign_ins_total{outcome="throttled"}': 0,
        'vitrina_model_info{scenario="basket",version="1"}': 1,
    }
    assert {name: float(lines.get(name, "nan")) for name in expected} == expected


def test_it_is_told_and_documented(basket: Any) -> None:
    assert basket.client.get("/readyz").json()["models"] == {"basket": "1"}
    (model,) = basket.client.get("/models").json()["models"]
    assert (model["scenario"], model["kind"], model["products"], model["customers"]) == ("basket", "item_item", 10, 1)
    text = basket.client.get("/openapi.json").json()
    for path in ("/send_data", "/send_data/"):
        told = text["paths"][path]["post"]
        assert [name for proof in told["security"] for name in proof] == ["OAuth2PasswordBearer", "APIKeyHeader"]
        assert {"200", "401", "403", "413", "422", "429", "503"} == told["responses"].keys()
    assert "security" not in text["paths"]["/predict"]["post"]
    example = text["paths"]["/send_data"]["post"]["requestBody"]["content"]["application/json"]["schema"]["example"]
    assert len(ask(basket, **example)["recommendation"]) == 7


def test_no_request_fails_while_the_champion_changes(serve: Serve, toy: Any, tmp_path: Path) -> None:
    """Model n says 0.8 divided by n of the product that goes with the cart."""
    seen: Counter[tuple[int, Any]] = Counter()
    with serve(tmp_path, champion=False, basket=True) as running:
        headers = {"authorization": f"Bearer {running.token()}"}
        done = threading.Event()

        def load() -> None:
            with httpx.Client(base_url=running.url, headers=headers) as client:
                sent = 0
                while sent < REQUESTS or not done.is_set():
                    sent += 1
                    answer = client.post("/send_data", json={"product_list": ["80003"], "n": 1})
                    found = answer.json().get("result", {}).get("recommendation")
                    seen[answer.status_code, found[0][2] if found else answer.text] += 1

        threads = [threading.Thread(target=load) for _ in range(CLIENTS)]
        for thread in threads:
            thread.start()
        running.until(lambda: seen[200, 0.8] > 0)
        for number in (2, 4):
            version = str(number)
            folder = toy.write_basket(tmp_path / "made" / version, 1 / number)
            running.basket_registry.publish(version, folder)
            running.until(lambda number=number: seen[200, 0.8 / number] > 0)
        done.set()
        for thread in threads:
            thread.join(timeout=60)
    assert seen.keys() == {(200, 0.8), (200, 0.4), (200, 0.2)}


def test_a_span_says_which_model_answered(serve: Serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with OtlpServer() as collector:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url)
        monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "50")
        with serve(tmp_path, champion=False, basket=True) as running:
            running.client.headers["authorization"] = f"Bearer {running.token()}"
            ask(running, product_list=["80003"], n=1)
            span = collector.named("companions")[0]
    told = span.attributes
    assert (told["vitrina.scenario"], told["vitrina.source"], told["vitrina.model_version"]) == ("basket", "cart", "1")

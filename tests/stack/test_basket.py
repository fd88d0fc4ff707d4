"""Companions of carts in the composed stack: sales that are uploaded to S3, trained on by Airflow, served to those who
signed in with an account that the service's own container made.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from composed_stack import Stack
from waiting import wait

pytestmark = [pytest.mark.slow, pytest.mark.stack, pytest.mark.timeout(3600)]
NAME, PASSWORD, WRONG = "ann", "Pass word $1 Ж", "another one"
GUESSED, GUESSES = "nobody-of-this-name", 5
"""Wrong passwords for one name from one address before it has to wait."""
ODD = "no-such-product"


@pytest.fixture(scope="module")
def client(stack: Stack) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=stack.url("VITRINA_PORT")) as client:
        yield client


@pytest.fixture(scope="module")
def bearer(stack: Stack, client: httpx.Client) -> dict[str, str]:
    """The header of a new account that signed in through the proxy; its password is in no command line."""
    command = ("compose", "exec", "-T", "--env", "VITRINA_USER_PASSWORD", "app", "vitrina", "users", "add", NAME)
    stack.run("docker", *command, "--full-name", "Ann J.", VITRINA_USER_PASSWORD=PASSWORD)
    answer = client.post("/token", data={"username": NAME, "password": PASSWORD})
    assert answer.status_code == 200, answer.text
    return {"Authorization": f"Bearer {answer.json()['access_token']}"}


@pytest.fixture(scope="module")
def before(client: httpx.Client, bearer: dict[str, str]) -> httpx.Response:
    """The answer before anything was trained."""
    return client.post("/send_data", json={"product_list": [ODD]}, headers=bearer)


@pytest.fixture(scope="module")
def trained(
    stack: Stack, before: httpx.Response, client: httpx.Client, bearer: dict[str, str]
) -> tuple[dict[str, Any], list[str]]:
    """What the upload said, and codes of popular products, after a first training on it is served."""
    with stack.engine.stage("the basket's training"):
        stack.vitrina("generate", "--shape", "baskets", "--out", "/tmp/baskets", "--baskets", "3000")
        sent: dict[str, Any] = stack.vitrina("upload", "--scenario", "basket", "--data", "/tmp/baskets")
        stack.train("basket", recipe="ease")

        def popular() -> httpx.Response:
            return client.post("/send_data", json={"product_list": [ODD], "n": 20}, headers=bearer)

        wait(lambda: popular().status_code == 200)
    return sent, [code for code, _, _ in popular().json()["result"]["recommendation"]]


def test_before_the_first_training_the_service_says_what_to_do(before: httpx.Response) -> None:
    assert before.status_code == 503
    assert "vitrina train basket" in before.json()["error"]["remedy"]


def test_nobody_is_told_anything_without_a_token(client: httpx.Client, bearer: dict[str, str]) -> None:
    cart = {"product_list": [ODD]}
    assert client.post("/send_data", json=cart).status_code == 401
    assert client.post("/send_data", json=cart, headers={"Authorization": "Bearer a.b.c"}).status_code == 401
    assert client.get("/users/me/", headers=bearer).json() == {"username": NAME, "email": "", "full_name": "Ann J."}


def test_sales_in_s3_become_the_champion_that_mlflow_names(
    stack: Stack, trained: tuple[dict[str, Any], list[str]]
) -> None:
    sent, _ = trained
    assert sent["to"] == "s3://vitrina-events/basket"
    there = stack.vitrina("events", "--scenario", "basket")
    assert there["fingerprint"] == sent["fingerprint"]
    assert stack.champion("basket") == "1"
    wait(lambda: stack.messages("basket: version 1") != [], pause=2)
    (message,) = stack.messages("basket: version 1")
    assert "is the new champion" in message


def test_companions_come_through_the_proxy(
    client: httpx.Client, bearer: dict[str, str], trained: tuple[dict[str, Any], list[str]]
) -> None:
    _, popular = trained
    cart = [*popular[:3], ODD]
    answer = client.post("/send_data/", json={"product_list": cart, "n": 7}, headers=bearer).json()["result"]
    codes = [code for code, _, _ in answer["recommendation"]]
    assert (len(set(codes)), set(codes) & set(cart)) == (7, set())
    assert (answer["source"], answer["unknown_products"]) == ("cart", [ODD])
    confidence = [one for _, _, one in answer["recommendation"]]
    assert confidence == sorted(confidence, reverse=True)
    assert all(0 <= one < 1 for one in confidence)
    assert all(description for _, description, _ in answer["recommendation"])


def test_prometheus_counts_what_was_asked_and_who_signed_in(
    stack: Stack, client: httpx.Client, trained: tuple[dict[str, Any], list[str]]
) -> None:
    """A stranger's guesses are refused, then put off; the proxy's log tells where they came from."""
    guesses = [client.post("/token", data={"username": GUESSED, "password": WRONG}) for _ in range(GUESSES + 2)]
    assert [one.status_code for one in guesses] == [401] * GUESSES + [429] * 2
    assert int(guesses[-1].headers["retry-after"]) > 0
    assert client.post("/token", data={"username": NAME, "password": PASSWORD}).status_code == 200

    def counted(query: str, label: str) -> dict[str, float]:
        return {one["metric"][label]: float(one["value"][1]) for one in stack.prometheus(query)}

    def sign_ins() -> dict[str, float]:
        return counted("sum by (outcome) (vitrina_sign_ins_total)", "outcome")

    wait(lambda: sign_ins().get("throttled") == 2, otherwise=stack.said, pause=1)
    assert sign_ins() == {"done": 2, "refused": GUESSES, "throttled": 2, "failed": 0}
    sources = counted('sum by (source) (vitrina_recommendations_total{scenario="basket"})', "source")
    assert sources["cart"] == 1 and sources["popular"] >= 2
    said = stack.compose("logs", "--no-log-prefix", "proxy").splitlines()
    lines = [json.loads(line) for line in said if line.startswith("{")]
    guessed = [one for one in lines if one["path"] == "/token"]
    assert [one["status"] for one in guessed] == [401] * GUESSES + [429] * 2
    assert all(one["address"] for one in guessed)
    assert {one["address"] for one in lines if one["path"] != "/token"} == {""}


def test_no_password_and_no_token_is_in_any_log(stack: Stack, bearer: dict[str, str]) -> None:
    said = stack.compose("logs", "--no-color")
    assert f'"{NAME}"' in said
    for secret in (PASSWORD, WRONG, bearer["Authorization"].removeprefix("Bearer ")):
        assert secret not in said

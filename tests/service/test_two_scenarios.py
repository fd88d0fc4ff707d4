"""One service for a shop and a bank: each route answers by its own champion, and neither disturbs the other."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from vitrina.events.panels.columns import PRODUCTS

Serve = Callable[..., Any]
REQUESTS, CLIENTS = 150, 4
BANK_ROUTES = (("POST", "/predict"), ("POST", "/predict_proba"), ("GET", "/random"))
SHOP_ROUTES = (("POST", "/recommendations?user_id=1"), ("GET", "/similar_items?item_id=104"))


def status(client: httpx.Client, method: str, path: str) -> int:
    return client.request(method, path, **({"json": {}} if path.startswith("/predict") else {})).status_code


def refusals(client: httpx.Client, scenario: str) -> float:
    labels = {"scenario": scenario, "what": "model", "outcome": "refused"}
    families = text_string_to_metric_families(client.get("/metrics").text)
    (value,) = (
        one.value
        for family in families
        for one in family.samples
        if one.name == "vitrina_swaps_total" and one.labels == labels
    )
    return value


@pytest.mark.parametrize(
    ("served", "routes", "missing"),
    [("bank_products", BANK_ROUTES, SHOP_ROUTES), ("storefront", SHOP_ROUTES, BANK_ROUTES)],
)
def test_one_scenario_alone_answers(
    serve: Serve, tmp_path: Path, served: str, routes: tuple[Any, ...], missing: tuple[Any, ...]
) -> None:
    other = {"bank_products": "storefront", "storefront": "bank_products"}[served]
    with serve(tmp_path, champion=served == "storefront", bank=served == "bank_products") as running:
        client = running.client
        ready = {"status": "ready", "model_version": "1", "models": {served: "1"}}
        assert client.get("/readyz").json() == ready
        assert [status(client, *route) for route in routes] == [200] * len(routes)
        assert [model["scenario"] for model in client.get("/models").json()["models"]] == [served]
        for method, path in missing:
            answer = client.request(method, path, **({"json": {}} if path.startswith("/predict") else {}))
            assert answer.status_code == 503
            assert answer.json()["error"] == {
                "reason": f"no model of {other} is published",
                "remedy": f"Make one: vitrina train {other} --data FOLDER",
            }


def test_nothing_is_served_yet(serve: Serve, tmp_path: Path) -> None:
    with serve(tmp_path, champion=False) as running:
        answer = running.client.get("/readyz")
        assert (answer.status_code, running.client.get("/models").json()) == (503, {"models": []})
        for scenario in ("storefront", "bank_products"):
            assert f"vitrina train {scenario} --data FOLDER" in answer.json()["error"]["remedy"]


def test_both_are_told(serve: Serve, tmp_path: Path) -> None:
    with serve(tmp_path, bank=True) as running:
        assert running.client.get("/readyz").json()["models"] == {"storefront": "1", "bank_products": "1"}
        shop, bank = running.client.get("/models").json()["models"]
        assert (shop["scenario"], shop["items"], shop["lists"]["version"]) == ("storefront", 20, "a")
        assert bank.pop("loaded_at") > 0
        assert bank == {
            "scenario": "bank_products",
            "model_version": "1",
            "as_of": 1_464_739_200_000,
            "kind": "constant",
            "month": "2016-05",
        }


@pytest.mark.parametrize("broken", ["storefront", "bank_products"])
def test_a_broken_model_costs_its_own_scenario_alone(serve: Serve, toy: Any, tmp_path: Path, broken: str) -> None:
    with serve(tmp_path, champion=False) as running:
        registries = {"storefront": running.registry, "bank_products": running.bank_registry}
        makers = {"storefront": toy.write_toy, "bank_products": toy.write_bank}
        for scenario, registry in registries.items():
            folder = makers[scenario](tmp_path / "made" / scenario)
            if scenario == broken:
                (folder / "model.json").write_bytes(b"{")
            registry.publish("1", folder)
        (served,) = set(registries) - {broken}
        running.until(lambda: running.client.get("/readyz").status_code == 200)
        running.until(lambda: refusals(running.client, broken) == 1)
        registries[broken].down = True  # and its registry does not even answer any more
        registries[served].publish("2", makers[served](tmp_path / "made" / "2"))
        running.until(lambda: running.client.get("/readyz").json()["models"] == {served: "2"})
        routes = {"storefront": SHOP_ROUTES, "bank_products": BANK_ROUTES}
        assert {status(running.client, *route) for route in routes[served]} == {200}
        assert {status(running.client, *route) for route in routes[broken]} == {503}
        assert refusals(running.client, served) == 0


def test_no_request_fails_while_both_champions_change(serve: Serve, toy: Any, tmp_path: Path) -> None:
    """Model n of the bank says 0.1 n of every product, but the first one 0.25."""
    seen: Counter[tuple[str, int, Any]] = Counter()

    with serve(tmp_path, bank=True) as running:
        done = threading.Event()

        def load() -> None:
            with httpx.Client(base_url=running.url) as client:
                sent = 0
                while sent < REQUESTS or not done.is_set():
                    sent += 1
                    answer = client.post("/predict_proba", json={"age": 20 + sent % 60, "ind_1m_loans": 0})
                    found = set(answer.json().values())
                    whole = len(answer.json()) == len(PRODUCTS) and len(found) == 1
                    seen["bank", answer.status_code, found.pop() if whole else answer.text] += 1
                    answer = client.post(f"/recommendations?user_id={sent % 50}&k=5")
                    seen["shop", answer.status_code, answer.json().get("model_version")] += 1

        threads = [threading.Thread(target=load) for _ in range(CLIENTS)]
        for thread in threads:
            thread.start()
        running.until(lambda: seen["bank", 200, 0.25] > 0 and seen["shop", 200, "1"] > 0)
        for number in (2, 3, 4):
            version = str(number)
            running.bank_registry.publish(version, toy.write_bank(tmp_path / "made" / "bank" / version, number / 10))
            running.registry.publish(version, toy.write_toy(tmp_path / "made" / version))
            running.until(lambda number=number: seen["bank", 200, number / 10] > 0)
            running.until(lambda version=version: seen["shop", 200, version] > 0)
        done.set()
        for thread in threads:
            thread.join(timeout=60)

    assert {(one, code) for one, code, _ in seen} == {("bank", 200), ("shop", 200)}
    assert {told for one, _, told in seen if one == "bank"} == {0.25, 0.2, 0.3, 0.4}
    assert {told for one, _, told in seen if one == "shop"} == {"1", "2", "3", "4"}

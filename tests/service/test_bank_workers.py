"""The bank's champion changes under load behind two gunicorn workers, as `vitrina serve --workers 2` starts them."""

from __future__ import annotations

import threading
from collections import Counter
from pathlib import Path
from typing import Any

import httpx
import pytest
from service_process import vitrina_serve
from waiting import wait

from vitrina.events.panels.columns import PRODUCTS
from vitrina.registry.file_registry import FileRegistry
from vitrina.registry.registry import RunRecord

CLIENTS = 3


@pytest.mark.slow
def test_no_request_fails_while_every_worker_swaps(toy: Any, tmp_path: Path) -> None:
    """Model n says 0.1 n of every product; the storefront has no champion all along."""
    registry = FileRegistry(tmp_path / "registry", name="bank_products")
    seen: Counter[tuple[int, Any]] = Counter()
    failed: list[str] = []
    done = threading.Event()

    def publish(number: int) -> None:
        made = toy.write_bank(tmp_path / "made" / str(number), number / 10)
        registry.promote(registry.register(made, RunRecord(fingerprint="f")).version)

    def ask(client: httpx.Client) -> None:
        answer = client.post("/predict_proba", json={"age": 35, "ind_1m_loans": 0})
        found = answer.json()
        whole = len(found) == len(PRODUCTS) and len(set(found.values())) == 1
        seen[answer.status_code, next(iter(found.values())) if whole else answer.text] += 1

    def load(url: str) -> None:
        """Some requests over one connection, then a new one: so both workers are asked."""
        try:
            while not done.is_set():
                with httpx.Client(base_url=url) as client:
                    for _ in range(20):
                        ask(client)
        except httpx.HTTPError as error:
            failed.append(repr(error))

    publish(1)
    with vitrina_serve(tmp_path, VITRINA_POLL_SECONDS="0.2") as (_, url):
        threads = [threading.Thread(target=load, args=(url,)) for _ in range(CLIENTS)]
        for thread in threads:
            thread.start()
        try:
            for number in (2, 3, 4):
                publish(number)
                served = f'vitrina_model_info{{scenario="bank_products",version="{number}"}} 2.0'
                wait(lambda served=served: served in httpx.get(f"{url}/metrics").text, pause=0.05)
                wait(lambda number=number: seen[200, number / 10] > 0, pause=0.05)
        finally:
            done.set()
            for thread in threads:
                thread.join(timeout=60)
        assert httpx.get(f"{url}/readyz").json()["models"] == {"bank_products": "4"}
        assert httpx.post(f"{url}/recommendations?user_id=1").status_code == 503

    assert failed == []
    assert {status for status, _ in seen} == {200}
    assert {told for _, told in seen} <= {0.1, 0.2, 0.3, 0.4}
    assert sorted(path.name for path in (tmp_path / "serving" / "bank_products" / "models").iterdir()) == [
        "3-bank_product",
        "4-bank_product",
    ]

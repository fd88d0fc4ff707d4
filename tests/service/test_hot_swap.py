"""Champions and lists change under load, and no request fails."""

from __future__ import annotations

import threading
from collections import Counter

import anyio
import httpx
import pytest

REQUESTS = 150
CLIENTS = 4


def test_no_request_fails_while_models_and_lists_change(serve, toy, tmp_path) -> None:
    seen: Counter[tuple[int, str]] = Counter()
    odd: list[str] = []

    with serve(tmp_path) as running:
        done = threading.Event()

        def load() -> None:
            with httpx.Client(base_url=running.url) as client:
                sent = 0
                while sent < REQUESTS or not done.is_set():
                    sent += 1
                    body = {"session": [110]} if sent % 2 else {}
                    answer = client.post(f"/recommendations?user_id={sent % 50}&k=5", json=body)
                    seen[answer.status_code, answer.json().get("model_version", "")] += 1
                    if len(answer.json().get("recs", ())) != 5:
                        odd.append(answer.text)

        threads = [threading.Thread(target=load) for _ in range(CLIENTS)]
        for thread in threads:
            thread.start()
        served = running.app.state.service.of("storefront").served
        running.until(lambda: seen[200, "1"] > 0)
        for version in ("2", "3", "4"):
            toy.write_toy_lists(
                toy.FolderObjects(running.home / "objects"), "storefront/lists", f"l{version}", model_version=version
            )
            running.registry.publish(version, toy.write_toy(running.home / "made" / version))
            running.until(lambda version=version: served.state.version == version and served.state.lists_fit)
            running.until(lambda version=version: seen[200, version] > 0)
        done.set()
        for thread in threads:
            thread.join(timeout=60)

    assert {status for status, _ in seen} == {200}
    assert {"1", "2", "3", "4"} == {version for _, version in seen}
    assert not odd


def test_starts_while_the_registry_is_down(serve, toy, tmp_path) -> None:
    from app.main import create_app
    from app.settings import Settings

    with serve(tmp_path) as running:
        assert running.client.get("/readyz").status_code == 200
    registry = toy.MemoryRegistry(down=True)
    app = create_app(Settings(home=tmp_path), **toy.wired(registry))

    async def start() -> tuple[str, list[str]]:
        async with (
            app.router.lifespan_context(app),
            httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://here") as client,
        ):
            answer = await client.post("/recommendations?user_id=1&k=1")
            return answer.json()["model_version"], (await client.get("/readyz")).json()["unconfirmed"]

    assert anyio.run(start) == ("1", ["storefront"])


@pytest.mark.parametrize("name", ["arrays/pairs.npy", "model.json"])
def test_a_corrupt_model_is_refused_and_the_present_one_answers(serve, toy, tmp_path, name: str) -> None:
    with serve(tmp_path) as running:
        bad = toy.write_toy(tmp_path / "made" / "2")
        content = bytearray((bad / name).read_bytes())
        content[-10] ^= 1
        (bad / name).write_bytes(content)
        running.registry.publish("2", bad)
        refused = 'vitrina_swaps_total{outcome="refused",scenario="storefront",what="model"} 1.0'
        running.until(lambda: refused in running.client.get("/metrics").text)
        answer = running.client.post("/recommendations?user_id=1&k=1").json()
        assert (answer["model_version"], answer["recs"]) == ("1", [119])

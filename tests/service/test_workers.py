"""Several workers, as `vitrina serve --workers` starts them: metrics over a killed worker, clean ends."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import psutil
import pytest
from prometheus_client.parser import text_string_to_metric_families

pytestmark = pytest.mark.slow

START = """
import importlib.util, os, sys, time
spec = importlib.util.spec_from_file_location("toy_world", {conftest!r})
toy = importlib.util.module_from_spec(spec)
sys.modules["toy_world"] = toy

def make(settings):
    spec.loader.exec_module(toy)
    from app.main import create_app
    registry = toy.MemoryRegistry()
    registry.publish("1", settings.home / "made")
    app = create_app(settings, source=registry, load=toy.load_toy, clock=lambda: toy.NOW)
    app.add_api_route("/slow", lambda: time.sleep(1.5) or "done")
    return app

from pathlib import Path
from app.server import run
from app.settings import Settings
run(Settings(home=Path({home!r})), port={port}, workers={workers}, make_app=make)
"""


@contextmanager
def started(toy, home: Path, workers: int) -> Iterator[tuple[psutil.Process, str]]:
    toy.write_toy(home / "made")
    toy.write_toy_lists(toy.FolderObjects(home / "objects"), "storefront/lists", "a")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    conftest = Path(__file__).parents[1] / "serving" / "conftest.py"
    code = START.format(conftest=str(conftest), home=str(home), port=port, workers=workers)
    log = home / "log.txt"
    with log.open("w") as file:
        child = subprocess.Popen([sys.executable, "-c", code], stdout=file, stderr=file)
    url = f"http://127.0.0.1:{port}"
    try:
        wait(lambda: ready(url), log)
        yield psutil.Process(child.pid), url
    finally:
        child.terminate()
        child.wait(timeout=60)


def ready(url: str) -> bool:
    try:
        return httpx.get(f"{url}/readyz").status_code == 200
    except httpx.TransportError:
        return False


def wait(true, log: Path | None = None) -> None:
    deadline = time.monotonic() + 60
    while not true():
        assert time.monotonic() < deadline, log.read_text() if log else "it did not happen in time"
        time.sleep(0.1)


def values(url: str) -> dict[tuple[str, ...], float]:
    text = httpx.get(f"{url}/metrics").text
    return {
        (sample.name, *sorted(value for name, value in sample.labels.items() if name != "scenario")): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_metrics_are_right_after_a_worker_was_killed(toy, tmp_path: Path) -> None:
    with started(toy, tmp_path, workers=2) as (master, url):
        wait(lambda: values(url)["vitrina_model_info", "1"] == 2)
        first = {worker.pid for worker in master.children()}
        for _ in range(60):  # a new connection each time, so that both workers get some
            assert httpx.post(f"{url}/recommendations?user_id=1&k=1").json()["recs"] == [119]
        psutil.Process(min(first)).kill()
        wait(lambda: len({worker.pid for worker in master.children()} - first) == 1)
        wait(lambda: values(url)["vitrina_model_info", "1"] == 2)
        for _ in range(40):
            assert httpx.post(f"{url}/recommendations?user_id=1&k=1").status_code == 200
        after = values(url)
    assert after["vitrina_http_requests_total", "/recommendations", "200"] == 100
    assert after["vitrina_recommendations_total", "precomputed"] == 100
    assert after["vitrina_http_request_duration_seconds_count", "/recommendations"] == 100
    assert after["vitrina_model_info", "1"] == 2, "the killed worker's gauge is gone"


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["SIGINT", "SIGTERM"])
def test_requests_under_way_are_finished_and_nothing_stays(toy, tmp_path: Path, workers: int, number: int) -> None:
    answers: list[int] = []
    with started(toy, tmp_path, workers) as (master, url):
        family = [master, *master.children(recursive=True)]
        asking = threading.Thread(target=lambda: answers.append(httpx.get(f"{url}/slow", timeout=30).status_code))
        asking.start()
        time.sleep(0.5)
        master.send_signal(number)
        asking.join(timeout=30)
        _, alive = psutil.wait_procs(family, timeout=30)
    assert answers == [200]
    assert not alive

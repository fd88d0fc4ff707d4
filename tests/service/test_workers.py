"""Several workers, as `vitrina serve --workers` starts them: metrics over a killed worker, clean ends."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import psutil
import pytest
from loaded import module_at
from ports import free_port
from prometheus_client.parser import text_string_to_metric_families
from service_process import service_process, vitrina_serve
from waiting import PATIENCE, wait

from vitrina.recommend.model_folder import describe, pack
from vitrina.registry.file_registry import FileRegistry
from vitrina.registry.model_format import write_model
from vitrina.registry.registry import RunRecord
from vitrina.telemetry.cells import all_slots

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
    app = create_app(settings, **toy.wired(registry), clock=lambda: toy.NOW)
    app.add_api_route("/slow", slow)
    return app

def slow():
    Path({home!r}, "begun").touch()
    time.sleep(1.5)
    return "done"

from pathlib import Path
from app.server import run
from app.settings import Settings
run(Settings(home=Path({home!r})), port={port}, workers={workers}, make_app=make)
"""


@contextmanager
def started(toy, home: Path, workers: int) -> Iterator[tuple[psutil.Process, str]]:
    toy.write_toy(home / "made")
    toy.write_toy_lists(toy.FolderObjects(home / "objects"), "storefront/lists", "a")
    port = free_port()
    conftest = Path(__file__).parents[1] / "serving" / "conftest.py"
    code = START.format(conftest=str(conftest), home=str(home), port=port, workers=workers)
    with service_process([sys.executable, "-c", code], home / "log.txt", port) as (child, url):
        yield child, url


def values(url: str) -> dict[tuple[str, ...], float]:
    text = httpx.get(f"{url}/metrics").text
    return {
        (sample.name, *sorted(value for name, value in sample.labels.items() if name != "scenario")): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.labels.get("scenario", "storefront") == "storefront"
    }


@contextmanager
def serving(home: Path, **settings: str) -> Iterator[tuple[psutil.Process, str]]:
    """`vitrina serve --workers 2`, nothing injected, over a model in the file registry of `home`."""
    model = module_at("real_world", Path(__file__).parents[1] / "serving" / "test_real_recommender.py").small_model()
    write_model(home / "model", arrays=pack(model), files={}, meta=describe(model, "catboost"))
    registry = FileRegistry(home / "registry", name="ranking_model")
    registry.promote(registry.register(home / "model", RunRecord(fingerprint="f")).version)
    with vitrina_serve(home, **settings) as found:
        yield found


def test_counts_are_exact_and_no_gauge_is_stale_after_a_worker_was_killed(tmp_path: Path) -> None:
    folder = tmp_path / "counts"
    folder.mkdir()
    seen: list[dict[tuple[str, ...], float]] = []

    def look() -> dict[tuple[str, ...], float]:
        seen.append(values(url))
        return seen[-1]

    asked = 0

    def ask(times: int) -> None:
        nonlocal asked
        asked += times
        for turn in range(times):  # a new connection each time, so that both workers get some
            answer = httpx.post(f"{url}/recommendations?user_id=1&k={(1, 10)[turn % 2]}")
            assert (answer.status_code, answer.json()["source"]) == (200, "popular")

    with serving(tmp_path, VITRINA_METRICS_FOLDER=str(folder), VITRINA_POLL_SECONDS="0.2") as (master, url):
        wait(lambda: look()["vitrina_model_info", "1"] == 2)
        first = {worker.pid for worker in master.children()}
        ask(120)
        wait(lambda: sum(answered(folder)) >= asked)  # a request is counted when its answer is out
        while min(answered(folder)) == 0 and asked < 2_000:
            ask(20)
        assert min(answered(folder)) > 0, "one worker had nothing to lose"
        wait(lambda: sum(answered(folder)) >= asked)
        killed = psutil.Process(min(first))
        memory = look()["vitrina_process_resident_memory_bytes",]
        killed.kill()
        wait(lambda: not killed.is_running() or killed.status() == psutil.STATUS_ZOMBIE)
        left = look()
        assert left["vitrina_workers",] <= 2 and left["vitrina_model_info", "1"] <= 2
        assert left["vitrina_process_resident_memory_bytes",] < 0.8 * memory or left["vitrina_workers",] == 2
        wait(lambda: look()["vitrina_workers",] == 2 and look()["vitrina_model_info", "1"] == 2)
        assert len({worker.pid for worker in master.children()} - first) == 1
        ask(80)
        wait(lambda: sum(answered(folder)) >= asked)
        after = look()
    told = {
        "by status": after["vitrina_http_requests_total", "/recommendations", "200"],
        "timed": after["vitrina_http_request_duration_seconds_count", "/recommendations"],
        "by source": after["vitrina_recommendations_total", "popular"],
        "cold": after["vitrina_cold_users_total",],
        "fallbacks": after["vitrina_fallbacks_total", "unknown_user"],
        "asked": after["vitrina_requested_items_count",],
        "asked for one": after["vitrina_requested_items_bucket", "1.0"] * 2,
        "items": after["vitrina_recommended_items_total", "popular"] / 5.5,
    }
    assert told == dict.fromkeys(told, asked)
    assert after["vitrina_requested_items_sum",] == 5.5 * asked
    assert after["vitrina_registry_up",] == 1
    assert 0.8 * memory < after["vitrina_process_resident_memory_bytes",] < 1.2 * memory
    spent = [one["vitrina_process_cpu_seconds_total",] for one in seen]
    assert spent == sorted(spent) and spent[0] > 0, "processor time never goes back"
    assert max(one["vitrina_workers",] for one in seen) == 2
    assert not [key for key in after if key[0] == "vitrina_model_info" and key != ("vitrina_model_info", "1")]


def answered(folder: Path) -> list[float]:
    """Good recommendations of each worker."""
    good = ("request", "/recommendations", 200)
    return [sum(value for key, value in numbers.items() if key[:3] == good) for numbers, _alive in all_slots(folder)]


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["SIGINT", "SIGTERM"])
def test_requests_under_way_are_finished_and_nothing_stays(toy, tmp_path: Path, workers: int, number: int) -> None:
    answers: list[int] = []
    with started(toy, tmp_path, workers) as (master, url):
        family = [master, *master.children(recursive=True)]
        asking = threading.Thread(target=lambda: answers.append(httpx.get(f"{url}/slow").status_code))
        asking.start()
        wait((tmp_path / "begun").exists, pause=0.02)
        master.send_signal(number)
        asking.join(timeout=PATIENCE)
        _, alive = psutil.wait_procs(family, timeout=PATIENCE)
    assert answers == [200], (tmp_path / "log.txt").read_text()
    assert not alive

"""A real carbon hears of the bank's answers from a real service of two workers, whatever happens to either."""

from __future__ import annotations

import os
import signal
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

import httpx
import psutil
import pytest
from graphite_server import GraphiteServer, Point
from prometheus_client.parser import text_string_to_metric_families
from pydantic import ValidationError
from service_process import vitrina_serve
from waiting import PATIENCE, wait

from app.graphite import ROUTES, GraphiteSender, prefix_of
from app.settings import Settings
from vitrina.events.panels.columns import PRODUCTS
from vitrina.registry.file_registry import FileRegistry
from vitrina.registry.registry import RunRecord

slow = pytest.mark.slow
COLUMNS = {product.russian: product.column for product in PRODUCTS}
OF_MACHINE = {"bank-rs.system.cpu_load", "bank-rs.system.memory_free_mb", "bank-rs.system.up_time"}
CLIENTS: list[dict[str, Any]] = [
    {
        "age": 20 + n,
        "income": None,
        **{product.column: int(n % (place + 2) == 0) for place, product in enumerate(PRODUCTS)},
    }
    for n in range(20)
]


@dataclass
class Bank:
    """A service of two workers that sends every second, what it answered so far, and the Graphite that it sends to."""

    url: str
    master: psutil.Process
    folder: Path
    graphite: GraphiteServer
    client: httpx.Client
    begun: int = field(default_factory=lambda: int(time.time()))
    statuses: Counter[int] = field(default_factory=Counter)
    products: Counter[str] = field(default_factory=Counter)

    def ask(self, method: str, path: str, **body: Any) -> bytes:
        """One request over a connection of its own, so that both workers get some."""
        answer = self.client.request(method, f"{self.url}{path}", **body)
        self.statuses[answer.status_code] += 1
        if answer.status_code == 200 and "proba" not in path:
            self.products.update(COLUMNS[name] for name, value in answer.json().items() if value == 1)
        return answer.content

    def ask_for_all(self) -> list[bytes]:
        """The bodies of the answers for every client, on both routes, and of a wrong request."""
        found = [self.ask("POST", path, json=client) for client in CLIENTS for path in ("/predict", "/predict_proba")]
        return [*found, self.ask("POST", "/predict", json={"agee": 35})]

    def told(self, name: str) -> list[Point]:
        """What Graphite has of a series since the service began."""
        return self.graphite.render(name, self.begun, int(time.time()) + 2).get(name, [])

    def newest(self) -> dict[str, float]:
        """The last value of each running total."""
        found = self.graphite.render(
            "group(bank-rs.requests, response_code.*, target.*)", self.begun, int(time.time()) + 2
        )
        return {name: points[-1][1] for name, points in found.items() if points}

    def kept(self) -> set[str]:
        """The series that carbon has written to disk, which is a moment after it tells of them."""
        whisper = self.graphite.folder / "whisper"
        series = {".".join(path.relative_to(whisper).with_suffix("").parts) for path in whisper.rglob("*.wsp")}
        return {name for name in series if not name.startswith("settled.")}

    def expected(self) -> dict[str, float]:
        """What the answers add up to, by the names that Graphite has for it."""
        totals = {f"response_code.{status}": float(count) for status, count in self.statuses.items()}
        targets = {f"target.{product.column}": float(self.products[product.column]) for product in PRODUCTS}
        return {"bank-rs.requests": float(self.statuses.total()), **totals, **targets}

    def arrived(self) -> None:
        """Waits until Graphite has exactly what was answered."""
        wait(
            lambda: self.newest() == self.expected(), otherwise=lambda: f"{self.newest()}\n{self.expected()}", pause=0.5
        )

    def leader(self) -> int:
        """The process that holds the lock of the one that sends."""
        node = (self.folder / "graphite.lock").stat().st_ino
        locks = [line.split() for line in Path("/proc/locks").read_text().splitlines() if "->" not in line]
        (holder,) = [int(lock[4]) for lock in locks if lock[1] == "FLOCK" and lock[5].endswith(f":{node}")]
        return holder

    def workers(self) -> list[psutil.Process]:
        return self.master.children()


class Listener:
    """Takes what is sent, as carbon does, and keeps its lines."""

    def __init__(self) -> None:
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._listening.getsockname()[1]}"

    def lines(self) -> list[str]:
        """Of the first connection, which has ended or is about to."""
        with self._listening, self._listening.accept()[0] as connection, connection.makefile() as file:
            return file.read().splitlines()


@pytest.fixture(scope="module")
def bank(toy: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bank]:
    home = tmp_path_factory.mktemp("bank")
    (home / "counts").mkdir()
    registry = FileRegistry(home / "registry", name="bank_products")
    model = toy.write_bank(home / "model", probability=0.75)
    registry.promote(registry.register(model, RunRecord(fingerprint="f")).version)
    with GraphiteServer(finest="1s:6h") as graphite:
        sent = {"VITRINA_GRAPHITE": f"127.0.0.1:{graphite.carbon}", "VITRINA_GRAPHITE_SECONDS": "1"}
        with (
            vitrina_serve(home, VITRINA_METRICS_FOLDER=str(home / "counts"), **sent) as (master, url),
            httpx.Client(limits=httpx.Limits(max_keepalive_connections=0)) as client,
        ):
            yield Bank(url, master, home / "counts", graphite, client)


@slow
def test_every_named_value_arrives_exactly(bank: Bank) -> None:
    for _ in range(3):
        bank.ask_for_all()
        for _ in range(30):
            bank.ask("GET", "/random")
    httpx.post(f"{bank.url}/recommendations?user_id=1")  # none of the bank's
    bank.arrived()
    assert bank.statuses[422] == 3
    assert 0 < min(bank.products.values()) < max(bank.products.values())
    named = OF_MACHINE | {*bank.expected(), "response_time"}
    wait(lambda: bank.kept() == named, otherwise=lambda: f"{bank.kept() ^ named} is there too little or too much")


@slow
def test_graphite_and_prometheus_tell_the_same(bank: Bank) -> None:
    bank.arrived()
    before, answered = prometheus(bank), bank.statuses.total()
    for _ in range(3):
        bank.ask_for_all()
        time.sleep(0.7)
    bank.arrived()
    after = prometheus(bank)
    for metric, series in (
        ("vitrina_http_requests_total", "response_code"),
        ("vitrina_predicted_products_total", "target"),
    ):
        same = {f"{series}.{label}": value for (name, label), value in after.items() if name == metric}
        assert same == {name: value for name, value in bank.newest().items() if name.startswith(f"{series}.")}
    seconds = sum((after - before)[key] for key in after if key[0] == "vitrina_http_request_duration_seconds_sum")

    def milliseconds() -> float:
        """By Graphite, of the requests of this test."""
        requests = dict(bank.told("bank-rs.requests"))
        new = [(at, mean) for at, mean in bank.told("response_time") if requests.get(at, 0.0) > answered]
        return sum(mean * (requests[at] - requests[max(one for one in requests if one < at)]) for at, mean in new)

    expected = pytest.approx(1000 * seconds, rel=1e-6)
    wait(lambda: milliseconds() == expected, otherwise=lambda: f"{milliseconds()} ms, expected {expected}")


def prometheus(bank: Bank) -> Counter[tuple[str, str]]:
    """What /metrics tells of the bank, by name and status, product or route."""
    found: Counter[tuple[str, str]] = Counter()
    for family in text_string_to_metric_families(httpx.get(f"{bank.url}/metrics").text):
        for one in family.samples:
            label = next((one.labels[name] for name in ("status", "product", "route") if name in one.labels), "")
            if one.labels.get("route", ROUTES[0]) in ROUTES:
                found[one.name, label] += one.value
    return found


@slow
def test_what_is_told_of_the_machine_is_of_this_machine(bank: Bank) -> None:
    wait(lambda: len(bank.told("bank-rs.system.up_time")) > 2)
    began = min(worker.create_time() for worker in bank.workers())
    off = [abs(up - (at - began)) for at, up in bank.told("bank-rs.system.up_time")]
    assert min(off) < 2, off  # what is told late on a busy machine is off by as much
    assert all(0 <= load <= 100 for _, load in bank.told("bank-rs.system.cpu_load"))
    assert 0 < bank.told("bank-rs.system.memory_free_mb")[-1][1] < psutil.virtual_memory().total / 2**20


@slow
def test_answers_are_the_same_while_carbon_is_away_or_stalled_and_nothing_is_lost(bank: Bank) -> None:
    usual = bank.ask_for_all()
    bank.arrived()
    bank.graphite.stop_carbon()
    since = int(time.time())
    assert bank.ask_for_all() == usual
    time.sleep(2.5)
    assert bank.ask_for_all() == usual
    bank.graphite.start_carbon()
    until = int(time.time())
    bank.arrived()

    def of_meanwhile() -> list[int]:
        return [at for at, _ in bank.told("bank-rs.requests") if since < at <= until]

    # a busy machine may leave a second out
    wait(lambda: len(of_meanwhile()) >= (until - since) // 2, otherwise=lambda: f"{of_meanwhile()} {since} {until}")
    os.kill(bank.graphite.pid_of_carbon, signal.SIGSTOP)
    try:
        assert bank.ask_for_all() == usual
    finally:
        os.kill(bank.graphite.pid_of_carbon, signal.SIGCONT)
    bank.arrived()


@slow
def test_another_worker_sends_when_the_one_that_did_is_killed(bank: Bank) -> None:
    bank.ask_for_all()
    bank.arrived()
    first = bank.leader()
    assert first in {worker.pid for worker in bank.workers()}
    os.kill(first, signal.SIGKILL)
    wait(lambda: len(bank.workers()) == 2 and first not in {worker.pid for worker in bank.workers()}, pause=0.1)
    bank.ask_for_all()
    bank.arrived()
    assert bank.leader() in {worker.pid for worker in bank.workers()}


def test_no_request_meets_the_sender(
    serve: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A sender that would hold whoever calls it holds no answer."""
    let_go, held = threading.Event(), threading.Event()
    threads: set[str] = set()

    def hold(self: GraphiteSender, name: str, value: float, ts: int | None = None) -> None:
        threads.add(threading.current_thread().name)
        held.set()
        let_go.wait(PATIENCE)

    monkeypatch.setattr(GraphiteSender, "send", hold)
    with serve(tmp_path, champion=False, bank=True, graphite="127.0.0.1:9", graphite_seconds=1) as running:
        try:
            assert held.wait(60), "the sender was never called"
            answers = [running.client.post("/predict", json=client) for client in CLIENTS]
            assert {answer.status_code for answer in answers} == {200}
        finally:
            let_go.set()
    assert threads == {"vitrina-report"}


def test_the_last_requests_are_sent_at_the_end(
    serve: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.graphite.CLOSE_SECONDS", PATIENCE)
    carbon = Listener()
    with serve(tmp_path, champion=False, bank=True, graphite=carbon.address, graphite_seconds=3600) as running:
        assert running.client.post("/predict", json={}).status_code == 200
    values = {line.split()[0]: (float(line.split()[1]), int(line.split()[2])) for line in carbon.lines()}
    value, ts = values["bank-rs.requests"]
    assert value == 1
    assert ts % 3600 == 0 and ts > time.time() - 60, "at the time that would have been next"


@pytest.mark.parametrize(
    ("setting", "host", "prefix"),
    [
        ("", "h", ""),
        ("a", "h", "a."),
        ("bank.{host}", "app-1.example.org", "bank.app-1_example_org."),
    ],
)
def test_prefix(setting: str, host: str, prefix: str) -> None:
    assert prefix_of(setting, host) == prefix
    Settings(graphite_prefix=setting)


@pytest.mark.parametrize("prefix", ["a b", "a.", ".a", "{hots}", "ä"])
def test_a_prefix_that_would_make_no_name_is_refused(prefix: str) -> None:
    with pytest.raises(ValidationError, match="graphite_prefix"):
        Settings(graphite_prefix=prefix)


@pytest.mark.parametrize("address", ["graphite", "graphite:", ":2003", "graphite:port", "gra phite:2003"])
def test_an_address_that_is_none_is_refused(address: str) -> None:
    with pytest.raises(ValidationError, match="graphite"):
        Settings(graphite=address)

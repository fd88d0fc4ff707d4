"""`vitrina metrics` as a process: real steps in real databases, scraped over HTTP; databases that go and come."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from graphite_server import GraphiteServer
from ports import free_port
from postgresql_server import PostgresServer
from prometheus_client.parser import text_string_to_metric_families
from waiting import PATIENCE, wait

from vitrina.errors import DataError, StateError
from vitrina.pipeline import Recorder, train
from vitrina.registry.file_registry import FileRegistry
from vitrina.scenarios import Run, Scenario, Step
from vitrina.storage.database import open_engine
from vitrina.storage.objects import FolderObjects
from vitrina.storage.schema import migrate
from vitrina.storage.sql_state import SqlState
from vitrina.storage.state import State
from vitrina.telemetry.pipeline_exporter import PipelineCollector, StateReader, disk_samples, serving
from vitrina.telemetry.pipeline_names import DISK_FREE, DISK_SIZE

START = "from vitrina.cli import main; main()"
MODULE = "exported_steps"
SOURCE = """
from vitrina.errors import DataError

DAY = {"views": 40, "carts": 4, "purchases": 1, "visitors": 9, "carting_visitors": 2, "carting_buyers": 1}

def read(run):
    days = [{"day": f"2026-03-{n:02d}", **DAY, "views": 40 + n} for n in (1, 2, 3)]
    return {"rows_in": 12, "rows_out": 9, "rejected": {"no item": 3}, "days": days}

def judge(run):
    return {"quality": {"candidate": {"ndcg@10": 0.125}}, "gate": {"outcome": run.facts["gate"], "reasons": []}}

def publish(run):
    if run.facts["gate"] == "refused":
        raise DataError("nothing to publish", where="planted", remedy="Plant better.")
    return {"rows_out": 7}
"""
STEPS = tuple(
    Step(name=name, inputs=(), outputs=(), function=f"{MODULE}:{name}") for name in ("read", "judge", "publish")
)
TINY = Scenario(name="storefront", question="?", steps=STEPS, experiment="e", registered_model="m")

Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


@dataclass
class Exporter:
    """A started `vitrina metrics`."""

    process: subprocess.Popen[bytes]
    port: int
    log: Path

    def text(self) -> str:
        answer = httpx.get(f"http://127.0.0.1:{self.port}/metrics")
        assert answer.status_code == 200
        return answer.text

    def samples(self) -> Samples:
        families = text_string_to_metric_families(self.text())
        return {(one.name, frozenset(one.labels.items())): one.value for family in families for one in family.samples}

    def value(self, name: str, **labels: str) -> float | None:
        return self.samples().get((f"vitrina_{name}", frozenset(labels.items())))

    def answers(self) -> bool:
        assert self.process.poll() is None, self.log.read_text()
        try:
            return bool(self.text())
        except httpx.TransportError:
            return False


@contextmanager
def exporter(folder: Path, *arguments: object) -> Iterator[Exporter]:
    port = free_port()
    command = [sys.executable, "-c", START, "metrics", "--port", str(port), *map(str, arguments)]
    log = folder / "exporter.log"
    with log.open("wb") as told, subprocess.Popen(command, stdout=told, stderr=told, cwd=folder) as process:
        try:
            started = Exporter(process, port, log)
            wait(started.answers, otherwise=log.read_text, pause=0.1)
            yield started
        finally:
            process.kill()


@pytest.fixture(params=["sqlite", "postgresql"])
def uri(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/state.db"
    made: str = request.getfixturevalue("postgres")()
    migrate(open_engine(made))
    return made


@pytest.fixture
def trained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Runs the tiny scenario's steps with a recorder, each of them 1.5 s long by its clock."""
    (tmp_path / f"{MODULE}.py").write_text(SOURCE)
    monkeypatch.syspath_prepend(tmp_path)
    times = iter(range(1_000_000, 9_000_000, 1_500))

    def run(uri: str, run_id: str, gate: str = "promoted") -> None:
        recorder = Recorder(
            open_state=lambda: SqlState.open(uri), run_id=run_id, clock=lambda: next(times), warn=pytest.fail
        )
        asked = Run(
            scenario="storefront",
            objects=FolderObjects(tmp_path / "objects"),
            registry=FileRegistry(tmp_path / "registry"),
            now=0,
            facts={"gate": gate},
        )
        try:
            train(TINY, asked, recorder=recorder)
        except DataError:
            assert gate == "refused"

    return run


def test_real_steps_are_scraped_with_their_values(uri: str, tmp_path: Path, trained: Callable[..., None]) -> None:
    trained(uri, "r1")
    trained(uri, "r2", gate="refused")
    with exporter(tmp_path, "--state-uri", uri, "--disk", f"work={tmp_path}") as started:
        found = {name.removeprefix("vitrina_"): {} for name, _ in started.samples()}
        for (name, labels), value in started.samples().items():
            rest = dict(labels)
            assert rest.pop("scenario", "storefront") == "storefront"
            found[name.removeprefix("vitrina_")][tuple(rest[key] for key in sorted(rest))] = value
        assert found["state_up"] == {(): 1}
        assert found["step_runs_total"] == {
            ("done", "read"): 2,
            ("failed", "read"): 0,
            ("done", "judge"): 2,
            ("failed", "judge"): 0,
            ("done", "publish"): 1,
            ("failed", "publish"): 1,
        }
        assert found["step_duration_seconds"] == {("read",): 1.5, ("judge",): 1.5, ("publish",): 1.5}
        assert found["step_rows"] == {("in", "read"): 12, ("out", "read"): 9, ("out", "publish"): 7}
        assert found["rejected_rows"] == {("no item",): 3}
        assert found["recipe_quality"] == {("ndcg@10", "candidate"): 0.125}
        assert found["gate_outcomes_total"] == {("promoted",): 1, ("refused",): 1}
        assert found["gate_refusals_in_a_row"] == {(): 1}
        assert found["training_succeeded_timestamp_seconds"] == {(): 1_007.5}
        assert found["day_events"] == {("view",): 43, ("addtocart",): 4, ("transaction",): 1}
        assert found["disk_size_bytes"][("work",)] > found["disk_free_bytes"][("work",)] > 0
        trained(uri, "r3")
        again = started.samples()
        assert again["vitrina_gate_refusals_in_a_row", frozenset({("scenario", "storefront")})] == 0
        text = started.text()
    assert "# TYPE vitrina_step_runs_total counter" in text and "# TYPE vitrina_step_rows gauge" in text


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_cleanly(tmp_path: Path, number: signal.Signals) -> None:
    with exporter(tmp_path, "--home", tmp_path, "--json") as started:
        wait(lambda: "metrics" in started.log.read_text(), pause=0.05)
        started.process.send_signal(number)
        assert started.process.wait(timeout=PATIENCE) == 0, started.log.read_text()
        assert started.log.read_text() == f'{{"metrics": "http://127.0.0.1:{started.port}/metrics"}}\n'


def test_a_database_that_goes_and_comes(
    tmp_path: Path, postgres_alone: PostgresServer, trained: Callable[..., None]
) -> None:
    uri = postgres_alone()
    with exporter(tmp_path, "--state-uri", uri, "--disk", f"work={tmp_path}") as started:

        def seen() -> set[str]:
            return {name for name, _ in started.samples()}

        away = {"vitrina_state_up", "vitrina_disk_free_bytes", "vitrina_disk_size_bytes"}
        assert (started.value("state_up"), seen()) == (0, away)  # not migrated
        migrate(open_engine(uri))
        assert (started.value("state_up"), seen()) == (1, away)
        trained(uri, "r1")
        runs = {"scenario": "storefront", "step": "read", "outcome": "done"}
        assert started.value("step_runs_total", **runs) == 1
        postgres_alone.stop(crash=True)
        begun = time.monotonic()
        assert (started.value("state_up"), seen()) == (0, away)
        assert time.monotonic() - begun < 60
        postgres_alone.start()
        assert (started.value("state_up"), started.value("step_runs_total", **runs)) == (1, 1)
        trained(uri, "r2")
        assert started.value("step_runs_total", **runs) == 2
        log = started.log.read_text()
    assert log.count("are away") == 2 and log.count("is read again") == 2
    assert "vitrina migrate" in log and "Traceback" not in log and postgres_alone.password not in log


def test_the_business_by_day_reaches_graphite(tmp_path: Path, trained: Callable[..., None]) -> None:
    uri = f"sqlite:///{tmp_path}/state.db"
    trained(uri, "r1")
    with (
        GraphiteServer() as graphite,
        exporter(tmp_path, "--state-uri", uri, "--graphite", f"127.0.0.1:{graphite.carbon}") as started,
    ):
        first = 1_772_323_200  # 2026-03-01
        expected = [(first, 41.0), (first + 86_400, 42.0), (first + 172_800, 43.0)]
        series = "vitrina.storefront.day.views"

        def told() -> list[tuple[int, float]]:
            return graphite.render(series, first - 1, first + 10 * 86_400).get(series, [])

        wait(lambda: told() == expected, otherwise=lambda: f"{told()} {started.log.read_text()}", pause=0.2)
        wait(lambda: started.value("graphite_sent_total") == 21, otherwise=started.text, pause=0.2)
        assert started.value("graphite_dropped_total", reason="full") == 0


def test_a_volume_that_is_gone_is_left_out(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert {name for name, _ in disk_samples("work", tmp_path)} == {DISK_FREE, DISK_SIZE}
    assert disk_samples("work", tmp_path / "gone") == {}
    assert "volume work" in caplog.text


def test_scrapes_at_once_do_not_mix(tmp_path: Path, trained: Callable[..., None]) -> None:
    uri = f"sqlite:///{tmp_path}/state.db"
    trained(uri, "r1")
    opened: list[State] = []

    def open_state() -> State:
        opened.append(SqlState.open(uri))
        return opened[-1]

    collector = PipelineCollector(StateReader(open_state), last_steps={}, volumes={})
    port, texts = free_port(), []
    with serving(collector, "127.0.0.1", port):
        threads = [
            threading.Thread(target=lambda: texts.append(httpx.get(f"http://127.0.0.1:{port}/metrics").text))
            for _ in range(4)
        ]
        for one in threads:
            one.start()
        for one in threads:
            one.join()
    assert len(texts) == 4 and len(set(texts)) == 1 and len(opened) == 1
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"http://127.0.0.1:{port}/metrics")


def test_a_reader_opens_the_database_anew_after_an_error_only(caplog: pytest.LogCaptureFixture, tmp_path: Path) -> None:
    calls = []

    def open_state() -> State:
        calls.append(1)
        if len(calls) < 3:
            raise StateError("planted")
        return SqlState.open(f"sqlite:///{tmp_path}/state.db")

    read = StateReader(open_state)
    with caplog.at_level("INFO", "vitrina"):
        assert [read() is None for _ in range(5)] == [True, True, False, False, False]
    assert len(calls) == 3
    assert [one.levelname for one in caplog.records] == ["WARNING", "INFO"]


def test_a_database_that_was_replaced_is_looked_at_afresh(tmp_path: Path, trained: Callable[..., None]) -> None:
    uri = f"sqlite:///{tmp_path}/state.db"
    trained(uri, "r1")
    read = StateReader(lambda: SqlState.open(uri))
    before = read()
    assert before is not None and len(before.steps) == 3
    (tmp_path / "state.db").unlink()
    assert read() is None  # an empty file has no tables; opening makes them
    after = read()
    assert after is not None and after.steps == ()

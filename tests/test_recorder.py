"""Recording of steps: what is kept, of which attempts, and that no database ever fails or holds up a step."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from postgresql_server import PostgresServer

from vitrina.errors import DataError
from vitrina.pipeline import Recorder, run_step, train
from vitrina.registry.file_registry import FileRegistry
from vitrina.scenarios import Run, Scenario, Step
from vitrina.storage.database import open_engine
from vitrina.storage.objects import FolderObjects
from vitrina.storage.schema import migrate
from vitrina.storage.sql_state import SqlState
from vitrina.storage.state import State

MODULE = "recorded_steps"
SOURCE = """
from vitrina.errors import DataError

def good(run):
    run.facts.get("meanwhile", lambda: None)()
    return {"rows": 7}

def broken(run):
    raise DataError("nothing fits", where="planted", remedy="Plant better.")

def interrupted(run):
    raise KeyboardInterrupt
"""
HELD = """
import sys
from pathlib import Path
from vitrina.pipeline import Recorder, run_step
from vitrina.registry.file_registry import FileRegistry
from vitrina.scenarios import Run, Step
from vitrina.storage.objects import FolderObjects
from vitrina.storage.sql_state import SqlState

sys.path.insert(0, sys.argv[2])
folder = Path(sys.argv[2])
run = Run(
    scenario="planted", objects=FolderObjects(folder / "objects"), registry=FileRegistry(folder / "registry"), now=0,
    facts={"meanwhile": lambda: (print("inside", flush=True), sys.stdin.read())},
)
recorder = Recorder(open_state=lambda: SqlState.open(sys.argv[1]), run_id="r1", clock=lambda: 1, warn=print)
run_step(Step(name="held", inputs=(), outputs=(), function="recorded_steps:good"), run, recorder)
"""
GOOD, BROKEN, INTERRUPTED = (
    Step(name=name, inputs=(), outputs=(), function=f"{MODULE}:{name}") for name in ("good", "broken", "interrupted")
)


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    (tmp_path / f"{MODULE}.py").write_text(SOURCE)
    monkeypatch.syspath_prepend(tmp_path)
    objects = FolderObjects(tmp_path / "objects")
    return Run(scenario="planted", objects=objects, registry=FileRegistry(tmp_path / "registry"), now=0, as_of=42)


@pytest.fixture
def warnings() -> list[str]:
    return []


@pytest.fixture
def record(warnings: list[str]) -> Callable[[str], Recorder]:
    """A recorder over the database at a URI, with a clock that counts."""
    times: Iterator[int] = iter(range(1_000, 9_000, 100))
    return lambda uri: Recorder(
        open_state=lambda: SqlState.open(uri), run_id="r1", clock=lambda: next(times), warn=warnings.append
    )


@pytest.fixture
def sqlite(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/state.db"


def recorded(state: State) -> list[tuple[str, int, str]]:
    return [(one.step, one.attempt, one.outcome) for one in state.step_runs("planted", run_id="r1")]


def test_steps_are_recorded_with_result_and_error(
    run: Run, record: Callable[[str], Recorder], sqlite: str, warnings: list[str]
) -> None:
    planted = Scenario(name="planted", question="?", steps=(GOOD, BROKEN), experiment="e", registered_model="m")
    with pytest.raises(DataError, match="Plant better"):
        train(planted, run, recorder=record(sqlite))
    broken, good = SqlState.open(sqlite).step_runs("planted")
    assert (good.step, good.outcome, good.result, good.begun, good.ended) == ("good", "done", {"rows": 7}, 1_000, 1_100)
    assert (broken.step, broken.outcome, broken.result, broken.as_of) == ("broken", "failed", None, 42)
    assert broken.error == "DataError: planted: nothing fits. Plant better."
    assert warnings == []


def test_an_interrupted_step_has_failed(run: Run, record: Callable[[str], Recorder], sqlite: str) -> None:
    with pytest.raises(KeyboardInterrupt):
        run_step(INTERRUPTED, run, record(sqlite))
    assert recorded(SqlState.open(sqlite)) == [("interrupted", 1, "failed")]


def test_without_a_recorder_nothing_is_kept(run: Run, sqlite: str) -> None:
    assert run_step(GOOD, run).result == {"rows": 7}
    assert not Path(sqlite.removeprefix("sqlite:///")).exists()


@pytest.mark.parametrize("uri", ["sqlite:////proc/no/state.db", "nonsense", "postgresql://u:hidden@127.0.0.1:1/d"])
def test_a_database_that_is_not_there_fails_no_step(
    run: Run, record: Callable[[str], Recorder], warnings: list[str], uri: str
) -> None:
    assert run_step(GOOD, run, record(uri)).result == {"rows": 7}
    with pytest.raises(DataError, match="Plant better"):
        run_step(BROKEN, run, record(uri))
    assert len(warnings) == 4
    assert all("of run r1 is not recorded" in line and "hidden" not in line for line in warnings)


def test_a_database_that_is_not_migrated_fails_no_step(
    run: Run, record: Callable[[str], Recorder], warnings: list[str], postgres: PostgresServer
) -> None:
    assert run_step(GOOD, run, record(postgres())).result == {"rows": 7}
    assert "vitrina migrate" in warnings[0]


def test_a_database_that_does_not_answer_holds_a_step_up_for_seconds_only(
    run: Run, record: Callable[[str], Recorder], warnings: list[str]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        begun = time.monotonic()
        run_step(GOOD, run, record(f"postgresql+psycopg2://u:p@127.0.0.1:{silent.getsockname()[1]}/d"))
    assert time.monotonic() - begun < 60
    assert len(warnings) == 2


def test_a_restart_of_the_database_during_a_step_loses_nothing(
    run: Run, record: Callable[[str], Recorder], warnings: list[str], postgres_alone: PostgresServer
) -> None:
    uri = postgres_alone()
    migrate(open_engine(uri))

    def restart() -> None:
        postgres_alone.stop(crash=True)
        postgres_alone.start()

    run.facts["meanwhile"] = restart
    run_step(GOOD, run, record(uri))
    assert recorded(SqlState.open(uri)) == [("good", 1, "done")]
    # Away at the begin, back at the end.
    postgres_alone.stop()
    run.facts["meanwhile"] = postgres_alone.start
    run_step(GOOD, run, record(uri))
    assert recorded(SqlState.open(uri)) == [("good", 2, "done"), ("good", 1, "done")]
    assert len(warnings) == 1


def test_a_killed_step_is_told_by_the_next_attempt(
    run: Run, record: Callable[[str], Recorder], tmp_path: Path, postgres: PostgresServer
) -> None:
    uri = postgres()
    migrate(open_engine(uri))
    state = SqlState.open(uri)
    command = [sys.executable, "-c", HELD, uri, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=tmp_path) as held:
        assert held.stdout is not None and held.stdout.readline() == b"inside\n"
        assert recorded(state) == [("held", 1, "running")]
        held.send_signal(signal.SIGKILL)
    assert recorded(state) == [("held", 1, "running")]
    run_step(replace(GOOD, name="held"), run, record(uri))
    assert recorded(state) == [("held", 2, "done"), ("held", 1, "failed")]
    assert "did not finish" in str(state.step_runs("planted")[1].error)

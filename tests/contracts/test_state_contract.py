"""One contract for every state database: PostgreSQL and its embedded twin."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from vitrina.errors import StateError
from vitrina.storage.database import open_engine
from vitrina.storage.schema import migrate
from vitrina.storage.sql_state import SqlState
from vitrina.storage.state import State, StepRun


@pytest.fixture(params=["sqlite", "postgresql"])
def open_state(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[], State]:
    """Opens the same state every time it is called."""
    if request.param == "sqlite":
        uri = f"sqlite:///{tmp_path}/new folder/state.db"
    else:
        uri = request.getfixturevalue("postgres")()
        migrate(open_engine(uri))
    return lambda: SqlState.open(uri)


@pytest.fixture
def state(open_state: Callable[[], State]) -> State:
    return open_state()


def begin(state: State, step: str = "prepare", run_id: str = "r1", now: int = 1000, scenario: str = "shop") -> StepRun:
    return state.begin_step(scenario=scenario, run_id=run_id, step=step, as_of=None, now=now)


def test_what_was_recorded_is_read_again(state: State, open_state: Callable[[], State]) -> None:
    started = state.begin_step(scenario="shop", run_id="r1", step="prepare", as_of=1_443_000_000_000, now=1_700)
    assert (started.attempt, started.outcome, started.ended) == (1, "running", None)
    result = {"rows": 2**40, "share": 0.5, "name": "Витрина", "none": None, "parts": [1, {"a": True}]}
    done = state.finish_step(started, now=1_900, result=result)
    assert done == replace(started, outcome="done", ended=1_900, result=result)
    assert open_state().step_runs("shop") == [done]


def test_a_failed_step_keeps_its_text(state: State) -> None:
    failed = state.fail_step(begin(state), now=1_100, error="events.csv: row 7 is broken\nsecond line")
    assert (failed.outcome, failed.error, failed.result) == ("failed", "events.csv: row 7 is broken\nsecond line", None)
    assert state.step_runs("shop") == [failed]


def test_what_a_database_cannot_hold_is_replaced(state: State) -> None:
    result = {"worst": float("nan"), "deep": [float("inf"), (1.5, "a\0b")], "key\0": 1}
    done = state.finish_step(begin(state), now=1_100, result=result)
    assert done.result == {"worst": None, "deep": [None, [1.5, "a�b"]], "key�": 1}
    assert state.fail_step(begin(state), now=1_200, error="a\0b").error == "a�b"


def test_an_attempt_that_was_left_running_has_failed_when_the_next_begins(state: State) -> None:
    killed = begin(state, now=1_000)
    others = [begin(state, step="ranker"), begin(state, run_id="r2"), begin(state, scenario="bank")]
    again = begin(state, now=2_000)
    assert again.attempt == 2
    recorded = {(run.step, run.run_id, run.attempt): run for run in state.step_runs("shop")}
    ended = recorded["prepare", "r1", 1]
    assert (ended.outcome, ended.begun, ended.ended) == ("failed", 1_000, 2_000)
    assert "did not finish" in str(ended.error) and "attempt 2" in str(ended.error)
    running = [run for scenario in ("shop", "bank") for run in state.step_runs(scenario) if run.outcome == "running"]
    assert len(running) == 4 and all(one in running for one in (*others, again))
    state.finish_step(again, now=3_000, result={})
    assert begin(state, now=4_000).attempt == 3
    assert [run.outcome for run in state.step_runs("shop", run_id="r1") if run.step == "prepare"] == [
        "running",
        "done",
        "failed",
    ]
    # It was taken for dead, but came to its end after all.
    assert state.finish_step(killed, now=5_000, result={"late": 1}).outcome == "done"


def test_the_newest_come_first_and_runs_are_told_apart(state: State) -> None:
    for number in range(5):
        begin(state, step=f"s{number}", run_id=f"r{number % 2}", now=1_000 - number)
    begin(state, scenario="bank")
    assert [run.step for run in state.step_runs("shop")] == ["s4", "s3", "s2", "s1", "s0"]
    assert [run.step for run in state.step_runs("shop", run_id="r0")] == ["s4", "s2", "s0"]
    assert [run.step for run in state.step_runs("shop", limit=2)] == ["s4", "s3"]
    assert state.step_runs("shop", run_id="never") == []


def test_attempts_that_begin_at_once_get_numbers_of_their_own(open_state: Callable[[], State]) -> None:
    states = [open_state() for _ in range(6)]
    with ThreadPoolExecutor(6) as pool:
        begun = list(pool.map(begin, states))
    assert sorted(run.attempt for run in begun) == [1, 2, 3, 4, 5, 6]
    outcomes = {run.attempt: run.outcome for run in states[0].step_runs("shop")}
    assert outcomes == {6: "running", **dict.fromkeys(range(1, 6), "failed")}


def test_an_attempt_that_was_never_begun_cannot_end(state: State) -> None:
    with pytest.raises(StateError):
        state.finish_step(replace(begin(state), run_id="another"), now=2_000, result={})


def test_values_are_values_and_never_statements(state: State) -> None:
    hostile = "'; DROP TABLE step_runs; --"
    done = state.finish_step(begin(state, run_id=hostile, step=hostile), now=2_000, result={hostile: hostile})
    assert state.step_runs("shop", run_id=hostile) == [done]

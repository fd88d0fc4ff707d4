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
from vitrina.storage.state import GateTally, Overview, State, StepRun


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


def test_an_empty_database_has_nothing_to_tell(state: State) -> None:
    assert state.overview() == Overview(steps=(), gates=())


def test_the_overview_counts_attempts_and_knows_the_newest(state: State) -> None:
    first = state.finish_step(begin(state, run_id="r1", now=1_000), now=1_500, result={"rows_in": 1})
    lost = begin(state, run_id="r2", now=2_000)
    again = state.finish_step(begin(state, run_id="r2", now=3_000), now=3_700, result={"rows_in": 2})
    failed = state.fail_step(begin(state, run_id="r3", now=4_000), now=4_100, error="broken")
    running = begin(state, run_id="r4", now=5_000)
    only = begin(state, step="ranker", run_id="r4", now=6_000)
    other = state.fail_step(begin(state, scenario="bank", now=7_000), now=7_500, error="broken, too")
    seen = state.overview()
    assert [(one.scenario, one.step) for one in seen.steps] == [
        ("bank", "prepare"),
        ("shop", "prepare"),
        ("shop", "ranker"),
    ]
    bank, prepare, ranker = seen.steps
    assert (prepare.done, prepare.failed, prepare.last_done, prepare.last_failed) == (2, 2, 3_700, 4_100)
    assert (prepare.newest, prepare.newest_done, prepare.newest_ended) == (running, again, failed)
    assert (bank.done, bank.failed, bank.last_done, bank.last_failed) == (0, 1, None, 7_500)
    assert (bank.newest, bank.newest_done, bank.newest_ended) == (other, None, other)
    assert (ranker.done, ranker.failed) == (0, 0)
    assert (ranker.newest, ranker.newest_done, ranker.newest_ended) == (only, None, None)
    # Taken for dead, it came to its end after all; the newest attempts stay those that began last.
    state.finish_step(lost, now=9_000, result={"rows_in": 3})
    prepare = state.overview().steps[1]
    assert (prepare.done, prepare.failed, prepare.last_done) == (3, 1, 9_000)
    assert (prepare.newest_done, prepare.newest_ended) == (again, failed)
    assert first.result == {"rows_in": 1}


def decide(state: State, run_id: str, result: object, scenario: str = "shop") -> None:
    begun = begin(state, step="evaluate", run_id=run_id, scenario=scenario)
    state.finish_step(begun, now=2_000, result=result if isinstance(result, dict) else {"gate": {"outcome": result}})


def test_gates_are_counted_and_refusals_since_the_last_promotion(state: State) -> None:
    decide(state, "r0", {"promote": True})  # an older release told of no gate
    assert state.overview().gates == ()
    decide(state, "r1", "refused")
    assert state.overview().gates == (GateTally(scenario="shop", promoted=0, refused=1, refused_in_a_row=1),)
    for run_id, outcome in (("r2", "promoted"), ("r3", "refused"), ("r4", "refused"), ("r4", "refused")):
        decide(state, run_id, outcome)
    state.fail_step(begin(state, step="evaluate", run_id="r5"), now=2_000, error="no decision")
    decide(state, "r1", "refused", scenario="bank")
    bank, shop = state.overview().gates
    assert shop == GateTally(scenario="shop", promoted=1, refused=4, refused_in_a_row=2)
    assert bank == GateTally(scenario="bank", promoted=0, refused=1, refused_in_a_row=1)
    decide(state, "r6", "promoted")
    assert state.overview().gates[1].refused_in_a_row == 0


@pytest.mark.parametrize("gate", ["refused", None, 7, ["refused"], {"outcome": None}, {"outcome": "maybe"}, {}])
def test_a_gate_that_cannot_be_read_is_no_decision(state: State, gate: object) -> None:
    decide(state, "r1", {"gate": gate})
    assert state.overview().gates == (GateTally(scenario="shop", promoted=0, refused=0, refused_in_a_row=0),)

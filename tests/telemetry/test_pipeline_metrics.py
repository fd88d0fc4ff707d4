"""Planted step runs in a real state database -> the samples that the exporter tells of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from vitrina.storage.sql_state import SqlState
from vitrina.telemetry.pipeline_metrics import Rising, complete_days, families, pipeline_samples
from vitrina.telemetry.pipeline_names import (
    DISK_FREE,
    DISK_SIZE,
    GRAPHITE_DROPPED,
    GRAPHITE_SENT,
    PIPELINE_NAMES,
    STATE_UP,
)

EXPORTERS_OWN = {STATE_UP, DISK_FREE, DISK_SIZE, GRAPHITE_SENT, GRAPHITE_DROPPED}
COUNTS = {"views": 200, "carts": 10, "purchases": 3, "visitors": 50, "carting_visitors": 8, "carting_buyers": 2}
DAYS = [{"day": "2026-03-01", **COUNTS, "views": 1}, {"day": "2026-03-02", **COUNTS}]
SCORE = {"psi": 0.31, "limit": 0.25, "missing_training": 0.0, "missing_last_day": 0.5, "drifted": True}
DRIFT = {"rows": 7, "judged": True, "drifted": ["score"], "features": {"score": SCORE, "age": {**SCORE, "psi": None}}}


@pytest.fixture
def state(tmp_path: Path) -> SqlState:
    return SqlState.open(f"sqlite:///{tmp_path}/state.db")


@pytest.fixture
def done(state: SqlState) -> Iterator[Any]:
    """Records a step that took 2.5 s, the first from second 10 on, the next from second 20 on, and so on."""
    begins = count(10_000, 10_000)

    def record(step: str, result: Mapping[str, Any], *, run_id: str = "r1", scenario: str = "shop") -> None:
        at = next(begins)
        begun = state.begin_step(scenario=scenario, run_id=run_id, step=step, as_of=None, now=at)
        state.finish_step(begun, now=at + 2_500, result=result)

    return record


def told(state: SqlState, last_steps: Mapping[str, str] | None = None) -> dict[str, dict[tuple[str, ...], float]]:
    """Values by metric without its prefix, and by label values."""
    found: dict[str, dict[tuple[str, ...], float]] = {}
    for (name, labels), value in pipeline_samples(state.overview(), last_steps or {}).items():
        found.setdefault(name.name.removeprefix("vitrina_"), {})[labels] = value
    return found


def test_attempts(state: SqlState, done: Any) -> None:
    done("fit", {})
    failed = state.begin_step(scenario="shop", run_id="r2", step="fit", as_of=None, now=50_000)
    state.fail_step(failed, now=50_250, error="broken")
    state.begin_step(scenario="shop", run_id="r3", step="fit", as_of=None, now=60_000)
    state.begin_step(scenario="bank", run_id="r3", step="fit", as_of=None, now=70_000)
    found = told(state)
    shop, bank = ("shop", "fit"), ("bank", "fit")
    assert found["step_runs_total"] == {
        (*shop, "done"): 1, (*shop, "failed"): 1, (*bank, "done"): 0, (*bank, "failed"): 0
    }  # fmt: skip
    assert found["step_duration_seconds"] == {shop: 0.25}
    assert found["step_ended_timestamp_seconds"] == {(*shop, "done"): 12.5, (*shop, "failed"): 50.25}
    assert found["step_begun_timestamp_seconds"] == {shop: 60, bank: 70}
    assert found["step_running"] == {shop: 1, bank: 1}
    done("fit", {}, run_id="r4")
    assert told(state)["step_running"] == {shop: 0, bank: 1}


def test_a_training_has_succeeded_when_its_last_step_is_done(state: SqlState, done: Any) -> None:
    last = {"shop": "publish", "bank": "publish", "other": "publish"}
    done("fit", {})
    assert "training_succeeded_timestamp_seconds" not in told(state, last)
    done("publish", {})
    done("fit", {}, run_id="r2")
    done("publish", {}, scenario="unknown")
    lost = state.begin_step(scenario="shop", run_id="r2", step="publish", as_of=None, now=90_000)
    state.fail_step(lost, now=91_000, error="broken")
    assert told(state, last)["training_succeeded_timestamp_seconds"] == {("shop",): 22.5}


def test_rows_rejections_recall_and_quality_are_those_of_the_newest_result(state: SqlState, done: Any) -> None:
    done("read", {"rows_in": 5, "rows_out": 4, "rejected": {"no user": 1, "gone by now": 9}})
    done("read", {"rows_in": 90, "rows_out": 80, "rejected": {"no user": 7, "no item": 3}})
    done("find", {"rows_in": 80, "recall": {"union": 0.75, "by_source": {"als": 0.5, "popular": 0.25}, "pairs": 4}})
    done("judge", {"quality": {"candidate": {"ndcg@10": 0.25, "hr@10": 1}, "popular": {"ndcg@10": 0.125}}})
    done("read", {"rows_in": 1}, scenario="bank")
    found = told(state)
    assert found["step_rows"] == {
        ("shop", "read", "in"): 90,
        ("shop", "read", "out"): 80,
        ("shop", "find", "in"): 80,
        ("bank", "read", "in"): 1,
    }
    assert found["rejected_rows"] == {("shop", "no user"): 7, ("shop", "no item"): 3}
    assert found["candidate_recall"] == {("shop", "union"): 0.75, ("shop", "als"): 0.5, ("shop", "popular"): 0.25}
    assert found["recipe_quality"] == {
        ("shop", "candidate", "ndcg@10"): 0.25,
        ("shop", "candidate", "hr@10"): 1,
        ("shop", "popular", "ndcg@10"): 0.125,
    }


def test_of_two_steps_with_the_same_key_the_later_one_tells(state: SqlState, done: Any) -> None:
    done("z", {"rejected": {"old": 1}})
    done("a", {"rejected": {"new": 2}})
    assert told(state)["rejected_rows"] == {("shop", "new"): 2}
    done("z", {"rejected": {"newest": 3}})
    assert told(state)["rejected_rows"] == {("shop", "newest"): 3}


def test_the_gate(state: SqlState, done: Any) -> None:
    for number, outcome in enumerate(("promoted", "refused", "refused")):
        done("evaluate", {"gate": {"outcome": outcome, "reasons": ["because"]}}, run_id=f"r{number}")
    found = told(state)
    assert found["gate_outcomes_total"] == {("shop", "promoted"): 1, ("shop", "refused"): 2}
    assert found["gate_refusals_in_a_row"] == {("shop",): 2}


def test_drift(state: SqlState, done: Any) -> None:
    done("drift", {"drift": DRIFT})
    found = told(state)
    assert found["drift_psi"] == {("shop", "score"): 0.31}  # the other could not be told
    assert found["drift_limit"] == {("shop", "score"): 0.25, ("shop", "age"): 0.25}
    assert found["drift_missing_share"] == {
        (*of, part): value
        for of in (("shop", "score"), ("shop", "age"))
        for part, value in (("training", 0.0), ("last_day", 0.5))
    }
    assert (found["drifted_features"], found["drift_judged_timestamp_seconds"]) == ({("shop",): 1}, {("shop",): 12.5})


def test_a_day_that_could_not_be_judged_has_no_drift(state: SqlState, done: Any) -> None:
    done("drift", {"drift": DRIFT})
    done("drift", {"drift": {"rows": 0, "judged": False, "why": "a short log", "drifted": [], "features": {}}})
    assert not [name for name in told(state) if "drift" in name]


def test_the_last_complete_day(state: SqlState, done: Any) -> None:
    done("prepare", {"days": DAYS})
    found = told(state)
    kinds = {"view": 200, "addtocart": 10, "transaction": 3}
    assert found["day_events"] == {("shop", kind): value for kind, value in kinds.items()}
    assert found["day_visitors"] == {("shop",): 50}
    rates = {"view_to_cart": 0.05, "cart_to_purchase": 0.3, "purchase": 0.25}
    assert found["day_rate"] == {("shop", rate): value for rate, value in rates.items()}
    assert found["day_timestamp_seconds"] == {("shop",): 1_772_409_600}
    assert complete_days(state.overview()) == {"shop": DAYS}
    done("prepare", {"days": []})
    assert "day_events" not in told(state) and complete_days(state.overview()) == {"shop": []}


@pytest.mark.parametrize("junk", [None, 7, "text", True, [1], [None], [[]], {}, {"union": "all", "judged": True}])
@pytest.mark.parametrize("key", ["rows_in", "rejected", "recall", "quality", "gate", "drift", "days"])
def test_what_another_release_told_otherwise_is_left_out(state: SqlState, done: Any, key: str, junk: Any) -> None:
    done("other", {key: junk, "rows_out": 4})
    if key == "days":
        done("more", {"days": [{"day": "soon", **COUNTS}, {**DAYS[0], "views": "many"}, {"day": "2026-03-01"}]})
    found = told(state)
    assert found["step_rows"][("shop", "other", "out")] == 4
    if not (key == "rows_in" and junk == 7):
        assert ("shop", "other", "in") not in found["step_rows"]
    values = ("rejected_rows", "candidate_recall", "recipe_quality", "drift_psi", "day_events", "day_timestamp_seconds")
    assert [name for name in values if name in found] == []


def test_an_old_result_without_any_key_is_an_attempt_like_others(state: SqlState, done: Any) -> None:
    done("evaluate", {"winner": "candidate", "ndcg@10": {"candidate": 0.1}})
    assert {name for name in told(state) if not name.startswith("step_")} == set()


def test_every_name_of_the_table_is_told_by_something(state: SqlState, done: Any) -> None:
    done(
        "all",
        {"rows_in": 1, "rejected": {"why": 1}, "recall": {"union": 1.0}, "quality": {"a": {"b": 1}}, "days": DAYS},
    )
    done("judge", {"gate": {"outcome": "refused"}, "drift": DRIFT})
    samples = pipeline_samples(state.overview(), {"shop": "all"})
    assert {name for name, _ in samples} == set(PIPELINE_NAMES) - EXPORTERS_OWN
    assert all(len(labels) == len(name.labels) for name, labels in samples)
    for family in families(samples):
        assert family.documentation and len(family.samples) == len({str(one.labels) for one in family.samples})


def test_counters_never_fall_when_rows_are_deleted(state: SqlState, done: Any) -> None:
    rising = Rising()

    def runs() -> float:
        samples = rising(pipeline_samples(state.overview(), {}))
        return next(value for (name, labels), value in samples.items() if labels == ("shop", "fit", "done"))

    def delete(where: str) -> None:
        with state.engine.begin() as connection:
            connection.execute(text(f"DELETE FROM step_runs WHERE {where}"))

    for number in range(5):
        done("fit", {}, run_id=f"r{number}")
    assert runs() == 5
    delete("begun < 40000")
    assert runs() == 5
    done("fit", {}, run_id="r6")
    assert runs() == 6
    delete("begun < 60000")
    done("fit", {}, run_id="r7")
    assert runs() == 6  # between two scrapes one more was done and two were deleted; the next counts on
    done("fit", {}, run_id="r8")
    assert runs() == 7


def test_an_attempt_that_ends_after_it_was_taken_for_dead_lets_no_counter_fall(state: SqlState) -> None:
    rising = Rising()

    def runs() -> dict[str, float]:
        samples = rising(pipeline_samples(state.overview(), {}))
        return {labels[2]: value for (name, labels), value in samples.items() if name.name == "vitrina_step_runs_total"}

    started = [state.begin_step(scenario="s", run_id="r", step="fit", as_of=None, now=now) for now in (1, 2)]
    assert runs() == {"done": 0, "failed": 1}
    for one in started:
        state.finish_step(one, now=3, result={})
    assert runs() == {"done": 2, "failed": 1}

"""What the storefront's steps tell about themselves comes out as the pipeline's metrics."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from pathlib import Path

import pytest

from vitrina.pipeline import Recorder, train
from vitrina.scenarios import Run
from vitrina.scenarios.storefront import METRICS, SCENARIO
from vitrina.storage.sql_state import SqlState
from vitrina.telemetry.day_series import day_begin, day_rates
from vitrina.telemetry.pipeline_metrics import pipeline_samples

COLUMNS = "user=customer,item=sku,event=type,timestamp=ts,event.view=look,event.addtocart=basket,event.transaction=paid"


def test_every_step_tells_its_part(tiny_log: Path, tmp_path: Path, run_at: Callable[..., Run]) -> None:
    uri, times = f"sqlite:///{tmp_path}/state.db", count(1_000_000, 500)
    recorder = Recorder(open_state=lambda: SqlState.open(uri), run_id="r1", clock=lambda: next(times), warn=pytest.fail)
    run = run_at(tmp_path / "home", data=str(tiny_log), columns=COLUMNS)
    done = {one.step: one.result for one in train(SCENARIO, run, recorder=recorder)}
    found: dict[str, dict[tuple[str, ...], float]] = {}
    samples = pipeline_samples(SqlState.open(uri).overview(), {"storefront": SCENARIO.steps[-1].name})
    for (name, (scenario, *labels)), value in samples.items():
        assert scenario == "storefront"
        found.setdefault(name.name.removeprefix("vitrina_"), {})[tuple(labels)] = value

    steps = [step.name for step in SCENARIO.steps]
    assert found["step_runs_total"] == {
        (step, end): float(end == "done") for step in steps for end in ("done", "failed")
    }
    assert found["step_duration_seconds"] == {(step,): 0.5 for step in steps}
    assert found["training_succeeded_timestamp_seconds"] == {(): 1_000 + len(steps) - 0.5}
    rows = {(step, way): done[step].get(f"rows_{way}") for step in steps for way in ("in", "out")}
    assert found["step_rows"] == {key: value for key, value in rows.items() if value is not None}
    without = {step for step in steps if (step, "in") not in found["step_rows"]}
    assert without == {"extract", "promote"}  # files and names of versions have no rows
    recall = done["candidates"]["recall"]
    assert found["candidate_recall"] == {(name,): value for name, value in recall["by_source"].items()} | {
        ("union",): recall["union"]
    }
    quality = done["evaluate"]["quality"]
    assert found["recipe_quality"] == {
        (recipe, metric): quality[recipe][metric] for recipe in quality for metric in METRICS
    }
    assert found["gate_outcomes_total"] == {("promoted",): 1, ("refused",): 0}
    last = done["prepare"]["days"][-1]
    assert found["day_visitors"] == {(): last["visitors"]} and last["visitors"] > 0
    assert found["day_rate"] == {(rate,): value for rate, value in day_rates(last).items()}
    assert found["day_timestamp_seconds"] == {(): day_begin(last)}
    assert done["drift"]["drift"]["judged"] is False and "drifted_features" not in found

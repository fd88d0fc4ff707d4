"""The DAGs in a real Airflow, by a scenario of two quick steps: parameters, failures, kills, queues, events."""

from __future__ import annotations

import json

import psutil
import pytest
from waiting import PATIENCE, wait

from vitrina.scenarios import SCENARIOS, scenario

pytestmark = [pytest.mark.slow, pytest.mark.e2e, pytest.mark.timeout(1800)]

DAY = 1_441_065_600_000  # 2015-09-01
WITHOUT_DEPENDENCIES = """
import importlib.util, json, sys
from vitrina.scenarios import SCENARIOS, scenario
steps = {name: [step.name for step in scenario(name).steps] for name in SCENARIOS}
absent = [name for name in ("catboost", "duckdb", "ibis", "numba", "mlflow") if importlib.util.find_spec(name) is None]
print(json.dumps({"steps": steps, "absent": absent, "numpy": "numpy" in sys.modules}))
"""


def running(step: str) -> list[psutil.Process]:
    """The `vitrina step planted STEP` processes of this moment."""
    found = []
    for process in psutil.process_iter():
        try:
            if ["planted", step, "--run-id"] == process.cmdline()[3:6]:
                found.append(process)
        except psutil.Error:
            continue
    return found


def started(step: str) -> psutil.Process:
    wait(lambda: len(running(step)) == 1, otherwise=lambda: f"{step}: {running(step)}")
    return running(step)[0]


def test_declarations_need_nothing_of_vitrinas_environment(stack) -> None:
    said = json.loads(stack.airflow.python(WITHOUT_DEPENDENCIES).splitlines()[-1])
    assert said["steps"]["storefront"] == [step.name for step in scenario("storefront").steps]
    assert said["absent"] == ["catboost", "duckdb", "ibis", "numba", "mlflow"]
    assert not said["numpy"]


def test_every_scenario_has_its_dag_and_form(planted) -> None:
    airflow = planted.airflow
    assert airflow.ask("GET", "/importErrors")["import_errors"] == []
    dags = {one["dag_id"]: one for one in airflow.ask("GET", "/dags")["dags"]}
    assert {"planted", "planted_events", "broken", "telegram"} <= dags.keys()
    assert not dags["telegram"]["is_paused"]
    for name in SCENARIOS:
        assert f"{name}_events" in dags
        assert dags[name]["max_active_runs"] == 1
        tasks = {one["task_id"]: one for one in airflow.ask("GET", f"/dags/{name}/tasks")["tasks"]}
        steps = [step.name for step in scenario(name).steps]
        assert [tasks[step]["downstream_task_ids"] for step in steps] == [[after] for after in [*steps[1:], "report"]]
        assert {tasks[step]["pool"] for step in steps} == {"training"}, "one step at a time, of all scenarios"
    details = airflow.ask("GET", "/dags/storefront/details")
    form = {name: (one["value"], one["schema"]) for name, one in details["params"].items()}
    assert form["as_of"][0] is None
    assert (form["as_of"][1]["type"], form["as_of"][1]["format"]) == (["null", "string"], "date")
    assert (form["tune"][0], form["tune"][1]["type"]) == (0, "integer")
    for name in ("force", "challenger"):
        assert (form[name][0], form[name][1]["type"]) == (False, "boolean")
    assert "Clear" in details["doc_md"]


def test_parameters_reach_every_step_of_a_run_without_logical_date(planted) -> None:
    airflow = planted.airflow
    run_id = airflow.trigger("planted", as_of="2015-09-01", tune=3, force=True, challenger=True)
    assert airflow.finish("planted", run_id) == "success"
    assert airflow.run("planted", run_id)["logical_date"] is None
    first = airflow.result("planted", run_id, "first")
    asked = {name: first[name] for name in ("as_of", "tune", "force", "challenger")}
    assert asked == {"as_of": DAY, "tune": 3, "force": True, "challenger": True}
    assert first["outputs"]["first.json"].endswith("planted/first.json")
    assert airflow.result("planted", run_id, "second")["same"]


def test_wrong_parameters_are_refused_before_anything_runs(planted) -> None:
    with pytest.raises(AssertionError, match="400"):
        planted.airflow.trigger("planted", as_of="the first of May")


def test_bad_input_is_not_tried_again_and_its_message_leads_to_the_log(planted, told) -> None:
    airflow = planted.airflow
    (planted.orders / "first").write_text("bad input")
    run_id = airflow.trigger("planted")
    assert airflow.finish("planted", run_id) == "failed"
    assert airflow.tasks("planted", run_id) == {"first": "failed", "second": "upstream_failed", "report": "success"}
    assert airflow.tries("planted", run_id, "first") == 1
    log = airflow.log("planted", run_id, "first")
    assert "error: events.csv: row 7 has no user" in log
    assert '"message":' not in log, "the child's JSON lines are shown as their messages"
    text = told(run_id).text
    assert "planted: the task first failed" in text
    assert "events.csv: row 7 has no user. Correct it" in text
    assert f'<a href="{airflow.url}/dags/planted/runs/{run_id}/tasks/first">log</a>' in text


def test_a_failed_run_goes_on_where_it_stopped_once_it_is_cleared(planted, told) -> None:
    airflow = planted.airflow
    (planted.orders / "second").write_text("fail")
    run_id = airflow.trigger("planted")
    assert airflow.finish("planted", run_id) == "failed"
    assert airflow.tries("planted", run_id, "second") == 2
    assert "the registry &lt;is&gt; out of reach &amp; says so" in told(run_id).text
    (planted.orders / "second").unlink()
    airflow.clear("planted", run_id, "second")
    wait(lambda: airflow.run("planted", run_id)["state"] != "failed", otherwise=lambda: "still failed")
    assert airflow.finish("planted", run_id) == "success"
    assert airflow.tries("planted", run_id, "first") == 1
    assert airflow.result("planted", run_id, "second")["same"], "the same end of time as before"
    assert "planted: trained" in told(run_id, 2).text


@pytest.mark.parametrize("whom", ["child", "task"])
def test_a_killed_task_runs_again_and_leaves_nobody_behind(planted, whom: str) -> None:
    airflow = planted.airflow
    (planted.orders / "first").write_text("wait")
    run_id = airflow.trigger("planted")
    child = started("first")
    wait(lambda: "first still waits" in airflow.log("planted", run_id, "first"), otherwise=lambda: "no line in the log")
    victim = child if whom == "child" else child.parent()
    assert victim is not None
    victim.kill()
    (planted.orders / "first").unlink()
    assert psutil.wait_procs([child], timeout=PATIENCE)[1] == []
    assert airflow.finish("planted", run_id) == "success"
    assert airflow.tries("planted", run_id, "first") == 2
    assert airflow.result("planted", run_id, "second")["same"]


def test_marking_a_run_failed_ends_its_process(planted) -> None:
    airflow = planted.airflow
    (planted.orders / "first").write_text("wait")
    run_id = airflow.trigger("planted")
    child = started("first")
    airflow.ask("PATCH", f"/dags/planted/dagRuns/{run_id}", json={"state": "failed"})
    assert psutil.wait_procs([child], timeout=PATIENCE)[1] == []


def test_runs_do_not_overlap(planted) -> None:
    airflow = planted.airflow
    (planted.orders / "first").write_text("wait")
    one = airflow.trigger("planted")
    started("first")
    two = airflow.trigger("planted")
    wait(lambda: airflow.run("planted", two)["state"] == "queued", otherwise=lambda: str(airflow.run("planted", two)))
    assert len(running("first")) == 1
    (planted.orders / "first").unlink()
    assert [airflow.finish("planted", run_id) for run_id in (one, two)] == ["success", "success"]
    assert airflow.run("planted", two)["start_date"] >= airflow.run("planted", one)["end_date"]


def test_a_scenario_that_cannot_be_imported_fails_alone_and_says_why(planted, told) -> None:
    airflow = planted.airflow
    airflow.unpause("broken")
    run_id = airflow.trigger("broken")
    assert airflow.finish("broken", run_id) == "failed"
    assert "No module named 'no_such_module'" in told(run_id).text


def test_new_events_start_a_training_and_old_ones_do_not(planted) -> None:
    airflow = planted.airflow
    airflow.unpause("planted_events")
    looked = airflow.trigger("planted_events")
    assert airflow.finish("planted_events", looked) == "success"
    assert airflow.tasks("planted_events", looked) == {"look": "success"}

    def by_events() -> list[str]:
        return [one["dag_run_id"] for one in airflow.runs("planted") if one["run_type"] == "asset_triggered"]

    wait(lambda: len(by_events()) == 1, otherwise=lambda: str(airflow.runs("planted")))
    assert airflow.finish("planted", by_events()[0]) == "success"
    again = airflow.trigger("planted_events")
    assert airflow.finish("planted_events", again) == "success"
    assert airflow.tasks("planted_events", again) == {"look": "skipped"}
    assert len(by_events()) == 1


def test_a_report_that_fails_decides_nothing(planted) -> None:
    airflow = planted.airflow
    (planted.orders / "second").write_text("nonsense")
    run_id = airflow.trigger("planted")
    assert airflow.finish("planted", run_id) == "success"
    assert airflow.tasks("planted", run_id)["report"] == "failed"

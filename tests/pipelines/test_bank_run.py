"""The bank as the schedule trains it, from a panel in S3: nothing there, a new panel, a refusal, a broken panel."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from waiting import wait

from vitrina.events.synthetic_panels.generator import PanelSpec, generate_panel
from vitrina.registry.mlflow_registry import MlflowRegistry
from vitrina.scenarios import scenario

pytestmark = [pytest.mark.slow, pytest.mark.e2e, pytest.mark.timeout(1800)]

BANK, LOOK = "bank_products", "bank_products_events"
DECLARED = scenario(BANK)
BY_THE_CLOCK = """
from airflow.models.serialized_dag import SerializedDagModel
from airflow.utils.session import create_session
from airflow.utils.state import DagRunState
from airflow.utils.types import DagRunTriggeredByType, DagRunType
import pendulum
with create_session() as session:
    dag = SerializedDagModel.get_dag("{dag}", session=session)
    run = dag.create_dagrun(
        run_id="scheduled__planted", run_after=pendulum.now("UTC"), logical_date=None, run_type=DagRunType.SCHEDULED,
        triggered_by=DagRunTriggeredByType.TIMETABLE, state=DagRunState.QUEUED, session=session,
    )
"""


@pytest.fixture(scope="module")
def panel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A generated panel of 1,200 customers and 8 months as train_ver2.csv."""
    folder = tmp_path_factory.mktemp("bank")
    generate_panel(PanelSpec(customers=1_200, months=8, seed=5), folder, as_raw_csv=True)
    return folder / "train_ver2.csv"


def champion(home: Path) -> str | None:
    registry = MlflowRegistry(f"sqlite:///{home}/mlflow.db", experiment="e", model_name=DECLARED.registered_model)
    found = registry.champion()
    return found.version if found else None


def test_while_there_is_no_data_the_clock_trains_nothing_and_nobody_is_told(planted) -> None:
    airflow = planted.airflow
    for dag in (BANK, LOOK):
        airflow.unpause(dag)
    airflow.python(BY_THE_CLOCK.format(dag=BANK))
    assert airflow.finish(BANK, "scheduled__planted") == "success"
    assert set(airflow.tasks(BANK, "scheduled__planted").values()) == {"skipped"}
    looked = airflow.trigger(LOOK)
    assert airflow.finish(LOOK, looked) == "success"
    assert airflow.tasks(LOOK, looked) == {"look": "skipped"}
    assert planted.telegram.of("scheduled__planted") == []


def test_who_asks_for_a_training_without_data_is_told_where_it_is_missing(planted, told) -> None:
    run_id = planted.airflow.trigger(BANK)
    assert planted.airflow.finish(BANK, run_id) == "failed"
    text = told(run_id).text
    assert "bank_products: the task extract failed" in text
    assert f"{planted.bank}: there is no panel" in text


def test_a_panel_that_arrives_is_trained_on_and_the_message_speaks_of_the_bank(planted, told, panel: Path) -> None:
    airflow = planted.airflow
    sent = planted.vitrina("upload", "--scenario", BANK, "--data", str(panel))
    assert (sent["to"], sent["file"], sent["sent"]) == (planted.bank, "train_ver2.csv", 1)
    looked = airflow.trigger(LOOK)
    assert airflow.finish(LOOK, looked) == "success"
    assert airflow.result(LOOK, looked, "look")["fingerprint"] == sent["fingerprint"]

    def by_data() -> list[str]:
        return [one["dag_run_id"] for one in airflow.runs(BANK) if one["run_type"] == "asset_triggered"]

    wait(lambda: len(by_data()) == 1, otherwise=lambda: str(airflow.runs(BANK)))
    (run_id,) = by_data()
    assert airflow.finish(BANK, run_id, 600) == "success"
    assert airflow.result(BANK, run_id, "extract")["fingerprint"] == sent["fingerprint"]
    assert champion(planted.home) == "1"

    text = told(run_id).text
    assert "bank_products: version 1 is the new champion" in text
    scores = airflow.result(BANK, run_id, "evaluate")["map@7"]
    table = re.search("<pre>(.*)</pre>", text, re.DOTALL)
    assert table is not None
    lines = [line.split() for line in table[1].splitlines()]
    assert lines[0] == ["recipe", "MAP@7"]
    assert dict(lines[1:]) == {name: f"{score:.4f}" for name, score in scores.items()}
    assert {"candidate", "popularity"} <= scores.keys()
    assert airflow.result(BANK, run_id, "evaluate")["reasons"][0] in text.replace("&gt;", ">").replace("&lt;", "<")
    page = f"http://mlflow.example.org:5000/#/models/{DECLARED.registered_model}/versions/1"
    assert f'<a href="{page}">model version 1</a>' in text
    again = airflow.trigger(LOOK)
    assert airflow.finish(LOOK, again) == "success"
    assert airflow.tasks(LOOK, again) == {"look": "skipped"}


def test_a_named_recipe_is_asked_for_in_the_form(planted) -> None:
    details = planted.airflow.ask("GET", f"/dags/{BANK}/details")
    recipe = details["params"]["recipe"]
    assert (recipe["value"], recipe["schema"]["enum"]) == (DECLARED.recipes[0], list(DECLARED.recipes))
    assert details["params"]["tune"]["value"] == 0
    with pytest.raises(AssertionError, match="400"):
        planted.airflow.trigger(BANK, recipe="unheard of")


def test_a_broken_panel_names_its_row_and_leaves_the_champion(planted, told, panel: Path, tmp_path: Path) -> None:
    airflow = planted.airflow
    broken = tmp_path / "train_ver2.csv"
    lines = panel.read_text().splitlines()
    lines[700] = lines[700].replace("-28,", "-77,", 1)
    broken.write_text("\n".join(lines) + "\n")
    planted.vitrina("upload", "--scenario", BANK, "--data", str(broken))
    run_id = airflow.trigger(BANK)
    assert airflow.finish(BANK, run_id) == "failed"
    assert airflow.tries(BANK, run_id, "validate") == 1
    text = told(run_id).text
    assert "bank_products: the task validate failed" in text
    assert f"{planted.bank}/train_ver2.csv, row 701: fecha_dato" in text
    assert champion(planted.home) == "1"

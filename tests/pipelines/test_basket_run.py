"""Companions of carts as the schedule trains them, from sales in S3: new sales, a challenger, a file that is broken."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from waiting import wait

from vitrina.events.synthetic_baskets.generator import SALES_FILE, BasketSpec, generate_baskets
from vitrina.registry.mlflow_registry import MlflowRegistry
from vitrina.scenarios import scenario

pytestmark = [pytest.mark.slow, pytest.mark.e2e, pytest.mark.timeout(1800)]

BASKET, LOOK = "basket", "basket_events"
DECLARED = scenario(BASKET)
SPEC = BasketSpec(baskets=2_500, products=120, customers=300, months=6, seed=3)


@pytest.fixture(scope="module")
def sales(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Half a year of a generated shop."""
    folder = tmp_path_factory.mktemp("basket") / "sales"
    generate_baskets(SPEC, folder)
    return folder / SALES_FILE


def registry(home: Path) -> MlflowRegistry:
    return MlflowRegistry(f"sqlite:///{home}/mlflow.db", experiment="e", model_name=DECLARED.registered_model)


def champion(home: Path) -> str | None:
    found = registry(home).champion()
    return found.version if found else None


def test_sales_that_arrive_are_trained_on_and_the_message_says_how_good(planted, told, sales: Path) -> None:
    airflow = planted.airflow
    for dag in (BASKET, LOOK):
        airflow.unpause(dag)
    looked = airflow.trigger(LOOK)
    assert airflow.finish(LOOK, looked) == "success"
    assert airflow.tasks(LOOK, looked) == {"look": "skipped"}, "nothing has ever lain there"
    sent = planted.vitrina("upload", "--scenario", BASKET, "--data", str(sales))
    assert (sent["to"], sent["file"], sent["sent"]) == (planted.basket, SALES_FILE, 1)
    looked = airflow.trigger(LOOK)
    assert airflow.finish(LOOK, looked) == "success"
    assert airflow.result(LOOK, looked, "look")["fingerprint"] == sent["fingerprint"]

    def by_data() -> list[str]:
        return [one["dag_run_id"] for one in airflow.runs(BASKET) if one["run_type"] == "asset_triggered"]

    wait(lambda: len(by_data()) == 1, otherwise=lambda: str(airflow.runs(BASKET)))
    (run_id,) = by_data()
    assert airflow.finish(BASKET, run_id, 600) == "success"
    assert airflow.result(BASKET, run_id, "extract")["fingerprint"] == sent["fingerprint"]
    assert champion(planted.home) == "1"

    text = told(run_id).text
    assert "basket: version 1 is the new champion" in text
    scores = airflow.result(BASKET, run_id, "evaluate")["ndcg@10"]
    table = re.search("<pre>(.*)</pre>", text, re.DOTALL)
    assert table is not None
    lines = [line.split() for line in table[1].splitlines()]
    assert lines[0] == ["recipe", "NDCG@10"]
    assert dict(lines[1:]) == {name: f"{score:.4f}" for name, score in scores.items()}
    assert {"candidate", "popular", "item_knn"} <= scores.keys()
    page = f"http://mlflow.example.org:5000/#/models/{DECLARED.registered_model}/versions/1"
    assert f'<a href="{page}">model version 1</a>' in text


def test_a_challenger_is_asked_for_in_the_form_and_waits(planted, told) -> None:
    airflow = planted.airflow
    params = airflow.ask("GET", f"/dags/{BASKET}/details")["params"]
    assert params["recipe"]["schema"]["enum"] == list(DECLARED.recipes)
    assert (params["challenger"]["value"], params["challenger"]["schema"]["type"]) == (False, "boolean")
    run_id = airflow.trigger(BASKET, recipe="ease", as_of="2011-05-01", challenger=True, force=True)
    assert airflow.finish(BASKET, run_id, 600) == "success"
    assert "basket: version 2 waits as challenger, champion stays version 1" in told(run_id).text
    assert champion(planted.home) == "1"
    waiting = registry(planted.home).challenger()
    assert waiting is not None and waiting.version == "2"
    assert planted.vitrina("promote", BASKET) == {"champion": "2"}
    assert champion(planted.home) == "2"


def test_broken_sales_are_named_and_leave_the_champion(planted, told, sales: Path, tmp_path: Path) -> None:
    airflow = planted.airflow
    before = champion(planted.home)
    broken = tmp_path / SALES_FILE
    broken.write_text(sales.read_text().replace(",2011-05-", ",2011-55-"))
    planted.vitrina("upload", "--scenario", BASKET, "--data", str(broken))
    run_id = airflow.trigger(BASKET)
    assert airflow.finish(BASKET, run_id) == "failed"
    assert airflow.tries(BASKET, run_id, "validate") == 1
    text = told(run_id).text
    assert "basket: the task validate failed" in text
    assert f"{planted.basket}/{SALES_FILE}" in text and "InvoiceDate" in text
    assert champion(planted.home) == before

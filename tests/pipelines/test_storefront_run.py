"""The storefront as the schedule trains it: a first champion, a kill in the middle, a refusal by the gate."""

from __future__ import annotations

import html
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
from small_recipe import put_small_recipe

from vitrina.registry.mlflow_registry import MlflowRegistry
from vitrina.scenarios import scenario
from vitrina.storage.objects import FolderObjects

pytestmark = [pytest.mark.slow, pytest.mark.e2e, pytest.mark.timeout(2400)]

DECLARED = scenario("storefront")


def state(home: Path) -> dict[str, Any]:
    """What a training leaves: versions, champion, objects, and the lists that are served."""
    registry = MlflowRegistry(f"sqlite:///{home}/mlflow.db", experiment="e", model_name=DECLARED.registered_model)
    objects = FolderObjects(home / "objects")
    champion = registry.champion()
    return {
        "versions": [one.version for one in registry.versions()],
        "champion": champion.version if champion else None,
        "metrics": champion.metrics if champion else None,
        "objects": objects.list("storefront"),
        "registered": objects.get_bytes("storefront/registered.json"),
        "recall": objects.get_bytes("storefront/recall.json"),
        "data": (objects.local("storefront/prepared") / "fingerprint.txt").read_text(),
        "lists": objects.get_bytes("storefront/lists/current"),
    }


def test_a_training_killed_after_its_model_was_made_ends_as_an_undisturbed_one(planted, told, tmp_path: Path) -> None:
    airflow = planted.airflow
    airflow.unpause("storefront")
    (planted.orders / "register").touch()
    run_id = airflow.trigger("storefront", as_of="2015-06-28")
    assert airflow.finish("storefront", run_id, 900) == "success"
    assert airflow.tries("storefront", run_id, "register") == 2
    assert "killed by SIGKILL" in airflow.log("storefront", run_id, "register", 1)
    assert "candidate recall" in airflow.log("storefront", run_id, "candidates")

    environment = {**os.environ, "VITRINA_HOME": str(tmp_path / "home"), "PLANTED_ORDERS": str(planted.orders)}
    put_small_recipe(FolderObjects(tmp_path / "home" / "objects"))
    command = [str(planted.command), "train", "storefront", "--data", str(planted.world), "--as-of", "2015-06-28"]
    subprocess.run([*command, "--threads", "2", "--json"], env=environment, check=True, capture_output=True)
    assert state(planted.home) == state(tmp_path / "home")
    assert state(planted.home)["versions"] == ["1"]

    text = told(run_id).text
    assert "storefront: version 1 is the new champion" in text
    assert "no champion yet: the best baseline, popular, is published" in text
    scores = airflow.result("storefront", run_id, "evaluate")["ndcg@10"]
    assert set(scores) == {"candidate", "popular", "item_knn"}
    assert all(f"{name:9}  {score:.4f}" in text for name, score in scores.items())
    page = f"http://mlflow.example.org:5000/#/models/{DECLARED.registered_model}/versions/1"
    assert f'<a href="{page}">model version 1</a>' in text


def test_a_refusal_by_the_gate_is_a_success_that_says_why(planted, told) -> None:
    airflow = planted.airflow
    before = state(planted.home)
    run_id = airflow.trigger("storefront", as_of="2015-07-01")
    assert airflow.finish("storefront", run_id, 900) == "success"
    evaluated, registered = (airflow.result("storefront", run_id, step) for step in ("evaluate", "register"))
    assert evaluated["gate"]["outcome"] == "refused" and registered["judged"] == "champion"
    after = state(planted.home)
    assert (before["champion"], after["champion"], after["versions"]) == ("1", "2", ["2", "1"])
    text = html.unescape(told(run_id).text)
    assert "storefront: the champion's recipe stays, version 2 is fitted anew" in text
    assert "champion is published" in text

"""What the storefront registers after each outcome of the gate, when a champion of another recipe and of older data
reigns."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from vitrina.errors import DataError
from vitrina.pipeline import run_step
from vitrina.recommend.two_stage import TwoStage
from vitrina.registry.model_format import StoredModel, read_model
from vitrina.scenarios import Run
from vitrina.scenarios.storefront import SCENARIO, recipe
from vitrina.storage.objects import FolderObjects

RunAt = Callable[..., Run]

pytestmark = pytest.mark.slow

DAY = 86_400_000
BEGIN = 1_430_611_200_000
BEFORE, NOW = BEGIN + 63 * DAY, BEGIN + 66 * DAY


def steps(run: Run, first: str, last: str) -> dict[str, dict[str, Any]]:
    names = [step.name for step in SCENARIO.steps]
    asked = SCENARIO.steps[names.index(first) : names.index(last) + 1]
    return {step.name: run_step(step, run).result for step in asked}


def decide(run: Run, winner: str) -> None:
    """Writes another winner, and the present champion, into the verdict of the last evaluation."""
    path, champion = run.local("evaluation") / "verdict.json", run.registry.champion()
    told = {"winner": winner, "promote": winner == "candidate", "champion": champion and champion.version}
    path.write_text(json.dumps({**json.loads(path.read_text()), **told}))


def learned_up_to(stored: StoredModel, end: int) -> bool:
    return bool(end - DAY < stored.meta["as_of"] <= end)


def model_of(run: Run, version: str, folder: Path) -> StoredModel:
    run.registry.fetch(version, folder / version)
    return read_model(folder / version)


@pytest.fixture(scope="module")
def judged(
    tmp_path_factory: pytest.TempPathFactory, world: Path, run_at: RunAt, small_recipe: Callable[[FolderObjects], None]
) -> Run:
    """A log judged as of NOW, where the champion is of BEFORE and its ranker of half as many trees. Version 2 is the
    baseline "popular" of BEFORE."""
    run = run_at(tmp_path_factory.mktemp("judged"), data=str(world), as_of=BEFORE)
    small_recipe(run.objects)
    usual = recipe(run)
    fewer = replace(usual, ranker=replace(usual.ranker, iterations=7), between=replace(usual.between, iterations=7))
    run.objects.put_bytes("storefront/recipe.json", json.dumps(fewer.as_json()).encode())
    steps(run, "extract", "drift")
    decide(run, "candidate")
    assert steps(run, "register", "promote")["promote"]["champion"] == "1"
    decide(run, "popular")
    assert steps(run, "register", "register")["register"]["version"] == "2"
    run.objects.put_bytes("storefront/recipe.json", json.dumps(usual.as_json()).encode())
    now = replace(run, as_of=NOW)
    told = steps(now, "prepare", "drift")
    assert set(told["evaluate"]["ndcg@10"]) == {"candidate", "champion", "popular", "item_knn"}
    return now


@pytest.fixture
def again(judged: Run, tmp_path: Path, run_at: RunAt) -> Run:
    """A copy of that home."""
    shutil.copytree(judged.objects.root.parent, tmp_path / "home", symlinks=True)  # type: ignore[attr-defined]
    return run_at(tmp_path / "home", as_of=NOW)


def test_a_champion_that_stays_is_fitted_to_fresh_data(again: Run, tmp_path: Path) -> None:
    decide(again, "champion")
    told = steps(again, "register", "promote")
    assert told["register"] == {**told["register"], "winner": "catboost", "judged": "champion", "version": "3"}
    assert told["promote"] == {"promoted": True, "champion": "3", "before": "1"}
    old, fresh = (model_of(again, version, tmp_path) for version in ("1", "3"))
    assert fresh.meta["recipe"] == old.meta["recipe"] != recipe(again).as_json()
    assert learned_up_to(old, BEFORE) and learned_up_to(fresh, NOW)
    assert len(fresh.arrays["trees_leaf_start"]) == len(old.arrays["trees_leaf_start"]) > 1
    quality = json.loads((again.local("evaluation") / "table.json").read_text())["models"]["champion"]
    assert fresh.meta["metrics"]["ndcg@10"] == pytest.approx(quality["ndcg@10"]["mean"])
    assert steps(again, "register", "promote")["promote"] == {"promoted": True, "champion": "3", "before": "3"}


def test_a_baseline_that_reigns_and_stays_is_fitted_to_fresh_data(again: Run, tmp_path: Path) -> None:
    again.registry.promote("2")
    decide(again, "champion")
    told = steps(again, "register", "promote")
    assert (told["register"]["winner"], told["register"]["judged"]) == ("popular", "champion")
    assert told["promote"] == {"promoted": True, "champion": "3", "before": "2"}
    older, fresh = (model_of(again, version, tmp_path) for version in ("2", "3"))
    assert learned_up_to(older, BEFORE) and learned_up_to(fresh, NOW)
    assert fresh.meta["recipe"] == older.meta["recipe"]
    assert TwoStage.from_json(fresh.meta["recipe"]).ranker_name == "popular"


@pytest.mark.parametrize("winner", ["candidate", "item_knn"])
def test_a_candidate_or_a_baseline_takes_the_champions_place(winner: str, again: Run, tmp_path: Path) -> None:
    decide(again, winner)
    told = steps(again, "register", "promote")
    assert told["register"]["judged"] == winner
    assert told["promote"] == {"promoted": True, "champion": "3", "before": "1"}
    stored = model_of(again, "3", tmp_path)
    wanted = recipe(again) if winner == "candidate" else replace(recipe(again), ranker_name=winner)
    assert TwoStage.from_json(stored.meta["recipe"]) == wanted and learned_up_to(stored, NOW)


@pytest.mark.parametrize("named", ["champion", "popular"])
def test_force_promotes_the_candidate_that_was_refused(named: str, again: Run, tmp_path: Path) -> None:
    decide(again, named)
    forced = replace(again, force=True)
    assert steps(forced, "register", "register")["register"]["judged"] == "candidate"
    assert steps(again, "promote", "promote")["promote"] == {"promoted": False, "champion": "1"}
    assert steps(forced, "promote", "promote")["promote"]["champion"] == "3"
    assert TwoStage.from_json(model_of(again, "3", tmp_path).meta["recipe"]) == recipe(again)


def test_what_was_left_by_steps_of_another_run_is_not_registered(again: Run) -> None:
    with pytest.raises(DataError, match=r"`candidates` left was made of other prepared data.*again from `candidates`"):
        steps(replace(again, as_of=BEFORE), "register", "register")
    path = again.local("evaluation") / "verdict.json"
    told = json.loads(path.read_text())
    path.write_text(json.dumps({**told, "made_of": {**told["made_of"], "fingerprint": "another"}}))
    with pytest.raises(DataError, match="again from `evaluate`"):
        steps(again, "register", "register")
    path.write_text(json.dumps(told))
    other = replace(recipe(again), groups=301)
    again.objects.put_bytes("storefront/recipe.json", json.dumps(other.as_json()).encode())
    with pytest.raises(DataError, match=r"another recipe.*again from `ranker`"):
        steps(again, "register", "register")
    assert [one.version for one in again.registry.versions()] == ["2", "1"]

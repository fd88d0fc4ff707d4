"""Settings that a search of an older version kept stand in the way of no later training."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from vitrina.recommend.two_stage import TwoStage
from vitrina.scenarios import Run, bank_recipes, basket_recipes, storefront
from vitrina.scenarios.tuned import as_tuned

FOREIGN = {"a_parameter_of_yesterday": 1}


@pytest.fixture(params=["basket", "bank_products"])
def scenario(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def run(tmp_path: Path, run_at: Callable[..., Run], scenario: str) -> Run:
    return replace(run_at(tmp_path), scenario=scenario)


@pytest.fixture
def trained(run: Run) -> Callable[..., dict[str, Any]]:
    """The settings that a training takes, by recipe; a search finds `best`."""
    read: Any
    recipes: Any
    if run.scenario == "basket":
        recipes, read = basket_recipes.RECIPES["best"], basket_recipes.Recipe.from_json
    else:
        recipes, read = bank_recipes.RECIPES["lags"], bank_recipes.Recipe.from_json

    def train(tune: int = 0, best: Callable[[Any], Any] = lambda recipe: recipe) -> dict[str, Any]:
        found = as_tuned(replace(run, tune=tune), recipes, read=read, search=best, example="ease")
        return {name: recipe.as_json() for name, recipe in found.items()}

    return train


def kept(run: Run) -> Any:
    return json.loads(run.objects.get_bytes(run.key("tuned.json")))


def test_settings_of_another_version_are_left_out_and_noted(run: Run, trained: Callable[..., dict[str, Any]]) -> None:
    defaults = trained()
    foreign, known = ("ease", "blend") if run.scenario == "basket" else ("lags", "multi_output")
    texts = {foreign: {**defaults[foreign], **FOREIGN}, known: {**defaults[known], "iterations": 33}}
    run.objects.put_bytes(run.key("tuned.json"), json.dumps(texts).encode())
    assert trained() == {**defaults, known: texts[known]} != defaults
    [note] = run.facts["notes"]
    assert "a_parameter_of_yesterday" in note and "--tune" in note


def test_a_new_search_replaces_settings_of_another_version(run: Run, trained: Callable[..., dict[str, Any]]) -> None:
    defaults = trained()
    texts = {name: {**recipe, **FOREIGN} for name, recipe in defaults.items()}
    run.objects.put_bytes(run.key("tuned.json"), json.dumps(texts).encode())
    assert trained(tune=1) == defaults == kept(run)
    assert len(run.facts["notes"]) == len(defaults)
    trained()
    assert len(run.facts["notes"]) == len(defaults), "nothing is left to note"


def test_the_storefronts_recipe_of_another_version_is_left_out_and_noted(
    tmp_path: Path, run_at: Callable[..., Run]
) -> None:
    run = run_at(tmp_path)
    tuned = replace(TwoStage(), groups=301)
    run.objects.put_bytes(run.key("recipe.json"), json.dumps(tuned.as_json()).encode())
    assert storefront.recipe(run) == tuned and not run.facts["notes"]
    run.objects.put_bytes(run.key("recipe.json"), json.dumps({**tuned.as_json(), **FOREIGN}).encode())
    assert storefront.recipe(run) == TwoStage()
    [note] = run.facts["notes"]
    assert "a_parameter_of_yesterday" in note and "--tune" in note

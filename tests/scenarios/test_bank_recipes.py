"""The bank's recipes: the names that are declared, and how they are kept."""

from __future__ import annotations

import json

import pytest

from vitrina.errors import ConfigError, ModelFormatError
from vitrina.scenarios.bank_products import SCENARIO
from vitrina.scenarios.bank_recipes import BASELINES, RECIPES, Recipe


def test_the_declared_recipes_are_those_that_there_are() -> None:
    assert SCENARIO.recipes == tuple(RECIPES)
    assert [SCENARIO.known_recipe(name) for name in (*RECIPES, None)] == [*RECIPES, None]
    with pytest.raises(ConfigError, match="lags, no_lags, multi_output, reference"):
        SCENARIO.known_recipe("reverence")
    for recipes in (*RECIPES.values(), BASELINES):
        for recipe in recipes.values():
            assert Recipe.from_json(json.loads(json.dumps(recipe.as_json()))) == recipe
    lags = RECIPES["lags"]["lags"]
    with pytest.raises(ModelFormatError, match="of_tomorrow"):
        Recipe.from_json({**lags.as_json(), "of_tomorrow": 1})
    with pytest.raises(ModelFormatError, match="another version"):
        Recipe.from_json({**lags.as_json(), "kind": "oracle"})

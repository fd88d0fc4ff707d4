"""The recipes of the basket."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from vitrina.candidates.cart_popularity import PopularDays
from vitrina.candidates.cart_sources import CART_SOURCES
from vitrina.errors import ConfigError, ModelFormatError
from vitrina.events.baskets.baskets import Baskets
from vitrina.events.schema import DAY_MS
from vitrina.scenarios.basket import SCENARIO
from vitrina.scenarios.basket_recipes import BASELINES, KNOWN, RECIPES, Recipe


def test_the_declared_recipes_are_those_that_there_are() -> None:
    assert SCENARIO.recipes == tuple(RECIPES)
    assert [SCENARIO.known_recipe(name) for name in (*RECIPES, None)] == [*RECIPES, None]
    with pytest.raises(ConfigError, match="best, blend, ease, item2vec, lift, bm25, rp3beta"):
        SCENARIO.known_recipe("eaze")
    assert set(RECIPES["best"]) == RECIPES.keys() - {"best"}


def test_every_source_has_a_recipe_that_comes_back_from_json() -> None:
    assert set(KNOWN) == {"blend", *CART_SOURCES} and set(BASELINES) <= set(KNOWN)
    for recipe in KNOWN.values():
        assert Recipe.from_json(json.loads(json.dumps(recipe.as_json()))) == recipe
    with pytest.raises(ModelFormatError, match="of_tomorrow"):
        Recipe.from_json({**KNOWN["ease"].as_json(), "of_tomorrow": 1})
    with pytest.raises(ModelFormatError, match="another version"):
        Recipe.from_json({"name": "oracle"})
    with pytest.raises(ModelFormatError, match="folds is 9"):
        Recipe.from_json({**KNOWN["blend"].as_json(), "folds": 9})


def test_popular_looks_at_the_days_of_its_recipe(baskets_of: Callable[..., Baskets]) -> None:
    """Products 0 and 2 were sold ten times a day until 15 days ago, 1 and 3 twice a day since then."""
    start, sold = 1_600_000_000_000, [day for day in range(60) for _ in range(10 if day < 45 else 2)]
    baskets = baskets_of(
        [[0, 2] if day < 45 else [1, 3] for day in sold], items=5, ts=[start + day * DAY_MS for day in sold]
    )
    until = start + 60 * DAY_MS
    for name, days, best in (("popular", 14.0, 1), ("what sells", 14.0, 1), ("popular", 30.0, 0)):
        model = Recipe(name=name, spec=PopularDays(days=days)).fit(baskets, until, threads=1)
        assert model.companions([], 1).codes == (baskets.codes[best],)

"""What a search of settings found, kept beside the scenario's other objects: later trainings use it."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, Protocol, TypeVar

from vitrina.errors import ConfigError, ModelFormatError
from vitrina.scenarios.scenario import Run

TUNED = "tuned.json"


class Recipe(Protocol):
    """A model with its settings."""

    def as_json(self) -> dict[str, Any]: ...


R = TypeVar("R", bound=Recipe)


def as_tuned(
    run: Run,
    recipes: Mapping[str, R],
    *,
    read: Callable[[Mapping[str, Any]], R],
    search: Callable[[R], R | None],
    example: str,
) -> dict[str, R]:
    """The recipes as the last search left them, which `read` takes from JSON; with `run.tune` a `search` comes first
    (None: nothing is searched in this one), and what it finds is kept. Settings that this release does not know are
    left out and noted.

    `ConfigError`, which tells the `example` of a recipe, when there is nothing to search among them.
    """
    kept = json.loads(run.objects.get_bytes(run.key(TUNED))) if run.objects.exists(run.key(TUNED)) else {}
    found = {
        name: kept_recipe(run, kept[name], read, recipe) if name in kept else recipe for name, recipe in recipes.items()
    }
    if not run.tune:
        return found
    searched = {name: best for name, recipe in found.items() if (best := search(recipe)) is not None}
    if not searched:
        raise ConfigError(
            f"--tune: nothing is searched in {', '.join(recipes)}. Choose --recipe {example}, or leave it out"
        )
    texts = {name: recipe.as_json() for name, recipe in searched.items()}
    run.objects.put_bytes(run.key(TUNED), json.dumps(kept | texts).encode())
    return found | searched


def kept_recipe(run: Run, kept: dict[str, Any], read: Callable[[dict[str, Any]], R], default: R) -> R:
    """What `read` makes of the settings that an earlier search kept; the `default`, and a note, when this release does
    not know them."""
    try:
        return read(kept)
    except ModelFormatError as error:
        run.note(f"kept settings are left out, the defaults are used: {error}. To search for new ones: --tune N")
        return default

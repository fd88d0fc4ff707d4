"""What is chosen on the validation period: the recipe, and on request its settings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any, Final

from vitrina.evaluation.basket_tuning import GRIDS, Stage, Trial, search
from vitrina.events.baskets.baskets import Baskets
from vitrina.events.baskets.cases import hide_one
from vitrina.events.baskets.splits import BasketSplit
from vitrina.scenarios.basket_judgement import METRIC, SEED
from vitrina.scenarios.basket_recipes import Recipe
from vitrina.scenarios.scenario import Run
from vitrina.scenarios.tuned import as_tuned

BLEND: Final[tuple[Stage, ...]] = (
    {"ridge": (1.0, 3.0, 10.0, 30.0, 100.0), "user_discount": (0.0, 0.25, 0.5)},
    {"half_life": (None, 365.0, 150.0, 90.0)},
    {"iterations": (100, 200, 400), "depth": (4, 6, 8)},
)
BLENDS: Final = 8
"""Settings of the blend that are tried at most: each fits it anew."""


def tuned(run: Run, recipes: Mapping[str, Recipe], baskets: Baskets, split: BasketSplit) -> dict[str, Recipe]:
    """See `as_tuned`."""
    stages = {**GRIDS, "blend": BLEND}

    def best_of(recipe: Recipe) -> Recipe | None:
        return _search(run, recipe, stages[recipe.name], baskets, split) if recipe.name in stages else None

    return as_tuned(run, recipes, read=Recipe.from_json, search=best_of, example="ease")


def on_validation(run: Run, recipes: Mapping[str, Recipe], baskets: Baskets, split: BasketSplit) -> dict[str, float]:
    """METRIC of each recipe on the validation period, which it has not seen."""
    found: dict[str, float] = {}
    if not recipes:
        return found
    cases = hide_one(baskets.between(split.validation, split.test), SEED)
    for done, (name, recipe) in enumerate(recipes.items()):
        run.progress("on the validation period", done, len(recipes))
        found[name] = recipe.worth(cases, baskets, split.validation, threads=run.threads).mean(METRIC)
        run.note(f"{name}: {METRIC} {found[name]:.4f} on the validation period")
    return found


def _search(run: Run, recipe: Recipe, stages: Sequence[Stage], baskets: Baskets, split: BasketSplit) -> Recipe:
    """The best by METRIC of at most `run.tune` settings, the given ones first. Deterministic."""
    cases = hide_one(baskets.between(split.validation, split.test), SEED)
    at_most = min(run.tune, BLENDS) if recipe.name == "blend" else run.tune
    given, done = recipe.as_json(), 0

    def tried(spec: Any) -> Trial:
        nonlocal done
        run.progress(f"settings of {recipe.name}", done, at_most)
        one = replace(recipe, spec=spec)
        trial = Trial.of(spec, [one.worth(cases, baskets, split.validation, threads=run.threads)])
        done += 1
        other = ", ".join(f"{name}={value}" for name, value in asdict(spec).items() if value != given[name])
        told = f"{recipe.name}, trial {done} of {at_most}, {other or 'as it was'}"
        run.note(f"{told}: {METRIC} {trial.ndcg:.4f}")
        return trial

    found = search(recipe.spec, stages, tried, by=lambda trial: trial.ndcg, at_most=at_most, seed=SEED)
    return replace(recipe, spec=found.best.spec)

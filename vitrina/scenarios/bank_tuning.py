"""Hyper-parameters of the bank's single model by Optuna, on request, judged on the validation month."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from vitrina.events.panels.panel import Panel
from vitrina.ranking.product_propensity import ProductPropensity
from vitrina.scenarios.bank_model import Model
from vitrina.scenarios.bank_panel import Split
from vitrina.scenarios.bank_recipes import Recipe
from vitrina.scenarios.scenario import Run
from vitrina.scenarios.tuned import as_tuned


def tuned(run: Run, recipes: Mapping[str, Recipe], panel: Panel, split: Split) -> dict[str, Recipe]:
    """See `as_tuned`; only the single model's settings are searched."""

    def search(recipe: Recipe) -> Recipe | None:
        spec = recipe.spec
        return _search(run, recipe, spec, panel, split) if isinstance(spec, ProductPropensity) else None

    return as_tuned(run, recipes, read=Recipe.from_json, search=search, example="lags")


def _search(run: Run, recipe: Recipe, spec: ProductPropensity, panel: Panel, split: Split) -> Recipe:
    """The best of `run.tune` recipes (the given one is the first) by MAP@7. Deterministic for a seed."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)

    def recipe_of(trial: optuna.Trial) -> Recipe:
        asked = replace(
            spec,
            depth=trial.suggest_int("depth", 3, 8),
            learning_rate=trial.suggest_float("learning_rate", 0.02, 0.2, log=True),
            l2_leaf_reg=trial.suggest_float("l2_leaf_reg", 1.0, 100.0, log=True),
            iterations=trial.suggest_int("iterations", 40, 400, log=True),
        )
        return replace(recipe, spec=asked)

    def objective(trial: optuna.Trial) -> float:
        one = recipe_of(trial)
        value = Model.fit(one, panel, until=split.training, valid=split.validation, threads=run.threads).validation_map
        run.note(f"trial {trial.number + 1} of {run.tune}: map@7 {value:.4f}")
        return value

    study = optuna.create_study(direction="maximize", sampler=optuna.samplers.TPESampler(seed=spec.seed))
    study.enqueue_trial({name: getattr(spec, name) for name in ("depth", "learning_rate", "l2_leaf_reg", "iterations")})
    study.optimize(objective, n_trials=run.tune)
    return recipe_of(optuna.trial.FixedTrial(study.best_params))  # type: ignore[arg-type]  # a FixedTrial suggests alike

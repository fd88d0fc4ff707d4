"""Hyper-parameters by Optuna, on request: taste, ranker and sampling, judged on the users that the ranker holds out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from vitrina.candidates.retrieval import Tables
from vitrina.features.history import Histories
from vitrina.recommend.two_stage import TwoStage, train_ranker


def tune(
    recipe: TwoStage,
    histories: Histories,
    cuts: Sequence[int],
    tables_at: Callable[[int], Tables],
    *,
    before: int,
    trials: int,
    threads: int = 2,
    note: Callable[[str], None] = lambda _: None,
) -> TwoStage:
    """The best of `trials` recipes (the given one is the first) by NDCG@10 on held-out groups of the ranker's own
    cut-offs.

    The candidate sources stay as they are, so that no trial fits them again. Deterministic for a seed.
    """
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)

    def recipe_of(trial: optuna.Trial) -> TwoStage:
        taste = recipe.sources.taste._replace(
            half_life=trial.suggest_float("half_life", 3.0, 60.0, log=True),
            position_power=trial.suggest_float("position_power", 0.0, 1.0),
        )
        ranker = replace(
            recipe.ranker,
            depth=trial.suggest_int("depth", 3, 8),
            learning_rate=trial.suggest_float("learning_rate", 0.02, 0.2, log=True),
            l2_leaf_reg=trial.suggest_float("l2_leaf_reg", 1.0, 50.0, log=True),
        )
        return replace(
            recipe,
            sources=replace(recipe.sources, taste=taste),
            ranker=ranker,
            negatives=trial.suggest_int("negatives", 15, 50),
        )

    def objective(trial: optuna.Trial) -> float:
        trained = train_ranker(recipe_of(trial), histories, cuts, tables_at, before=before, threads=threads)
        value = trained.ndcg
        note(f"trial {trial.number + 1} of {trials}: NDCG@10 {value:.4f}")
        return value

    study = optuna.create_study(direction="maximize", sampler=optuna.samplers.TPESampler(seed=recipe.seed))
    study.enqueue_trial(
        {
            "half_life": recipe.sources.taste.half_life,
            "position_power": recipe.sources.taste.position_power,
            "depth": recipe.ranker.depth,
            "learning_rate": recipe.ranker.learning_rate,
            "l2_leaf_reg": recipe.ranker.l2_leaf_reg,
            "negatives": recipe.negatives,
        }
    )
    study.optimize(objective, n_trials=trials)
    return recipe_of(optuna.trial.FixedTrial(study.best_params))  # type: ignore[arg-type]  # a FixedTrial suggests alike

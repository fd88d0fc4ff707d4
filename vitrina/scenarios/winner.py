"""The recipe that a verdict publishes, and the names that it is known by."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from vitrina.scenarios.choice import Choice
from vitrina.scenarios.prepared import Origin, mixed
from vitrina.scenarios.publication import read_verdict, reigning_as
from vitrina.scenarios.scenario import Run

Recipe = TypeVar("Recipe")


@dataclass(frozen=True, kw_only=True)
class Winner(Generic[Recipe]):
    """`recipe` is registered as `name`; its numbers stand under `judged` in the evaluation: "candidate", "champion" or
    a baseline. `promote`: it takes the champion's place."""

    name: str
    judged: str
    recipe: Recipe
    promote: bool


def winner_of(
    run: Run,
    verdict: Mapping[str, Any],
    *,
    baselines: Mapping[str, Recipe],
    candidate: tuple[str, Recipe],
    read: Callable[[dict[str, Any]], Recipe],
    refit: bool = True,
) -> Winner[Recipe]:
    """What is fitted anew and registered: the candidate (its name, its recipe), a baseline, or the champion's recipe,
    which `read` takes as in `reigning_champion`, of the version that was judged. With `force` it is the candidate
    whatever the verdict names, and without `refit` instead of the champion; where the verdict names another, only
    `force` promotes it. `DataError` when the verdict is about another candidate."""
    from vitrina.evaluation.gate import CANDIDATE, CHAMPION

    named = verdict["winner"]
    name, recipe = candidate
    if verdict["candidate"] is not None and read(verdict["candidate"]) != recipe:
        raise mixed(run, "evaluate", f"is about another recipe than {name}, the candidate")
    if named in baselines and not run.force:
        return Winner(name=named, judged=named, recipe=baselines[named], promote=True)
    asked = named == CHAMPION and refit and not run.force
    reigning = reigning_as(run, verdict["champion"], read) if asked else None
    if reigning is not None:
        run.note(f"the champion's recipe, {reigning.name}, is fitted anew")
        return Winner(name=reigning.name, judged=CHAMPION, recipe=reigning.recipe, promote=True)
    judged = name if name in baselines else CANDIDATE
    if run.force and judged != named:
        run.note(f"the gate names {named}: {name} is registered on demand")
    return Winner(name=name, judged=judged, recipe=recipe, promote=judged == named)


def judged_winner(
    run: Run,
    step: str,
    origin: Origin,
    *,
    baselines: Mapping[str, Recipe],
    reference: str,
    read: Callable[[dict[str, Any]], Recipe],
) -> tuple[Winner[Recipe], dict[str, Any]]:
    """As `winner_of`, and the verdict; the candidate is the model that the step `step` chose. None is chosen where
    nothing can be judged: what is too little for that is too little to fit a learned recipe to, and the baseline
    `reference` stands in. `DataError` when the models or the verdict were made of other data than `origin`."""
    from vitrina.registry.model_format import read_model

    chosen, verdict = Choice.read(run, step, origin).chosen, read_verdict(run)
    origin.require(run, {"evaluate": verdict})
    candidate = reference, baselines[reference]
    if chosen is not None:
        candidate = chosen, read(read_model(run.local(step) / chosen, verify=False).meta["recipe"])
    refit = chosen is not None
    return winner_of(run, verdict, baselines=baselines, candidate=candidate, read=read, refit=refit), verdict

"""Basket: what goes with the products in this cart?

    extract -> validate -> prepare -> companions -> evaluate -> register -> promote

A recipe's sources learn from the baskets before the validation period; the best on it, one product of each basket
hidden, becomes the candidate. It is fitted anew to the baskets before the test period, and judged on that against the
champion's recipe and the baselines; whoever wins learns from everything and is published.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from vitrina.scenarios.choice import Choice
from vitrina.scenarios.prepared import Origin, opened_whole
from vitrina.scenarios.scenario import Run, Scenario, Step

if TYPE_CHECKING:
    from vitrina.events.baskets.baskets import Baskets
    from vitrina.events.baskets.splits import BasketSplit
    from vitrina.recommend.companions_model import CompanionsModel
    from vitrina.scenarios.publication import Subject

_DATA = "vitrina.scenarios.basket_data"
_HERE = "vitrina.scenarios.basket"
_CHAMPION = "vitrina.scenarios.basket_champion"

SCENARIO = Scenario(
    name="basket",
    question="What goes with the products in this cart?",
    experiment="basket",
    registered_model="basket",
    settings_prefix="VITRINA_BASKET_",
    pyfunc="pyfunc_companions_code.py",
    raw_data="vitrina.events.baskets.raw:open_raw_baskets",
    recipes=("best", "blend", "ease", "item2vec", "lift", "bm25", "rp3beta"),
    steps=(
        Step(name="extract", inputs=(), outputs=("raw",), function=f"{_DATA}:extract"),
        Step(name="validate", inputs=("raw",), outputs=("validated",), function=f"{_DATA}:validate"),
        Step(name="prepare", inputs=("validated",), outputs=("prepared",), function=f"{_DATA}:prepare"),
        Step(
            name="companions",
            inputs=("validated", "prepared"),
            outputs=("companions",),
            function=f"{_HERE}:companions",
        ),
        Step(
            name="evaluate",
            inputs=("validated", "prepared", "companions"),
            outputs=("evaluation",),
            function=f"{_HERE}:evaluate",
        ),
        Step(
            name="register",
            inputs=("validated", "prepared", "companions", "evaluation"),
            outputs=("registered.json",),
            function=f"{_HERE}:register",
        ),
        Step(
            name="promote",
            inputs=("registered.json",),
            outputs=(),
            function="vitrina.scenarios.publication:promote",
        ),
    ),
    verbs={"recommend": f"{_CHAMPION}:recommend", "batch": f"{_CHAMPION}:batch", "holdout": f"{_CHAMPION}:score"},
)

REFERENCE = "popular"


def companions(run: Run) -> dict[str, Any]:
    """Fits the recipe's sources on the baskets before the validation period, of which the best on it is the candidate,
    and the candidate's model on the baskets before the test period."""
    from vitrina.scenarios.basket_recipes import RECIPES
    from vitrina.scenarios.basket_tuning import on_validation, tuned

    baskets, split, origin = _opened(run)
    recipes = RECIPES[run.recipe or SCENARIO.recipes[0]]
    why = "" if split.judges else "there are too few baskets of two products to learn, to choose and to judge"
    recipes = {} if why else tuned(run, recipes, baskets, split)
    choice = Choice(validation=on_validation(run, recipes, baskets, split), why=why)
    with run.writing("companions") as folder:
        folder.mkdir()
        if (chosen := choice.chosen) is not None:
            run.progress(f"{chosen} up to the test period", 0, 1)
            model = recipes[chosen].fit(baskets, split.test, threads=run.threads)
            recipes[chosen].write(model, folder / chosen, meta={})
        choice.write(folder, origin)
    if why:
        run.note(f"no model is fitted: {why}")
    rows = 0 if why else len(baskets.between(None, split.test))
    return {"rows_in": len(baskets), "rows_out": rows, "learned": not why, **choice.as_json()}


def evaluate(run: Run) -> dict[str, Any]:
    """Judges the fitted models, the champion's recipe and the baselines on the test period; the gate decides."""
    from vitrina.evaluation.gate import CHAMPION
    from vitrina.scenarios.basket_judgement import METRIC, METRICS, Questions, decided, write_tables
    from vitrina.scenarios.basket_recipes import BASELINES, Recipe
    from vitrina.scenarios.publication import nothing_judged, write_verdict

    baskets, split, origin = _opened(run)
    choice = Choice.read(run, "companions", origin)
    if choice.chosen is None:
        told = nothing_judged(
            run,
            choice.why,
            REFERENCE,
            {"models": {}},
            origin=origin,
            recipe=BASELINES[REFERENCE],
            read=Recipe.from_json,
        )
        return {"rows_in": len(baskets), **told}
    models, twin, subject = _judged_models(run, baskets, split, origin, choice.chosen)
    questions = Questions.of(baskets.between(split.test, split.end))
    judged = {}
    for name, model in models.items():
        judged[name] = questions.judge(model, partial(run.progress, f"judge {name}"))
        run.note(f"{name}: {METRIC} {judged[name].scores.mean(METRIC):.4f} on the test period")
    if twin is not None:
        judged[CHAMPION] = judged[twin]
    scores = {name: one.scores for name, one in judged.items()}
    verdict = decided(scores, BASELINES, learned=CHAMPION in scores and twin not in BASELINES)
    title = f"One product of each basket of the test period hidden. The candidate is {choice.chosen}"
    with run.objects.writing(run.key("evaluation")) as folder:
        write_tables(folder, judged, title=title, reference=REFERENCE, validation=choice.validation)
        result = write_verdict(run, folder, verdict, scores, subject)
    quality = {name: {metric: one.scores.mean(metric) for metric in METRICS} for name, one in judged.items()}
    firsts = {name: of[METRIC] for name, of in quality.items()}
    return {"rows_in": len(baskets), "rows_out": len(questions.one), METRIC: firsts, "quality": quality, **result}


def _judged_models(
    run: Run, baskets: Baskets, split: BasketSplit, origin: Origin, chosen: str
) -> tuple[dict[str, CompanionsModel], str | None, Subject]:
    """The models of the table: the candidate, the baselines and the champion's recipe; the name of the one that the
    champion's recipe is itself; and what the verdict is about."""
    from vitrina.evaluation.gate import CANDIDATE, CHAMPION
    from vitrina.recommend.companions_model import CompanionsModel
    from vitrina.registry.model_format import read_model
    from vitrina.scenarios.basket_recipes import BASELINES, Recipe
    from vitrina.scenarios.publication import Subject, reigning_champion

    def fit(recipe: Recipe) -> CompanionsModel:
        return recipe.fit(baskets, split.test, threads=run.threads)

    stored = read_model(run.local("companions") / chosen)
    recipes = {CANDIDATE: Recipe.from_json(stored.meta["recipe"]), **BASELINES}
    models = {CANDIDATE: CompanionsModel.load(stored)} | {name: fit(recipe) for name, recipe in BASELINES.items()}
    reigning = reigning_champion(run, Recipe.from_json)
    twin = next((name for name, recipe in recipes.items() if reigning and recipe == reigning.recipe), None)
    if reigning is not None and twin is None:
        models[CHAMPION] = fit(reigning.recipe)
    champion = None if reigning is None else reigning.version
    return models, twin, Subject(candidate=stored.meta["recipe"], origin=origin, champion=champion)


def register(run: Run) -> dict[str, Any]:
    """Fits the winner anew to all baskets, and registers it with everything that led to it; the same model as the last
    time keeps its version."""
    from vitrina.scenarios.basket_recipes import BASELINES, Recipe
    from vitrina.scenarios.basket_record import record_of
    from vitrina.scenarios.publication import register_fitted
    from vitrina.scenarios.winner import judged_winner

    baskets, split, origin = _opened(run, checked=True)
    winner, verdict = judged_winner(
        run, "companions", origin, baselines=BASELINES, reference=REFERENCE, read=Recipe.from_json
    )
    model = winner.recipe.fit(baskets, split.end, threads=run.threads)
    found = register_fitted(
        run,
        winner,
        verdict,
        record=partial(record_of, run, baskets, split, model, winner=winner, verdict=verdict),
        write=partial(winner.recipe.write, model),
    )
    return {"rows_in": len(baskets), **found}


def _opened(run: Run, *, checked: bool = False) -> tuple[Baskets, BasketSplit, Origin]:
    """See `opened_whole`."""
    from vitrina.scenarios.basket_data import opened

    return opened_whole(run, opened, lambda split: split.end, checked=checked)

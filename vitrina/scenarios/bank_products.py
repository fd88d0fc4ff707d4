"""Bank products: which of 24 products does a customer take next month?

    extract -> validate -> prepare -> propensity -> evaluate -> register -> promote

Candidates are the whole catalogue; the ranker is a propensity model. Models are fitted on all months but the last two
of which the next is known, chosen on the first of these, and judged on the last against the champion's recipe,
popularity and a constant; whoever wins learns again from all but the last, which calibrates it.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from vitrina.scenarios.choice import Choice
from vitrina.scenarios.prepared import Origin, opened_whole
from vitrina.scenarios.scenario import Run, Scenario, Step

if TYPE_CHECKING:
    from collections.abc import Iterable

    from vitrina.events.panels.panel import Panel
    from vitrina.scenarios.bank_model import Model
    from vitrina.scenarios.bank_panel import Split
    from vitrina.scenarios.publication import Subject

_PANEL = "vitrina.scenarios.bank_panel"
_HERE = "vitrina.scenarios.bank_products"

SCENARIO = Scenario(
    name="bank_products",
    question="Which of 24 products does a customer take next month?",
    experiment="bank_products",
    registered_model="bank_products",
    settings_prefix="VITRINA_BANK_",
    pyfunc="pyfunc_propensity_code.py",
    raw_data="vitrina.events.panels.raw:open_raw_panel",
    recipes=("lags", "no_lags", "multi_output", "reference"),
    steps=(
        Step(name="extract", inputs=(), outputs=("raw",), function=f"{_PANEL}:extract"),
        Step(name="validate", inputs=("raw",), outputs=("validated",), function=f"{_PANEL}:validate"),
        Step(name="prepare", inputs=("validated",), outputs=("prepared",), function=f"{_PANEL}:prepare"),
        Step(
            name="propensity",
            inputs=("validated", "prepared"),
            outputs=("propensity",),
            function=f"{_HERE}:propensity",
        ),
        Step(
            name="evaluate",
            inputs=("validated", "prepared", "propensity"),
            outputs=("evaluation",),
            function=f"{_HERE}:evaluate",
        ),
        Step(
            name="register",
            inputs=("validated", "prepared", "propensity", "evaluation"),
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
    verbs={"batch": "vitrina.scenarios.bank_batch:batch"},
    instead="Ask its service, POST /predict or /predict_proba (vitrina serve); `vitrina evaluate bank_products` alone "
    "shows how it was judged",
)

REFERENCE = "popularity"
METRICS = ("map@7", "micro_pr_auc", "micro_roc_auc", "calibration_error_equal_mass")


def propensity(run: Run) -> dict[str, Any]:
    """Fits the recipe's models on the training months; the best on the validation month becomes the candidate."""
    from vitrina.scenarios.bank_model import Model
    from vitrina.scenarios.bank_recipes import RECIPES
    from vitrina.scenarios.bank_tuning import tuned

    panel, split, origin = _opened(run)
    recipes = RECIPES[run.recipe or SCENARIO.recipes[0]]
    why = _too_little(panel, split)
    recipes = {} if why else tuned(run, recipes, panel, split)
    found: dict[str, float] = {}
    with run.writing("propensity") as folder:
        folder.mkdir()
        for done, (name, recipe) in enumerate(recipes.items()):
            run.progress("propensity models", done, len(recipes))
            model = Model.fit(recipe, panel, until=split.training, valid=split.validation, threads=run.threads)
            model.write(folder / name, panel, as_of_month=split.validation + 1, meta={})
            found[name] = model.validation_map
            run.note(f"{name}: map@7 {model.validation_map:.4f} on the validation month")
        choice = Choice(validation=found, why=why)
        choice.write(folder, origin)
    if why:
        run.note(f"no model is fitted: {why}")
    rows = 0 if why else int((panel.month <= split.training).sum())
    return {"rows_in": len(panel), "rows_out": rows, "learned": not why, **choice.as_json()}


def evaluate(run: Run) -> dict[str, Any]:
    """Judges the fitted models, the champion's recipe and the baselines on the test month; the gate decides."""
    from vitrina.evaluation.gate import CANDIDATE, CHAMPION, Gate
    from vitrina.events.panels.columns import month_text
    from vitrina.scenarios.bank_judgement import Judgement
    from vitrina.scenarios.bank_recipes import BASELINES, Recipe
    from vitrina.scenarios.publication import nothing_judged, write_verdict

    panel, split, origin = _opened(run)
    choice = Choice.read(run, "propensity", origin)
    if choice.chosen is None:
        told = nothing_judged(
            run,
            choice.why,
            REFERENCE,
            {"cohorts": {}},
            origin=origin,
            recipe=BASELINES[REFERENCE],
            read=Recipe.from_json,
        )
        return {"rows_in": len(panel), **told}
    models, twin, subject = _judged_models(run, panel, split, origin, choice.chosen, choice.validation)
    judgement = Judgement.of(models, panel, split.test, first=models[CANDIDATE].recipe.cohort, threads=run.threads)
    if twin is not None:
        judgement = judgement.called(CHAMPION, like=twin)
    scores = judgement.scores
    verdict = Gate(metric=METRICS[0], lead_margin=0.0).decide(
        scores[CANDIDATE], scores.get(CHAMPION), {name: scores[name] for name in BASELINES}
    )
    with run.objects.writing(run.key("evaluation")) as folder:
        judgement.write(
            folder, REFERENCE, f"What was taken in {month_text(split.test + 1)}. The candidate is {choice.chosen}."
        )
        result = write_verdict(run, folder, verdict, scores, subject)
    everybody = {name: cohorts["all_customers"] for name, cohorts in judgement.quality().items()}
    quality = {name: {metric: of[metric] for metric in METRICS if metric in of} for name, of in everybody.items()}
    firsts = {name: of[METRICS[0]] for name, of in quality.items()}
    return {"rows_in": len(panel), "rows_out": len(scores[CANDIDATE]), METRICS[0]: firsts, "quality": quality, **result}


def _judged_models(
    run: Run, panel: Panel, split: Split, origin: Origin, chosen: str, fitted: Iterable[str]
) -> tuple[dict[str, Model], str | None, Subject]:
    """The models of the table: those that were `fitted`, the one that was `chosen` as the candidate, the baselines and
    the champion's recipe; the name of the one that the champion's recipe is itself; and what the verdict is about."""
    from vitrina.evaluation.gate import CANDIDATE, CHAMPION
    from vitrina.registry.model_format import read_model
    from vitrina.scenarios.bank_model import Model
    from vitrina.scenarios.bank_recipes import BASELINES, Recipe
    from vitrina.scenarios.publication import Subject, reigning_champion

    def fit(recipe: Recipe) -> Model:
        return Model.fit(recipe, panel, until=split.training, valid=split.validation, threads=run.threads)

    models = {name: Model.of(read_model(run.local("propensity") / name)) for name in fitted}
    models = {CANDIDATE: models.pop(chosen), **models}
    models |= {name: fit(recipe) for name, recipe in BASELINES.items()}
    reigning = reigning_champion(run, Recipe.from_json)
    twin = next((name for name, model in models.items() if reigning and model.recipe == reigning.recipe), None)
    if reigning is not None and twin is None:
        models[CHAMPION] = fit(reigning.recipe)
    champion = None if reigning is None else reigning.version
    return models, twin, Subject(candidate=models[CANDIDATE].recipe.as_json(), origin=origin, champion=champion)


def register(run: Run) -> dict[str, Any]:
    """Fits the winner anew, which learns from all months but the last labelled one and is calibrated on that, and
    registers it with everything that led to it; the same model as the last time keeps its version."""
    from vitrina.scenarios.bank_model import Model
    from vitrina.scenarios.bank_recipes import BASELINES, Recipe
    from vitrina.scenarios.bank_record import record_of
    from vitrina.scenarios.publication import register_fitted
    from vitrina.scenarios.winner import judged_winner

    panel, split, origin = _opened(run, checked=True)
    winner, verdict = judged_winner(
        run, "propensity", origin, baselines=BASELINES, reference=REFERENCE, read=Recipe.from_json
    )
    model = Model.fit(winner.recipe, panel, until=split.labelled[-2:][0], valid=split.test, threads=run.threads)
    found = register_fitted(
        run,
        winner,
        verdict,
        record=partial(record_of, run, panel, split, model, winner=winner, verdict=verdict),
        write=partial(model.write, panel=panel, as_of_month=split.as_of_month),
    )
    return {"rows_in": len(panel), **found}


def _opened(run: Run, *, checked: bool = False) -> tuple[Panel, Split, Origin]:
    """See `opened_whole`."""
    from vitrina.scenarios.bank_panel import opened

    return opened_whole(run, opened, lambda split: split.as_of_month, checked=checked)


def _too_little(panel: Panel, split: Split) -> str:
    """Why nothing can be learned from the panel and judged; empty when it can."""
    from vitrina.features.panel_labels import acquisitions

    if not split.judges:
        return f"only {len(split.labelled)} of its months are followed by another, three are needed"
    if not acquisitions(panel, None, split.training).taken.any():
        return "nobody takes a product in the months to learn from"
    return ""

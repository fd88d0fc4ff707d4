"""Storefront: what will this visitor put into the cart?

    extract -> validate -> prepare -> candidates -> ranker -> evaluate -> drift -> register -> promote -> publish

The recipe is two-stage: candidates from own history, co-visitation, item-kNN, ALS and popularity, ordered by a CatBoost
ranker. It has to pass the gate against the champion's recipe, popular items and item-kNN on rolling windows; whoever
wins is fitted to the last day.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vitrina.scenarios.prepared import MADE_OF, Origin
from vitrina.scenarios.scenario import Run, Scenario, Step
from vitrina.scenarios.storefront_tables import keep_tables, tables_at, tables_name

if TYPE_CHECKING:
    from vitrina.evaluation.report import Scores
    from vitrina.events.splits import Window
    from vitrina.features.shop import Shop
    from vitrina.recommend.two_stage import TwoStage
    from vitrina.scenarios.publication import Subject

_HERE = "vitrina.scenarios.storefront"
_CHAMPION = "vitrina.scenarios.storefront_champion"
_LOG = "vitrina.scenarios.event_log"
_PUBLICATION = "vitrina.scenarios.publication"

SCENARIO = Scenario(
    name="storefront",
    question="What will this visitor put into the cart?",
    experiment="pr_final_#2",
    registered_model="ranking_model",
    steps=(
        Step(name="extract", inputs=(), outputs=("raw",), function=f"{_LOG}:extract"),
        Step(name="validate", inputs=("raw",), outputs=("validated",), function=f"{_LOG}:validate"),
        Step(name="prepare", inputs=("validated",), outputs=("prepared",), function=f"{_LOG}:prepare"),
        Step(name="candidates", inputs=("prepared",), outputs=("sources",), function=f"{_HERE}:candidates"),
        Step(name="ranker", inputs=("prepared", "sources"), outputs=("ranker",), function=f"{_HERE}:ranker"),
        Step(name="evaluate", inputs=("prepared", "sources"), outputs=("evaluation",), function=f"{_HERE}:evaluate"),
        Step(name="drift", inputs=("prepared", "sources", "ranker"), outputs=("drift",), function=f"{_HERE}:drift"),
        Step(
            name="register",
            inputs=("prepared", "sources", "ranker", "evaluation", "drift"),
            outputs=("registered.json",),
            function=f"{_HERE}:register",
        ),
        Step(name="promote", inputs=("registered.json",), outputs=(), function=f"{_PUBLICATION}:promote"),
        Step(name="publish", inputs=("prepared",), outputs=("lists",), function=f"{_HERE}:publish"),
    ),
    verbs={"recommend": f"{_CHAMPION}:recommend", "batch": f"{_CHAMPION}:batch", "holdout": f"{_CHAMPION}:score"},
)

LIST_LENGTH = 100
ACTIVE_DAYS = 30
WINDOW_USERS = 1_000
MOST_WINDOWS = 5
CUT_EVERY_DAYS = 7
BASELINES = ("popular", "item_knn")
METRICS = ("ndcg@10", "recall@10", "hr@10", "map@10", "precision@10", "hr@100")


def recipe(run: Run) -> TwoStage:
    """The recipe that this run trains: the tuned one that lies in the store, else the defaults."""
    from vitrina.recommend.two_stage import TwoStage
    from vitrina.scenarios.tuned import kept_recipe

    if run.objects.exists(run.key("recipe.json")):
        kept = json.loads(run.objects.get_bytes(run.key("recipe.json")))
        return kept_recipe(run, kept, TwoStage.from_json, TwoStage())
    return TwoStage()


@contextmanager
def opened(run: Run) -> Iterator[Shop]:
    """The prepared log, up to the run's `as_of`."""
    from vitrina.engine import LocalEngine
    from vitrina.events.prepare import Prepared
    from vitrina.features.shop import Shop

    with LocalEngine(memory_limit=run.memory, threads=run.threads) as engine:
        yield Shop.open(Prepared.open(run.local("prepared")), engine, as_of=run.as_of)


def windows(shop: Shop) -> tuple[Window, ...]:
    """The latest rolling windows that together hold WINDOW_USERS people who wanted something, at most MOST_WINDOWS."""
    from vitrina.events.splits import enough_windows, log_windows
    from vitrina.ranking.moments import cut_moments

    every = log_windows(shop.first_ts, shop.as_of - 1, most=MOST_WINDOWS)
    people = [len(cut_moments(shop.histories, window.start, window.end)[0]) for window in every]
    return every[-enough_windows(people, WINDOW_USERS) :]


def cuts(shop: Shop) -> list[int]:
    """Cut-offs that a ranker may learn from: every week back from the end, two weeks after the log begins at the
    earliest."""
    from vitrina.events.schema import DAY_MS

    week, first = CUT_EVERY_DAYS * DAY_MS, shop.first_ts + 14 * DAY_MS
    return list(range(shop.as_of - week, first, -week))


def drop_other_tables(run: Run, shop: Shop, spec: TwoStage) -> None:
    """Removes the tables under `sources/` that no step of this recipe on this log asks for."""
    asked = (shop.as_of, *(one.start for one in windows(shop)), *cuts(shop))
    keep_tables(run, {tables_name(shop, spec, cut) for cut in asked})


def candidates(run: Run) -> dict[str, Any]:
    """Fits every candidate source as of the end of the log and of each window, and measures candidate recall on the
    last window."""
    from vitrina.recommend.two_stage import sample_cut

    spec = recipe(run)
    with opened(run) as shop:
        origin = Origin.of(shop.prepared.folder, shop.as_of)
        starts = [window.start for window in windows(shop)]
        for done, cut in enumerate([shop.as_of, *starts]):
            run.progress("candidate sources", done, len(starts) + 1)
            tables_at(run, shop, spec, cut)
        rows, recall = sample_cut(
            spec, shop.histories, starts[-1], tables_at(run, shop, spec, starts[-1]), threads=run.threads
        )
    run.note(f"candidate recall {recall.union:.3f} over {recall.pairs:,} wanted items")
    found = {"union": recall.union, "by_source": recall.by_source, "pairs": recall.pairs}
    run.objects.put_bytes(run.key("recall.json"), json.dumps({**found, MADE_OF: origin.as_json()}).encode())
    return {
        "rows_in": len(shop.log.ts),
        "rows_out": sum(len(part) for part in rows.values()),
        "as_of": shop.as_of,
        "windows": starts,
        "recall": found,
    }


def ranker(run: Run) -> dict[str, Any]:
    """Learns the ranker of the final model from the newest cut-offs whose two weeks of labels are known."""
    from vitrina.scenarios.storefront_ranker import Learned

    spec = recipe(run)
    with opened(run) as shop:
        if run.tune:
            from vitrina.recommend.tuning import tune

            spec = tune(
                spec,
                shop.histories,
                cuts(shop),
                partial(tables_at, run, shop, spec),
                before=shop.as_of,
                trials=run.tune,
                threads=run.threads,
                note=run.note,
            )
            run.objects.put_bytes(run.key("recipe.json"), json.dumps(spec.as_json()).encode())
        learned = Learned.of(run, shop, spec, cuts(shop))
        rows = len(shop.log.ts)
    with run.writing("ranker") as folder:
        learned.write(folder)
    return {"rows_in": rows, **learned.as_json()}


def evaluate(run: Run) -> dict[str, Any]:
    """Backtests the recipe, the champion's recipe and the publishable baselines on the windows; the gate decides."""
    from vitrina.evaluation.gate import Gate
    from vitrina.evaluation.report import Table
    from vitrina.scenarios.publication import write_verdict

    spec = recipe(run)
    scores, events, subject = backtested(run, spec)
    verdict = Gate().decide(scores["candidate"], scores.get("champion"), {name: scores[name] for name in BASELINES})
    table = Table.of("Rolling windows, repeats allowed", scores, METRICS)
    with run.objects.writing(run.key("evaluation")) as folder:
        (folder / "table.json").write_text(table.to_json())
        (folder / "table.md").write_text(table.markdown())
        result = write_verdict(run, folder, verdict, scores, subject)
    quality = {name: {metric: found.mean(metric) for metric in METRICS} for name, found in scores.items()}
    return {
        "rows_in": events,
        "rows_out": len(scores["candidate"]),
        "ndcg@10": {name: of["ndcg@10"] for name, of in quality.items()},
        "quality": quality,
        **result,
    }


def backtested(run: Run, spec: TwoStage) -> tuple[dict[str, Scores], int, Subject]:
    """Pooled scores of "candidate", "champion" (when there is one) and the baselines, on the same rows; how many events
    there were to learn from; and what the verdict is about."""
    from dataclasses import replace

    from vitrina.evaluation.backtest import backtest
    from vitrina.evaluation.recipes import TwoStageAtWindows
    from vitrina.evaluation.truth import EventArrays
    from vitrina.recommend.two_stage import TwoStage
    from vitrina.scenarios.publication import Subject, reigning_champion

    with opened(run) as shop:

        def at_windows(one: TwoStage) -> TwoStageAtWindows:
            return TwoStageAtWindows(
                recipe=one,
                histories=shop.histories,
                cuts=cuts(shop),
                tables_at=partial(tables_at, run, shop, one),
                threads=run.threads,
                note=run.note,
            )

        recipes = {"candidate": at_windows(spec)}
        reigning = reigning_champion(run, TwoStage.from_json)
        if reigning is not None and reigning.recipe != spec:
            recipes["champion"] = at_windows(reigning.recipe)
        recipes |= {name: at_windows(replace(spec, ranker_name=name)) for name in BASELINES}
        events = EventArrays(**shop.log._asdict())
        found = backtest(
            recipes,
            windows(shop),
            events,
            n_items=len(shop.prepared.items),
            tasks=("repeats",),
            on_step=lambda line: run.note(f"backtest: {line}"),
        )["repeats"]
        origin = Origin.of(shop.prepared.folder, shop.as_of)
    if reigning is not None and reigning.recipe == spec:
        found["champion"] = found["candidate"]
    champion = None if reigning is None else reigning.version
    subject = Subject(candidate=spec.as_json(), origin=origin, champion=champion)
    return found, len(events.ts), subject


def drift(run: Run) -> dict[str, Any]:
    """Tells how far the last day lies from the same weekday of the weeks that were trained on."""
    from vitrina.scenarios.storefront_drift import report_drift

    with opened(run) as shop:
        return report_drift(run, shop, recipe(run), cuts(shop))


def register(run: Run) -> dict[str, Any]:
    """Writes the winner, fitted to the end of the log, as a model folder and registers it with everything that led to
    it; the same model as the last time keeps its version."""
    from dataclasses import replace

    from vitrina.evaluation.gate import CHAMPION
    from vitrina.recommend.two_stage import TwoStage
    from vitrina.scenarios.publication import read_verdict, register_once
    from vitrina.scenarios.storefront_model import require_one_run, write_winner
    from vitrina.scenarios.storefront_ranker import Learned
    from vitrina.scenarios.winner import winner_of

    spec = recipe(run)
    verdict = read_verdict(run)
    with opened(run) as shop, tempfile.TemporaryDirectory() as scratch:
        require_one_run(run, shop, spec, verdict)
        winner = winner_of(
            run,
            verdict,
            baselines={name: replace(spec, ranker_name=name) for name in BASELINES},
            candidate=(spec.ranker_name, spec),
            read=TwoStage.from_json,
        )
        ranker = run.local("ranker")
        if winner.judged == CHAMPION and winner.recipe.ranker_name == "catboost" and winner.recipe != spec:
            ranker = Path(scratch) / "ranker"
            Learned.of(run, shop, winner.recipe, cuts(shop)).write(ranker)
        folder, record = write_winner(
            run,
            shop,
            winner,
            tables_at(run, shop, winner.recipe, shop.as_of),
            ranker=ranker,
            as_of=shop.as_of,
            verdict=verdict,
            scratch=Path(scratch),
        )
        found = register_once(run, folder, record, winner, verdict)
        drop_other_tables(run, shop, spec)
    return {"rows_in": len(shop.log.ts), **found}


def publish(run: Run) -> dict[str, Any]:
    """Lists of the champion for everybody active lately, and the histories of all, beside the model."""
    from vitrina.scenarios.storefront_lists import publish_for

    if run.challenger and run.registry.champion() is None:
        run.note(f"No lists are made before the first promotion; after it: vitrina step {run.scenario} publish")
        return {"rows_out": 0, "lists": 0}
    return publish_for(run, list_length=LIST_LENGTH, active_days=ACTIVE_DAYS)

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

from vitrina.scenarios.scenario import Run, Scenario, Step
from vitrina.scenarios.storefront_tables import keep_tables, tables_at, tables_name

if TYPE_CHECKING:
    from vitrina.evaluation.report import Scores
    from vitrina.events.splits import Window
    from vitrina.features.shop import Shop
    from vitrina.recommend.two_stage import TwoStage
    from vitrina.registry.registry import RunRecord

_HERE = "vitrina.scenarios.storefront"
_LOG = "vitrina.scenarios.event_log"

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
        Step(name="promote", inputs=("registered.json",), outputs=(), function=f"{_LOG}:promote"),
        Step(name="publish", inputs=("prepared",), outputs=("lists",), function=f"{_HERE}:publish"),
    ),
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

    if run.objects.exists(run.key("recipe.json")):
        return TwoStage.from_json(json.loads(run.objects.get_bytes(run.key("recipe.json"))))
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
    keep_tables(run, {tables_name(run, spec, cut) for cut in asked})


def candidates(run: Run) -> dict[str, Any]:
    """Fits every candidate source as of the end of the log and of each window, and measures candidate recall on the
    last window."""
    from vitrina.recommend.two_stage import sample_cut

    spec = recipe(run)
    with opened(run) as shop:
        starts = [window.start for window in windows(shop)]
        for done, cut in enumerate([shop.as_of, *starts]):
            run.progress("candidate sources", done, len(starts) + 1)
            tables_at(run, shop, spec, cut)
        rows, recall = sample_cut(
            spec, shop.histories, starts[-1], tables_at(run, shop, spec, starts[-1]), threads=run.threads
        )
    run.note(f"candidate recall {recall.union:.3f} over {recall.pairs:,} wanted items")
    found = {"union": recall.union, "by_source": recall.by_source, "pairs": recall.pairs}
    run.objects.put_bytes(run.key("recall.json"), json.dumps(found).encode())
    return {
        "rows_in": len(shop.log.ts),
        "rows_out": sum(len(part) for part in rows.values()),
        "as_of": shop.as_of,
        "windows": starts,
        "recall": found,
    }


def ranker(run: Run) -> dict[str, Any]:
    """Learns the ranker of the final model from the newest cut-offs whose two weeks of labels are known."""
    from vitrina.errors import DataError
    from vitrina.recommend.two_stage import train_ranker
    from vitrina.registry.model_format import write_model

    spec = recipe(run)
    with opened(run) as shop:
        table = partial(tables_at, run, shop, spec)
        if run.tune:
            from vitrina.recommend.tuning import tune

            spec = tune(
                spec,
                shop.histories,
                cuts(shop),
                table,
                before=shop.as_of,
                trials=run.tune,
                threads=run.threads,
                note=run.note,
            )
            run.objects.put_bytes(run.key("recipe.json"), json.dumps(spec.as_json()).encode())
        try:
            trained = train_ranker(
                spec, shop.histories, cuts(shop), table, before=shop.as_of, threads=run.threads, note=run.note
            )
        except DataError as error:
            run.note(str(error))
            with run.writing("ranker") as folder:
                write_model(folder, arrays={}, files={}, meta={"learned": False, "why": str(error)})
            return {"rows_in": len(shop.log.ts), "rows_out": 0, "learned": False, "why": str(error)}
    rankers = {name: fitted.as_json() for name, fitted in trained.rankers.items()}
    meta = {"learned": True, "rankers": rankers, "groups": trained.groups, "cuts": list(trained.cuts)}
    arrays = trained.trees._asdict() | {f"curve_{name}": fitted.curve for name, fitted in trained.rankers.items()}
    with tempfile.TemporaryDirectory() as scratch, run.writing("ranker") as folder:
        files = {f"ranker_{name}.cbm": Path(scratch) / name for name in trained.rankers}
        for path, fitted in zip(files.values(), trained.rankers.values(), strict=True):
            path.write_bytes(fitted.cbm)
        write_model(folder, arrays=arrays, files=files, meta=meta)
    return {
        "rows_in": len(shop.log.ts),
        "rows_out": trained.groups,
        "learned": True,
        "ndcg": {name: one["ndcg"] for name, one in rankers.items()},
        "groups": trained.groups,
    }


def evaluate(run: Run) -> dict[str, Any]:
    """Backtests the recipe, the champion's recipe and the publishable baselines on the windows; the gate decides."""
    from vitrina.evaluation.gate import CHAMPION, Gate
    from vitrina.evaluation.report import Table

    spec = recipe(run)
    scores, events = backtested(run, spec)
    verdict = Gate().decide(scores["candidate"], scores.get("champion"), {name: scores[name] for name in BASELINES})
    for reason in verdict.reasons:
        run.note(reason)
    table = Table.of("Rolling windows, repeats allowed", scores, METRICS)
    with run.objects.writing(run.key("evaluation")) as folder:
        (folder / "verdict.json").write_text(json.dumps(verdict.as_json()))
        (folder / "table.json").write_text(table.to_json())
        (folder / "table.md").write_text(table.markdown())
        for name, found in scores.items():
            found.save(folder / f"{name}.npz")
    quality = {name: {metric: found.mean(metric) for metric in METRICS} for name, found in scores.items()}
    outcome = "refused" if verdict.winner == CHAMPION else "promoted"
    return {
        "rows_in": events,
        "rows_out": len(scores["candidate"]),
        "winner": verdict.winner,
        "promote": verdict.promote,
        "reasons": list(verdict.reasons),
        "ndcg@10": {name: of["ndcg@10"] for name, of in quality.items()},
        "quality": quality,
        "gate": {"outcome": outcome, "reasons": list(verdict.reasons)},
    }


def backtested(run: Run, spec: TwoStage) -> tuple[dict[str, Scores], int]:
    """Pooled scores of "candidate", "champion" (when there is one) and the baselines, on the same rows; and how many
    events there were to learn from."""
    from dataclasses import replace

    from vitrina.evaluation.backtest import backtest
    from vitrina.evaluation.recipes import TwoStageAtWindows
    from vitrina.evaluation.truth import EventArrays

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
        reigning = champion_recipe(run)
        if reigning is not None and reigning != spec:
            recipes["champion"] = at_windows(reigning)
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
    if reigning is not None and reigning == spec:
        found["champion"] = found["candidate"]
    return found, len(events.ts)


def champion_recipe(run: Run) -> TwoStage | None:
    """The recipe that made the champion; None before the first.

    `ModelFormatError` for one that this release cannot train again; with `force` it is passed over.
    """
    from vitrina.errors import ModelFormatError
    from vitrina.recommend.two_stage import TwoStage
    from vitrina.registry.model_format import read_model

    champion = run.registry.champion()
    if champion is None:
        return None
    with tempfile.TemporaryDirectory() as scratch:
        try:
            run.registry.fetch(champion.version, Path(scratch) / "model")
            return TwoStage.from_json(read_model(Path(scratch) / "model", verify=False).meta["recipe"])
        except ModelFormatError as error:
            unlike = f"champion {champion.version} cannot be compared with: {error}"
            if not run.force:
                raise ModelFormatError(f"{unlike}. To replace it without a comparison: --force") from error
            run.note(unlike)
            return None


def drift(run: Run) -> dict[str, Any]:
    """Tells how far the last day lies from the same weekday of the weeks that were trained on."""
    from vitrina.scenarios.storefront_drift import report_drift

    with opened(run) as shop:
        return report_drift(run, shop, recipe(run), cuts(shop))


def register(run: Run) -> dict[str, Any]:
    """Writes the winner, fitted to the end of the log, as a model folder and registers it with everything that led to
    it; the same model as the last time keeps its version."""
    from vitrina.registry.model_format import content_digest
    from vitrina.scenarios.storefront_model import write_winner

    spec = recipe(run)
    verdict = json.loads((run.local("evaluation") / "verdict.json").read_text())
    winner = verdict["winner"] if verdict["winner"] in BASELINES else spec.ranker_name
    with opened(run) as shop, tempfile.TemporaryDirectory() as scratch:
        tables = tables_at(run, shop, spec, shop.as_of)
        folder, record = write_winner(
            run, shop, spec, winner, tables, as_of=shop.as_of, verdict=verdict, scratch=Path(scratch)
        )
        digest = content_digest(folder, without=("metrics",))  # whom it was compared with is no part of it
        version = _registered_before(run, digest, record)
        if version is None:
            version = run.registry.register(folder, record).version
            run.note(f"Registered version {version}: {winner}")
        else:
            run.note(f"Version {version} is this very model")
        drop_other_tables(run, shop, spec)
    promote = bool(verdict["winner"] != "champion")
    found = {"version": version, "winner": winner, "promote": promote, "content": digest}
    run.objects.put_bytes(run.key("registered.json"), json.dumps(found).encode())
    return {"rows_in": len(shop.log.ts), **found}


def _registered_before(run: Run, digest: str, record: RunRecord) -> str | None:
    """The version that holds this content already: what the last `register` made, or the newest of all, whose
    `register` may have been killed before it wrote that down."""
    from vitrina.registry.model_format import content_digest

    versions = run.registry.versions()
    if run.objects.exists(run.key("registered.json")):
        last = json.loads(run.objects.get_bytes(run.key("registered.json")))
        if last.get("content") == digest and any(one.version == last["version"] for one in versions):
            return str(last["version"])
    if not versions or versions[0].metrics != record.written_metrics():
        return None
    with tempfile.TemporaryDirectory() as scratch:
        run.registry.fetch(versions[0].version, Path(scratch) / "model")
        same = content_digest(Path(scratch) / "model", without=("metrics",)) == digest
    return versions[0].version if same else None


def publish(run: Run) -> dict[str, Any]:
    """Lists of the champion for everybody active lately, and the histories of all, beside the model."""
    from vitrina.scenarios.storefront_lists import publish_for

    return publish_for(run, list_length=LIST_LENGTH, active_days=ACTIVE_DAYS)

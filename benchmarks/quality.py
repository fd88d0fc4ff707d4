"""Quality on the real RetailRocket extract: the two-stage recipe beside the baselines and RecTools' two-stage model.

    python -m benchmarks.quality                      all tables, stored under benchmarks/results
    python -m benchmarks.quality --tune-baselines     first tunes baselines and peer again on the tuning windows

Protocol and reading: docs/quality.md.
"""

from __future__ import annotations

import argparse
import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # read once, when numpy is loaded: ALS keeps its own threads

import json
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from rich.console import Console

from benchmarks import baseline_tuning, rectools_lists
from benchmarks.machine import machine
from benchmarks.quality_protocol import (
    Answer,
    AtCut,
    Judged,
    ModelAt,
    judge_cut,
    judge_next,
    opened,
    pooled,
    split_windows,
)
from benchmarks.quality_report import refresh, sections_of, span, tables_of
from benchmarks.results import store
from vitrina.candidates.retrieval import Tables
from vitrina.errors import DataError
from vitrina.evaluation.backtest import Recipe
from vitrina.evaluation.baselines import Baseline, BaselineAtWindows, OwnRecent, PopularLately
from vitrina.evaluation.recipes import TwoStageAtWindows
from vitrina.evaluation.truth import Int32s
from vitrina.events.splits import Window
from vitrina.features.history import Histories, Moments
from vitrina.features.shop import Shop
from vitrina.recommend.stored import gathered
from vitrina.recommend.two_stage import TwoStage
from vitrina.registry.model_format import read_model, write_model
from vitrina.scenarios.storefront import cuts

ROOT: Final = Path(__file__).resolve().parents[1]
RESULTS: Final = ROOT / "benchmarks" / "results"
PAGE: Final = ROOT / "docs" / "quality.md"
COMMAND: Final = "python -m benchmarks.quality"
OURS: Final = "Vitrina two-stage"
PEER: Final = "RecTools two-stage"
SIMPLE: Final[dict[str, Baseline]] = {"popular 7 days": PopularLately(), "own recent": OwnRecent()}
Note = Callable[[str], None]


def run(
    out: Path,
    *,
    source: Path | None = None,
    scores: Path | None = None,
    recipe: TwoStage | None = None,
    tune: bool = False,
    peer: bool = True,
    threads: int = 2,
    note: Note | None = None,
) -> dict[str, Any]:
    """Judges everything, writes quality.json and quality.md into `out` and returns the former.

    Into benchmarks/results it is the committed result, and the summary in docs/quality.md is written again as well.

    source: folder of the RetailRocket extract (None: where `extract` finds it); scores: where the values of every
    judged row go (None: nowhere); recipe: None is `TwoStage()`; tune: choose the settings of baselines and peer anew
    and keep them in the repository; peer: RecTools too; note: hears each step (None: printed).
    """
    source = extract() if source is None else source
    begun, facts = time.perf_counter(), machine(datetime.now(UTC).strftime("%Y-%m-%d"))

    def told(line: str) -> None:
        print(f"{time.perf_counter() - begun:6.0f} s  {line}", flush=True)

    note, code = note or told, _code()
    spec = TwoStage() if recipe is None else recipe
    with tempfile.TemporaryDirectory(prefix="vitrina-") as scratch, opened(source, Path(scratch), threads) as shop:
        tuning, test = split_windows(shop)
        if tune:
            baseline_tuning.save(baseline_tuning.tune(shop, tuning, note))
        extra: dict[str, Recipe] = {}
        notes = ["own recent has no row where only new items count: there it is the popular list that fills it."]
        if peer:
            try:
                extra[PEER] = _peer(Path(scratch) / "peer", shop, tuning, test, tune, note)
                notes.append(f"{PEER} has no row in the sequential tables: it knows users as they were when fitted.")
            except (FileNotFoundError, subprocess.CalledProcessError) as error:
                notes.append(f"{PEER} is left out: {error}")
        judged = [*_judged([*tuning, *test], shop, spec, extra, Path(scratch), threads, note)]
        sets = {"test windows": pooled(judged[len(tuning) :]), "all six windows": pooled(judged)}
        document = {
            "machine": facts,
            "command": COMMAND,
            "code": code,
            "ours": OURS,
            "recipe": spec.as_json(),
            "events": len(shop.log.ts),
            "users": len(shop.prepared.users),
            "items": len(shop.prepared.items),
            "windows": {"tuning": [span(window) for window in tuning], "test": [span(window) for window in test]},
            "baselines": json.loads(baseline_tuning.FILE.read_text()),
            "peer_settings": json.loads(rectools_lists.SETTINGS.read_text()),
            "notes": notes,
            "sections": sections_of(sets, OURS),
            "seconds": round(time.perf_counter() - begun),
        }
    if scores is not None:
        _keep(sets, scores)
    tables = tables_of(document)
    store(out, "quality", document, tables)
    if out.resolve() == RESULTS:
        refresh(PAGE, document)
    for table in tables[:-1]:
        table.show(Console(width=170))
    return document


def extract() -> Path:
    """Where the real extract lies: in VITRINA_DATA, else shared/data beside the repository; `DataError` without it."""
    folder = Path(os.environ.get("VITRINA_DATA") or ROOT.parent / "shared" / "data") / "retailrocket"
    if not (folder / "events.csv.gz").is_file():
        raise DataError("the RetailRocket extract is not there", where=str(folder), remedy="Set VITRINA_DATA.")
    return folder


def _judged(
    windows: Sequence[Window],
    shop: Shop,
    spec: TwoStage,
    extra: Mapping[str, Recipe],
    scratch: Path,
    threads: int,
    note: Note,
) -> Iterator[Judged]:
    """All four tables, window by window, oldest first, so that each model is fitted once a window."""
    tuned = baseline_tuning.load()
    ours = _two_stage(shop, spec, scratch / "tables", threads, note)
    at_cut = {OURS: ours} | {name: _model_at(one, shop) for name, one in (SIMPLE | tuned["cut"]).items()}
    at_instant = {OURS: ours} | {name: _model_at(one, shop) for name, one in (SIMPLE | tuned["next"]).items()}
    recipes = {name: AtCut(model_at, shop.histories) for name, model_at in at_cut.items()}
    for window in windows:
        found = judge_cut({**recipes, **extra}, [window], shop, note)
        found |= judge_next(at_instant, window, shop, note)
        for table in ("cut/new", "next/new"):
            del found[table]["own recent"]
        yield found


def _model_at(baseline: Baseline, shop: Shop) -> ModelAt:
    models = BaselineAtWindows(baseline=baseline, histories=shop.histories, past_at=shop.past)
    return lambda cut: models.fitted(cut).top


def _two_stage(shop: Shop, spec: TwoStage, folder: Path, threads: int, note: Note) -> ModelAt:
    """The recipe at any cut; the candidate sources of a cut-off are fitted once and lie in `folder` for the run."""

    def tables_at(cut: int) -> Tables:
        place = folder / str(cut)
        if not place.exists():
            folder.mkdir(exist_ok=True)
            fitted = spec.sources.fit(shop.past(cut), shop.parent)
            write_model(place, arrays=fitted._asdict(), files={}, meta={"as_of": cut})
        return gathered(Tables, read_model(place, verify=False).arrays)

    windows = TwoStageAtWindows(
        recipe=spec, histories=shop.histories, cuts=cuts(shop), tables_at=tables_at, threads=threads, note=note
    )

    def model_at(cut: int) -> Answer:
        model = windows.fitted(cut)

        def answer(histories: Histories, moments: Moments, k: int, new_only: bool) -> Int32s:
            return model.recommend_batch(histories, moments, k=k, new_only=new_only, threads=threads)[0]

        return answer

    return model_at


def _peer(folder: Path, shop: Shop, tuning: Sequence[Window], test: Sequence[Window], tune: bool, note: Note) -> Recipe:
    python = rectools_lists.environment(ROOT / ".venv-rectools", note)
    if tune:
        settings = rectools_lists.tune(python, folder, shop, tuning, note)
        rectools_lists.SETTINGS.write_text(json.dumps(settings, indent=2) + "\n")
    settings = json.loads(rectools_lists.SETTINGS.read_text())
    return rectools_lists.made_by_rectools(python, folder, shop, [*tuning, *test], settings, note)


def _code() -> str:
    """The commit that runs, and whether the files on disk differ from it."""
    git = ["git", "-C", str(ROOT)]
    try:
        commit = subprocess.run(
            [*git, "rev-parse", "--short", "HEAD"], check=True, capture_output=True, text=True
        ).stdout
        changed = subprocess.run(
            [*git, "status", "--porcelain", "--", "vitrina", "benchmarks"], check=True, capture_output=True, text=True
        ).stdout
    except (FileNotFoundError, subprocess.CalledProcessError):
        return "not a checkout"
    return f"commit {commit.strip()}{' with changes' if changed else ''}"


def _keep(sets: Mapping[str, Judged], folder: Path) -> None:
    """One .npz per set of windows, table and model."""
    for pool, judged in sets.items():
        for table, by_name in judged.items():
            place = folder / pool.replace(" ", "-") / table.replace("/", "-")
            place.mkdir(parents=True, exist_ok=True)
            for name, scores in by_name.items():
                scores.save(place / f"{name.replace(' ', '-')}.npz")


def main(argv: Sequence[str] | None = None) -> None:
    """Prints and stores the tables."""
    parser = argparse.ArgumentParser(prog=COMMAND, description="Quality on the RetailRocket extract.")
    parser.add_argument("--data", type=Path, help="folder of the extract (VITRINA_DATA/retailrocket)")
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder of the results")
    parser.add_argument("--scores", type=Path, help="also keep the values of every judged row in this folder")
    parser.add_argument("--tune-baselines", action="store_true", help="choose the settings of baselines and peer anew")
    parser.add_argument("--no-peer", action="store_true", help="without RecTools")
    parser.add_argument("--threads", type=int, default=2)
    given = parser.parse_args(argv)
    try:
        run(
            given.out,
            source=given.data,
            scores=given.scores,
            tune=given.tune_baselines,
            peer=not given.no_peer,
            threads=given.threads,
        )
    except DataError as error:
        parser.error(str(error))


if __name__ == "__main__":
    main()

"""Drift of the storefront: the last day against the same weekday of earlier weeks, each seen by tables of the same age.

The candidate sources of the last window and of the ranker's weekly cut-offs are fitted already, as a rule. What the
visitors of the 14th day after each cut-off met is compared: the features of their candidates, and the score and
popularity of what the ranker would show them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from vitrina.evaluation.recipes import assemble
from vitrina.events.schema import DAY_MS
from vitrina.events.splits import WINDOW_DAYS
from vitrina.features.history import Histories, Moments
from vitrina.features.shop import Shop
from vitrina.ranking.pair_features import FEATURES
from vitrina.ranking.population import candidate_values, day_moments
from vitrina.ranking.trees import NO_TREES, Trees
from vitrina.recommend.desk import CANDIDATES
from vitrina.recommend.recommender import Recommender
from vitrina.recommend.stored import gathered
from vitrina.recommend.two_stage import TwoStage
from vitrina.registry.model_format import read_model
from vitrina.scenarios.prepared import MADE_OF, Origin
from vitrina.scenarios.scenario import Run
from vitrina.scenarios.storefront_tables import has_tables, tables_at
from vitrina.telemetry.drift import LEAST_VISITORS, LEAST_WEEKS, Day, Drift, judge, not_judged, too_little
from vitrina.telemetry.drift_report import page, verdict

MOST_WEEKS: Final = 8
MOST_VISITORS: Final = 1_000
ROWS: Final = 20
SHOWN: Final = ("score", "popularity")
CANDIDATE_FEATURES: Final = tuple("candidate_popularity" if name == "popularity" else name for name in FEATURES)


def report_drift(run: Run, shop: Shop, spec: TwoStage, cuts: Sequence[int]) -> dict[str, Any]:
    """Writes `drift`: `report.html` and `drift.json`, which the step's result tells, too. `cuts` are the weekly
    cut-offs."""
    found = _found(run, shop, spec, cuts)
    day = shop.as_of - DAY_MS
    told = {"day": day, "rows": found.visitors * ROWS, **found.as_json()}
    with run.writing("drift") as folder:
        folder.mkdir()
        origin = Origin.of(shop.prepared.folder, shop.as_of).as_json()
        (folder / "drift.json").write_text(json.dumps({**told, MADE_OF: origin}, indent=1))
        (folder / "report.html").write_text(page(found, day=day, title=run.scenario), encoding="utf-8")
    run.note(verdict(found))
    return {"rows_in": len(shop.log.ts), "rows_out": told["rows"], "drift": told}


def _found(run: Run, shop: Shop, spec: TwoStage, cuts: Sequence[int]) -> Drift:
    """Compares the 14th day after the newest cut-off whose 14 days are over with that of the `MOST_WEEKS` newest
    earlier ones whose tables have been made. Where there are fewer than `LEAST_WEEKS`, tables are made."""
    newest = shop.as_of - WINDOW_DAYS * DAY_MS
    if newest not in cuts:
        return not_judged("the log is too short for a cut-off two weeks before its end")
    asked = {cut: _asked(shop, spec, cut) for cut in sorted(cuts, reverse=True) if cut <= newest}
    last = len(asked[newest])
    busy = [cut for cut in asked if cut < newest and len(asked[cut]) >= LEAST_VISITORS]
    why = too_little(last, [len(asked[cut]) for cut in busy])
    if why:
        return not_judged(why, visitors=last)
    made = [cut for cut in busy if has_tables(run, shop, spec, cut)][:MOST_WEEKS]
    missing = [cut for cut in busy if cut not in made][: max(0, LEAST_WEEKS - len(made))]
    weeks = sorted(made + missing, reverse=True)
    return _compared(run, shop, spec, {cut: asked[cut] for cut in (newest, *weeks)})


def _asked(shop: Shop, spec: TwoStage, cut: int) -> Moments:
    end = cut + WINDOW_DAYS * DAY_MS
    return day_moments(shop.histories, end - DAY_MS, end, most=MOST_VISITORS, seed=spec.seed)


def _compared(run: Run, shop: Shop, spec: TwoStage, asked: Mapping[int, Moments]) -> Drift:
    """The verdict on who was asked after the first of the cut-offs against those after the others."""
    learned = read_model(run.local("ranker"))
    ranked = bool(learned.meta["learned"])
    trees = gathered(Trees, learned.arrays) if ranked else NO_TREES
    shown = SHOWN if ranked else SHOWN[1:]
    days = []
    for done, (cut, moments) in enumerate(asked.items()):
        run.progress("days", done, len(asked))
        tables = tables_at(run, shop, spec, cut)
        recommender = assemble(spec, tables, trees, ranker="catboost" if ranked else "fusion", as_of=cut)
        days.append(_day(shop.histories, moments, recommender, shown, threads=run.threads))
    return judge((*CANDIDATE_FEATURES, *shown), days[0], days[1:], seed=spec.seed)


def _day(
    histories: Histories, moments: Moments, recommender: Recommender, shown: Sequence[str], *, threads: int
) -> Day:
    values = candidate_values(
        histories,
        moments,
        taste=recommender.taste,
        tables=recommender.tables,
        limit=CANDIDATES,
        rows=ROWS,
        threads=threads,
    )
    items, scores = recommender.recommend_batch(histories, moments, k=ROWS, threads=threads)
    met = {"score": scores, "popularity": recommender.tables.popularity[items]}
    beside = [_where_shown(met[name], items)[:, :, None] for name in shown]
    return Day(visitor=moments.users, values=np.concatenate([values, *beside], axis=2))


def _where_shown(values: npt.NDArray[np.float32], items: npt.NDArray[np.int32]) -> npt.NDArray[np.float32]:
    """`values` with NaN in the places that a small shop cannot fill."""
    return np.where(items >= 0, values, np.float32(np.nan))

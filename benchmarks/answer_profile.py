"""Where the time of one online answer goes: processor microseconds of each part, without HTTP.

The compiled parts are timed in compiled loops over many visitors, each loop with one part more than the one before;
the difference is the part. What lies around them is timed from Python, as the service calls it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numba
import numpy as np
import orjson

from app.reading import query_fields, query_id, query_k, read_ask
from benchmarks import asking
from benchmarks.asking import K
from benchmarks.results import Table
from benchmarks.world import World
from vitrina.candidates.fold_in import solve_user
from vitrina.candidates.profile import fold
from vitrina.candidates.retrieval import ANYTHING, Visit, retrieve
from vitrina.features.history import History
from vitrina.ranking.blocks import Visits
from vitrina.ranking.pair_features import pair_features
from vitrina.ranking.regimes import VISIT
from vitrina.ranking.trees import score_columns
from vitrina.recommend.desk import new_desk
from vitrina.recommend.ranking_pass import joined, rank_many
from vitrina.recommend.recommender import Rules
from vitrina.serving.answer import Ask, answer
from vitrina.serving.lists import Lists
from vitrina.serving.lookup import row_of, rows_of
from vitrina.serving.state import LoadedModel, ServingState, build_state
from vitrina.telemetry.metrics import ServiceMetrics

VISITORS = 2_000
REPEATS = 7


@numba.njit
def _folded(visits, desk, solve):  # type: ignore[no-untyped-def]  # compiled
    tables, taste, scratch = desk.tables, desk.taste, desk.scratch
    profile = scratch.profile
    for r in range(len(visits.begin)):
        known = fold(
            visits.items,
            visits.kinds,
            visits.ts,
            visits.begin[r],
            visits.end[r],
            visits.as_of[r],
            taste,
            scratch.slot,
            profile,
        )
        if solve:
            solve_user(tables.factors, tables.gram, taste.alpha, profile.item, profile.weight, known, scratch.factor)


@numba.njit
def _ranked(visits, limits, desk, features, scores):  # type: ignore[no-untyped-def]  # compiled
    united = 0
    for r in range(len(visits.begin)):
        visit = Visit(visits.items, visits.kinds, visits.ts, visits.begin[r], visits.end[r], visits.as_of[r])
        count, known = retrieve(visit, limits, desk.taste, desk.tables, desk.scratch, desk.cand, desk.ranks)
        united += count
        if features:
            pair_features(visit, desk.tables, desk.scratch, known, desk.cand, desk.ranks, count, desk.columns)
        if scores:
            score_columns(desk.trees, VISIT, desk.columns, count, desk.leaf, desk.worth)
    return united


def run(world: World) -> dict[str, Any]:
    """The best of a few passes through the same visitors, ready for JSON."""
    rng = np.random.default_rng(0)
    model = LoadedModel(recommender=world.recommender, as_of=world.recommender.as_of)
    state = build_state(version="1", copy="1", model=model, lists=world.lists, now=world.recommender.as_of)
    asks = asking.sessions(world, rng)[:VISITORS]
    visits = _visits(state, [_read(state, one) for one in asks])
    parts, candidates = _compiled(world, visits)
    parts |= _around(state, asks, parts)
    parts["whole online answer without HTTP"] = _timed(lambda: [_whole(state, one) for one in asks]) / len(asks)
    known = asking.known(world, rng)[:VISITORS]
    parts["whole precomputed answer without HTTP"] = _timed(lambda: [_whole(state, one) for one in known]) / len(known)
    lengths = visits.end - visits.begin
    return {
        "world": world.facts(),
        "candidates": candidates,
        "history_events": {"mean": float(np.mean(lengths)), "most": int(lengths.max())},
        "microseconds": {name: round(1e6 * value, 2) for name, value in parts.items()},
    }


METRICS = ServiceMetrics()
COUNT = METRICS.requests("/recommendations")
SCENARIO_METRICS = METRICS.of("storefront")


def _visits(state: ServingState, asks: Sequence[Ask]) -> Visits:
    """The histories behind each other, each with the session on top."""
    as_of = state.as_of(2**62)
    seen = []
    for one in asks:
        stored = _stored(state, one)
        seen.append(joined(rows_of(state.items, one.session), stored.items, stored.kinds, stored.ts, as_of))
    ends = np.cumsum([len(items) for items, _, _ in seen])
    items, kinds, ts = (np.concatenate(parts) for parts in zip(*seen, strict=True))
    begin = np.concatenate([[0], ends[:-1]])
    return Visits(items=items, kinds=kinds, ts=ts, begin=begin, end=ends, as_of=np.full(len(seen), as_of, np.int64))


def _compiled(world: World, visits: Visits) -> tuple[dict[str, float], dict[str, float]]:
    """Seconds of the compiled parts for one visitor, and how many candidates were ranked."""
    model, n = world.recommender, len(visits.begin)
    desk = new_desk(model.tables, model.taste, model.trees, model.mode)
    united = _ranked(visits, ANYTHING, desk, False, False)
    out_items, out_scores = np.empty((n, K), np.int32), np.empty((n, K), np.float32)
    profiled = _timed(lambda: _folded(visits, desk, False)) / n
    solved = _timed(lambda: _folded(visits, desk, True)) / n
    retrieval = _timed(lambda: _ranked(visits, ANYTHING, desk, False, False)) / n
    featured = _timed(lambda: _ranked(visits, ANYTHING, desk, True, False)) / n
    scored = _timed(lambda: _ranked(visits, ANYTHING, desk, True, True)) / n
    whole = _timed(lambda: rank_many(desk, visits, 0, n, ANYTHING, out_items, out_scores)) / n
    parts = {
        "retrieve": retrieval,
        "  of it: fold the history": profiled,
        "  of it: ALS fold-in": solved - profiled,
        "  of it: sources and their union": retrieval - solved,
        "pair_features": featured - retrieval,
        "score_columns": scored - featured,
        "order and top-k": whole - scored,
        "the compiled pass": whole,
    }
    return parts, {"mean": united / n}


def _around(state: ServingState, asks: Sequence[asking.Ask], parts: dict[str, float]) -> dict[str, float]:
    """Seconds of what Python does around the compiled pass."""
    read = [_read(state, one) for one in asks]
    as_of, rules, n = state.as_of(2**62), Rules(), len(asks)
    sessions = [rows_of(state.items, one.session) for one in read]
    seen = [(_stored(state, one), session) for one, session in zip(read, sessions, strict=True)]
    answers = [answer(state, one, now=as_of, metrics=SCENARIO_METRICS) for one in read]
    recommend = state.recommender.recommend
    called = _timed(lambda: [recommend(one, session=had, k=K, rules=rules, as_of=as_of) for one, had in seen]) / n
    whole = _timed(lambda: [answer(state, one, now=as_of, metrics=SCENARIO_METRICS) for one in read]) / n
    looked_up = _timed(lambda: [rows_of(state.items, one.session) for one in read]) / n
    fetched = _timed(lambda: [_stored(state, one) for one in read]) / n
    return {
        "call from Python into it": called - parts["the compiled pass"],
        "look up 5 items": looked_up,
        "look up the user and the history": fetched,
        "rest of answer()": whole - called - looked_up - fetched,
        "read the request": _timed(lambda: [_read(state, one) for one in asks]) / n,
        "JSON encode": _timed(lambda: [_encoded(state, one.items, one.scores) for one in answers]) / n,
        "count and time a request": _timed(partial(_counted, n)) / n,
    }


def _counted(times: int) -> None:
    for _ in range(times):
        COUNT(200, 0.001)


def _read(state: ServingState, ask: asking.Ask) -> Ask:
    fields = query_fields(ask.path.partition("?")[2].encode())
    return read_ask(query_id(fields, "user_id", state.user_kind), query_k(fields), ask.body.encode(), state.items.kind)


def _stored(state: ServingState, ask: Ask) -> History:
    lists = _lists(state)
    return lists.history(row_of(lists.users, ask.user))


def _lists(state: ServingState) -> Lists:
    assert state.lists is not None
    return state.lists


def _whole(state: ServingState, ask: asking.Ask) -> bytes:
    found = answer(state, _read(state, ask), now=state.as_of(2**62), metrics=SCENARIO_METRICS)
    COUNT(200, 0.001)
    return _encoded(state, found.items, found.scores)


def _encoded(state: ServingState, items: Any, scores: Any) -> bytes:
    ids = state.items.ids[items] if state.items.kind == "int" else state.items.ids_of(items)
    content = {
        "recs": ids,
        "scores": scores,
        "source": "session",
        "model_version": state.version,
        "recommendation_id": "0" * 36,
    }
    return orjson.dumps(content, option=orjson.OPT_SERIALIZE_NUMPY)


def _timed(work: Callable[[], Any]) -> float:
    """Processor seconds of the quickest of a few runs, after one that is not counted: what disturbs only adds."""
    work()
    took = []
    for _ in range(REPEATS):
        begun = time.thread_time()
        work()
        took.append(time.thread_time() - begun)
    return min(took)


def tables(found: dict[str, Any]) -> list[Table]:
    """The table that is printed and stored."""
    world, history = found["world"], found["history_events"]
    note = (
        f"Session of 5 items on {world['world']}: {world['items']:,} items, {world['trees']} trees, "
        f"{found['candidates']['mean']:.0f} candidates and {history['mean']:.1f} events of history (at most "
        f"{history['most']:,}) on average; the best of {REPEATS} passes through {VISITORS:,} visitors."
    )
    rows = tuple((name, f"{value:,.1f}") for name, value in found["microseconds"].items())
    return [Table(title="One online answer", columns=("part", "processor us"), rows=rows, notes=(note,))]

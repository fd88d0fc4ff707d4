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
from vitrina.candidates.retrieval import retrieve
from vitrina.features.history import Histories, History
from vitrina.ranking.pair_features import pair_features
from vitrina.ranking.regimes import VISIT
from vitrina.ranking.trees import score_rows
from vitrina.recommend.ranking_pass import new_desk, rank_many
from vitrina.recommend.recommender import Rules
from vitrina.serving.answer import Ask, answer, joined
from vitrina.serving.lists import Lists
from vitrina.serving.state import LoadedModel, ServingState, build_state
from vitrina.telemetry.metrics import ServiceMetrics

VISITORS = 2_000
REPEATS = 7
NOBODY = np.empty(0, np.int32)
ANYTHING = np.empty(0, np.bool_)


@numba.njit
def _folded(items, kinds, ts, begins, ends, as_of, taste, tables, desk, solve):  # type: ignore[no-untyped-def]  # compiled
    scratch = desk.scratch
    for r in range(len(begins)):
        known = fold(items, kinds, ts, begins[r], ends[r], as_of, taste, scratch.slot, scratch.profile)
        if solve:
            profile = scratch.profile
            solve_user(tables.factors, tables.gram, taste.alpha, profile.item, profile.weight, known, scratch.factor)


@numba.njit
def _retrieved(items, kinds, ts, begins, ends, as_of, taste, tables, desk, barred, allowed):  # type: ignore[no-untyped-def]  # compiled
    united = 0
    for r in range(len(begins)):
        count, _ = retrieve(
            items,
            kinds,
            ts,
            begins[r],
            ends[r],
            as_of,
            taste,
            tables,
            desk.scratch,
            barred,
            allowed,
            False,
            desk.cand,
            desk.ranks,
        )
        united += count
    return united


@numba.njit
def _featured(items, kinds, ts, begins, ends, as_of, taste, tables, desk, barred, allowed):  # type: ignore[no-untyped-def]  # compiled
    for r in range(len(begins)):
        count, known = retrieve(
            items,
            kinds,
            ts,
            begins[r],
            ends[r],
            as_of,
            taste,
            tables,
            desk.scratch,
            barred,
            allowed,
            False,
            desk.cand,
            desk.ranks,
        )
        pair_features(
            items,
            kinds,
            ts,
            begins[r],
            ends[r],
            as_of,
            tables,
            desk.scratch,
            known,
            desk.cand,
            desk.ranks,
            count,
            desk.rows,
        )


@numba.njit
def _scored(times, trees, desk, count):  # type: ignore[no-untyped-def]  # compiled
    for _ in range(times):
        score_rows(trees, VISIT, desk.rows, count, desk.columns, desk.leaf, desk.worth)


def run(world: World) -> dict[str, Any]:
    """The best of a few passes through the same visitors, ready for JSON."""
    rng = np.random.default_rng(0)
    model = LoadedModel(recommender=world.recommender, as_of=world.recommender.as_of)
    state = build_state(version="1", copy="1", model=model, lists=world.lists, now=world.recommender.as_of)
    asks = asking.sessions(world, rng)[:VISITORS]
    parts, candidates = _compiled(world, [_history(state, _read(state, one)) for one in asks], state.as_of(2**62))
    parts |= _around(state, asks, parts)
    parts["whole online answer without HTTP"] = _timed(lambda: [_whole(state, one, METRICS) for one in asks]) / len(
        asks
    )
    known = asking.known(world, rng)[:VISITORS]
    parts["whole precomputed answer without HTTP"] = _timed(
        lambda: [_whole(state, one, METRICS) for one in known]
    ) / len(known)
    lengths = [len(_history(state, _read(state, one))) for one in asks]
    return {
        "world": world.facts(),
        "candidates": candidates,
        "history_events": {"mean": float(np.mean(lengths)), "most": max(lengths)},
        "microseconds": {name: round(1e6 * value, 2) for name, value in parts.items()},
    }


METRICS = ServiceMetrics()


def _compiled(world: World, seen: Sequence[History], as_of: int) -> tuple[dict[str, float], dict[str, float]]:
    """Seconds of the compiled parts for one visitor, and how many candidates were ranked."""
    model = world.recommender
    lengths = np.array([len(one) for one in seen], np.int64)
    ends = np.cumsum(lengths)
    flat = Histories(
        indptr=np.concatenate([[0], ends]),
        items=np.concatenate([one.items for one in seen]),
        kinds=np.concatenate([one.kinds for one in seen]),
        ts=np.concatenate([one.ts for one in seen]),
    )
    desk, n = new_desk(model.tables), len(seen)
    shared = (flat.items, flat.kinds, flat.ts, ends - lengths, ends)
    united = _retrieved(*shared, as_of, model.taste, model.tables, desk, NOBODY, ANYTHING)
    mean = max(1, round(united / n))
    out_items, out_scores = np.empty((n, K), np.int32), np.empty((n, K), np.float32)
    times = np.full(n, as_of, np.int64)
    profiled = _timed(lambda: _folded(*shared, as_of, model.taste, model.tables, desk, False)) / n
    solved = _timed(lambda: _folded(*shared, as_of, model.taste, model.tables, desk, True)) / n
    retrieval = _timed(lambda: _retrieved(*shared, as_of, model.taste, model.tables, desk, NOBODY, ANYTHING)) / n
    featured = _timed(lambda: _featured(*shared, as_of, model.taste, model.tables, desk, NOBODY, ANYTHING)) / n
    scored = _timed(lambda: _scored(n, model.trees, desk, mean)) / n
    whole = (
        _timed(
            lambda: rank_many(
                *shared,
                times,
                0,
                n,
                model.taste,
                model.tables,
                model.trees,
                model.mode,
                desk,
                NOBODY,
                ANYTHING,
                False,
                out_items,
                out_scores,
            )
        )
        / n
    )
    parts = {
        "retrieve": retrieval,
        "  of it: fold the history": profiled,
        "  of it: ALS fold-in": solved - profiled,
        "  of it: sources and their union": retrieval - solved,
        "pair_features": featured - retrieval,
        "score_rows": scored,
        "order and top-k": whole - featured - scored,
        "the compiled pass": whole,
    }
    return parts, {"mean": united / n}


def _around(state: ServingState, asks: Sequence[asking.Ask], parts: dict[str, float]) -> dict[str, float]:
    """Seconds of what Python does around the compiled pass."""
    read = [_read(state, one) for one in asks]
    seen = [_history(state, one) for one in read]
    as_of, rules, n = state.as_of(2**62), Rules(), len(asks)
    answers = [answer(state, one, now=as_of, metrics=METRICS) for one in read]
    index_of = state.items.index_of
    called = _timed(lambda: [state.recommender.recommend(one, k=K, rules=rules, as_of=as_of) for one in seen]) / n
    whole = _timed(lambda: [answer(state, one, now=as_of, metrics=METRICS) for one in read]) / n
    looked_up = _timed(lambda: [[index_of(item) for item in one.session] for one in read]) / n
    joins = _timed(lambda: [_history(state, one) for one in read]) / n - looked_up
    return {
        "call from Python into it": called - parts["the compiled pass"],
        "look up 5 items": looked_up,
        "look up the user, join the histories": joins,
        "rest of answer()": whole - called - looked_up - joins,
        "read the request": _timed(lambda: [_read(state, one) for one in asks]) / n,
        "JSON encode": _timed(lambda: [_encoded(state, one.items, one.scores) for one in answers]) / n,
        "count and time a request": _timed(partial(_counted, n)) / n,
    }


def _counted(times: int) -> None:
    for _ in range(times):
        METRICS.request("/recommendations", 200, 0.001)


def _read(state: ServingState, ask: asking.Ask) -> Ask:
    fields = query_fields(ask.path.partition("?")[2].encode())
    return read_ask(query_id(fields, "user_id", state.user_kind), query_k(fields), ask.body.encode(), state.items.kind)


def _history(state: ServingState, ask: Ask) -> History:
    lists = _lists(state)
    session = np.array([state.items.index_of(one) for one in ask.session], np.int32)
    return joined(session, lists.history(lists.row_of(ask.user)), state.as_of(2**62))


def _lists(state: ServingState) -> Lists:
    assert state.lists is not None
    return state.lists


def _whole(state: ServingState, ask: asking.Ask, metrics: ServiceMetrics) -> bytes:
    found = answer(state, _read(state, ask), now=state.as_of(2**62), metrics=metrics)
    metrics.request("/recommendations", 200, 0.001)
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

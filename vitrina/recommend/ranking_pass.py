"""One visitor from history to ordered items, in one compiled call; and the same over many visitors (compiled)."""

from __future__ import annotations

from typing import Final

import numba
import numpy as np

from vitrina.candidates.retrieval import POPULAR, SOURCES, Limits, Visit, mark, retrieve
from vitrina.candidates.union import UNRANKED, best_first
from vitrina.events.schema import VIEW
from vitrina.ranking.pair_features import pair_features
from vitrina.ranking.regimes import regime_of
from vitrina.ranking.trees import score_columns
from vitrina.recommend.desk import CANDIDATES

BY_TREES: Final = -1
BY_FUSION: Final = -2
PLACES: Final = 1_000


@numba.njit(cache=True, nogil=True)
def rank_one(  # type: ignore[no-untyped-def]  # compiled
    desk, session, items, kinds, ts, as_of, barred, allowed, new_only, out_items, out_scores, out_sources
):
    """Fills the outputs (k,) with the best k items for one history and a session on top of it (see `joined`), and
    returns how many there are; fewer than k only when the rules leave no more.

    Flat arguments, because this is what Python calls: see `Visit` and `Limits` for their meaning.
    """
    if len(session):
        items, kinds, ts = joined(session, items, kinds, ts, as_of)
    visit = Visit(items, kinds, ts, 0, len(items), as_of)
    return _rank(desk, visit, Limits(barred, allowed, new_only), out_items, out_scores, out_sources)


@numba.njit(cache=True, nogil=True)
def joined(session, items, kinds, ts, as_of):  # type: ignore[no-untyped-def]  # compiled
    """Session int32 (the last one the most recent) as views before the history, one millisecond apart up to `as_of`, so
    that their order is kept; items, kinds and ts of both."""
    count = len(session)
    all_items = np.empty(count + len(items), np.int32)
    all_kinds = np.empty(len(all_items), np.int8)
    all_ts = np.empty(len(all_items), np.int64)
    for e in range(count):
        all_items[e] = session[count - 1 - e]
        all_kinds[e] = VIEW
        all_ts[e] = as_of - 1 - e
    all_items[count:] = items
    all_kinds[count:] = kinds
    all_ts[count:] = ts
    return all_items, all_kinds, all_ts


@numba.njit(cache=True, nogil=True)
def rank_many(desk, visits, first, last, limits, out_items, out_scores):  # type: ignore[no-untyped-def]  # compiled
    """Ranks rows first .. last - 1 of `visits`, a `Visit` with arrays of begin, end and as_of, into out_items int32
    (n, k), padded with -1, and out_scores float32 (n, k)."""
    sources = np.empty(out_items.shape[1], np.uint8)
    for r in range(first, last):
        visit = Visit(visits.items, visits.kinds, visits.ts, visits.begin[r], visits.end[r], visits.as_of[r])
        filled = _rank(desk, visit, limits, out_items[r], out_scores[r], sources)
        for place in range(filled, out_items.shape[1]):
            out_items[r, place] = -1
            out_scores[r, place] = 0.0


@numba.njit(cache=True, nogil=True)
def _rank(desk, visit, limits, out_items, out_scores, out_sources):  # type: ignore[no-untyped-def]  # compiled
    """Retrieves, scores and orders. `desk.mode`: BY_TREES, BY_FUSION, or the number of the one source that orders (the
    others follow it by fused rank)."""
    tables, scratch, mode = desk.tables, desk.scratch, desk.mode
    cand, ranks, worth = desk.cand, desk.ranks, desk.worth
    count, known = retrieve(visit, limits, desk.taste, tables, scratch, cand, ranks)
    if mode == BY_TREES:
        pair_features(visit, tables, scratch, known, cand, ranks, count, desk.columns)
        score_columns(desk.trees, regime_of(visit), desk.columns, count, desk.leaf, worth)
    else:
        for c in range(count):
            worth[c] = -c
            if mode >= 0 and ranks[c, mode] < UNRANKED:
                worth[c] = CANDIDATES + PLACES - ranks[c, mode]
    k = len(out_items)
    order = desk.order[:k]
    taken = best_first(worth, count, order)
    lowest = 0.0
    for place in range(taken):
        c = order[place]
        out_items[place] = cand[c]
        out_scores[place] = worth[c]
        lowest = worth[c]
        best = 0
        for s in range(1, len(SOURCES)):
            if ranks[c, s] < ranks[c, best]:
                best = s
        out_sources[place] = best
    if taken < k:
        taken = _refill(visit, limits, tables, scratch.slot, taken, lowest, out_items, out_scores, out_sources)
    return taken


@numba.njit(cache=True, nogil=True)
def _refill(visit, limits, tables, slot, taken, lowest, out_items, out_scores, out_sources):  # type: ignore[no-untyped-def]  # compiled
    """Goes on down the popular order until the answer is full; scores keep falling by one a place."""
    popular, allowed = tables.popular, limits.allowed
    mark(visit, limits, 0, slot)
    for place in range(taken):
        slot[out_items[place]] = 0
    filled = taken
    for place in range(len(popular)):
        if filled == len(out_items):
            break
        item = popular[place]
        if slot[item] >= 0 or (len(allowed) and not allowed[item]):
            continue
        out_items[filled] = item
        out_scores[filled] = lowest - (filled - taken + 1)
        out_sources[filled] = POPULAR
        slot[item] = 0
        filled += 1
    for place in range(filled):
        slot[out_items[place]] = -1
    mark(visit, limits, -1, slot)
    return filled

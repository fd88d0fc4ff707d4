"""One visitor from history to ordered items, in one compiled call; and the same over many visitors (compiled)."""

from __future__ import annotations

from typing import Final, NamedTuple

import numba
import numpy as np
import numpy.typing as npt

from vitrina.candidates.retrieval import SOURCES, UNRANKED, Scratch, Tables, new_scratch, retrieve
from vitrina.ranking.pair_features import FEATURES, pair_features
from vitrina.ranking.regimes import regime_of
from vitrina.ranking.trees import score_rows

BY_TREES: Final = -1
BY_FUSION: Final = -2
CANDIDATES: Final = 120
"""Candidates that are ranked for one visitor."""


class Desk(NamedTuple):
    """Memory of one thread for whole passes: retrieval scratch, candidates, their features and scores."""

    scratch: Scratch
    cand: npt.NDArray[np.int32]
    ranks: npt.NDArray[np.float32]
    rows: npt.NDArray[np.float32]
    columns: npt.NDArray[np.float32]
    leaf: npt.NDArray[np.int32]
    worth: npt.NDArray[np.float64]


def new_desk(tables: Tables) -> Desk:
    """A desk for these tables; not shared between threads."""
    return Desk(
        scratch=new_scratch(tables),
        cand=np.empty(CANDIDATES, np.int32),
        ranks=np.empty((CANDIDATES, len(SOURCES)), np.float32),
        rows=np.empty((CANDIDATES, len(FEATURES)), np.float32),
        columns=np.empty((len(FEATURES), CANDIDATES), np.float32),
        leaf=np.empty(CANDIDATES, np.int32),
        worth=np.empty(CANDIDATES, np.float64),
    )


@numba.njit(cache=True, nogil=True)
def rank_one(  # type: ignore[no-untyped-def]  # compiled
    items,
    kinds,
    ts,
    begin,
    end,
    as_of,
    taste,
    tables,
    trees,
    mode,
    desk,
    barred,
    allowed,
    new_only,
    out_items,
    out_scores,
    out_sources,
):
    """Fills the outputs (k,) with the best k items and returns how many there are; fewer than k only when the rules
    leave no more.

    `mode`: BY_TREES, BY_FUSION, or the number of the one source that orders (the others follow it by fused rank).
    """
    k = len(out_items)
    cand, worth = desk.cand, desk.worth
    count, known = retrieve(
        items,
        kinds,
        ts,
        begin,
        end,
        as_of,
        taste,
        tables,
        desk.scratch,
        barred,
        allowed,
        new_only,
        cand,
        desk.ranks,
    )
    if mode == BY_TREES:
        pair_features(
            items,
            kinds,
            ts,
            begin,
            end,
            as_of,
            tables,
            desk.scratch,
            known,
            cand,
            desk.ranks,
            count,
            desk.rows,
        )
        score_rows(trees, regime_of(ts, begin, end, as_of), desk.rows, count, desk.columns, desk.leaf, worth)
    else:
        for c in range(count):
            worth[c] = -c
            if mode >= 0 and desk.ranks[c, mode] < UNRANKED:
                worth[c] = CANDIDATES + PLACES - desk.ranks[c, mode]
    order = np.argsort(-worth[:count], kind="mergesort")
    taken = min(k, count)
    lowest = 0.0
    for place in range(taken):
        c = order[place]
        out_items[place] = cand[c]
        out_scores[place] = worth[c]
        lowest = worth[c]
        best = 0
        for s in range(1, len(SOURCES)):
            if desk.ranks[c, s] < desk.ranks[c, best]:
                best = s
        out_sources[place] = best
    if taken < k:
        taken = _refill(
            items,
            begin,
            end,
            tables,
            desk.scratch.slot,
            barred,
            allowed,
            new_only,
            taken,
            lowest,
            out_items,
            out_scores,
            out_sources,
        )
    return taken


PLACES: Final = 1_000


@numba.njit(cache=True, nogil=True)
def _refill(  # type: ignore[no-untyped-def]  # compiled
    items, begin, end, tables, slot, barred, allowed, new_only, taken, lowest, out_items, out_scores, out_sources
):
    """Goes on down the popular order until the answer is full; scores keep falling by one a place."""
    for b in range(len(barred)):
        slot[barred[b]] = 0
    if new_only:
        for e in range(begin, end):
            slot[items[e]] = 0
    for place in range(taken):
        slot[out_items[place]] = 0
    filled = taken
    for place in range(len(tables.popular)):
        if filled == len(out_items):
            break
        item = tables.popular[place]
        if slot[item] >= 0 or (len(allowed) and not allowed[item]):
            continue
        out_items[filled] = item
        out_scores[filled] = lowest - (filled - taken + 1)
        out_sources[filled] = len(SOURCES) - 2
        slot[item] = 0
        filled += 1
    for place in range(filled):
        slot[out_items[place]] = -1
    for b in range(len(barred)):
        slot[barred[b]] = -1
    if new_only:
        for e in range(begin, end):
            slot[items[e]] = -1
    return filled


@numba.njit(cache=True, nogil=True)
def rank_many(  # type: ignore[no-untyped-def]  # compiled
    items,
    kinds,
    ts,
    begins,
    ends,
    as_ofs,
    first,
    last,
    taste,
    tables,
    trees,
    mode,
    desk,
    barred,
    allowed,
    new_only,
    out_items,
    out_scores,
):
    """`rank_one` for rows first .. last - 1 of out_items int32 (n, k), padded with -1, and out_scores float32 (n,
    k)."""
    sources = np.empty(out_items.shape[1], np.uint8)
    for r in range(first, last):
        filled = rank_one(
            items,
            kinds,
            ts,
            begins[r],
            ends[r],
            as_ofs[r],
            taste,
            tables,
            trees,
            mode,
            desk,
            barred,
            allowed,
            new_only,
            out_items[r],
            out_scores[r],
            sources,
        )
        for place in range(filled, out_items.shape[1]):
            out_items[r, place] = -1
            out_scores[r, place] = 0.0

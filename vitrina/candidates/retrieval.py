"""Recall: the union of all sources for one visitor, with every source's score and rank (compiled; one call a visitor).

Own history, one hop in each item-item matrix, ALS (one hop in factor space, scored by the folded-in factor), popular items and the
best of the categories last seen. Each source keeps its best `PER_SOURCE`; the union is cut by reciprocal-rank fusion
(Cormack, Clarke, Buettcher, SIGIR 2009).
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numba
import numpy as np
import numpy.typing as npt

from vitrina.candidates.fold_in import solve_user
from vitrina.candidates.profile import Profile, Taste, fold, new_profile

MATRICES: Final[tuple[str, ...]] = ("next", "session", "to_cart", "carts", "item_knn", "als")
"""Item-item matrices in the order of `Tables.indptr`; the neighbours in factor space stand last."""

SOURCES: Final[tuple[str, ...]] = ("own_history", *MATRICES, "popular", "category")
"""Candidate sources in the order of the columns of scores and ranks."""

OWN: Final = 0
ALS: Final = len(MATRICES)
POPULAR: Final = ALS + 1
CATEGORY: Final = ALS + 2
PER_SOURCE: Final = 40
FUSION: Final = 60.0
UNRANKED: Final = 1_000.0
MOST_TOUCHED: Final = 8_192
SHELVES: Final = 3
FREE: Final = -1
BARRED: Final = -2


class Tables(NamedTuple):
    """All that recall and the pair features read, frozen at the model's `as_of`.

    indptr int64 (matrices, items + 1): where a row starts in neighbours int32 / weights float32 (all matrices behind each other);
    factors float32 (items, f), gram float32 (f, f); popular int32 (seen items,) best first, popularity float32 (items,);
    category int32 (items,) with -1 unknown, parent int32 (categories,) with -1 for a root, shelf_indptr int64, shelf_items int32;
    item_values float32 (items, item features).
    """

    indptr: npt.NDArray[np.int64]
    neighbours: npt.NDArray[np.int32]
    weights: npt.NDArray[np.float32]
    factors: npt.NDArray[np.float32]
    gram: npt.NDArray[np.float32]
    popular: npt.NDArray[np.int32]
    popularity: npt.NDArray[np.float32]
    category: npt.NDArray[np.int32]
    parent: npt.NDArray[np.int32]
    shelf_indptr: npt.NDArray[np.int64]
    shelf_items: npt.NDArray[np.int32]
    item_values: npt.NDArray[np.float32]


class Scratch(NamedTuple):
    """Memory of one thread: slot int32 (items,) all -1 between calls, and room for what one visitor touches."""

    slot: npt.NDArray[np.int32]
    touched: npt.NDArray[np.int32]
    scores: npt.NDArray[np.float32]
    ranks: npt.NDArray[np.float32]
    fusion: npt.NDArray[np.float32]
    best: npt.NDArray[np.int32]
    factor: npt.NDArray[np.float32]
    profile: Profile


def new_scratch(tables: Tables) -> Scratch:
    """Scratch for these tables; not shared between threads."""
    return Scratch(
        slot=np.full(len(tables.category), -1, np.int32),
        touched=np.empty(MOST_TOUCHED, np.int32),
        scores=np.empty((MOST_TOUCHED, len(SOURCES)), np.float32),
        ranks=np.empty((MOST_TOUCHED, len(SOURCES)), np.float32),
        fusion=np.empty(MOST_TOUCHED, np.float32),
        best=np.empty(PER_SOURCE, np.int32),
        factor=np.zeros(tables.factors.shape[1], np.float32),
        profile=new_profile(),
    )


@numba.njit(cache=True)
def _touch(item, n, allowed, scratch):  # type: ignore[no-untyped-def]  # compiled
    """Slot of an item, made if the rules let it in and there is room; returns (slot or negative, number touched)."""
    place = scratch.slot[item]
    if place != FREE:
        return place, n
    if n == MOST_TOUCHED or (len(allowed) and not allowed[item]):
        return FREE, n
    scratch.slot[item] = n
    scratch.touched[n] = item
    for s in range(len(SOURCES)):
        scratch.scores[n, s] = 0.0
    return n, n + 1


@numba.njit(cache=True)
def _rank_source(s, n, scratch):  # type: ignore[no-untyped-def]  # compiled
    """Ranks the best PER_SOURCE touched items of one source (positive scores, ties to the smaller item)."""
    filled = 0
    for c in range(n):
        scratch.ranks[c, s] = UNRANKED
        value = scratch.scores[c, s]
        if value <= 0.0:
            continue
        if filled == PER_SOURCE:
            last = scratch.best[filled - 1]
            worst = scratch.scores[last, s]
            if value < worst or (value == worst and scratch.touched[c] > scratch.touched[last]):
                continue
            spot = filled - 1
        else:
            spot = filled
            filled += 1
        while spot > 0:
            above = scratch.best[spot - 1]
            higher = scratch.scores[above, s]
            if higher > value or (higher == value and scratch.touched[above] < scratch.touched[c]):
                break
            scratch.best[spot] = above
            spot -= 1
        scratch.best[spot] = c
    for place in range(filled):
        scratch.ranks[scratch.best[place], s] = place


@numba.njit(cache=True, nogil=True)
def retrieve(  # type: ignore[no-untyped-def]  # compiled
    items,
    kinds,
    ts,
    begin,
    end,
    as_of,
    taste,
    tables,
    scratch,
    barred,
    allowed,
    new_only,
    out_items,
    out_scores,
    out_ranks,
):
    """Writes the candidates of one visitor, best fused rank first, and returns (their number, distinct items of the history).

    History: events begin .. end - 1 of items/kinds/ts, most recent first. Rules: `barred` int32 items never appear, `allowed` bool
    (items,) or empty says which may, `new_only` bars the whole history. out_items int32 (c,), out_scores and out_ranks float32
    (c, sources); c is the most candidates wanted. `scratch.profile` and `scratch.factor` are left filled for the ranker.
    """
    profile, slot = scratch.profile, scratch.slot
    known = fold(items, kinds, ts, begin, end, as_of, taste, slot, profile)
    for b in range(len(barred)):
        slot[barred[b]] = BARRED
    if new_only:
        for e in range(begin, end):
            slot[items[e]] = BARRED
    n = 0
    for h in range(known):
        place, n = _touch(profile.item[h], n, allowed, scratch)
        if place >= 0:
            scratch.scores[place, OWN] = profile.weight[h]
    for m in range(len(MATRICES)):
        for h in range(known):
            row = profile.item[h]
            weight = profile.weight[h]
            for p in range(tables.indptr[m, row], tables.indptr[m, row + 1]):
                place, n = _touch(tables.neighbours[p], n, allowed, scratch)
                if place >= 0:
                    scratch.scores[place, 1 + m] += weight * tables.weights[p]
    f = len(scratch.factor)
    for d in range(f):
        scratch.factor[d] = 0.0
    if known:
        solve_user(tables.factors, tables.gram, taste.alpha, profile.item, profile.weight, known, scratch.factor)
        for c in range(n):
            if scratch.scores[c, ALS] != 0.0:
                dot = 0.0
                for d in range(f):
                    dot += scratch.factor[d] * tables.factors[scratch.touched[c], d]
                scratch.scores[c, ALS] = dot
    for place_in_list in range(min(PER_SOURCE, len(tables.popular))):
        place, n = _touch(tables.popular[place_in_list], n, allowed, scratch)
        if place >= 0:
            scratch.scores[place, POPULAR] = tables.popularity[tables.popular[place_in_list]]
    shelves = 0
    last = -1
    for h in range(known):
        shelf = tables.category[profile.item[h]]
        if shelf < 0 or shelf == last or shelves == SHELVES:
            continue
        last = shelf
        shelves += 1
        for p in range(tables.shelf_indptr[shelf], tables.shelf_indptr[shelf + 1]):
            place, n = _touch(tables.shelf_items[p], n, allowed, scratch)
            if place >= 0:
                share = tables.popularity[tables.shelf_items[p]] * profile.weight[h]
                scratch.scores[place, CATEGORY] = max(scratch.scores[place, CATEGORY], share)
    for c in range(n):
        scratch.fusion[c] = 0.0
    for s in range(len(SOURCES)):
        _rank_source(s, n, scratch)
        for c in range(n):
            if scratch.ranks[c, s] < UNRANKED:
                scratch.fusion[c] -= 1.0 / (FUSION + scratch.ranks[c, s])
    order = np.argsort(scratch.fusion[:n], kind="mergesort")
    count = 0
    for place in order:
        if count == len(out_items) or scratch.fusion[place] == 0.0:
            break
        out_items[count] = scratch.touched[place]
        for s in range(len(SOURCES)):
            out_scores[count, s] = scratch.scores[place, s]
            out_ranks[count, s] = scratch.ranks[place, s]
        count += 1
    for c in range(n):
        slot[scratch.touched[c]] = FREE
    for b in range(len(barred)):
        slot[barred[b]] = FREE
    if new_only:
        for e in range(begin, end):
            slot[items[e]] = FREE
    return count, known

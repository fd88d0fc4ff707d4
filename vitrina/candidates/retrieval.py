"""Recall: the union of all sources for one visitor, with the rank that each source gives (compiled; one call a
visitor).

Own history, one hop in each item-item matrix, ALS (one hop in factor space, scored by the folded-in factor), popular
items and the best of the categories last seen. Each source keeps its best `PER_SOURCE`; the union is cut by
reciprocal-rank fusion (Cormack, Clarke, Buettcher, SIGIR 2009).
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numba
import numpy as np
import numpy.typing as npt

from vitrina.candidates.fold_in import dot, solve_user
from vitrina.candidates.profile import Profile, fold, new_profile

MATRICES: Final[tuple[str, ...]] = ("next", "session", "to_cart", "carts", "item_knn", "rp3beta", "als")
"""Item-item matrices in the order of `Tables.indptr`; the neighbours in factor space stand last."""

SOURCES: Final[tuple[str, ...]] = ("own_history", *MATRICES, "popular", "category")
"""Candidate sources in the order of the columns of ranks."""

OWN: Final = 0
ALS: Final = len(MATRICES)
POPULAR: Final = ALS + 1
CATEGORY: Final = ALS + 2
PER_SOURCE: Final = 40
FUSION: Final = 60.0
UNRANKED: Final = 1_000.0
MOST_TOUCHED: Final = 16_384
MOST_UNITED: Final = PER_SOURCE * len(SOURCES)
SHELVES: Final = 3
FREE: Final = -1
BARRED: Final = -2


class Tables(NamedTuple):
    """All that recall and the pair features read, frozen at the model's `as_of`.

    indptr int64 (matrices, items + 1): where a row starts in neighbours int32 / weights float32 (all matrices behind
    each other); factors float32 (items, f), gram float32 (f, f); popular int32 (seen items,) best first, popularity
    float32 (items,); category int32 (items,) with -1 unknown, parent int32 (categories,) with -1 for a root,
    shelf_indptr int64, shelf_items int32; item_values float32 (items, item features).
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
    """Memory of one thread. Between calls slot int32 (items,) is all -1 and worth float32 (items,) all 0.

    touched int32: items that the source at hand scores; best int32 and best_worth float32 (PER_SOURCE,): its best ones;
    united int32, ranks float32 and fusion float32: the union so far; factor float32 (f,) and profile: what the ranker
    reads afterwards.
    """

    slot: npt.NDArray[np.int32]
    worth: npt.NDArray[np.float32]
    touched: npt.NDArray[np.int32]
    best: npt.NDArray[np.int32]
    best_worth: npt.NDArray[np.float32]
    united: npt.NDArray[np.int32]
    ranks: npt.NDArray[np.float32]
    fusion: npt.NDArray[np.float32]
    factor: npt.NDArray[np.float32]
    profile: Profile


def new_scratch(tables: Tables) -> Scratch:
    """Scratch for these tables; not shared between threads."""
    items = len(tables.category)
    return Scratch(
        slot=np.full(items, FREE, np.int32),
        worth=np.zeros(items, np.float32),
        touched=np.empty(MOST_TOUCHED, np.int32),
        best=np.empty(PER_SOURCE, np.int32),
        best_worth=np.empty(PER_SOURCE, np.float32),
        united=np.empty(MOST_UNITED, np.int32),
        ranks=np.empty((MOST_UNITED, len(SOURCES)), np.float32),
        fusion=np.empty(MOST_UNITED, np.float32),
        factor=np.zeros(tables.factors.shape[1], np.float32),
        profile=new_profile(),
    )


@numba.njit(cache=True, nogil=True)
def _gather(rows, strengths, known, indptr, neighbours, weights, allowed, slot, worth, touched):  # type: ignore[no-untyped-def]  # compiled
    """Adds strength x weight over the neighbours of `known` rows to `worth`, rules obeyed; returns the number of items
    touched."""
    n, filtered = 0, len(allowed) > 0
    for h in range(known):
        strength = strengths[h]
        for p in range(indptr[rows[h]], indptr[rows[h] + 1]):
            item = neighbours[p]
            if worth[item] == 0.0:
                if n == MOST_TOUCHED or slot[item] == BARRED or (filtered and not allowed[item]):
                    continue
                touched[n] = item
                n += 1
            worth[item] += strength * weights[p]
    return n


@numba.njit(cache=True, nogil=True)
def _lift(items, count, scores, strength, most, allowed, slot, worth, touched, n):  # type: ignore[no-untyped-def]  # compiled
    """Raises the worth of items[:count] to strength x scores[item] until `most` are touched; returns the number
    touched."""
    filtered = len(allowed) > 0
    for place in range(count):
        if n >= most:
            break
        item = items[place]
        if worth[item] == 0.0:
            if slot[item] == BARRED or (filtered and not allowed[item]):
                continue
            touched[n] = item
            n += 1
        worth[item] = max(worth[item], strength * scores[item])
    return n


@numba.njit(cache=True, nogil=True)
def _unite(s, n, union, slot, worth, touched, best, best_worth, united, ranks, fusion):  # type: ignore[no-untyped-def]  # compiled
    """Ranks the best PER_SOURCE of the n touched items (ties to the smaller item), unites them, clears; returns the
    union's size."""
    filled = 0
    for t in range(n):
        item = touched[t]
        value = worth[item]
        worth[item] = 0.0
        if value <= 0.0:
            continue
        if filled == PER_SOURCE:
            if value < best_worth[filled - 1] or (value == best_worth[filled - 1] and item > best[filled - 1]):
                continue
            spot = filled - 1
        else:
            spot = filled
            filled += 1
        while spot > 0:
            higher = best_worth[spot - 1]
            if higher > value or (higher == value and best[spot - 1] < item):
                break
            best_worth[spot] = higher
            best[spot] = best[spot - 1]
            spot -= 1
        best_worth[spot] = value
        best[spot] = item
    for rank in range(filled):
        item = best[rank]
        place = slot[item]
        if place == FREE:
            place = union
            union += 1
            slot[item] = place
            united[place] = item
            fusion[place] = 0.0
            for other in range(len(SOURCES)):
                ranks[place, other] = UNRANKED
        ranks[place, s] = rank
        fusion[place] -= 1.0 / (FUSION + rank)
    return union


@numba.njit(cache=True, nogil=True)
def retrieve(  # type: ignore[no-untyped-def]  # compiled
    items, kinds, ts, begin, end, as_of, taste, tables, scratch, barred, allowed, new_only, out_items, out_ranks
):
    """Writes the candidates of one visitor, best fused rank first, and returns (their number, distinct items of the
    history).

    History: events begin .. end - 1 of items/kinds/ts, most recent first. Rules: `barred` int32 items never appear,
    `allowed` bool (items,) or empty says which may, `new_only` bars the whole history. out_items int32 (c,), out_ranks
    float32 (c, sources) with UNRANKED where a source does not have the item; c is the most candidates wanted.
    `scratch.profile` and `scratch.factor` are left filled for the ranker.
    """
    # arrays are taken out of their tuples once: inside the loops each access would count a reference
    profile, slot, worth, touched = scratch.profile, scratch.slot, scratch.worth, scratch.touched
    best, best_worth, union_items = scratch.best, scratch.best_worth, scratch.united
    ranks, fusion, factor = scratch.ranks, scratch.fusion, scratch.factor
    rows, strengths = profile.item, profile.weight
    factors, popularity, category = tables.factors, tables.popularity, tables.category
    known = fold(items, kinds, ts, begin, end, as_of, taste, slot, profile)
    factor[:] = 0.0
    if known:
        solve_user(factors, tables.gram, taste.alpha, rows, strengths, known, factor)
    for b in range(len(barred)):
        slot[barred[b]] = BARRED
    if new_only:
        for e in range(begin, end):
            slot[items[e]] = BARRED
    n = 0
    for h in range(known):
        item = rows[h]
        if slot[item] != BARRED and (len(allowed) == 0 or allowed[item]):
            worth[item] = strengths[h]
            touched[n] = item
            n += 1
    union = _unite(OWN, n, 0, slot, worth, touched, best, best_worth, union_items, ranks, fusion)
    for m in range(len(MATRICES)):
        n = _gather(
            rows, strengths, known, tables.indptr[m], tables.neighbours, tables.weights, allowed, slot, worth, touched
        )
        if 1 + m == ALS:
            for t in range(n):
                worth[touched[t]] = dot(factor, factors[touched[t]])
        union = _unite(1 + m, n, union, slot, worth, touched, best, best_worth, union_items, ranks, fusion)
    popular = tables.popular
    n = _lift(popular, len(popular), popularity, np.float32(1.0), PER_SOURCE, allowed, slot, worth, touched, 0)
    union = _unite(POPULAR, n, union, slot, worth, touched, best, best_worth, union_items, ranks, fusion)
    n, shelves, last = 0, 0, -1
    for h in range(known):
        shelf = category[rows[h]]
        if shelf < 0 or shelf == last or shelves == SHELVES:
            continue
        last = shelf
        shelves += 1
        start, stop = tables.shelf_indptr[shelf], tables.shelf_indptr[shelf + 1]
        n = _lift(
            tables.shelf_items[start:stop],
            stop - start,
            popularity,
            strengths[h],
            MOST_TOUCHED,
            allowed,
            slot,
            worth,
            touched,
            n,
        )
    union = _unite(CATEGORY, n, union, slot, worth, touched, best, best_worth, union_items, ranks, fusion)
    order = np.argsort(fusion[:union], kind="mergesort")
    count = min(union, len(out_items))
    for c in range(count):
        place = order[c]
        out_items[c] = union_items[place]
        for s in range(len(SOURCES)):
            out_ranks[c, s] = ranks[place, s]
    for place in range(union):
        slot[union_items[place]] = FREE
    for b in range(len(barred)):
        slot[barred[b]] = FREE
    if new_only:
        for e in range(begin, end):
            slot[items[e]] = FREE
    return count, known

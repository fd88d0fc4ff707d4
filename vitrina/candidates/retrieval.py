"""Recall: the union of all sources for one visitor, with the rank that each source gives (compiled; one call a visitor).

Own history, one hop in each item-item matrix, ALS (one hop in factor space, scored by the folded-in factor), popular items and the
best of the categories last seen. Each source keeps its best `PER_SOURCE`; the union is cut by reciprocal-rank fusion
(Cormack, Clarke, Buettcher, SIGIR 2009).
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numba
import numpy as np
import numpy.typing as npt

from vitrina.candidates.fold_in import dot, solve_user
from vitrina.candidates.profile import Profile, Taste, fold, new_profile

MATRICES: Final[tuple[str, ...]] = ("next", "session", "to_cart", "carts", "item_knn", "als")
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
    """Memory of one thread. Between calls slot int32 (items,) is all -1 and worth float32 (items,) all 0.

    touched int32: items that the source at hand scores; best int32 (PER_SOURCE,): its best ones; united int32, ranks float32 and
    fusion float32: the union so far; factor float32 (f,) and profile: what the ranker reads afterwards.
    """

    slot: npt.NDArray[np.int32]
    worth: npt.NDArray[np.float32]
    touched: npt.NDArray[np.int32]
    best: npt.NDArray[np.int32]
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
        united=np.empty(MOST_UNITED, np.int32),
        ranks=np.empty((MOST_UNITED, len(SOURCES)), np.float32),
        fusion=np.empty(MOST_UNITED, np.float32),
        factor=np.zeros(tables.factors.shape[1], np.float32),
        profile=new_profile(),
    )


@numba.njit(cache=True, nogil=True)
def _score(item, value, n, allowed, scratch):  # type: ignore[no-untyped-def]  # compiled
    """Adds a positive value to an item's worth in the source at hand, if the rules let it in; returns the number touched."""
    if scratch.worth[item] == 0.0:
        if n == MOST_TOUCHED or scratch.slot[item] == BARRED or (len(allowed) and not allowed[item]):
            return n
        scratch.touched[n] = item
        n += 1
    scratch.worth[item] += value
    return n


@numba.njit(cache=True, nogil=True)
def _unite(s, n, united, scratch):  # type: ignore[no-untyped-def]  # compiled
    """Ranks the best PER_SOURCE of the n touched items (ties to the smaller item), unites them, clears; returns the union's size."""
    worth, best = scratch.worth, scratch.best
    filled = 0
    for t in range(n):
        item = scratch.touched[t]
        value = worth[item]
        if value <= 0.0:
            continue
        if filled == PER_SOURCE:
            last = best[filled - 1]
            if value < worth[last] or (value == worth[last] and item > last):
                continue
            spot = filled - 1
        else:
            spot = filled
            filled += 1
        while spot > 0:
            above = best[spot - 1]
            if worth[above] > value or (worth[above] == value and above < item):
                break
            best[spot] = above
            spot -= 1
        best[spot] = item
    for rank in range(filled):
        item = best[rank]
        place = scratch.slot[item]
        if place == FREE:
            place = united
            united += 1
            scratch.slot[item] = place
            scratch.united[place] = item
            scratch.fusion[place] = 0.0
            for other in range(len(SOURCES)):
                scratch.ranks[place, other] = UNRANKED
        scratch.ranks[place, s] = rank
        scratch.fusion[place] -= 1.0 / (FUSION + rank)
    for t in range(n):
        worth[scratch.touched[t]] = 0.0
    return united


@numba.njit(cache=True, nogil=True)
def retrieve(  # type: ignore[no-untyped-def]  # compiled
    items, kinds, ts, begin, end, as_of, taste, tables, scratch, barred, allowed, new_only, out_items, out_ranks
):
    """Writes the candidates of one visitor, best fused rank first, and returns (their number, distinct items of the history).

    History: events begin .. end - 1 of items/kinds/ts, most recent first. Rules: `barred` int32 items never appear, `allowed` bool
    (items,) or empty says which may, `new_only` bars the whole history. out_items int32 (c,), out_ranks float32 (c, sources) with
    UNRANKED where a source does not have the item; c is the most candidates wanted. `scratch.profile` and `scratch.factor` are left
    filled for the ranker.
    """
    profile, slot = scratch.profile, scratch.slot
    known = fold(items, kinds, ts, begin, end, as_of, taste, slot, profile)
    scratch.factor[:] = 0.0
    if known:
        solve_user(tables.factors, tables.gram, taste.alpha, profile.item, profile.weight, known, scratch.factor)
    for b in range(len(barred)):
        slot[barred[b]] = BARRED
    if new_only:
        for e in range(begin, end):
            slot[items[e]] = BARRED
    n = 0
    for h in range(known):
        n = _score(profile.item[h], profile.weight[h], n, allowed, scratch)
    united = _unite(OWN, n, 0, scratch)
    for m in range(len(MATRICES)):
        n = 0
        for h in range(known):
            row, weight = profile.item[h], profile.weight[h]
            for p in range(tables.indptr[m, row], tables.indptr[m, row + 1]):
                n = _score(tables.neighbours[p], weight * tables.weights[p], n, allowed, scratch)
        if 1 + m == ALS:
            for t in range(n):
                item = scratch.touched[t]
                scratch.worth[item] = max(dot(scratch.factor, tables.factors[item]), np.float32(0.0))
        united = _unite(1 + m, n, united, scratch)
    n = 0
    for place in range(len(tables.popular)):
        if n == PER_SOURCE:
            break
        n = _score(tables.popular[place], tables.popularity[tables.popular[place]], n, allowed, scratch)
    united = _unite(POPULAR, n, united, scratch)
    n, shelves, last = 0, 0, -1
    for h in range(known):
        shelf = tables.category[profile.item[h]]
        if shelf < 0 or shelf == last or shelves == SHELVES:
            continue
        last = shelf
        shelves += 1
        for p in range(tables.shelf_indptr[shelf], tables.shelf_indptr[shelf + 1]):
            item = tables.shelf_items[p]
            n = _score(item, tables.popularity[item] * profile.weight[h], n, allowed, scratch)
    united = _unite(CATEGORY, n, united, scratch)
    order = np.argsort(scratch.fusion[:united], kind="mergesort")
    count = min(united, len(out_items))
    for c in range(count):
        place = order[c]
        out_items[c] = scratch.united[place]
        for s in range(len(SOURCES)):
            out_ranks[c, s] = scratch.ranks[place, s]
    for place in range(united):
        slot[scratch.united[place]] = FREE
    for b in range(len(barred)):
        slot[barred[b]] = FREE
    if new_only:
        for e in range(begin, end):
            slot[items[e]] = FREE
    return count, known

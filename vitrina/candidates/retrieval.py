"""Recall: the union of all sources for one visitor, with the rank that each source gives (compiled; one call a
visitor).

Own history, one hop in each item-item matrix, ALS (one hop in factor space, scored by the folded-in factor), popular
items and the best of the categories last seen. Each source keeps its best `PER_SOURCE`; the union is cut by
reciprocal-rank fusion (Cormack, Clarke, Buettcher, SIGIR 2009).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

import numba
import numpy as np
import numpy.typing as npt

from vitrina.candidates.fold_in import dot, solve_user
from vitrina.candidates.neighbours import Neighbours
from vitrina.candidates.prefetch import LINE, prefetch
from vitrina.candidates.profile import Profile, fold, new_profile
from vitrina.candidates.union import FREE, PER_SOURCE, best_of, fused_order, unite

MATRICES: Final[tuple[str, ...]] = ("next", "session", "to_cart", "carts", "item_knn", "rp3beta", "als")
"""Item-item matrices in the order of the columns of `Tables.starts`; the neighbours in factor space stand last."""

SOURCES: Final[tuple[str, ...]] = ("own_history", *MATRICES, "popular", "category")
"""Candidate sources in the order of the columns of ranks."""

OWN: Final = 0
ALS: Final = len(MATRICES)
POPULAR: Final = ALS + 1
CATEGORY: Final = ALS + 2
MOST_TOUCHED: Final = 16_384
MOST_UNITED: Final = PER_SOURCE * len(SOURCES)
SHELVES: Final = 3
BARRED: Final = -2
AHEAD: Final = 8
"""Items between the one whose factor is read and the one whose factor is asked for."""


class Tables(NamedTuple):
    """All that recall and the pair features read, frozen at the model's `as_of`.

    starts int64 (items, matrices + 1): item i's row in matrix m is starts[i, m] .. starts[i, m + 1] - 1 of neighbours
    int32 / weights float32, best first, so that what one item needs lies together; factors float32 (items, f), gram
    float32 (f, f); popular int32 (seen items,) best first, popularity float32 (items,); category int32 (items,) with
    -1 unknown, parent int32 (categories,) with -1 for a root, shelf_indptr int64, shelf_items int32; item_values
    float32 (items, item features).
    """

    starts: npt.NDArray[np.int64]
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


class Visit(NamedTuple):
    """One visitor at one time: events begin .. end - 1 of items int32 / kinds int8 / ts int64 (ms), most recent first,
    asked at `as_of` (ms)."""

    items: npt.NDArray[np.int32]
    kinds: npt.NDArray[np.int8]
    ts: npt.NDArray[np.int64]
    begin: int
    end: int
    as_of: int


class Limits(NamedTuple):
    """What may be shown: `barred` int32 items never, only `allowed` bool (items,) (empty: any), with `new_only`
    nothing of the visitor's history."""

    barred: npt.NDArray[np.int32]
    allowed: npt.NDArray[np.bool_]
    new_only: bool


ANYTHING: Final = Limits(barred=np.empty(0, np.int32), allowed=np.empty(0, np.bool_), new_only=False)


class Scratch(NamedTuple):
    """Memory of one thread. Between calls slot int32 (items,) is all -1 and worth float32 (items,) all 0; bits are
    worth's own, as uint32.

    touched int32: items that the source at hand scores; best uint64 (PER_SOURCE,): its best ones; united int32, ranks
    float32 and fusion float32: the union so far, order int32 its order; factor float32 (f,) and profile: what the
    ranker reads afterwards.
    """

    slot: npt.NDArray[np.int32]
    worth: npt.NDArray[np.float32]
    bits: npt.NDArray[np.uint32]
    touched: npt.NDArray[np.int32]
    best: npt.NDArray[np.uint64]
    united: npt.NDArray[np.int32]
    ranks: npt.NDArray[np.float32]
    fusion: npt.NDArray[np.float32]
    order: npt.NDArray[np.int32]
    factor: npt.NDArray[np.float32]
    profile: Profile


def new_scratch(tables: Tables) -> Scratch:
    """Scratch for these tables; not shared between threads."""
    items = len(tables.category)
    worth = np.zeros(items, np.float32)
    return Scratch(
        slot=np.full(items, FREE, np.int32),
        worth=worth,
        bits=worth.view(np.uint32),
        touched=np.empty(MOST_TOUCHED, np.int32),
        best=np.empty(PER_SOURCE, np.uint64),
        united=np.empty(MOST_UNITED, np.int32),
        ranks=np.empty((MOST_UNITED, len(SOURCES)), np.float32),
        fusion=np.empty(MOST_UNITED, np.float32),
        order=np.empty(MOST_UNITED, np.int32),
        factor=np.zeros(tables.factors.shape[1], np.float32),
        profile=new_profile(),
    )


def by_item(
    matrices: Sequence[Neighbours],
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int32], npt.NDArray[np.float32]]:
    """`starts`, `neighbours` and `weights` of `Tables` from the matrices in the order of `MATRICES`."""
    lengths = np.stack([np.diff(matrix.indptr) for matrix in matrices], axis=1)  # (items, matrices)
    ends = np.cumsum(lengths).reshape(lengths.shape)
    starts = np.empty((len(lengths), len(matrices) + 1), np.int64)
    starts[:, :-1] = ends - lengths
    starts[:, -1] = ends[:, -1]
    neighbours = np.empty(lengths.sum(), np.int32)
    weights = np.empty(len(neighbours), np.float32)
    for m, matrix in enumerate(matrices):
        place = np.arange(len(matrix.items)) + np.repeat(starts[:, m] - matrix.indptr[:-1], lengths[:, m])
        neighbours[place] = matrix.items
        weights[place] = matrix.weights
    return starts, neighbours, weights


@numba.njit(cache=True, nogil=True)
def _ask_for(rows, known, tables):  # type: ignore[no-untyped-def]  # compiled
    """Asks for the neighbours of `known` rows in all matrices before the first one is read."""
    starts, neighbours, weights = tables.starts, tables.neighbours, tables.weights
    for h in range(known):
        prefetch(starts, rows[h] * starts.shape[1])
    for h in range(known):
        first, last = starts[rows[h], 0], starts[rows[h], -1] - 1
        for p in range(first, last, LINE):
            prefetch(neighbours, p)
            prefetch(weights, p)
        if last >= first:
            prefetch(neighbours, last)
            prefetch(weights, last)


@numba.njit(cache=True, nogil=True)
def _gather(m, rows, strengths, known, starts, neighbours, weights, allowed, slot, worth, touched):  # type: ignore[no-untyped-def]  # compiled
    """Adds strength x weight over the neighbours of `known` rows in matrix m to `worth`, rules obeyed; returns the
    number of items touched."""
    n, filtered = 0, len(allowed) > 0
    for h in range(known):
        strength = strengths[h]
        for p in range(starts[rows[h], m], starts[rows[h], m + 1]):
            item = neighbours[p]
            before = worth[item]
            if before == 0.0:
                if n == MOST_TOUCHED or slot[item] == BARRED or (filtered and not allowed[item]):
                    continue
                touched[n] = item
                n += 1
            worth[item] = before + strength * weights[p]
    return n


@numba.njit(cache=True, nogil=True)
def _score_by_factor(factor, factors, touched, n, worth):  # type: ignore[no-untyped-def]  # compiled
    """Replaces the worth of touched[:n] by the product with the visitor's factor."""
    width = factors.shape[1]
    for t in range(n):
        if t + AHEAD < n:
            start = touched[t + AHEAD] * width
            for d in range(0, width, LINE):
                prefetch(factors, start + d)
        worth[touched[t]] = dot(factor, factors[touched[t]])


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
def retrieve(visit, limits, taste, tables, scratch, out_items, out_ranks):  # type: ignore[no-untyped-def]  # compiled
    """Writes the candidates of one visitor, best fused rank first, and returns (their number, distinct items of the
    history).

    out_items int32 (c,), out_ranks float32 (c, sources) with UNRANKED where a source does not have the item; c is the
    most candidates wanted. `scratch.profile` and `scratch.factor` are left filled for the ranker.
    """
    # arrays are taken out of their tuples once: inside the loops each access would count a reference
    slot, worth, bits, touched, best = scratch.slot, scratch.worth, scratch.bits, scratch.touched, scratch.best
    united, ranks, fusion, order, factor = scratch.united, scratch.ranks, scratch.fusion, scratch.order, scratch.factor
    rows, strengths = scratch.profile.item, scratch.profile.weight
    factors, popularity, category = tables.factors, tables.popularity, tables.category
    items, allowed = visit.items, limits.allowed
    known = fold(items, visit.kinds, visit.ts, visit.begin, visit.end, visit.as_of, taste, slot, scratch.profile)
    _ask_for(rows, known, tables)
    factor[:] = 0.0
    if known:
        solve_user(factors, tables.gram, taste.alpha, rows, strengths, known, factor)
    mark(visit, limits, BARRED, slot)
    n = 0
    for h in range(known):
        item = rows[h]
        if slot[item] != BARRED and (len(allowed) == 0 or allowed[item]):
            worth[item] = strengths[h]
            touched[n] = item
            n += 1
    filled = best_of(touched, n, worth, bits, best)
    union = unite(OWN, best, filled, 0, slot, united, ranks, fusion)
    starts, neighbours, weights = tables.starts, tables.neighbours, tables.weights
    for m in range(len(MATRICES)):
        n = _gather(m, rows, strengths, known, starts, neighbours, weights, allowed, slot, worth, touched)
        if 1 + m == ALS:
            _score_by_factor(factor, factors, touched, n, worth)
        filled = best_of(touched, n, worth, bits, best)
        union = unite(1 + m, best, filled, union, slot, united, ranks, fusion)
    popular = tables.popular
    n = _lift(popular, len(popular), popularity, np.float32(1.0), PER_SOURCE, allowed, slot, worth, touched, 0)
    filled = best_of(touched, n, worth, bits, best)
    union = unite(POPULAR, best, filled, union, slot, united, ranks, fusion)
    n, shelves, last = 0, 0, -1
    for h in range(known):
        shelf = category[rows[h]]
        if shelf < 0 or shelf == last or shelves == SHELVES:
            continue
        last = shelf
        shelves += 1
        start, stop = tables.shelf_indptr[shelf], tables.shelf_indptr[shelf + 1]
        shelved = tables.shelf_items[start:stop]
        n = _lift(shelved, stop - start, popularity, strengths[h], MOST_TOUCHED, allowed, slot, worth, touched, n)
    filled = best_of(touched, n, worth, bits, best)
    union = unite(CATEGORY, best, filled, union, slot, united, ranks, fusion)
    fused_order(fusion, union, order)
    count = min(union, len(out_items))
    for c in range(count):
        place = order[c]
        out_items[c] = united[place]
        for s in range(len(SOURCES)):
            out_ranks[c, s] = ranks[place, s]
    for place in range(union):
        slot[united[place]] = FREE
    mark(visit, limits, FREE, slot)
    return count, known


@numba.njit(cache=True, nogil=True)
def mark(visit, limits, mark, slot):  # type: ignore[no-untyped-def]  # compiled
    """Sets the slot of everything that must not be shown."""
    barred, items = limits.barred, visit.items
    for b in range(len(barred)):
        slot[barred[b]] = mark
    if limits.new_only:
        for e in range(visit.begin, visit.end):
            slot[items[e]] = mark

"""The pair-feature kernel: the ranker's (visitor, item) features, compiled, for training and serving alike.

It is the only code that makes ranker features. In: a visitor's folded history and candidates as `retrieve` leaves them.
Out: float32 columns in the order of `FEATURES`. NaN means unknown (CatBoost takes it as smaller than everything).
"""

from __future__ import annotations

from typing import Final

import numba
import numpy as np

from vitrina.candidates.fold_in import dot
from vitrina.candidates.prefetch import LINE, prefetch
from vitrina.candidates.retrieval import AHEAD, MATRICES, SOURCES
from vitrina.events.schema import KIND_NAMES
from vitrina.features.item_columns import ITEM_FEATURES

_OWN: Final = (
    "own_position",
    *(f"own_{kind}s" for kind in KIND_NAMES),
    *(f"own_days_since_{kind}" for kind in KIND_NAMES),
    "own_weight",
    "own_open_cart",
)
_VISITOR: Final = (
    "visitor_items",
    "visitor_events_hour",
    "visitor_events_day",
    "visitor_idle_days",
    "visitor_cart_share",
    "visitor_bought",
    "visitor_mean_popularity",
)
_CATEGORY: Final = ("same_category_share", "same_parent_share", "same_as_last_category")

FEATURES: Final[tuple[str, ...]] = (
    *_OWN,
    *(f"{matrix}_sum" for matrix in MATRICES),
    "als_score",
    "popularity",
    *(f"{source}_rank" for source in SOURCES),
    "fused_rank",
    *(f"{matrix}_max" for matrix in MATRICES),
    *(f"{matrix}_last" for matrix in MATRICES),
    *(f"{matrix}_links" for matrix in MATRICES),
    *(f"{matrix}_flat" for matrix in MATRICES),
    "als_cosine_last",
    *_CATEGORY,
    *_VISITOR,
    *ITEM_FEATURES,
)
"""Names of the features, in their order."""

_SUM: Final = len(_OWN)
_ALS: Final = _SUM + len(MATRICES)
_POPULARITY: Final = _ALS + 1
_RANKS: Final = _POPULARITY + 1
_FUSED: Final = _RANKS + len(SOURCES)
_MAX: Final = _FUSED + 1
_LAST: Final = _MAX + len(MATRICES)
_LINKS: Final = _LAST + len(MATRICES)
_FLAT: Final = _LINKS + len(MATRICES)
_COSINE: Final = _FLAT + len(MATRICES)
_SHARES: Final = _COSINE + 1
_ABOUT: Final = _SHARES + len(_CATEGORY)
_ITEM: Final = _ABOUT + len(_VISITOR)
_HOUR: Final = 3_600_000
_DAY: Final = 24 * _HOUR


@numba.njit(cache=True, nogil=True)
def pair_features(visit, tables, scratch, known, cand, ranks, count, columns):  # type: ignore[no-untyped-def]  # compiled
    """Writes columns[:, :count] float32 (len(FEATURES), room) for candidates `cand[:count]`, which need not come in any
    order. A feature's values lie side by side, as `score_columns` reads them.

    To be called after `retrieve` for the same visitor: reads `scratch.profile` and `scratch.factor`. ranks float32
    (count, sources); `known` is the number of distinct items of the history.
    """
    slot = scratch.slot
    popularity = tables.popularity
    for c in range(count):
        slot[cand[c]] = c
        columns[_POPULARITY, c] = popularity[cand[c]]
        columns[_FUSED, c] = c
    for s in range(len(SOURCES)):
        for c in range(count):
            columns[_RANKS + s, c] = ranks[c, s]
    _copy_item_values(tables.item_values, cand, count, columns)
    about = _visitor(visit, popularity, scratch.profile, known)
    for j in range(len(_VISITOR)):
        columns[_ABOUT + j, :count] = about[j]
    _factor_features(tables.factors, scratch.factor, scratch.profile.item, known, cand, count, columns)
    _category_features(tables, scratch.profile, known, cand, count, columns)
    _own_features(scratch.profile, known, slot, count, columns)
    _link_features(tables, scratch.profile, known, slot, count, columns)
    for c in range(count):
        slot[cand[c]] = -1


@numba.njit(cache=True, nogil=True)
def _copy_item_values(item_values, cand, count, columns):  # type: ignore[no-untyped-def]  # compiled
    width = item_values.shape[1]
    for c in range(count):
        prefetch(item_values, cand[c] * width)
        prefetch(item_values, cand[c] * width + width - 1)
    for c in range(count):
        item = cand[c]
        for j in range(width):
            columns[_ITEM + j, c] = item_values[item, j]


@numba.njit(cache=True, nogil=True)
def _factor_features(factors, factor, folded, known, cand, count, columns):  # type: ignore[no-untyped-def]  # compiled
    width = factors.shape[1]
    last, last_norm = factor, 0.0
    if known:
        last = factors[folded[0]]
        last_norm = np.sqrt(np.float64(dot(last, last)))
    for c in range(count):
        if c + AHEAD < count:
            start = cand[c + AHEAD] * width
            for d in range(0, width, LINE):
                prefetch(factors, start + d)
        own = factors[cand[c]]
        columns[_ALS, c] = dot(factor, own)
        columns[_COSINE, c] = np.nan
        if last_norm > 0.0:
            norm = np.sqrt(np.float64(dot(own, own)))
            if norm > 0.0:
                columns[_COSINE, c] = dot(last, own) / (last_norm * norm)


@numba.njit(cache=True, nogil=True)
def _category_features(tables, profile, known, cand, count, columns):  # type: ignore[no-untyped-def]  # compiled
    categories, parents, folded, strengths = tables.category, tables.parent, profile.item, profile.weight
    total_weight = 0.0
    for h in range(known):
        total_weight += strengths[h]
    for c in range(count):
        category = categories[cand[c]]
        if category < 0 or total_weight == 0.0:
            columns[_SHARES:_ABOUT, c] = np.nan
            continue
        parent = parents[category]
        same, related = 0.0, 0.0
        for h in range(known):
            other = categories[folded[h]]
            if other == category:
                same += strengths[h]
            if other >= 0 and (other == category or (parent >= 0 and parents[other] == parent)):
                related += strengths[h]
        columns[_SHARES, c] = same / total_weight
        columns[_SHARES + 1, c] = related / total_weight
        columns[_SHARES + 2, c] = 1.0 if category == categories[folded[0]] else 0.0


@numba.njit(cache=True, nogil=True)
def _own_features(profile, known, slot, count, columns):  # type: ignore[no-untyped-def]  # compiled
    folded, strengths, counts, since = profile.item, profile.weight, profile.counts, profile.days
    for j in range(len(_OWN)):
        columns[j, :count] = np.nan if j == 0 or 4 <= j < 7 else 0.0
    for h in range(known):
        place = slot[folded[h]]
        if place >= 0:
            columns[0, place] = h
            for kind in range(3):
                columns[1 + kind, place] = counts[h, kind]
                columns[4 + kind, place] = since[h, kind]
            columns[7, place] = strengths[h]
            columns[8, place] = 1.0 if counts[h, 1] > 0.0 and counts[h, 2] == 0.0 else 0.0


@numba.njit(cache=True, nogil=True)
def _link_features(tables, profile, known, slot, count, columns):  # type: ignore[no-untyped-def]  # compiled
    starts, neighbours, weights = tables.starts, tables.neighbours, tables.weights
    folded, strengths = profile.item, profile.weight
    for m in range(len(MATRICES)):
        total, most, last = columns[_SUM + m], columns[_MAX + m], columns[_LAST + m]
        links, flat = columns[_LINKS + m], columns[_FLAT + m]
        for c in range(count):
            total[c] = most[c] = last[c] = links[c] = flat[c] = 0.0
        for h in range(known):
            source, strength = folded[h], strengths[h]
            for p in range(starts[source, m], starts[source, m + 1]):
                place = slot[neighbours[p]]
                if place >= 0:
                    worth = strength * weights[p]
                    total[place] += worth
                    most[place] = max(most[place], worth)
                    links[place] += 1.0
                    flat[place] += weights[p]
                    if h == 0:
                        last[place] = weights[p]


@numba.njit(cache=True, nogil=True)
def _visitor(visit, popularity, profile, known):  # type: ignore[no-untyped-def]  # compiled
    """What is the same for all candidates, float32 in the order of `_VISITOR`."""
    folded, counts, ts, begin, as_of = profile.item, profile.counts, visit.ts, visit.begin, visit.as_of
    about = np.zeros(len(_VISITOR), np.float32)
    about[0] = known
    for e in range(begin, visit.end):
        gap = as_of - ts[e]
        if gap > _DAY:
            break
        about[2] += 1.0
        if gap <= _HOUR:
            about[1] += 1.0
    if known == 0:
        about[3] = np.nan
        about[4] = np.nan
        return about
    about[3] = max((as_of - ts[begin]) / _DAY, 0.0)
    carts, total = 0.0, 0.0
    for h in range(known):
        total += np.log1p(popularity[folded[h]])
        about[5] += counts[h, 2]
        if counts[h, 1] > 0.0:
            carts += 1.0
    about[4] = carts / known
    about[6] = total / known
    return about

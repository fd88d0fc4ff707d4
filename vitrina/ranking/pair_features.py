"""The pair-feature kernel: the ranker's (visitor, item) features, compiled, for training and serving alike.

It is the only code that makes ranker features. In: a visitor's folded history and candidates as `retrieve` leaves them.
Out: float32 rows in the order of `FEATURES`. NaN means unknown (CatBoost takes it as smaller than everything).
"""

from __future__ import annotations

from typing import Final

import numba
import numpy as np

from vitrina.candidates.fold_in import dot
from vitrina.candidates.retrieval import MATRICES, SOURCES
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
"""Names of the columns, in their order."""

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
def pair_features(items, kinds, ts, begin, end, as_of, tables, scratch, known, cand, ranks, count, out):  # type: ignore[no-untyped-def]  # compiled
    """Writes `out` float32 (count, len(FEATURES)) for candidates `cand[:count]`, which need not come in any order.

    To be called after `retrieve` for the same visitor: reads `scratch.profile` and `scratch.factor`. ranks float32
    (count, sources); `known` is the number of distinct items of the history.
    """
    profile, slot, factor = scratch.profile, scratch.slot, scratch.factor
    folded, strengths, counts, since = profile.item, profile.weight, profile.counts, profile.days
    factors, popularity, categories, parents = tables.factors, tables.popularity, tables.category, tables.parent
    indptr, neighbours, weights, item_values = tables.indptr, tables.neighbours, tables.weights, tables.item_values
    about = _visitor(ts, begin, end, as_of, popularity, folded, counts, known)
    last_item, last_category, last_norm, total_weight = -1, -1, 0.0, 0.0
    if known:
        last_item = folded[0]
        last_category = categories[last_item]
        last_norm = np.sqrt(np.float64(dot(factors[last_item], factors[last_item])))
    for h in range(known):
        total_weight += strengths[h]
    for c in range(count):
        item = cand[c]
        slot[item] = c
        row = out[c]
        row[:_RANKS] = 0.0
        row[0] = np.nan
        row[4:7] = np.nan
        row[_ALS] = dot(factor, factors[item])
        row[_POPULARITY] = popularity[item]
        for s in range(len(SOURCES)):
            row[_RANKS + s] = ranks[c, s]
        row[_FUSED] = c
        row[_MAX:_COSINE] = 0.0
        row[_COSINE] = np.nan
        if last_norm > 0.0:
            norm = np.sqrt(np.float64(dot(factors[item], factors[item])))
            if norm > 0.0:
                row[_COSINE] = dot(factors[last_item], factors[item]) / (last_norm * norm)
        category = categories[item]
        if category < 0 or total_weight == 0.0:
            row[_SHARES:_ABOUT] = np.nan
        else:
            parent = parents[category]
            same, related = 0.0, 0.0
            for h in range(known):
                other = categories[folded[h]]
                if other == category:
                    same += strengths[h]
                if other >= 0 and (other == category or (parent >= 0 and parents[other] == parent)):
                    related += strengths[h]
            row[_SHARES] = same / total_weight
            row[_SHARES + 1] = related / total_weight
            row[_SHARES + 2] = 1.0 if category == last_category else 0.0
        for j in range(len(_VISITOR)):
            row[_ABOUT + j] = about[j]
        for j in range(item_values.shape[1]):
            row[_ITEM + j] = item_values[item, j]
    for h in range(known):
        place = slot[folded[h]]
        if place >= 0:
            row = out[place]
            row[0] = h
            for kind in range(3):
                row[1 + kind] = counts[h, kind]
                row[4 + kind] = since[h, kind]
            row[7] = strengths[h]
            row[8] = 1.0 if counts[h, 1] > 0.0 and counts[h, 2] == 0.0 else 0.0
    for m in range(len(MATRICES)):
        for h in range(known):
            source, strength = folded[h], strengths[h]
            for p in range(indptr[m, source], indptr[m, source + 1]):
                place = slot[neighbours[p]]
                if place >= 0:
                    row = out[place]
                    worth = strength * weights[p]
                    row[_SUM + m] += worth
                    row[_MAX + m] = max(row[_MAX + m], worth)
                    row[_LINKS + m] += 1.0
                    row[_FLAT + m] += weights[p]
                    if h == 0:
                        row[_LAST + m] = weights[p]
    for c in range(count):
        slot[cand[c]] = -1


@numba.njit(cache=True, nogil=True)
def _visitor(ts, begin, end, as_of, popularity, folded, counts, known):  # type: ignore[no-untyped-def]  # compiled
    """What is the same for all candidates, float32 in the order of `_VISITOR`."""
    about = np.zeros(len(_VISITOR), np.float32)
    about[0] = known
    for e in range(begin, end):
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

"""How companions are judged: a part of each basket is hidden, and all products but those in sight are put in order.

In: baskets of one period. Out: cases, and the scores of a model over them, by customer where he is known.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numba
import numpy as np

from vitrina.candidates.carts import CartScorer, Float32s, Int64s
from vitrina.evaluation.report import Scores
from vitrina.evaluation.truth import Int32s
from vitrina.events.baskets.cases import Cases

DEPTHS: Final = (5, 10, 20)
NDCG_DEPTH: Final = 10
BLOCK: Final = 512


def judge(cases: Cases, scorer: CartScorer, block: int = BLOCK) -> Scores:
    """Scores of a source: hr@5, hr@10, hr@20, mrr, ndcg@10 and recall@10 of each case.

    Among equal scores a hidden product comes last, so that who cannot tell products apart gains nothing by their order.
    `ValueError` for a case that hides nothing, and for scores of another shape.
    """
    return judge_cases(cases, lambda part: scorer.scores(part.visible), block)


def judge_cases(cases: Cases, score: Callable[[Cases], Float32s], block: int = BLOCK) -> Scores:
    """The same for models that look at customer and time as well: `score` gives float32 (cases, items) of a part."""
    _check(cases)
    places = np.empty(cases.hidden.nnz, np.int64)
    for start in range(0, len(cases), block):
        part = cases.part(start, start + block)
        found = np.ascontiguousarray(score(part), np.float32)
        if found.shape != part.visible.shape:
            raise ValueError(
                f"scores of {found.shape} for {part.visible.shape[0]} carts of {part.visible.shape[1]} items"
            )
        first, last = cases.hidden.indptr[start], cases.hidden.indptr[start + len(part)]
        visible, hidden = part.visible, part.hidden
        places[first:last] = _places(found, visible.indptr, visible.indices, hidden.indptr, hidden.indices)
    return _scored(cases, places)


def judge_lists(cases: Cases, lists: Int32s) -> Scores:
    """The same for lists int32 (cases, width), best first, padded with -1; what is not on a list is not found."""
    if len(lists) != len(cases):
        raise ValueError(f"{len(lists)} lists for {len(cases)} cases")
    _check(cases)
    hidden = cases.hidden
    row = np.repeat(np.arange(len(cases)), np.diff(hidden.indptr))
    hits = lists[row] == hidden.indices[:, None]
    return _scored(cases, np.where(hits.any(axis=1), hits.argmax(axis=1) + 1, np.iinfo(np.int64).max))


def _check(cases: Cases) -> None:
    idle = np.flatnonzero(np.diff(cases.hidden.indptr) == 0)
    if len(idle):
        raise ValueError(f"case {idle[0]} (basket {cases.basket[idle[0]]}) hides nothing, so nothing can be found")


@numba.njit(cache=True, nogil=True)
def _places(scores, visible_indptr, visible, hidden_indptr, hidden):  # type: ignore[no-untyped-def]  # compiled
    """Place, from 1, of each hidden item among the items that are not visible; equal scores (and NaN) stand before."""
    places = np.empty(len(hidden), np.int64)
    for row in range(len(scores)):
        line = scores[row]
        for p in range(hidden_indptr[row], hidden_indptr[row + 1]):
            value, above = line[hidden[p]], 0
            for item in range(len(line)):
                above += not line[item] < value
            for v in range(visible_indptr[row], visible_indptr[row + 1]):
                above -= not line[visible[v]] < value
            places[p] = above  # the item itself is not under its own score
    return places


def _scored(cases: Cases, places: Int64s) -> Scores:
    """From the place of every hidden product."""
    indptr, sizes = cases.hidden.indptr, np.diff(cases.hidden.indptr)
    clusters = cases.clusters
    if not len(cases):
        empty = np.empty(0, np.float64)
        return Scores(
            values=dict.fromkeys((*(f"hr@{k}" for k in DEPTHS), "mrr", "ndcg@10", "recall@10"), empty),
            clusters=clusters,
        )
    first = np.minimum.reduceat(places, indptr[:-1])
    near = places <= NDCG_DEPTH
    gain = np.where(near, 1.0 / np.log2(places.astype(np.float64) + 1.0), 0.0)
    ideal = np.cumsum(1.0 / np.log2(np.arange(NDCG_DEPTH) + 2.0))[np.minimum(sizes, NDCG_DEPTH) - 1]
    values = {f"hr@{k}": (first <= k).astype(np.float64) for k in DEPTHS}
    values["mrr"] = np.where(first < np.iinfo(np.int64).max, 1.0 / first, 0.0)
    values["ndcg@10"] = np.add.reduceat(gain, indptr[:-1]) / ideal
    values["recall@10"] = np.add.reduceat(near.astype(np.float64), indptr[:-1]) / sizes
    return Scores(values=values, clusters=clusters)

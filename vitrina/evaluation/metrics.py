"""How good lists are: `int32 (n, width)` recommendations padded with -1 and a `Truth` in, numbers per user out.

Every function counts an item only at its first place in a list, and a -1 is a place without an item.
The per-user metrics at k, with |rel| relevant items and hits counted in the first k places:

* precision: hits / k, also when the list is shorter than k
* recall: hits / |rel|
* map: average precision, the sum of precision at each hit / min(k, |rel|)  (Manning et al., 2008, ch. 8, cut at k)
* ndcg: gains 1 / log2(place + 1) of the hits / those of min(k, |rel|) hits at the top  (Jarvelin, Kekalainen, 2002)
* hr: 1 if there is any hit
* mrr: 1 / place of the first hit, 0 without one
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, TypeAlias

import numpy as np
import numpy.typing as npt

from vitrina.evaluation.truth import Bools, Int32s, Touched, Truth

Floats: TypeAlias = npt.NDArray[np.float64]

USER_METRICS: Final[tuple[str, ...]] = ("precision", "recall", "map", "ndcg", "hr", "mrr")


def user_metrics(recs: Int32s, truth: Truth, ks: Iterable[int]) -> dict[str, Floats]:
    """Per-user values, float64 (rows,), by name: `precision@10`, `recall@10`, ...

    recs int32 (rows, width): row r answers row r of `truth`; width >= every k. `ValueError` otherwise.
    """
    depths = _depths(recs, ks)
    if len(recs) != len(truth):
        raise ValueError(f"{len(recs)} lists for {len(truth)} truth rows")
    width = max(depths)
    hits = hit_matrix(recs[:, :width], truth)
    places = np.arange(1, width + 1)
    discount = 1.0 / np.log2(places + 1)
    gain = np.cumsum(hits * discount, axis=1)
    found = np.cumsum(hits, axis=1)
    precision_sum = np.cumsum(hits * (found / places), axis=1)
    ideal = np.cumsum(discount)
    first = np.where(hits.any(axis=1), hits.argmax(axis=1) + 1, width + 1)
    values: dict[str, Floats] = {}
    for k in depths:
        reachable = np.minimum(k, truth.sizes)
        n_hits = found[:, k - 1].astype(np.float64)
        values[f"precision@{k}"] = n_hits / k
        values[f"recall@{k}"] = n_hits / truth.sizes
        values[f"map@{k}"] = precision_sum[:, k - 1] / reachable
        values[f"ndcg@{k}"] = gain[:, k - 1] / ideal[reachable - 1]
        values[f"hr@{k}"] = (n_hits > 0).astype(np.float64)
        values[f"mrr@{k}"] = np.where(first <= k, 1.0 / first, 0.0)
    return values


def hit_matrix(recs: Int32s, truth: Truth) -> Bools:
    """Whether each place of each list holds a relevant item for the first time in that list, bool (rows, width)."""
    rows = np.arange(len(recs), dtype=np.int64)
    hits = Touched(truth.row_of, truth.items).holds(rows[:, None], recs)
    row, place = np.nonzero(hits)
    _, first = np.unique((row << 32) + recs[row, place], return_index=True)
    again = np.ones(len(row), dtype=np.bool_)
    again[first] = False
    hits[row[again], place[again]] = False
    return hits


def list_metrics(recs: Int32s, counts: npt.NDArray[np.integer], ks: Iterable[int]) -> dict[str, float]:
    """What the lists show as a whole, by name: `coverage@10`, `novelty@10`, `popularity@10`.

    counts (items,): how often each catalogue item occurred in the past that the lists were made from.
    coverage: share of the catalogue that is shown to anybody. novelty: mean self-information of the shown items, bits:
    -log2 of (count + 1) / (all counts + items), so that an item without events has a finite one (Zhou et al., 2010).
    popularity: mean count of the shown items. Nothing shown gives 0 for all three.
    """
    depths = _depths(recs, ks)
    if recs.size and recs.max() >= len(counts):
        raise ValueError(f"item {recs.max()} is outside the catalogue of {len(counts)}")
    information = np.log2(counts.sum() + len(counts)) - np.log2(counts + 1.0)
    values: dict[str, float] = {}
    for k in depths:
        shown = recs[:, :k]
        shown = shown[shown >= 0]
        values[f"coverage@{k}"] = len(np.unique(shown)) / len(counts) if len(counts) else 0.0
        values[f"novelty@{k}"] = float(information[shown].mean()) if len(shown) else 0.0
        values[f"popularity@{k}"] = float(counts[shown].mean()) if len(shown) else 0.0
    return values


def _depths(recs: Int32s, ks: Iterable[int]) -> list[int]:
    depths = sorted(set(ks))
    if recs.ndim != 2 or not depths or depths[0] < 1 or depths[-1] > recs.shape[1]:
        raise ValueError(f"every k of {depths} must lie in 1 .. width of the lists, whose shape is {recs.shape}")
    return depths

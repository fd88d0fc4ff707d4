"""What everybody wants lately: a global order of the items, and one inside each category."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from vitrina.features.decay import age_days, halved, kind_weight
from vitrina.features.past import Past


@dataclass(frozen=True, kw_only=True)
class Popularity:
    """`score` float32 (items,); `order` int32 (items seen,), best first; `shelf_indptr` int64 (categories + 1) and
    `shelf_items` int32: the best items of each category, best first. Ties go to the smaller row.
    """

    score: npt.NDArray[np.float32]
    order: npt.NDArray[np.int32]
    shelf_indptr: npt.NDArray[np.int64]
    shelf_items: npt.NDArray[np.int32]


@dataclass(frozen=True, kw_only=True)
class Popular:
    """Kind weight x decay summed over all visitors; with `window_days` only the events of the last days count,
    undecayed."""

    half_life: float = 7.0
    window_days: float | None = None
    per_category: int = 50

    def fit(self, past: Past) -> Popularity:
        """Popularity as of `past.as_of`."""
        events = past.events.filter(past.events.ts < past.as_of)
        if self.window_days is not None:
            events = events.filter(age_days(events.ts, past.as_of) <= self.window_days)
            events = events.mutate(worth=kind_weight(events.kind, past.weights))
        else:
            events = events.mutate(
                worth=kind_weight(events.kind, past.weights) * halved(age_days(events.ts, past.as_of), self.half_life)
            )
        counted = past.engine.to_arrow(events.group_by("item").aggregate(score=lambda t: t.worth.sum()))
        score = np.zeros(past.items, np.float32)
        score[counted.column("item").to_numpy()] = counted.column("score").to_numpy()
        order = np.lexsort((np.arange(past.items), -score))[: int((score > 0).sum())].astype(np.int32)
        indptr, shelf = _shelves(order, past.category, self.per_category)
        return Popularity(score=score, order=order, shelf_indptr=indptr, shelf_items=shelf)


def _shelves(
    order: npt.NDArray[np.int32], category: npt.NDArray[np.int32], most: int
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int32]]:
    groups = category[order]
    placed = order[groups >= 0]
    groups = groups[groups >= 0]
    by_group = np.argsort(groups, kind="stable")
    placed, groups = placed[by_group], groups[by_group]
    kept = np.arange(len(groups)) - np.searchsorted(groups, groups) < most
    size = int(category.max(initial=-1)) + 1
    indptr = np.zeros(size + 1, np.int64)
    np.cumsum(np.bincount(groups[kept], minlength=size), out=indptr[1:])
    return indptr, placed[kept]

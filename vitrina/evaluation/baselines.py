"""Simple recommenders over the full catalogue, to be beaten: a spec and a past in, lists for any history out.

Item-kNN, RP3beta, ALS (folded in) and EASE all answer the same way: a history becomes a weighted query, the model
scores the catalogue, the visitor's own items may be mixed in, and what the model cannot fill is filled with the
popular items of seven days.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final, Protocol, TypeAlias

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from vitrina.candidates.als import ALS
from vitrina.candidates.ease import EASE
from vitrina.candidates.item_knn import ItemKNN, RP3Beta
from vitrina.candidates.popular import Popular
from vitrina.evaluation.truth import Int32s
from vitrina.events.schema import DAY_MS, DEFAULT_WEIGHTS
from vitrina.features.history import Histories, Moments
from vitrina.features.past import Past

if TYPE_CHECKING:
    from vitrina.events.splits import Window

Float32s: TypeAlias = npt.NDArray[np.float32]
Scorer: TypeAlias = Callable[[sp.csr_array], Float32s]
"""Queries (rows, items) -> scores float32 (rows, items)."""

MOST_CELLS: Final = 1 << 24
"""Cells of one dense block of scores."""


class Baseline(Protocol):
    """A frozen spec."""

    def fit(self, past: Past) -> FittedBaseline: ...


@dataclass(frozen=True, kw_only=True)
class Query:
    """How a history is asked about: an event weighs its kind's weight, halved every `half_life` days; an item weighs
    its strongest event / (1 + place) ** `position_power`, place 0 being the item touched last. Only the `most` latest
    events count.
    """

    kind_weights: tuple[float, ...] = DEFAULT_WEIGHTS
    half_life: float = math.inf
    position_power: float = 0.0
    most: int = 500

    def rows(self, histories: Histories, moments: Moments, *, items: int) -> sp.csr_array:
        """float32 (moments, items) from the events begin:end of each moment, none of which is later than its as_of."""
        sizes = np.minimum(moments.end - moments.begin, self.most)
        row = np.repeat(np.arange(len(moments)), sizes)
        step = np.arange(len(row)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
        event = moments.begin[row] + step
        item = histories.items[event]
        days = (moments.as_of[row] - histories.ts[event]) / DAY_MS
        worth = np.asarray(self.kind_weights)[histories.kinds[event]] * 0.5 ** (days / self.half_life)
        pair, first, owner = np.unique(row * items + item, return_index=True, return_inverse=True)
        weight = np.zeros(len(pair))
        np.maximum.at(weight, owner, worth)
        pair_row = pair // items
        order = np.lexsort((first, pair_row))  # by latest event inside each row
        place = np.empty(len(pair), np.int64)
        place[order] = np.arange(len(pair)) - np.searchsorted(pair_row, pair_row[order])
        weight /= (1.0 + place) ** self.position_power
        return sp.csr_array(
            (weight.astype(np.float32), (pair_row, pair % items)), shape=(len(moments), items), dtype=np.float32
        )


@dataclass(frozen=True, kw_only=True)
class FittedBaseline:
    """`scorer` None knows the visitor's own items alone; `popular` int32, best first, fills what is left of a list."""

    scorer: Scorer | None
    query: Query
    own: float
    popular: Int32s
    items: int

    def top(self, histories: Histories, moments: Moments, k: int, new_only: bool) -> Int32s:
        """Lists int32 (moments, k), best first, padded with -1 when the shop has too few items.

        Moment r is answered from the events begin[r]:end[r]; `new_only` leaves all of their items out. Ties go to the
        smaller item.
        """
        found = np.empty((len(moments), k), np.int32)
        rows = max(1, MOST_CELLS // max(self.items, 1))
        for start in range(0, len(moments), rows):
            part = moments[start : start + rows]
            scores = self._scores(self.query.rows(histories, part, items=self.items))
            if new_only:
                sizes = part.end - part.begin
                row = np.repeat(np.arange(len(part)), sizes)
                event = part.begin[row] + np.arange(len(row)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
                scores[row, histories.items[event]] = -np.inf
            found[start : start + rows] = _best(scores, self.popular, k)
        return found

    def _scores(self, query: sp.csr_array) -> Float32s:
        """float32 (rows, items): the model's scores and the own items' weights, each divided by the row's largest."""
        scores = np.zeros(query.shape, np.float32) if self.scorer is None else self.scorer(query)
        if self.own > 0 and query.nnz:
            top = scores.max(axis=1, keepdims=True)
            scores /= np.where(top > 0, top, 1.0)
            largest = query.max(axis=1).toarray()
            row = np.repeat(np.arange(query.shape[0]), np.diff(query.indptr))
            scores[row, query.indices] += self.own * query.data / np.maximum(largest[row], np.finfo(np.float32).tiny)
        return scores


@dataclass(frozen=True, kw_only=True)
class PopularLately:
    """The same list for everybody: the most popular items of the last `days`."""

    days: float = 7.0

    def fit(self, past: Past) -> FittedBaseline:
        return FittedBaseline(scorer=None, query=Query(), own=0.0, popular=_popular(past, self.days), items=past.items)


@dataclass(frozen=True, kw_only=True)
class OwnRecent:
    """The visitor's own items, the last touched first, then popular ones."""

    def fit(self, past: Past) -> FittedBaseline:
        query = Query(kind_weights=(1.0, 1.0, 1.0), position_power=1.0)  # falls strictly with the place
        return FittedBaseline(scorer=None, query=query, own=1.0, popular=_popular(past), items=past.items)


@dataclass(frozen=True, kw_only=True)
class Personal:
    """`model` fitted on interactions that lose half of their weight in `half_life` days, asked with `query`.

    `own` mixes the visitor's own items in (0: as the model scores them); without it EASE and the neighbour models,
    whose diagonals are empty, can hardly repeat an item.
    """

    model: ItemKNN | RP3Beta | ALS | EASE
    query: Query = field(default_factory=Query)
    own: float = 0.0
    half_life: float = 60.0

    def fit(self, past: Past) -> FittedBaseline:
        decayed = past if past.half_life == self.half_life else replace(past, half_life=self.half_life)
        scorer = self.model.fit(decayed).scores  # EASE is linear, so a query may be weighted
        return FittedBaseline(scorer=scorer, query=self.query, own=self.own, popular=_popular(past), items=past.items)


@dataclass(kw_only=True)
class BaselineAtWindows:
    """A `Recipe` of the backtest: refits `baseline` at each window's start on what lay before; keeps the last model."""

    baseline: Baseline
    histories: Histories
    past_at: Callable[[int], Past]
    _fitted: dict[int, FittedBaseline] = field(default_factory=dict)

    def recommend(self, window: Window, users: Int32s, k: int, *, new_only: bool) -> Int32s:
        """Lists int32 (users, k) for people asked at the window's start."""
        return self.fitted(window.start).top(self.histories, self.histories.at(users, window.start), k, new_only)

    def fitted(self, cut: int) -> FittedBaseline:
        """The model as of `cut` (ms)."""
        if cut not in self._fitted:
            self._fitted.clear()
            self._fitted[cut] = self.baseline.fit(self.past_at(cut))
        return self._fitted[cut]


def _popular(past: Past, days: float = 7.0) -> Int32s:
    return Popular(window_days=days).fit(past).order


def _best(scores: Float32s, popular: Int32s, k: int) -> Int32s:
    """The k best positive scores of each row (-inf bars an item), then `popular`; int32 (rows, k) padded with -1."""
    lists = np.full((len(scores), k), -1, np.int32)
    for row, line in enumerate(scores):
        chosen = np.flatnonzero(line > 0)
        if len(chosen) > k:
            bound = np.partition(line[chosen], len(chosen) - k)[len(chosen) - k]
            chosen = chosen[line[chosen] >= bound]
        chosen = chosen[np.lexsort((chosen, -line[chosen]))][:k]
        lists[row, : len(chosen)] = chosen
        if len(chosen) < k:
            fill = popular[(line[popular] > -np.inf) & ~np.isin(popular, chosen)][: k - len(chosen)]
            lists[row, len(chosen) : len(chosen) + len(fill)] = fill
    return lists

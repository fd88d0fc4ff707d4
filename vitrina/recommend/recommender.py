"""The recommender: a fitted model of the storefront kind that answers for one visitor or for many, by the same compiled
pass."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt

from vitrina.candidates.profile import Taste
from vitrina.candidates.retrieval import ANYTHING, MATRICES, SOURCES, Tables
from vitrina.errors import ModelFormatError
from vitrina.events.ids import IdMap
from vitrina.features.history import Histories, History, Moments
from vitrina.ranking.blocks import in_blocks, visits_of
from vitrina.ranking.trees import Trees
from vitrina.recommend.desk import Desk, new_desk
from vitrina.recommend.ranking_pass import BY_FUSION, BY_TREES, rank_many, rank_one

if TYPE_CHECKING:
    from vitrina.recommend.stored import Stored

Rows = npt.NDArray[np.int32]
NOTHING: Rows = np.empty(0, np.int32)
_BLOCK = 2_048


class Rules(NamedTuple):
    """What may be shown: never `exclude` (int32 rows), only `allowed` (bool (items,), None: anything), `new_only`:
    nothing touched before."""

    exclude: Rows = NOTHING
    allowed: npt.NDArray[np.bool_] | None = None
    new_only: bool = False


NO_RULES = Rules()


class Ranked(NamedTuple):
    """The answer, best first: items int32 (n,), scores float32 (n,), sources uint8 (n,): the source that ranked each
    item highest."""

    items: npt.NDArray[np.int32]
    scores: npt.NDArray[np.float32]
    sources: npt.NDArray[np.uint8]


@dataclass(frozen=True, kw_only=True)
class Catalogue:
    """Items as of the model: category int32 (items,) places into `categories` (-1 unknown), `categories` int64 the
    shop's own numbers, parent int32 (categories,) with -1 for a root, available bool (items,); `titles` bytes `S{n}`
    (items,) or None."""

    category: npt.NDArray[np.int32]
    categories: npt.NDArray[np.int64]
    parent: npt.NDArray[np.int32]
    available: npt.NDArray[np.bool_]
    titles: npt.NDArray[np.bytes_] | None = None

    def in_categories(self, wanted: list[int]) -> npt.NDArray[np.bool_]:
        """Bool (items,): items whose category is one of the shop's numbers `wanted` or lies below one. Unknown numbers
        match nothing."""
        chosen = np.isin(self.categories, np.asarray(wanted, np.int64))
        parent = self.parent
        while True:
            grown = chosen | np.where(parent >= 0, chosen[parent], False) if len(parent) else chosen
            if np.array_equal(grown, chosen):
                break
            chosen = grown
        return (
            np.where(self.category >= 0, chosen[self.category], False)
            if len(chosen)
            else np.zeros(len(self.category), np.bool_)
        )


@dataclass(frozen=True, kw_only=True)
class Recommender:
    """`mode` is BY_TREES, BY_FUSION or the number of a source; immutable, safe to call from several threads."""

    items: IdMap
    catalogue: Catalogue
    tables: Tables
    taste: Taste
    trees: Trees
    mode: int
    as_of: int
    _desks: threading.local = field(default_factory=threading.local, repr=False, compare=False)

    source_names = SOURCES

    @classmethod
    def load(cls, stored: Stored) -> Recommender:
        """From a model folder as `read_model` gives it; `ModelFormatError` when it was made for other features or
        sources."""
        from vitrina.recommend.model_folder import unpack

        return unpack(stored)

    def recommend(
        self, history: History, *, k: int, rules: Rules = NO_RULES, as_of: int, session: Rows = NOTHING
    ) -> Ranked:
        """The best k items for somebody with this history, asked at `as_of` (ms); fewer only when the rules leave
        fewer. `session` are items viewed since, in the order in which they happened."""
        items, scores, sources = np.empty(k, np.int32), np.empty(k, np.float32), np.empty(k, np.uint8)
        filled = rank_one(
            self._desk(),
            session,
            history.items,
            history.kinds,
            history.ts,
            as_of,
            rules.exclude,
            ANYTHING.allowed if rules.allowed is None else rules.allowed,
            rules.new_only,
            items,
            scores,
            sources,
        )
        return Ranked(items=items[:filled], scores=scores[:filled], sources=sources[:filled])

    def recommend_batch(
        self,
        histories: Histories,
        moments: Moments,
        *,
        k: int,
        new_only: bool = False,
        threads: int = 2,
        note: Callable[[int], None] = lambda _: None,
    ) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.float32]]:
        """Items int32 (moments, k) padded with -1, and scores float32 of the same shape; `note` hears how many rows
        were finished."""
        items = np.empty((len(moments), k), np.int32)
        scores = np.empty((len(moments), k), np.float32)
        visits, limits = visits_of(histories, moments), ANYTHING._replace(new_only=new_only)

        def rank(first: int, last: int) -> int:
            rank_many(self._desk(), visits, first, last, limits, items, scores)
            return last - first

        for finished in in_blocks(rank, len(moments), block=_BLOCK, threads=threads):
            note(finished)
        return items, scores

    def similar(self, item: int, k: int) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.float32]]:
        """Items that go with this one: reciprocal ranks summed over the item-item matrices, best first; at most k."""
        worth: dict[int, float] = {}
        for m in range(len(MATRICES)):
            for place, p in enumerate(range(self.tables.starts[item, m], self.tables.starts[item, m + 1])):
                other = int(self.tables.neighbours[p])
                worth[other] = worth.get(other, 0.0) + 1.0 / (60.0 + place)
        best = sorted(worth, key=lambda other: (-worth[other], other))[:k]
        return np.array(best, np.int32), np.array([worth[other] for other in best], np.float32)

    def _desk(self) -> Desk:
        desk: Desk | None = getattr(self._desks, "desk", None)
        if desk is None:
            desk = self._desks.desk = new_desk(self.tables, self.taste, self.trees, self.mode)
        return desk


def mode_of(ranker: str) -> int:
    """The mode that a model's `ranker` names: "catboost", "fusion" or the name of a source."""
    if ranker == "catboost":
        return BY_TREES
    if ranker == "fusion":
        return BY_FUSION
    if ranker in SOURCES:
        return SOURCES.index(ranker)
    raise ModelFormatError(f"the model wants ranker {ranker!r}, which this version does not have. Train again")

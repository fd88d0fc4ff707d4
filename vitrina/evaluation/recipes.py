"""Recipes for the backtest: a two-stage recipe, or one source of it, refitted at each window on what lay before it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from vitrina.candidates.retrieval import Tables
from vitrina.errors import DataError
from vitrina.evaluation.truth import Int32s
from vitrina.events.ids import IdMap
from vitrina.features.history import Histories, Moments
from vitrina.ranking.trees import NO_TREES, Trees
from vitrina.recommend.recommender import Catalogue, Recommender, mode_of
from vitrina.recommend.two_stage import Trained, TwoStage, train_ranker

if TYPE_CHECKING:
    from vitrina.events.splits import Window


@dataclass(kw_only=True)
class TwoStageAtWindows:
    """Fits `recipe` as of each window's start. `tables_at` gives the candidate sources of a cut-off; the last window's
    model is kept. The losses that win in the window asked first hold for the others.

    Without enough moments to learn from, the window is answered by reciprocal-rank fusion, and `note` hears it.
    """

    recipe: TwoStage
    histories: Histories
    cuts: Sequence[int]
    tables_at: Callable[[int], Tables]
    threads: int = 2
    note: Callable[[str], None] = lambda _: None
    _fitted: dict[int, Recommender] = field(default_factory=dict)
    _settled: TwoStage | None = None

    def recommend(self, window: Window, users: Int32s, k: int, *, new_only: bool) -> Int32s:
        """Lists int32 (users, k) for people asked at the window's start."""
        return self.answer(window.start, self.histories.at(users, window.start), k, new_only=new_only)

    def answer(self, cut: int, moments: Moments, k: int, *, new_only: bool) -> Int32s:
        """Lists int32 (moments, k) from the model as of `cut`; the moments may lie later."""
        items, _ = self.fitted(cut).recommend_batch(
            self.histories, moments, k=k, new_only=new_only, threads=self.threads
        )
        return items

    def fitted(self, cut: int) -> Recommender:
        """The recommender as of `cut`."""
        if cut not in self._fitted:
            trees: Trees = NO_TREES
            name = self.recipe.ranker_name
            if name == "catboost":
                try:
                    trees = self._train(cut).trees
                except DataError as error:
                    self.note(str(error))
                    name = "fusion"
            self._fitted.clear()
            self._fitted[cut] = assemble(self.recipe, self.tables_at(cut), trees, ranker=name, as_of=cut)
        return self._fitted[cut]

    def _train(self, cut: int) -> Trained:
        trained = train_ranker(
            self._settled or self.recipe,
            self.histories,
            self.cuts,
            self.tables_at,
            before=cut,
            judged=False,
            threads=self.threads,
            note=self.note,
        )
        self._settled = self._settled or self.recipe.settled(trained.rankers)
        return trained


def assemble(
    recipe: TwoStage,
    tables: Tables,
    trees: Trees,
    *,
    ranker: str,
    as_of: int,
    items: IdMap | None = None,
    catalogue: Catalogue | None = None,
) -> Recommender:
    """A recommender from its parts; without ids and catalogue it answers in rows and knows no filter, which is all a
    backtest needs."""
    count = len(tables.category)
    return Recommender(
        items=items if items is not None else IdMap(np.arange(count)),
        catalogue=catalogue
        or Catalogue(
            category=tables.category,
            categories=np.arange(len(tables.parent), dtype=np.int64),
            parent=tables.parent,
            available=np.ones(count, np.bool_),
        ),
        tables=tables,
        taste=recipe.sources.taste,
        trees=trees,
        mode=mode_of(ranker),
        as_of=as_of,
    )

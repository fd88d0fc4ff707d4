"""How the quality benchmark judges: the real log and its windows in, `Scores` per table and model out.

Four tables. `cut/*`: lists made at a window's start, against all that is carted or bought inside. `next/*`: at every
cart and purchase of the window, a list made the moment before, by a model of the window's start. Each with repeats
allowed and with new items only.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final, TypeAlias

import numpy as np

from vitrina.engine import LocalEngine
from vitrina.evaluation.backtest import TASKS, Recipe, backtest, item_counts
from vitrina.evaluation.metrics import list_metrics
from vitrina.evaluation.report import Scores
from vitrina.evaluation.sequential import evaluate_sequential, instances
from vitrina.evaluation.truth import EventArrays, Int32s, Int64s
from vitrina.events.prepare import Prepared, prepare
from vitrina.events.readers import read_log
from vitrina.events.splits import Window, rolling_windows
from vitrina.features.history import Histories, Moments
from vitrina.features.shop import Shop

TABLES: Final = ("cut/repeats", "cut/new", "next/repeats", "next/new")
DEPTHS: Final = (10, 100)
TUNING_WINDOWS: Final = 3
TEST_WINDOWS: Final = 3

Answer: TypeAlias = Callable[[Histories, Moments, int, bool], Int32s]
"""(histories, moments, k, new_only) -> lists int32 (moments, k), padded with -1."""
ModelAt: TypeAlias = Callable[[int], Answer]
"""The model that knows what lies before a time (ms), and nothing later."""
Judged: TypeAlias = dict[str, dict[str, Scores]]


@contextmanager
def opened(source: Path, work: Path, threads: int) -> Iterator[Shop]:
    """The log in `source`, validated and prepared under `work`."""
    with LocalEngine(threads=threads) as engine:
        read_log(source, None, work / "validated", engine)
        prepare(work / "validated", work / "prepared", engine)
        yield Shop.open(Prepared.open(work / "prepared"), engine)


def split_windows(shop: Shop) -> tuple[tuple[Window, ...], tuple[Window, ...]]:
    """The windows that tuning may see, and the test windows after them: adjacent, 14 days, up to the end of the log."""
    every = rolling_windows(shop.as_of, TUNING_WINDOWS + TEST_WINDOWS)
    return every[:TUNING_WINDOWS], every[TUNING_WINDOWS:]


@dataclass(frozen=True)
class AtCut:
    """A `Recipe` of the backtest."""

    model_at: ModelAt
    histories: Histories

    def recommend(self, window: Window, users: Int32s, k: int, *, new_only: bool) -> Int32s:
        return self.model_at(window.start)(self.histories, self.histories.at(users, window.start), k, new_only)


@dataclass(frozen=True)
class AtInstant:
    """A `SequentialRecipe`; it keeps the lists that it gave."""

    answer: Answer
    lists: list[Int32s] = field(default_factory=list)

    def recommend(self, histories: Histories, as_of: Int64s, k: int, *, new_only: bool) -> Int32s:
        rows = np.arange(len(as_of), dtype=np.int32)
        self.lists.append(self.answer(histories, histories.at(rows, as_of), k, new_only))
        return self.lists[-1]


def judge_cut(
    recipes: Mapping[str, Recipe], windows: Sequence[Window], shop: Shop, note: Callable[[str], None]
) -> Judged:
    """Tables `cut/*`, pooled over the windows."""
    events = EventArrays(**shop.log._asdict())
    found = backtest(recipes, windows, events, n_items=len(shop.prepared.items), ks=DEPTHS, on_step=note)
    return {f"cut/{task}": scores for task, scores in found.items()}


def judge_next(
    models: Mapping[str, ModelAt],
    window: Window,
    shop: Shop,
    note: Callable[[str], None],
    *,
    per_user: int = 20,
) -> Judged:
    """Tables `next/*` of one window."""
    events = EventArrays(**shop.log._asdict())
    counts = item_counts(events, len(shop.prepared.items), before=window.start)
    judged: Judged = {}
    for task in TASKS:
        found = instances(events, start=window.start, end=window.end, task=task, per_user=per_user)
        recipes = {name: AtInstant(model_at(window.start)) for name, model_at in models.items()}
        scores = evaluate_sequential(recipes, found, task=task, ks=DEPTHS, on_step=note)
        judged[f"next/{task}"] = {
            name: replace(one, lists=list_metrics(np.concatenate(recipes[name].lists), counts, DEPTHS))
            for name, one in scores.items()
        }
    return judged


def pooled(parts: Sequence[Judged]) -> Judged:
    """All windows together, table by table."""
    return {
        table: {name: Scores.pool([part[table][name] for part in parts]) for name in parts[0][table]}
        for table in parts[0]
    }

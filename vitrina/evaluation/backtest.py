"""Rolling backtest: recipes, windows and events in, `Scores` per protocol and recipe out. Knows no particular model.

Two protocols, both over the full catalogue and over users with at least one event before the cut:

* repeats: the truth is every item carted or bought inside the window; lists may show what the user touched before.
* new: the truth is only what the user had not touched in any way before the cut; touched items leave the lists too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Final, Literal, Protocol, TypeAlias

import numpy as np

from vitrina.evaluation.report import Scores
from vitrina.evaluation.truth import POSITIVE_KINDS, EventArrays, Int32s, Int64s, Touched, Truth

if TYPE_CHECKING:  # at run time that module loads Ibis, which nothing here needs
    from vitrina.events.splits import Window

Task: TypeAlias = Literal["repeats", "new"]
TASKS: Final[tuple[Task, ...]] = ("repeats", "new")


class Recipe(Protocol):
    """A way to make lists, trained by itself on what lies before `window.start`.

    It is called once per task for each window, windows outermost, so keeping the last window's model is enough.
    """

    def recommend(self, window: Window, users: Int32s, k: int, *, new_only: bool) -> Int32s:
        """Lists int32 (users, k), best first, padded with -1. `new_only`: do not show what the user has touched."""
        ...


def backtest(
    recipes: Mapping[str, Recipe],
    windows: Sequence[Window],
    events: EventArrays,
    *,
    n_items: int,
    ks: Iterable[int] = (10, 100),
    tasks: Sequence[Task] = TASKS,
    kinds: Iterable[int] = POSITIVE_KINDS,
    on_step: Callable[[str], None] = lambda _: None,
) -> dict[Task, dict[str, Scores]]:
    """Pooled scores: result[task][recipe]. All recipes are judged on the same rows, in the same order.

    n_items: size of the catalogue; `on_step` hears one line per window and recipe. A task without a single row in
    any window has empty `Scores`. `ValueError` for lists of another shape than (users, max(ks)).
    """
    depths, positive = tuple(ks), tuple(kinds)
    if not windows:
        raise ValueError("a backtest needs at least one window")
    parts: dict[Task, dict[str, list[Scores]]] = {task: {name: [] for name in recipes} for task in tasks}
    for number, window in enumerate(windows, 1):
        past = events.between(None, window.start)
        counts = np.bincount(past.item, minlength=n_items)
        touched = Touched(past.user, past.item)
        truths = {task: window_truth(events, window, task, kinds=positive, touched=touched) for task in tasks}
        day = np.datetime64(window.start, "ms").astype("datetime64[D]")
        for name, recipe in recipes.items():
            on_step(f"{name}, window {number} of {len(windows)}, from {day}")
            for task, truth in truths.items():
                lists = _ask(name, recipe, window, truth, max(depths), task == "new")
                if task == "new":
                    lists = touched.removed_from(lists, truth.row_ids)
                parts[task][name].append(Scores.of(lists, truth, depths, counts=counts))
    return {task: {name: Scores.pool(scores) for name, scores in by_name.items()} for task, by_name in parts.items()}


def window_truth(
    events: EventArrays,
    window: Window,
    task: Task,
    *,
    kinds: Iterable[int] = POSITIVE_KINDS,
    touched: Touched | None = None,
) -> Truth:
    """What the users known before the cut did inside the window; `touched` spares computing the past twice."""
    past = events.between(None, window.start)
    truth = Truth.from_events(events, start=window.start, end=window.end, kinds=kinds)
    truth = truth.where(np.isin(truth.row_ids, past.user))
    if task == "repeats":
        return truth
    return truth.without(Touched(past.user, past.item) if touched is None else touched)


def _ask(name: str, recipe: Recipe, window: Window, truth: Truth, k: int, new_only: bool) -> Int32s:
    if not len(truth):
        return np.empty((0, k), dtype=np.int32)
    lists = recipe.recommend(window, truth.row_ids, k, new_only=new_only)
    if lists.shape != (len(truth), k) or lists.dtype != np.int32:
        raise ValueError(f"recipe {name!r} gave {lists.dtype} {lists.shape}, not int32 {(len(truth), k)}")
    return lists


def item_counts(events: EventArrays, n_items: int, *, before: int | None = None) -> Int64s:
    """How often each item occurs before an instant, int64 (items,): the counts that list metrics ask for."""
    return np.bincount(events.between(None, before).item, minlength=n_items)

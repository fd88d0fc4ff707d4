"""Sequential next-cart: at every cart or purchase, what would have been shown the moment before?

Events and a span in, one instance per (user, instant, item) out. The history of an instance holds the user's events
with ts strictly below the instant: neither the target nor anything that carries the same time stamp is in the arrays.
The full catalogue is ranked and each instance has one right answer, so HR@k is also recall@k.

* repeats: every instance; lists may show what the user touched before.
* new: only instances whose item the user had not touched before; touched items leave the lists too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from vitrina.errors import DataError
from vitrina.evaluation.backtest import Task
from vitrina.evaluation.report import Scores
from vitrina.evaluation.truth import POSITIVE_KINDS, Bools, EventArrays, Int32s, Int64s, Touched, Truth
from vitrina.features.history import Histories, Moments


class SequentialRecipe(Protocol):
    """A model that is already trained on what lies before the span, asked with the history of each instant."""

    def recommend(self, histories: Histories, as_of: Int64s, k: int, *, new_only: bool) -> Int32s:
        """Lists int32 (rows, k) padded with -1; row r of `histories` is all that is known at `as_of[r]` (ms)."""
        ...


@dataclass(frozen=True, kw_only=True)
class Instances:
    """Instants to judge, sorted by (user, ts, item): the moment before each, and `item` int32 (rows,), the answer."""

    log: Histories
    moments: Moments
    item: Int32s

    def __len__(self) -> int:
        return len(self.item)

    def __getitem__(self, pick: slice | Bools | Int64s) -> Instances:
        return Instances(log=self.log, moments=self.moments[pick], item=self.item[pick])

    def batches(self, size: int) -> Iterator[Instances]:
        """Consecutive parts of at most `size` rows."""
        for start in range(0, len(self), size):
            yield self[start : start + size]

    def histories(self) -> Histories:
        """One history per instance, most recent first: a copy that holds nothing at or after its instant."""
        sizes = self.moments.end - self.moments.begin
        indptr = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
        place = np.arange(indptr[-1]) + np.repeat(self.moments.begin - indptr[:-1], sizes)
        return Histories(indptr=indptr, items=self.log.items[place], kinds=self.log.kinds[place], ts=self.log.ts[place])

    def truth(self) -> Truth:
        """One row per instance with its one item."""
        return Truth(row_ids=self.moments.users, indptr=np.arange(len(self) + 1, dtype=np.int64), items=self.item)


def instances(
    events: EventArrays,
    *,
    start: int,
    end: int,
    task: Task,
    per_user: int = 20,
    kinds: Iterable[int] = POSITIVE_KINDS,
    seed: int = 0,
) -> Instances:
    """The instances with start <= ts < end (ms) of users with any earlier event.

    A cart and a purchase of one item at one time stamp are one instance. Users with more than `per_user` keep that
    many, drawn by `seed`, so that one busy account is not the whole measure.
    """
    inside = np.isin(events.kind, np.fromiter(kinds, dtype=np.int8)) & (events.ts >= start) & (events.ts < end)
    hits = events.where(inside)
    order = np.lexsort((hits.item, hits.ts, hits.user))
    user, ts, item = hits.user[order], hits.ts[order], hits.item[order]
    distinct = np.ones(len(user), dtype=np.bool_)
    distinct[1:] = (np.diff(user) != 0) | (np.diff(ts) != 0) | (np.diff(item) != 0)
    n_users = int(events.user[-1]) + 1 if len(events) else 0
    log = Histories.from_events(events.user, events.item, events.kind, events.ts, users=n_users)
    found = Instances(log=log, moments=log.at(user[distinct], ts[distinct]), item=item[distinct])
    found = found[found.moments.end > found.moments.begin]
    if task == "new":
        found = found[~_touched_before(events, found)]
    return found[_at_most(found.moments.users, per_user, seed)]


def evaluate_sequential(
    recipes: Mapping[str, SequentialRecipe],
    found: Instances,
    *,
    task: Task,
    ks: Iterable[int] = (10, 100),
    batch: int = 1024,
    on_step: Callable[[str], None] = lambda _: None,
) -> dict[str, Scores]:
    """Scores of each recipe at each instance, by user; `found` must come from `instances` with the same task.

    `DataError` without an instance, `ValueError` for lists of another shape than (rows, max(ks)).
    """
    if not len(found):
        raise DataError("nobody carted or bought anything in this span", where="events", remedy="Judge a longer span.")
    depths = tuple(ks)
    parts: dict[str, list[Scores]] = {name: [] for name in recipes}
    for number, part in enumerate(found.batches(batch)):
        histories, truth = part.histories(), part.truth()
        rows = np.arange(len(part))
        touched = Touched(np.repeat(rows, np.diff(histories.indptr)), histories.items)
        for name, recipe in recipes.items():
            on_step(f"{name}, batch {number + 1}")
            lists = recipe.recommend(histories, part.moments.as_of, max(depths), new_only=task == "new")
            if lists.shape != (len(part), max(depths)):
                raise ValueError(f"recipe {name!r} gave {lists.shape}, not {(len(part), max(depths))}")
            if task == "new":
                lists = touched.removed_from(lists, rows)
            parts[name].append(Scores.of(lists, truth, depths))
    return {name: Scores.pool(scores) for name, scores in parts.items()}


def _touched_before(events: EventArrays, found: Instances) -> Bools:
    """Whether the user had any event with the item strictly before the instant, bool (rows,)."""
    pairs, place = np.unique((events.user.astype(np.int64) << 32) + events.item, return_inverse=True)
    earliest = np.full(len(pairs), np.iinfo(np.int64).max)
    np.minimum.at(earliest, place, events.ts)
    wanted = (found.moments.users.astype(np.int64) << 32) + found.item
    return earliest[pairs.searchsorted(wanted)] < found.moments.as_of


def _at_most(user: Int32s, limit: int, seed: int) -> Int64s:
    """Positions of at most `limit` random rows per user, ascending."""
    lot = np.random.default_rng(seed).random(len(user))
    order = np.lexsort((lot, user))
    starts = np.flatnonzero(np.diff(user[order], prepend=-1))
    rank = np.arange(len(user)) - np.repeat(starts, np.diff(np.append(starts, len(user))))
    return np.sort(order[rank < limit])

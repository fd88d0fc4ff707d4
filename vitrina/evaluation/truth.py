"""What really happened after the cut: event arrays in, one row of distinct relevant items per evaluated user out."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

from vitrina.events.schema import BUY, CART

Int32s: TypeAlias = npt.NDArray[np.int32]
Int64s: TypeAlias = npt.NDArray[np.int64]
Bools: TypeAlias = npt.NDArray[np.bool_]

POSITIVE_KINDS: Final[tuple[int, ...]] = (CART, BUY)
"""The kinds of event that count as a hit, unless the caller says otherwise."""


class HistoryRows(Protocol):
    """The part of `vitrina.features.history.Histories` that is read here: one CSR row of touched items per user."""

    @property
    def indptr(self) -> Int64s: ...

    @property
    def items(self) -> Int32s: ...


@dataclass(frozen=True, kw_only=True)
class EventArrays:
    """Events as parallel arrays (events,), sorted by (user, ts): user int32, item int32, kind int8, ts int64 ms."""

    user: Int32s
    item: Int32s
    kind: npt.NDArray[np.int8]
    ts: Int64s

    def __post_init__(self) -> None:
        if not len(self.user) == len(self.item) == len(self.kind) == len(self.ts):
            raise ValueError("event arrays differ in length")
        step = np.diff(self.user)
        if len(step) and (step.min() < 0 or np.any(np.diff(self.ts)[step == 0] < 0)):
            raise ValueError("event arrays must be sorted by user, then by ts")

    def __len__(self) -> int:
        return len(self.user)

    def where(self, mask: Bools) -> EventArrays:
        """The events at which `mask` (events,) holds, in the same order."""
        return EventArrays(user=self.user[mask], item=self.item[mask], kind=self.kind[mask], ts=self.ts[mask])

    def between(self, start: int | None, end: int | None) -> EventArrays:
        """The events with start <= ts < end (ms); None leaves that side open."""
        mask = np.ones(len(self), dtype=np.bool_)
        if start is not None:
            mask &= self.ts >= start
        if end is not None:
            mask &= self.ts < end
        return self.where(mask)


class Touched:
    """A set of (row, item) pairs with a vectorised membership test; item -1 is in no set."""

    def __init__(self, rows: npt.NDArray[np.integer], items: Int32s) -> None:
        keys = np.unique(_keys(rows, items))
        self._keys = keys[keys >= 0]

    def holds(self, rows: npt.NDArray[np.integer], items: Int32s) -> Bools:
        """Whether each (row, item) is in the set; the two arrays broadcast."""
        keys = _keys(rows, items)
        if not len(self._keys):
            return np.zeros(keys.shape, dtype=np.bool_)
        place = self._keys.searchsorted(keys)
        place[place == len(self._keys)] = 0
        return self._keys[place] == keys

    def removed_from(self, recs: Int32s, rows: npt.NDArray[np.integer]) -> Int32s:
        """Lists `recs` (n, width) of the given rows (n,) without the pairs of this set, closed up, padded with -1."""
        drop = self.holds(rows[:, None], recs) | (recs < 0)
        if not drop.any():
            return recs
        kept = np.where(drop, np.int32(-1), recs)
        return np.take_along_axis(kept, np.argsort(drop, axis=1, kind="stable"), axis=1)


def _keys(rows: npt.NDArray[np.integer], items: Int32s) -> Int64s:
    keys = (rows.astype(np.int64) << 32) + items.astype(np.int64)
    return np.where(items < 0, np.int64(-1), keys)


@dataclass(frozen=True, kw_only=True)
class Truth:
    """CSR of relevant items: row r belongs to user `row_ids[r]` and holds `items[indptr[r]:indptr[r + 1]]`.

    row_ids int32 (rows,) may repeat a user (several instants of one user); indptr int64 (rows + 1);
    items int32, ascending and distinct within a row. No row is empty. `ValueError` otherwise.
    """

    row_ids: Int32s
    indptr: Int64s
    items: Int32s

    def __post_init__(self) -> None:
        sizes = np.diff(self.indptr)
        if len(self.indptr) != len(self.row_ids) + 1 or self.indptr[0] != 0 or self.indptr[-1] != len(self.items):
            raise ValueError("indptr does not fit row_ids and items")
        if len(sizes) and sizes.min() < 1:
            raise ValueError("a truth row is empty: leave out users without a relevant item")
        inside = np.ones(max(len(self.items) - 1, 0), dtype=np.bool_)
        inside[self.indptr[1:-1] - 1] = False
        if np.any(np.diff(self.items)[inside] <= 0) or (len(self.items) and self.items.min() < 0):
            raise ValueError("items must be >= 0, ascending and distinct within a row")

    @classmethod
    def from_pairs(cls, users: npt.NDArray[np.integer], items: npt.NDArray[np.integer]) -> Truth:
        """From parallel (user, item) arrays in any order, repeats allowed: one row per user, ascending."""
        keys = np.unique((users.astype(np.int64) << 32) + items.astype(np.int64))
        owner = (keys >> 32).astype(np.int32)
        row_ids, sizes = np.unique(owner, return_counts=True)
        return cls(
            row_ids=row_ids,
            indptr=np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64),
            items=(keys & 0xFFFFFFFF).astype(np.int32),
        )

    @classmethod
    def from_events(cls, events: EventArrays, *, start: int, end: int, kinds: Iterable[int] = POSITIVE_KINDS) -> Truth:
        """The distinct items of the given kinds that each user touched in start <= ts < end (ms)."""
        mask = np.isin(events.kind, np.fromiter(kinds, dtype=np.int8)) & (events.ts >= start) & (events.ts < end)
        return cls.from_pairs(events.user[mask], events.item[mask])

    def __len__(self) -> int:
        return len(self.row_ids)

    @property
    def sizes(self) -> Int64s:
        """Number of relevant items per row, int64 (rows,)."""
        return np.diff(self.indptr)

    @property
    def row_of(self) -> Int64s:
        """Row of every element of `items`."""
        return np.repeat(np.arange(len(self), dtype=np.int64), self.sizes)

    def new_only(self, histories: HistoryRows) -> Truth:
        """Without the items that the user touched before (any kind of event); rows left empty go.

        Row u of `histories` is user u, so every value of `row_ids` must be a row of it.
        """
        if len(self) and self.row_ids.max() >= len(histories.indptr) - 1:
            raise ValueError("a truth row's user is not among the histories")
        users = np.repeat(np.arange(len(histories.indptr) - 1), np.diff(histories.indptr))
        return self.without(Touched(users, histories.items))

    def without(self, touched: Touched) -> Truth:
        """Without the pairs (user, item) of the set; rows left empty go."""
        return self._keep(~touched.holds(self.row_ids[self.row_of], self.items))

    def where(self, mask: Bools) -> Truth:
        """The rows at which `mask` (rows,) holds."""
        return self._keep(np.repeat(mask, self.sizes))

    def _keep(self, keep: Bools) -> Truth:
        """Keeps single elements of `items`; rows left empty go."""
        sizes = np.bincount(self.row_of[keep], minlength=len(self))
        full = sizes > 0
        return Truth(
            row_ids=self.row_ids[full],
            indptr=np.concatenate([[0], np.cumsum(sizes[full])]).astype(np.int64),
            items=self.items[keep],
        )

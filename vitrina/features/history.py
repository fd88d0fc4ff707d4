"""Histories: every user's events, most recent first, cut at any moment without copying.

The events of a user are one slice of flat arrays, sorted by time descending. What the user had done before a moment `t`
is then a suffix of that slice, so that thousands of (user, moment) pairs share one copy of the log.
"""

from __future__ import annotations

from dataclasses import dataclass

import numba
import numpy as np
import numpy.typing as npt

Int32 = npt.NDArray[np.int32]
Int64 = npt.NDArray[np.int64]
Int8 = npt.NDArray[np.int8]


@dataclass(frozen=True, kw_only=True)
class History:
    """One user's events, most recent first: `items` int32 rows, `kinds` int8, `ts` int64 ms; all of one length."""

    items: Int32
    kinds: Int8
    ts: Int64

    @classmethod
    def empty(cls) -> History:
        """The history of somebody who has done nothing yet."""
        return cls(items=np.empty(0, np.int32), kinds=np.empty(0, np.int8), ts=np.empty(0, np.int64))

    def __len__(self) -> int:
        return len(self.items)


@dataclass(frozen=True, kw_only=True)
class Moments:
    """Points at which somebody is served: row r sees events `begin[r]:end[r]` of its histories and is asked at
    `as_of[r]` (ms)."""

    users: Int32
    begin: Int64
    end: Int64
    as_of: Int64

    def __len__(self) -> int:
        return len(self.begin)

    def __getitem__(self, rows: slice | npt.NDArray[np.generic]) -> Moments:
        return Moments(users=self.users[rows], begin=self.begin[rows], end=self.end[rows], as_of=self.as_of[rows])


@dataclass(frozen=True, kw_only=True)
class Histories:
    """CSR over users: user u owns `items[indptr[u]:indptr[u + 1]]` (and `kinds`, `ts`), most recent first."""

    indptr: Int64
    items: Int32
    kinds: Int8
    ts: Int64

    @classmethod
    def from_events(cls, user: Int32, item: Int32, kind: Int8, ts: Int64, *, users: int) -> Histories:
        """Build from prepared events, sorted by (user, ts) ascending; all arrays of one length."""
        indptr = np.zeros(users + 1, np.int64)
        np.cumsum(np.bincount(user, minlength=users), out=indptr[1:])
        order = _reversed_segments(indptr)
        return cls(indptr=indptr, items=item[order], kinds=kind[order], ts=ts[order])

    @property
    def users(self) -> int:
        return len(self.indptr) - 1

    def of(self, user: int) -> History:
        """The whole history of one user (a view, no copy)."""
        span = slice(self.indptr[user], self.indptr[user + 1])
        return History(items=self.items[span], kinds=self.kinds[span], ts=self.ts[span])

    def at(self, users: Int32, as_of: Int64 | int) -> Moments:
        """What each of `users` had done strictly before its `as_of` (one time for all, or one per row)."""
        users = np.asarray(users, np.int32)
        times = np.broadcast_to(np.asarray(as_of, np.int64), users.shape)
        return Moments(
            users=users, begin=_begins(self.indptr, self.ts, users, times), end=self.indptr[users + 1], as_of=times
        )

    def before(self, as_of: int, *, most: int | None = None) -> Histories:
        """A copy that holds only events strictly before `as_of`, at most the `most` latest of each user."""
        moments = self.at(np.arange(self.users, dtype=np.int32), as_of)
        length = moments.end - moments.begin
        if most is not None:
            length = np.minimum(length, most)
        indptr = np.zeros(self.users + 1, np.int64)
        np.cumsum(length, out=indptr[1:])
        rows = np.arange(indptr[-1]) + np.repeat(moments.begin - indptr[:-1], length)
        return Histories(indptr=indptr, items=self.items[rows], kinds=self.kinds[rows], ts=self.ts[rows])

    @classmethod
    def single(cls, history: History) -> Histories:
        """One user's history as a set of one."""
        return cls(
            indptr=np.array([0, len(history)], np.int64), items=history.items, kinds=history.kinds, ts=history.ts
        )


@numba.njit(cache=True)
def _reversed_segments(indptr: Int64) -> Int64:
    order = np.empty(indptr[-1], np.int64)
    for u in range(len(indptr) - 1):
        for j in range(indptr[u + 1] - indptr[u]):
            order[indptr[u] + j] = indptr[u + 1] - 1 - j
    return order


@numba.njit(cache=True)
def _begins(indptr: Int64, ts: Int64, users: Int32, times: Int64) -> Int64:
    """First position of each user's slice whose event is strictly before the time (binary search in descending
    order)."""
    begins = np.empty(len(users), np.int64)
    for r in range(len(users)):
        low, high = indptr[users[r]], indptr[users[r] + 1]
        while low < high:
            middle = (low + high) // 2
            if ts[middle] < times[r]:
                high = middle
            else:
                low = middle + 1
        begins[r] = low
    return begins

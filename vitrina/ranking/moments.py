"""Moments to learn from and to be judged on: who was where at a time, and what they wanted next."""

from __future__ import annotations

from dataclasses import dataclass

import numba
import numpy as np
import numpy.typing as npt

from vitrina.events.schema import CART, DAY_MS
from vitrina.features.history import Histories, Moments
from vitrina.ranking.regimes import VISIT_GAP_MS


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What came after each moment: CSR rows of distinct items, ascending inside a row; indptr int64 (moments + 1),
    items int32."""

    indptr: npt.NDArray[np.int64]
    items: npt.NDArray[np.int32]

    @property
    def sizes(self) -> npt.NDArray[np.int64]:
        return np.diff(self.indptr)


def wanted_after(histories: Histories, moments: Moments, until: int) -> Wanted:
    """Items carted or bought at as_of <= ts < until (ms) by each moment's user."""
    starts = histories.indptr[moments.users]
    room = int((moments.begin - starts).sum())
    indptr, items = _wanted(histories.items, histories.kinds, histories.ts, starts, moments.begin, until, room)
    return Wanted(indptr=indptr, items=items)


def cut_moments(histories: Histories, cut: int, until: int) -> tuple[Moments, Wanted]:
    """Everybody with a past who wanted something in cut <= ts < until, asked at the cut."""
    moments = histories.at(np.arange(histories.users, dtype=np.int32), cut)
    moments = moments[np.flatnonzero((moments.end > moments.begin) & (moments.begin > histories.indptr[moments.users]))]
    wanted = wanted_after(histories, moments, until)
    return _only(moments, wanted, wanted.sizes > 0)


def visit_moments(
    histories: Histories, cut: int, until: int, *, days: float, most: int, seed: int
) -> tuple[Moments, Wanted]:
    """The instants just before a cart or purchase in the first `days` after the cut, by users with a past, at most
    `most` of them (drawn by `seed`); the visit so far is known then. Wanted is all up to `until`.
    """
    last = min(until, cut + round(days * DAY_MS))
    places = np.flatnonzero((histories.kinds >= CART) & (histories.ts >= cut) & (histories.ts < last))
    users = np.searchsorted(histories.indptr, places, side="right") - 1
    pairs = np.unique(np.stack([users, histories.ts[places]]), axis=1)  # one instant of a user once
    moments = histories.at(pairs[0].astype(np.int32), pairs[1].astype(np.int64))
    moments = moments[np.flatnonzero(moments.end > moments.begin)]
    moments = _drawn(moments, most, np.random.default_rng(seed))
    return moments, wanted_after(histories, moments, until)


def between_moments(
    histories: Histories, cut: int, until: int, *, days: float, instants: int, most: int, seed: int
) -> tuple[Moments, Wanted]:
    """Users with a past who wanted something in cut <= ts < until, each asked at `instants` random times of the first
    `days` after the cut. Of the times outside visits at most `most` stay (all drawn by `seed`), and of those the ones
    after which something wanted still came. Wanted is all up to `until`.
    """
    places = np.flatnonzero((histories.kinds >= CART) & (histories.ts >= cut) & (histories.ts < until))
    users = np.unique(np.searchsorted(histories.indptr, places, side="right") - 1).astype(np.int32)
    lots = np.random.default_rng(seed)
    span = min(until - cut, round(days * DAY_MS))
    moments = histories.at(np.repeat(users, instants), cut + lots.integers(0, span, len(users) * instants))
    moments = moments[np.flatnonzero(moments.end > moments.begin)]
    moments = moments[np.flatnonzero(moments.as_of - histories.ts[moments.begin] >= VISIT_GAP_MS)]
    moments = _drawn(moments, most, lots)
    wanted = wanted_after(histories, moments, until)
    return _only(moments, wanted, wanted.sizes > 0)


def _drawn(moments: Moments, most: int, lots: np.random.Generator) -> Moments:
    if len(moments) <= most:
        return moments
    return moments[np.sort(lots.choice(len(moments), most, replace=False))]


def _only(moments: Moments, wanted: Wanted, keep: npt.NDArray[np.bool_]) -> tuple[Moments, Wanted]:
    """The rows to keep of both; rows that go must want nothing."""
    indptr = np.concatenate([[0], np.cumsum(wanted.sizes[keep])]).astype(np.int64)
    return moments[np.flatnonzero(keep)], Wanted(indptr=indptr, items=wanted.items)


@numba.njit(cache=True)
def _wanted(items, kinds, ts, starts, begins, until, room):  # type: ignore[no-untyped-def]  # compiled
    indptr = np.zeros(len(starts) + 1, np.int64)
    out = np.empty(room, np.int32)
    filled = 0
    for r in range(len(starts)):
        first = filled
        for e in range(starts[r], begins[r]):
            if kinds[e] >= CART and ts[e] < until:
                out[filled] = items[e]
                filled += 1
        part = np.unique(out[first:filled])
        out[first : first + len(part)] = part
        filled = first + len(part)
        indptr[r + 1] = filled
    return indptr, out[:filled].copy()

"""Rows of the ids in one request: a compiled search for integers, where numpy's cost of a call would weigh most."""

from __future__ import annotations

import numba
import numpy as np
import numpy.typing as npt

from vitrina.events.ids import IdMap

Id = int | str


def row_of(known: IdMap, id: Id) -> int:
    """Row of one id, -1 when unknown; an id of the map's own kind."""
    sorted_ids = known.ids
    if sorted_ids.dtype == np.int64 and type(id) is int:
        return int(_row(sorted_ids, id))
    return known.index_of(id)


def rows_of(known: IdMap, ids: tuple[Id, ...]) -> npt.NDArray[np.int32]:
    """Rows int32 of ids of the map's own kind, -1 where unknown."""
    sorted_ids = known.ids
    if sorted_ids.dtype == np.int64:
        found: npt.NDArray[np.int32] = _rows(sorted_ids, np.array(ids, np.int64))
        return found
    return np.array([known.index_of(one) for one in ids], np.int32)


def compile_lookup() -> None:
    """Makes the machine code before a request needs it: for ids in memory, and in a file that is only read."""
    for writable in (True, False):
        ids = np.zeros(1, np.int64)
        ids.flags.writeable = writable
        _row(ids, 0)
        _rows(ids, np.zeros(1, np.int64))


@numba.njit(cache=True)
def _row(known, id):  # type: ignore[no-untyped-def]  # compiled
    low, high = 0, len(known)
    while low < high:
        middle = (low + high) // 2
        if known[middle] < id:
            low = middle + 1
        else:
            high = middle
    return low if low < len(known) and known[low] == id else -1


@numba.njit(cache=True)
def _rows(known, ids):  # type: ignore[no-untyped-def]  # compiled
    found = np.empty(len(ids), np.int32)
    for place in range(len(ids)):
        found[place] = _row(known, ids[place])
    return found

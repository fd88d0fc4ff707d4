"""Many moments for compiled code: as one record of arrays, in blocks, side by side."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt

from vitrina.features.history import Histories, Moments

Found = TypeVar("Found")


def in_blocks(work: Callable[[int, int], Found], count: int, *, block: int, threads: int) -> Iterator[Found]:
    """`work(first, last)` for blocks of rows first .. last - 1 that make up 0 .. count - 1, `threads` at a time; the
    results in the order of the blocks."""
    with ThreadPoolExecutor(max(1, threads)) as pool:
        yield from pool.map(lambda first: work(first, min(first + block, count)), range(0, count, max(1, block)))


class Visits(NamedTuple):
    """Many `Visit`s of the same arrays: row r is begin[r], end[r] and as_of[r], all int64."""

    items: npt.NDArray[np.int32]
    kinds: npt.NDArray[np.int8]
    ts: npt.NDArray[np.int64]
    begin: npt.NDArray[np.int64]
    end: npt.NDArray[np.int64]
    as_of: npt.NDArray[np.int64]


def visits_of(histories: Histories, moments: Moments) -> Visits:
    """What compiled code needs of the histories' moments."""
    h = histories
    return Visits(items=h.items, kinds=h.kinds, ts=h.ts, begin=moments.begin, end=moments.end, as_of=moments.as_of)

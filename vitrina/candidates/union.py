"""The best of one source, their union over all sources, and the union's order (compiled).

Orders are taken over whole numbers: of positive float32 values the larger one has the larger bits, and with the bits
of `LAST - place` behind them equal values go to the smaller place.
"""

from __future__ import annotations

from typing import Final

import numba
import numpy as np

PER_SOURCE: Final = 40
FUSION: Final = 60.0
UNRANKED: Final = 1_000.0
FREE: Final = -1
LAST: Final = np.uint64(0xFFFFFFFF)
HALF: Final = np.uint64(32)
BUCKETS: Final = 512
FINE: Final = np.uint32(17)
"""Bits of a float32 that a bucket does not look at: 64 buckets for each doubling."""

LARGEST: Final = np.int64(np.float32(0.25).view(np.uint32) >> FINE)
"""Bucket of the fused worth that no item reaches: ten sources give at most 10 / `FUSION`."""


@numba.njit(cache=True, nogil=True)
def best_of(touched, n, worth, bits, best):  # type: ignore[no-untyped-def]  # compiled
    """Puts the best PER_SOURCE of items touched[:n] into `best` uint64, as keys, and returns how many; `worth` is
    cleared.

    `bits` is `worth` as uint32. Items without a positive worth are left out; ties go to the smaller item.
    """
    filled = 0
    for t in range(n):
        item = touched[t]
        value = worth[item]
        key = (np.uint64(bits[item]) << HALF) | (LAST - np.uint64(item))
        worth[item] = 0.0
        if value <= 0.0:
            continue
        if filled == PER_SOURCE:
            if key < best[PER_SOURCE - 1]:
                continue
            spot = PER_SOURCE - 1
        else:
            spot = filled
            filled += 1
        while spot > 0 and best[spot - 1] < key:
            best[spot] = best[spot - 1]
            spot -= 1
        best[spot] = key
    return filled


@numba.njit(cache=True, nogil=True)
def unite(source, best, filled, union, slot, united, ranks, fusion):  # type: ignore[no-untyped-def]  # compiled
    """Adds the items of keys best[:filled], best first, to a union of `union` items; returns its new size."""
    for rank in range(filled):
        item = np.int64(LAST - (best[rank] & LAST))
        place = slot[item]
        if place == FREE:
            place = union
            union += 1
            slot[item] = place
            united[place] = item
            fusion[place] = 0.0
            for other in range(ranks.shape[1]):
                ranks[place, other] = UNRANKED
        ranks[place, source] = rank
        fusion[place] += 1.0 / (FUSION + rank)
    return union


@numba.njit(cache=True, nogil=True)
def fused_order(fusion, union, order):  # type: ignore[no-untyped-def]  # compiled
    """Places 0 .. union - 1 by falling `fusion` float32 (ties to the smaller place) into `order` int32: dropped into
    buckets, then put right inside them."""
    ends = np.zeros(BUCKETS + 1, np.int32)
    bits = fusion.view(np.uint32)
    for place in range(union):
        ends[_bucket(bits[place]) + 1] += 1
    for bucket in range(BUCKETS):
        ends[bucket + 1] += ends[bucket]
    for place in range(union):
        bucket = _bucket(bits[place])
        order[ends[bucket]] = place
        ends[bucket] += 1
    for rank in range(1, union):
        place = order[rank]
        spot = rank
        while spot > 0 and fusion[order[spot - 1]] < fusion[place]:
            order[spot] = order[spot - 1]
            spot -= 1
        order[spot] = place


@numba.njit(cache=True, nogil=True)
def _bucket(bits):  # type: ignore[no-untyped-def]  # compiled
    return min(max(LARGEST - np.int64(bits >> FINE), 0), BUCKETS - 1)


@numba.njit(cache=True, nogil=True)
def best_first(worth, count, order):  # type: ignore[no-untyped-def]  # compiled
    """The places of the best of worth[:count] into `order` int32, best first, ties to the smaller place; returns how
    many, at most len(order)."""
    filled, most = 0, len(order)
    for place in range(count):
        value = worth[place]
        if filled < most:
            spot = filled
            filled += 1
        elif value > worth[order[most - 1]]:
            spot = most - 1
        else:
            continue
        while spot > 0 and worth[order[spot - 1]] < value:
            order[spot] = order[spot - 1]
            spot -= 1
        order[spot] = place
    return filled

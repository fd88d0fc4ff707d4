"""One visitor's history, folded into distinct items: what the retrieval and the pair features both start from
(compiled)."""

from __future__ import annotations

from typing import Final, NamedTuple

import numba
import numpy as np
import numpy.typing as npt

MOST_EVENTS: Final = 256
"""Events of a history that are looked at, the latest first."""

MOST_ITEMS: Final = 48
"""Distinct items of a history that are looked at, the latest first."""

DAY: Final = 86_400_000.0


class Profile(NamedTuple):
    """Scratch for one visitor; rows 0 .. n - 1 are distinct items, most recently touched first.

    item int32 (MOST_ITEMS,), counts float32 (MOST_ITEMS, 3) by kind, days float64 (MOST_ITEMS, 3) since the last of
    each kind (NaN: never), weight float32 (MOST_ITEMS,) of the item as a query.
    """

    item: npt.NDArray[np.int32]
    counts: npt.NDArray[np.float32]
    days: npt.NDArray[np.float64]
    weight: npt.NDArray[np.float32]


class Taste(NamedTuple):
    """How a history becomes a query: an event weighs its kind's weight, halved every `half_life` days, and an item its
    strongest event / (1 + position) ** `position_power`. `alpha` turns an item's weight into confidence for the ALS
    fold-in."""

    kind_weights: tuple[float, float, float]
    half_life: float
    position_power: float
    alpha: float


def new_profile() -> Profile:
    """Empty scratch."""
    return Profile(
        item=np.empty(MOST_ITEMS, np.int32),
        counts=np.empty((MOST_ITEMS, 3), np.float32),
        days=np.empty((MOST_ITEMS, 3), np.float64),
        weight=np.empty(MOST_ITEMS, np.float32),
    )


@numba.njit(cache=True)
def fold(items, kinds, ts, begin, end, as_of, taste, slot, profile):  # type: ignore[no-untyped-def]  # compiled
    """Fills `profile` from events begin .. end - 1 (most recent first) and returns the number of distinct items.

    `slot` int32 (items,) must be all -1 and is left so.
    """
    folded, counts, since, weight = profile.item, profile.counts, profile.days, profile.weight
    kind_weights, half_life = taste.kind_weights, taste.half_life
    n = 0
    for e in range(begin, min(end, begin + MOST_EVENTS)):
        item = items[e]
        row = slot[item]
        if row < 0:
            if n == MOST_ITEMS:
                continue
            row = n
            n += 1
            slot[item] = row
            folded[row] = item
            weight[row] = 0.0
            for kind in range(3):
                counts[row, kind] = 0.0
                since[row, kind] = np.nan
        kind = kinds[e]
        days = max((as_of - ts[e]) / DAY, 0.0)
        counts[row, kind] += 1.0
        if np.isnan(since[row, kind]):
            since[row, kind] = days
        worth = kind_weights[kind] * 0.5 ** (days / half_life)
        weight[row] = max(weight[row], worth)
    for row in range(n):
        slot[folded[row]] = -1
        weight[row] /= (1.0 + row) ** taste.position_power
    return n

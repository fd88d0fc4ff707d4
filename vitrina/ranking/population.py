"""What the visitors of one day met: their moments, and the features of their candidates."""

from __future__ import annotations

from typing import Final

import numba
import numpy as np
import numpy.typing as npt

from vitrina.candidates.profile import Taste
from vitrina.candidates.retrieval import ANYTHING, SOURCES, Tables, Visit, new_scratch, retrieve
from vitrina.candidates.union import UNRANKED
from vitrina.features.history import Histories, Moments
from vitrina.ranking.blocks import in_blocks, visits_of
from vitrina.ranking.pair_features import FEATURES, pair_features

_RANKS: Final = FEATURES.index(f"{SOURCES[0]}_rank")


def day_moments(histories: Histories, start: int, until: int, *, most: int, seed: int) -> Moments:
    """Everybody who came in start <= ts < until (ms), each once: just before a random one of the own events there, if
    something was known by then. At most `most`, drawn by `seed`."""
    lots = np.random.default_rng(seed)
    places = np.flatnonzero((histories.ts >= start) & (histories.ts < until))
    users = (np.searchsorted(histories.indptr, places, side="right") - 1).astype(np.int32)
    mixed = lots.permutation(len(places))
    asked, first = np.unique(users[mixed], return_index=True)
    moments = histories.at(asked, histories.ts[places[mixed[first]]])
    moments = moments[np.flatnonzero(moments.end > moments.begin)]
    if len(moments) > most:
        moments = moments[np.sort(lots.choice(len(moments), most, replace=False))]
    return moments


def candidate_values(
    histories: Histories, moments: Moments, *, taste: Taste, tables: Tables, limit: int, rows: int, threads: int = 2
) -> npt.NDArray[np.float32]:
    """Features float32 (moments, rows, features) of `rows` of the `limit` candidates of each moment, evenly spaced
    from the best fused rank to the worst; fewer candidates come up more than once. The rank by a source that has not
    found the candidate is NaN."""
    visits = visits_of(histories, moments)
    found = np.full((len(moments), rows, len(FEATURES)), np.nan, np.float32)

    def fill(first: int, last: int) -> None:
        _candidate_values(visits, first, last, limit, ANYTHING, taste, tables, new_scratch(tables), found)

    for _ in in_blocks(fill, len(moments), block=-(-len(moments) // max(1, threads)), threads=threads):
        pass
    ranks = found[:, :, _RANKS : _RANKS + len(SOURCES)]
    ranks[ranks >= UNRANKED] = np.nan
    return found


@numba.njit(cache=True, nogil=True)
def _candidate_values(visits, first, last, limit, limits, taste, tables, scratch, found):  # type: ignore[no-untyped-def]  # compiled
    cand = np.empty(limit, np.int32)
    ranks = np.empty((limit, len(SOURCES)), np.float32)
    columns = np.empty((found.shape[2], limit), np.float32)
    rows = found.shape[1]
    for r in range(first, last):
        visit = Visit(visits.items, visits.kinds, visits.ts, visits.begin[r], visits.end[r], visits.as_of[r])
        count, known = retrieve(visit, limits, taste, tables, scratch, cand, ranks)
        if count == 0:
            continue
        pair_features(visit, tables, scratch, known, cand, ranks, count, columns)
        for row in range(rows):
            c = row * count // rows
            for j in range(found.shape[2]):
                found[r, row, j] = columns[j, c]

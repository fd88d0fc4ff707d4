"""Training rows for the ranker: at each moment the positives among the candidates, and negatives drawn from the same
candidates."""

from __future__ import annotations

from dataclasses import dataclass

import numba
import numpy as np
import numpy.typing as npt

from vitrina.candidates.profile import Taste
from vitrina.candidates.retrieval import ANYTHING, SOURCES, Tables, Visit, new_scratch, retrieve
from vitrina.candidates.union import UNRANKED
from vitrina.features.history import Histories, Moments
from vitrina.ranking.blocks import in_blocks, visits_of
from vitrina.ranking.moments import Wanted
from vitrina.ranking.pair_features import FEATURES, pair_features


@dataclass(frozen=True, kw_only=True)
class Rows:
    """Groups behind each other: features float32 (rows, features), label float32 (rows,), group int32 (rows,),
    ascending, and user int32 (rows,): whose moment it is."""

    features: npt.NDArray[np.float32]
    label: npt.NDArray[np.float32]
    group: npt.NDArray[np.int32]
    user: npt.NDArray[np.int32]

    def __len__(self) -> int:
        return len(self.label)

    @property
    def groups(self) -> int:
        return len(np.unique(self.group))

    def where(self, mask: npt.NDArray[np.bool_]) -> Rows:
        """The rows at which `mask` (rows,) holds."""
        return Rows(features=self.features[mask], label=self.label[mask], group=self.group[mask], user=self.user[mask])

    def at_most(self, rows: int, seed: int) -> Rows:
        """Whole groups drawn at random so that about `rows` rows remain; all of them when there are no more."""
        if len(self) <= rows:
            return self
        groups = np.unique(self.group)
        share = rows / len(self)
        drawn = np.random.default_rng(seed).permutation(groups)[: max(1, int(len(groups) * share))]
        return self.where(np.isin(self.group, drawn))

    @classmethod
    def join(cls, parts: list[Rows]) -> Rows:
        """All groups of all parts, renumbered."""
        offset, groups = 0, []
        for part in parts:
            _, dense = np.unique(part.group, return_inverse=True)
            groups.append((dense + offset).astype(np.int32))
            offset += part.groups
        return cls(
            features=np.concatenate([part.features for part in parts]),
            label=np.concatenate([part.label for part in parts]),
            group=np.concatenate(groups),
            user=np.concatenate([part.user for part in parts]),
        )


@dataclass(frozen=True, kw_only=True)
class Recall:
    """Share of the wanted items that the candidates hold: `union` and one value per source, over all (moment, item)
    pairs."""

    union: float
    by_source: dict[str, float]
    pairs: int


def sample_rows(
    histories: Histories,
    moments: Moments,
    wanted: Wanted,
    *,
    taste: Taste,
    tables: Tables,
    limit: int,
    negatives: int,
    seed: int,
    threads: int = 2,
) -> tuple[Rows, Recall]:
    """Rows of every moment that has a positive among its `limit` candidates, with at most `negatives` others, and the
    recall.

    Negatives are drawn without replacement from the moment's own candidates by a hash of (seed, moment, item), so that
    the same call gives the same rows whatever the number of threads.
    """
    visits = visits_of(histories, moments)

    def sample(
        first: int, last: int
    ) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32], npt.NDArray[np.int32], npt.NDArray[np.int64]]:
        positives = int((wanted.indptr[first + 1 : last + 1] - wanted.indptr[first:last]).clip(max=limit).sum())
        room = positives + (last - first) * negatives
        features = np.empty((room, len(FEATURES)), np.float32)
        label, group = np.empty(room, np.float32), np.empty(room, np.int32)
        hits = np.zeros(len(SOURCES) + 2, np.int64)
        lots = (limit, negatives, seed)
        sought = (wanted.indptr, wanted.items)
        out = (features, label, group, hits)
        filled = _sample(visits, first, last, ANYTHING, taste, tables, new_scratch(tables), sought, lots, out)
        return features[:filled], label[:filled], group[:filled], hits

    block = -(-len(moments) // max(1, threads))
    parts = list(in_blocks(sample, len(moments), block=block, threads=threads)) or [sample(0, 0)]
    hits = np.sum([part[3] for part in parts], axis=0)
    pairs = max(int(hits[-1]), 1)
    recall = Recall(
        union=hits[-2] / pairs,
        pairs=int(hits[-1]),
        by_source={source: float(hits[s]) / pairs for s, source in enumerate(SOURCES)},
    )
    group = np.concatenate([part[2] for part in parts])
    rows = Rows(
        features=np.concatenate([part[0] for part in parts]),
        label=np.concatenate([part[1] for part in parts]),
        group=group,
        user=moments.users[group],
    )
    return rows, recall


@numba.njit(cache=True)
def _mix(seed, moment, item):  # type: ignore[no-untyped-def]  # compiled
    """A 64-bit hash in the manner of splitmix64 (Steele, Lea, Flood, OOPSLA 2014)."""
    z = (
        np.uint64(seed)
        + np.uint64(moment) * np.uint64(0x9E3779B97F4A7C15)
        + np.uint64(item) * np.uint64(0xD1B54A32D192ED03)
    )
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


@numba.njit(cache=True, nogil=True)
def _sample(visits, first, last, limits, taste, tables, scratch, wanted, lots, out):  # type: ignore[no-untyped-def]  # compiled
    """Rows of moments first .. last - 1 into `out`, and how many. wanted: indptr and items; lots: (candidates,
    negatives, seed); out: features, label, group and hits."""
    wanted_indptr, wanted_items = wanted
    limit, negatives, seed = lots
    features, label, group, hits = out
    cand = np.empty(limit, np.int32)
    ranks = np.empty((limit, len(SOURCES)), np.float32)
    drawing = np.empty(limit, np.uint64)
    columns = np.empty((features.shape[1], limit), np.float32)
    filled = 0
    for r in range(first, last):
        start, stop = wanted_indptr[r], wanted_indptr[r + 1]
        if start == stop:
            continue
        visit = Visit(visits.items, visits.kinds, visits.ts, visits.begin[r], visits.end[r], visits.as_of[r])
        count, known = retrieve(visit, limits, taste, tables, scratch, cand, ranks)
        hits[-1] += stop - start
        positives = 0
        for c in range(count):
            place = start + np.searchsorted(wanted_items[start:stop], cand[c])
            found = place < stop and wanted_items[place] == cand[c]
            drawing[c] = np.uint64(0) if found else _mix(seed, r, cand[c]) | np.uint64(1)
            if found:
                positives += 1
                hits[-2] += 1
                for s in range(ranks.shape[1]):
                    if ranks[c, s] < UNRANKED:
                        hits[s] += 1
        if positives == 0 or positives == count:
            continue
        drawn = min(count, positives + negatives)
        limit_lot = np.partition(drawing[:count], drawn - 1)[drawn - 1]
        chosen = 0
        pair_features(visit, tables, scratch, known, cand, ranks, count, columns)
        for c in range(count):
            if drawing[c] <= limit_lot and chosen < drawn:
                for j in range(features.shape[1]):
                    features[filled, j] = columns[j, c]
                label[filled] = 1.0 if drawing[c] == np.uint64(0) else 0.0
                group[filled] = r
                filled += 1
                chosen += 1
    return filled

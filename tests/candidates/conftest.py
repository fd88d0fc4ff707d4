"""Pasts and planted tables for the candidate sources, and one call of `retrieve` that checks what it leaves behind."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

import ibis
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pytest

from vitrina.candidates.neighbours import Neighbours
from vitrina.candidates.profile import Taste
from vitrina.candidates.retrieval import MATRICES, SOURCES, Limits, Tables, Visit, by_item, new_scratch, retrieve
from vitrina.engine import LocalEngine
from vitrina.features.history import History
from vitrina.features.item_columns import ITEM_FEATURES
from vitrina.features.past import Past

Row = tuple[int, int, int, int]
AS_OF = 1_440_000_000_000


@pytest.fixture(scope="session")
def engine() -> Iterator[LocalEngine]:
    with LocalEngine(memory_limit="500MB", threads=2) as opened:
        yield opened


@pytest.fixture(scope="session")
def past_of(engine: LocalEngine) -> Callable[..., Past]:
    """The past of (user, item, kind, ts) tuples at `as_of`."""

    def build(
        rows: Sequence[Row], *, users: int, items: int, as_of: int = AS_OF, category: Sequence[int] | None = None
    ) -> Past:
        user, item, kind, ts = zip(*rows, strict=True)
        table = pa.table(
            {
                "user": pa.array(user, pa.int32()),
                "item": pa.array(item, pa.int32()),
                "kind": pa.array(kind, pa.int8()),
                "ts": pa.array(ts, pa.int64()),
            }
        )
        return Past(
            engine=engine,
            events=ibis.memtable(table),
            as_of=as_of,
            users=users,
            items=items,
            category=np.array([-1] * items if category is None else category, np.int32),
        )

    return build


Links = Mapping[str, Mapping[tuple[int, int], float]]


def plant(
    *,
    items: int,
    links: Links | None = None,
    popularity: Sequence[float] = (),
    category: Sequence[int] | None = None,
    parent: Sequence[int] = (),
    factors: npt.NDArray[np.float32] | None = None,
) -> Tables:
    """Tables with these links (matrix -> (source, target) -> weight), popularity and categories, and nothing else."""
    stacked = []
    for name in MATRICES:
        pairs = dict((links or {}).get(name, {}))
        source = np.array([pair[0] for pair in pairs], np.int32)
        target = np.array([pair[1] for pair in pairs], np.int32)
        stacked.append(Neighbours.from_pairs(source, target, np.array(list(pairs.values()), np.float32), items=items))
    starts, neighbours, weights = by_item(stacked)
    score = np.zeros(items, np.float32)
    score[: len(popularity)] = popularity
    shelf_of = np.full(items, -1, np.int32) if category is None else np.array(category, np.int32)
    order = np.lexsort((np.arange(items), -score))[: int((score > 0).sum())].astype(np.int32)
    shelves = [[item for item in order if shelf_of[item] == place] for place in range(len(parent))]
    if factors is None:
        factors = np.zeros((items, 2), np.float32)
    return Tables(
        starts=starts,
        neighbours=neighbours,
        weights=weights,
        factors=factors,
        gram=(factors.T @ factors + np.eye(factors.shape[1])).astype(np.float32),
        popular=order,
        popularity=score,
        category=shelf_of,
        parent=np.array(parent, np.int32),
        shelf_indptr=np.cumsum([0, *(len(shelf) for shelf in shelves)]).astype(np.int64),
        shelf_items=np.array([item for shelf in shelves for item in shelf], np.int32),
        item_values=np.zeros((items, len(ITEM_FEATURES)), np.float32),
    )


class Found(NamedTuple):
    """items in fused order; rank[source][item] for the sources that have it; `known`: distinct items of the history."""

    items: list[int]
    rank: dict[str, dict[int, int]]
    known: int


EVEN = Taste(kind_weights=(1.0, 2.0, 4.0), half_life=1.0, position_power=0.0, alpha=2.0)
"""A taste whose weights are exact in float32 for events whole days old."""


def recalled(
    tables: Tables,
    history: History,
    *,
    taste: Taste = EVEN,
    barred: Sequence[int] = (),
    allowed: npt.NDArray[np.bool_] | None = None,
    new_only: bool = False,
    limit: int = 500,
    as_of: int = AS_OF,
) -> Found:
    """One call of `retrieve`; fails when it leaves anything in the scratch that the next visitor would meet."""
    scratch = new_scratch(tables)
    items, ranks = np.full(limit, -9, np.int32), np.full((limit, len(SOURCES)), -9, np.float32)
    visit = Visit(history.items, history.kinds, history.ts, 0, len(history), as_of)
    limits = Limits(np.array(barred, np.int32), np.empty(0, np.bool_) if allowed is None else allowed, new_only)
    count, known = retrieve(visit, limits, taste, tables, scratch, items, ranks)
    assert (scratch.slot == -1).all(), "slots are left occupied"
    assert (scratch.worth == 0).all(), "worth is left behind"
    assert (items[count:] == -9).all()
    rank = {
        source: {int(items[c]): int(ranks[c, s]) for c in range(count) if ranks[c, s] < 1000}
        for s, source in enumerate(SOURCES)
    }
    return Found(items=items[:count].tolist(), rank=rank, known=known)


@pytest.fixture(scope="session")
def tables_of() -> Callable[..., Tables]:
    return plant


@pytest.fixture(scope="session")
def recall() -> Callable[..., Found]:
    return recalled

"""A small random shop, fitted for real: histories, tables with every source filled, and visitors at a time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import ibis
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pytest

from vitrina.candidates.als import ALS
from vitrina.candidates.profile import Taste
from vitrina.candidates.retrieval import ANYTHING, SOURCES, Scratch, Tables, Visit, new_scratch, retrieve
from vitrina.engine import LocalEngine
from vitrina.events.schema import DAY_MS
from vitrina.features.history import Histories
from vitrina.features.past import Past
from vitrina.ranking.pair_features import FEATURES, pair_features
from vitrina.recommend.sources import Sources

AS_OF = 1_440_000_000_000
USERS, ITEMS, CATEGORIES = 60, 50, 6


@dataclass(frozen=True, kw_only=True)
class World:
    """The log of 60 days, tables fitted `as_of` two weeks before its end."""

    histories: Histories
    tables: Tables
    taste: Taste
    as_of: int


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What one visitor was asked: `rows` float32 (candidates, features) for `cand` int32; `again` asks for others."""

    rows: npt.NDArray[np.float32]
    cand: npt.NDArray[np.int32]
    ranks: npt.NDArray[np.float32]
    known: int
    scratch: Scratch
    again: Callable[[npt.NDArray[np.int32], npt.NDArray[np.float32]], npt.NDArray[np.float32]]


@pytest.fixture(scope="session")
def world() -> World:
    """50 items in 6 categories (some without one, 5 never seen), 60 visitors of whom 5 are new, tastes by visitor."""
    rng = np.random.default_rng(11)
    count = 1500
    user = np.sort(rng.integers(0, USERS - 5, count)).astype(np.int32)
    item = ((user * 7 + rng.geometric(0.12, count)) % (ITEMS - 5)).astype(np.int32)
    kind = rng.choice([0, 0, 0, 1, 2], count).astype(np.int8)
    end = AS_OF + 14 * DAY_MS
    ts = (end - rng.integers(1, 60 * DAY_MS, count)).astype(np.int64)
    ts[::40] = AS_OF - rng.integers(1, DAY_MS, len(ts[::40]))  # some visits of the last day
    order = np.lexsort((item, kind, ts, user))
    user, item, kind, ts = user[order], item[order], kind[order], ts[order]
    category = rng.integers(-1, CATEGORIES - 1, ITEMS).astype(np.int32)
    parent = np.array([-1, 0, 0, 1, 1, 0], np.int32)
    sources = Sources(als=ALS(factors=8))
    with LocalEngine(memory_limit="500MB", threads=2) as engine:
        events = ibis.memtable(pa.table({"user": user, "item": item, "kind": kind, "ts": ts}))
        past = Past(engine=engine, events=events, as_of=AS_OF, users=USERS, items=ITEMS, category=category)
        tables = sources.fit(past, parent)
    histories = Histories.from_events(user, item, kind, ts, users=USERS)
    return World(histories=histories, tables=tables, taste=sources.taste, as_of=AS_OF)


@pytest.fixture(scope="session")
def ask(world: World) -> Callable[..., Asked]:
    """The candidates of one visitor of the world and their features, by the compiled code, one visitor at a time."""

    def asked(user: int, as_of: int = AS_OF, *, limit: int = 120) -> Asked:
        h, moment = world.histories, world.histories.at(np.array([user], np.int32), as_of)
        begin, end = int(moment.begin[0]), int(moment.end[0])
        scratch = new_scratch(world.tables)
        cand, ranks = np.empty(limit, np.int32), np.empty((limit, len(SOURCES)), np.float32)
        visit = Visit(h.items, h.kinds, h.ts, begin, end, as_of)
        count, known = retrieve(visit, ANYTHING, world.taste, world.tables, scratch, cand, ranks)

        def again(items: npt.NDArray[np.int32], given: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
            columns = np.full((len(FEATURES), len(items) + 3), -77, np.float32)
            pair_features(visit, world.tables, scratch, known, items, given, len(items), columns)
            assert (scratch.slot == -1).all(), "slots are left occupied"
            assert (columns[:, len(items) :] == -77).all()
            return columns[:, : len(items)].T.copy()

        cand, ranks = cand[:count].copy(), ranks[:count].copy()
        return Asked(rows=again(cand, ranks), cand=cand, ranks=ranks, known=known, scratch=scratch, again=again)

    return asked

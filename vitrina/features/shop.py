"""A prepared log opened for fitting: histories in memory, tables as expressions, properties as of any cut-off."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from vitrina.engine import Engine
from vitrina.errors import DataError
from vitrina.events.prepare import Prepared
from vitrina.events.properties import availability_as_of, categories_as_of
from vitrina.features.history import Histories
from vitrina.features.past import Past


class Log(NamedTuple):
    """Events as parallel arrays sorted by (user, ts): user, item int32, kind int8, ts int64 ms."""

    user: npt.NDArray[np.int32]
    item: npt.NDArray[np.int32]
    kind: npt.NDArray[np.int8]
    ts: npt.NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class Shop:
    """`categories` int64 (categories,): the shop's own category numbers, ascending; `parent` int32 (categories,): the
    place of each one's parent, -1 for a root. `weights`: how much one event of each kind says. `as_of` (ms) is just
    after the last event.
    """

    prepared: Prepared
    engine: Engine
    log: Log
    histories: Histories
    categories: npt.NDArray[np.int64]
    parent: npt.NDArray[np.int32]
    weights: tuple[float, ...]
    first_ts: int
    as_of: int

    @classmethod
    def open(cls, prepared: Prepared, engine: Engine, *, as_of: int | None = None) -> Shop:
        """Reads the log before `as_of` (ms; None: all of it) into memory, 17 bytes an event, and the category tree.

        `DataError` when nothing lies before `as_of`.
        """
        events = prepared.events(engine).select("user", "item", "kind", "ts")
        if as_of is not None:
            events = events.filter(events.ts < as_of)
        table = engine.to_arrow(events.order_by(["user", "ts", "kind", "item"]))
        if table.num_rows == 0:
            raise DataError("no event of the log lies before it", where="as_of", remedy="Give a later --as-of.")
        user, item, kind, ts = (table.column(name).to_numpy() for name in ("user", "item", "kind", "ts"))
        categories, parent = _tree(prepared, engine)
        return cls(
            prepared=prepared,
            engine=engine,
            log=Log(user=user, item=item, kind=kind, ts=ts),
            histories=Histories.from_events(user, item, kind, ts, users=len(prepared.users)),
            categories=categories,
            parent=parent,
            weights=tuple(prepared.report.weights),
            first_ts=int(ts.min()),
            as_of=int(ts.max()) + 1,
        )

    def category(self, as_of: int) -> npt.NDArray[np.int32]:
        """Places in `categories` int32 (items,), -1 unknown. Items described only later take their first category:
        shops publish snapshots after the fact, and a category hardly tells the future."""
        known = categories_as_of(self.prepared, self.engine, as_of, back_fill=True)
        place = np.searchsorted(self.categories, known.values).astype(np.int32)
        place[~known.known] = -1
        return place

    def available(self, as_of: int) -> npt.NDArray[np.bool_]:
        """Which items can be sold, bool (items,); an item without a word about it can."""
        return availability_as_of(self.prepared, self.engine, as_of).values.astype(np.bool_)

    def titles(self) -> npt.NDArray[np.bytes_] | None:
        """Utf-8 titles `S{n}` (items,), empty where none; None when the shop has none."""
        table = self.prepared.titles(self.engine)
        if table is None:
            return None
        found = self.engine.to_arrow(table.select("item", "title"))
        named = np.array([title.encode() for title in found.column("title").to_pylist()], dtype=np.bytes_)
        titles = np.zeros(len(self.prepared.items), named.dtype)
        titles[found.column("item").to_numpy()] = named
        return titles

    def past(self, as_of: int) -> Past:
        """What fitting may see at `as_of` (ms)."""
        return Past(
            engine=self.engine,
            events=self.prepared.events(self.engine),
            as_of=as_of,
            users=len(self.prepared.users),
            items=len(self.prepared.items),
            category=self.category(as_of),
            weights=self.weights,
        )


def _tree(prepared: Prepared, engine: Engine) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int32]]:
    """All category numbers that occur, ascending, and the place of each one's parent."""
    numbers = [np.empty(0, np.int64)]
    used, tree = prepared.categories(engine), prepared.tree(engine)
    if used is not None:
        numbers.append(engine.to_arrow(used.select("category").distinct()).column("category").to_numpy())
    child, above = np.empty(0, np.int64), np.empty(0, np.int64)
    if tree is not None:
        pairs = engine.to_arrow(tree.filter(tree.parent.notnull()).select("category", "parent"))
        child, above = pairs.column("category").to_numpy(), pairs.column("parent").to_numpy()
        numbers += [child, above]
    categories = np.unique(np.concatenate(numbers)).astype(np.int64)
    parent = np.full(len(categories), -1, np.int32)
    parent[np.searchsorted(categories, child)] = np.searchsorted(categories, above)
    return categories, parent

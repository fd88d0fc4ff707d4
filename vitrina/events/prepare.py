"""A validated folder (opaque ids) -> a prepared folder (row numbers), sorted by user and time."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Self

import ibis
import ibis.expr.types as ir
import numpy as np
import pyarrow as pa

from vitrina.engine import Engine
from vitrina.errors import DataError
from vitrina.events.ids import IdMap
from vitrina.events.publish import published
from vitrina.events.report import Report
from vitrina.events.schema import (
    AVAILABILITY_FILE,
    CATEGORIES_FILE,
    EVENTS_FILE,
    ITEMS_FILE,
    REPORT_FILE,
    TITLES_FILE,
    TREE_FILE,
    USERS_FILE,
)

KEYED = {
    CATEGORIES_FILE: ["item", "ts", "category"],
    AVAILABILITY_FILE: ["item", "ts", "available"],
    TITLES_FILE: ["item"],
}


@dataclass(frozen=True)
class Prepared:
    """A prepared folder on disk."""

    folder: Path

    @classmethod
    def open(cls, folder: Path) -> Self:
        """`DataError` when the folder lacks one of the files that every prepared folder has."""
        for name in (EVENTS_FILE, USERS_FILE, ITEMS_FILE, REPORT_FILE):
            if not (folder / name).is_file():
                raise DataError("this is no prepared folder", where=str(folder / name), remedy="Prepare the log again.")
        return cls(folder)

    @cached_property
    def users(self) -> IdMap:
        return IdMap.load(self.folder / USERS_FILE)

    @cached_property
    def items(self) -> IdMap:
        return IdMap.load(self.folder / ITEMS_FILE)

    @cached_property
    def report(self) -> Report:
        """The report of the log that this was prepared from."""
        return Report.read(self.folder)

    def events(self, engine: Engine) -> ir.Table:
        """`user`, `item` int32, `kind` int8, `ts` int64 ms; the file is sorted by user, ts, kind, item."""
        return engine.read_parquet(self.folder / EVENTS_FILE)

    def categories(self, engine: Engine) -> ir.Table | None:
        """`item` int32, `ts` int64, `category` int64; None when the shop has none."""
        return self._table(CATEGORIES_FILE, engine)

    def availability(self, engine: Engine) -> ir.Table | None:
        """`item` int32, `ts` int64, `available` bool; None when the shop has none."""
        return self._table(AVAILABILITY_FILE, engine)

    def tree(self, engine: Engine) -> ir.Table | None:
        """`category` int64, `parent` nullable int64; None when the shop has none."""
        return self._table(TREE_FILE, engine)

    def titles(self, engine: Engine) -> ir.Table | None:
        """`item` int32, `title`; None when the shop has none."""
        return self._table(TITLES_FILE, engine)

    def _table(self, name: str, engine: Engine) -> ir.Table | None:
        return engine.read_parquet(self.folder / name) if (self.folder / name).is_file() else None


def prepare(validated: Path, out: Path, engine: Engine) -> Prepared:
    """Numbers users and items in the order of their ids and writes the prepared folder whole or not at all."""
    report = Report.read(validated)
    events = engine.read_parquet(validated / EVENTS_FILE)
    with published(out, marker=USERS_FILE) as folder:
        users = _number(events, "user_id", "user", folder / USERS_FILE, engine)
        items = _number(events, "item_id", "item", folder / ITEMS_FILE, engine)
        rows = events.inner_join(users, "user_id").inner_join(items, "item_id").select("user", "item", "kind", "ts")
        engine.write_parquet(rows, folder / EVENTS_FILE, order_by=["user", "ts", "kind", "item"])
        for name, order in KEYED.items():
            if (validated / name).is_file():
                table = engine.read_parquet(validated / name)
                numbered = table.inner_join(items, "item_id").drop("item_id").relocate("item")
                engine.write_parquet(numbered, folder / name, order_by=order)
        if (validated / TREE_FILE).is_file():
            engine.write_parquet(engine.read_parquet(validated / TREE_FILE), folder / TREE_FILE, order_by="category")
        report.write(folder)
        for name in ("user", "item"):
            (folder / f"{name}-numbers.parquet").unlink()
    return Prepared.open(out)


def _number(events: ir.Table, id_name: str, row_name: str, path: Path, engine: Engine) -> ir.Table:
    """Saves the id map and returns a table of its ids and row numbers."""
    ids = engine.to_arrow(events.select(id_name).distinct().order_by(ibis.asc(events[id_name])))[id_name]
    known = IdMap(ids)
    if len(known) > np.iinfo(np.int32).max:
        raise DataError(f"{len(known):,} ids do not fit int32 rows", where=str(path), remedy="Split the log.")
    known.save(path)
    numbers = path.with_name(f"{row_name}-numbers.parquet")
    rows = pa.table({id_name: ids, row_name: np.arange(len(ids), dtype=np.int32)})
    engine.write_parquet(ibis.memtable(rows), numbers)
    return engine.read_parquet(numbers)

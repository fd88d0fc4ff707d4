"""One engine, and prepared events as a table from tuples."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import ibis
import ibis.expr.types as ir
import pyarrow as pa
import pytest

from vitrina.engine import LocalEngine

Row = tuple[int, int, int, int]
AsTable = Callable[[list[Row]], ir.Table]


@pytest.fixture(scope="session")
def engine() -> Iterator[LocalEngine]:
    with LocalEngine(memory_limit="500MB", threads=2) as opened:
        yield opened


@pytest.fixture(scope="session")
def as_table() -> AsTable:
    """(user, item, kind, ts) tuples, in any order, as a table of prepared events."""

    def build(rows: list[Row]) -> ir.Table:
        user, item, kind, ts = zip(*rows, strict=True)
        types = {"user": pa.int32(), "item": pa.int32(), "kind": pa.int8(), "ts": pa.int64()}
        columns = {
            name: pa.array(column, type=types[name]) for name, column in zip(types, (user, item, kind, ts), strict=True)
        }
        return ibis.memtable(pa.table(columns))

    return build

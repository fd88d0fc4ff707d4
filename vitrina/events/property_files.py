"""item_properties*.csv and category_tree.csv -> categories, availability and tree; other properties are dropped."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import ibis
import ibis.expr.types as ir
import numpy as np
import pyarrow as pa

from vitrina.engine import LocalEngine
from vitrina.errors import DataError
from vitrina.events.faults import Faults
from vitrina.events.schema import AVAILABILITY_FILE, CATEGORIES_FILE, TREE_FILE
from vitrina.events.sources import DataFile
from vitrina.events.staging import id_is_odd, open_table, stage
from vitrina.events.validation import EARLIEST_MS, LATEST_MS

PROPERTIES = {"item": "itemid", "time": "timestamp", "property": "property", "value": "value"}
TREE = {"category": "categoryid", "parent": "parentid"}
CATEGORY, AVAILABLE = "categoryid", "available"


@dataclass(frozen=True, kw_only=True)
class PropertyTables:
    """Rows written of each table, by its file name, and what was noticed."""

    rows: dict[str, int] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def read_properties(
    files: list[DataFile], items: ir.Table, item_ids: str, out: Path, work: Path, engine: LocalEngine, faults: Faults
) -> PropertyTables:
    """Writes categories.parquet and availability.parquet of `items` (their `item_id`), sorted by item and time."""
    parts = []
    for number, file in enumerate(files):
        table = open_table(file, engine, PROPERTIES, "The header must be timestamp,itemid,property,value.")
        at = {role: column.text for role, column in table.columns.items()}
        select = {
            "item": at["item"],
            "item_odd": id_is_odd(at["item"]),
            "ts": f"try_cast({table.columns['time'].number} AS BIGINT)",
            "time": at["time"],
            "property": at["property"],
            "value": at["value"],
        }
        kept = f"property IN ('{CATEGORY}', '{AVAILABLE}') OR property IS NULL"
        staged = stage(table, engine, select, work / f"properties-{number}.parquet", where=kept)
        rows = _judged(engine.read_parquet(staged.path), item_ids)
        path = work / f"properties-{number}-typed.parquet"
        engine.write_parquet(rows, path)
        staged.path.unlink()
        typed = engine.read_parquet(path)
        faults.check(staged, typed, engine)
        parts.append(typed.filter(typed.fault.isnull()).select("item_id", "ts", "property", "number"))
    rows = parts[0].union(*parts[1:]) if len(parts) > 1 else parts[0]
    known = rows.semi_join(items, "item_id")
    written: dict[str, int] = {}
    for name, file_name, value in (
        (CATEGORY, CATEGORIES_FILE, known.number.name("category")),
        (AVAILABLE, AVAILABILITY_FILE, (known.number != 0).name("available")),
    ):
        table_ = known.filter(known.property == name).select("item_id", "ts", value).distinct()
        engine.write_parquet(table_, out / file_name, order_by=table_.columns)
        done = engine.read_parquet(out / file_name)
        count = int(engine.to_arrow(done.aggregate(rows=done.count()))["rows"][0].as_py())
        if count:
            written[file_name] = count
        else:
            (out / file_name).unlink()
    strangers = rows.anti_join(items, "item_id")
    lost = int(engine.to_arrow(strangers.aggregate(items=strangers.item_id.nunique()))["items"][0].as_py())
    notes = [f"{lost:,} items of item_properties have no event and are left out"] if lost else []
    return PropertyTables(rows=written, notes=notes)


def read_tree(file: DataFile, out: Path, work: Path, engine: LocalEngine, faults: Faults) -> PropertyTables:
    """Writes tree.parquet (`category`, `parent`, null for a root). `DataError` for two parents or a ring."""
    table = open_table(file, engine, TREE, "The header must be categoryid,parentid.")
    select = {role: column.text for role, column in table.columns.items()}
    staged = stage(table, engine, select, work / "tree.parquet")
    raw = engine.read_parquet(staged.path)
    category, parent = raw.category.try_cast("int64"), raw.parent.try_cast("int64")
    tests = [
        (category.isnull(), "the category is not an integer", raw.category),
        (raw.parent.notnull() & parent.isnull(), "the parent is not an integer", raw.parent),
    ]
    fault = ibis.cases(*((test, reason) for test, reason, _ in tests), else_=ibis.null("string"))
    value = ibis.cases(*((test, text) for test, _, text in tests), else_=ibis.null("string"))
    rows = raw.select(category=category, parent=parent, fault=fault, value=value, n=raw.n)
    faults.check(staged, rows, engine)
    tree = engine.to_arrow(
        rows.filter(rows.fault.isnull()).select("category", "parent").distinct().order_by("category")
    )
    check_tree(tree, staged.name)
    engine.write_parquet(ibis.memtable(tree), out / TREE_FILE, order_by="category")
    return PropertyTables(rows={TREE_FILE: len(tree)})


def check_tree(tree: pa.Table, name: str) -> None:
    """Every category has one parent, and no walk upwards comes back. Follows all parents at once, doubling the step."""
    category = tree["category"].to_numpy()  # (categories,)
    unique, counts = np.unique(category, return_counts=True)
    if (counts > 1).any():
        raise DataError(
            f"category {unique[counts > 1][0]} has two parents", where=name, remedy="Leave one row for each category."
        )
    parent = tree["parent"].fill_null(0).to_numpy()
    row = np.searchsorted(category, parent).clip(max=max(len(category) - 1, 0))
    at = np.where(tree["parent"].is_valid().to_numpy() & (category[row] == parent), row, -1) if len(category) else row
    for _ in range(len(category).bit_length() + 1):
        at = np.where(at >= 0, at[at], -1)
    if (at >= 0).any():
        raise DataError(f"category {category[at >= 0][0]} is its own ancestor", where=name, remedy="Break the ring.")


def _judged(raw: ir.Table, item_ids: str) -> ir.Table:
    item = raw.item.try_cast("int64") if item_ids == "int" else raw.item
    number = raw.value.try_cast("int64")
    tests = [
        (raw.property.isnull(), "no property name", raw.value),
        (item.isnull(), "no item id" if item_ids == "str" else "no integer item id", raw.item),
        (raw.item_odd, "item id is over 128 bytes or holds a NUL", raw.item.left(40)),
        (raw.ts.isnull(), "the time cannot be read", raw.time),
        (
            (raw.ts < EARLIEST_MS) | (raw.ts >= LATEST_MS),
            "the time is before 1995 or after 2100 (ms are expected)",
            raw.time,
        ),
        (number.isnull(), "the value is not an integer", raw.value),
        ((raw.property == AVAILABLE) & ~number.isin([0, 1]), "available is neither 0 nor 1", raw.value),
    ]
    fault = ibis.cases(*((test, reason) for test, reason, _ in tests), else_=ibis.null("string"))
    value = ibis.cases(*((test, text) for test, _, text in tests), else_=ibis.null("string"))
    return raw.select(item_id=item, ts=raw.ts, property=raw.property, number=number, n=raw.n, fault=fault, value=value)

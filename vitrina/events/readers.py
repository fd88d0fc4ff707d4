"""Raw files of any log in, a validated folder out, published whole or not at all."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import ibis.expr.types as ir

from vitrina.engine import LocalEngine
from vitrina.errors import DataError
from vitrina.events.columns import EXAMPLE, ColumnMap
from vitrina.events.faults import Faults
from vitrina.events.property_files import PropertyTables, read_properties, read_tree
from vitrina.events.publish import published
from vitrina.events.report import Report
from vitrina.events.schema import AVAILABILITY_FILE, CATEGORIES_FILE, EVENTS_FILE, KIND_NAMES, REPORT_FILE, TREE_FILE
from vitrina.events.sources import Source, locate, unpack
from vitrina.events.staging import RawTable, Staged, StagedFiles, id_is_odd, open_table, stage
from vitrina.events.validation import Limits, Reading, bot_ids, judge, typed

Progress = Callable[[str, float], None]
EVENT_COLUMNS = ["user_id", "item_id", "kind", "ts"]
LOST = {
    "item_properties": "no item_properties: no categories, no availability filter",
    CATEGORIES_FILE: "no categoryid in item_properties: no categories",
    AVAILABILITY_FILE: "no available in item_properties: no availability filter",
    TREE_FILE: "no category_tree: categories have no parents, so related categories stay unrelated",
}


def read_log(
    source: Path,
    columns: ColumnMap | None,
    out: Path,
    engine: LocalEngine,
    progress: Progress | None = None,
    *,
    as_of: int | None = None,
    limits: Limits | None = None,
) -> Report:
    """Validates a log into the folder `out` (docs/architecture.md) and returns what was found.

    `source` is a folder in the RetailRocket layout, a zip of it, or one file of events; `columns` None means
    RetailRocket's own columns, integer ids and ms. `progress(step, share done)` is told of each step. Events after
    `as_of` (ms) are faults. `DataError` names file, row and remedy and leaves the old `out` as it was.
    """
    with published(out, marker=REPORT_FILE) as folder:
        work = folder / "work"
        work.mkdir()
        report = read_into(
            folder, locate(source, work), columns, engine, progress, as_of=as_of, limits=limits or Limits()
        )
        report = replace(report, source=str(source))
        report.write(folder)
        shutil.rmtree(work)
    return report


def read_into(
    folder: Path,
    found: Source,
    columns: ColumnMap | None,
    engine: LocalEngine,
    progress: Progress | None = None,
    *,
    as_of: int | None = None,
    limits: Limits,
) -> Report:
    """The work of `read_log` in a folder that is not published yet; what is temporary goes into its `work` folder."""
    tell = progress or (lambda step, share: None)
    work = folder / "work"
    faults = Faults(limits)
    tell("read events", 0.0)
    staged, reading, used, rows_in, ignored = _read_events(found, columns, work, engine, faults, as_of)
    tell("drop duplicates and machines", 0.4)
    counts = _keep(work, folder / EVENTS_FILE, engine, limits)
    if counts["rows"] == 0:
        raise DataError("no event is left", where=staged.name, remedy="Look at the limits of events per hour and day.")
    tell("read item properties", 0.7)
    events = engine.read_parquet(folder / EVENTS_FILE)
    tables = _read_tables(found, reading, events, folder, work, engine, faults)
    tell("done", 1.0)
    return Report(
        source=found.name,
        files=tuple(str(path) for path in (*found.events, *found.properties, found.tree) if path),
        columns=used.describe(),
        weights=used.weights,
        rows_in=rows_in,
        rows_out=counts["rows"],
        rejected=dict(faults.rejected),
        examples=tuple(faults.examples),
        ignored=ignored,
        duplicates=counts["duplicates"],
        bots=counts["bots"],
        bot_events=counts["bot_events"],
        users=counts["users"],
        items=counts["items"],
        user_id_kind=reading.user_ids,
        item_id_kind=reading.item_ids,
        time_unit=reading.unit,
        first_ts=counts["first_ts"],
        last_ts=counts["last_ts"],
        kinds={name: counts[f"kind_{kind}"] for kind, name in enumerate(KIND_NAMES)},
        properties=tables.rows,
        missing=_missing(found, tables),
        notes=(*_event_notes(used, reading), *tables.notes),
    )


def _read_events(
    found: Source, columns: ColumnMap | None, work: Path, engine: LocalEngine, faults: Faults, as_of: int | None
) -> tuple[StagedFiles, Reading, ColumnMap, int, int]:
    """Writes work/typed.parquet: every row that is not ignored, with its fault."""
    used = columns or ColumnMap()
    wanted = {"user": used.user, "item": used.item, "timestamp": used.timestamp}
    if used.event is not None:
        wanted["event"] = used.event
    parts: list[Staged] = []
    for number, path in enumerate(found.events):
        file = unpack(path, work / f"file-{number}")
        table = open_table(file, engine, wanted, f"Name your columns, for instance --columns {EXAMPLE}")
        offset = parts[-1].offset + parts[-1].rows if parts else 0
        target = work / f"staged-{number}.parquet"
        parts.append(stage(table, engine, event_columns(table), target, offset=offset))
        if file.path != path:
            file.path.unlink()
    staged = StagedFiles(name=found.name, parts=parts)
    if staged.rows + len(staged.bad_lines) == 0:
        raise DataError("the file holds no rows below the header", where=staged.name, remedy="Export the log again.")
    raw = engine.read_parquet(staged.paths)
    reading = (
        judge(raw, staged, columns, engine)
        if staged.rows
        else Reading(user_ids="str", item_ids="str", unit="ms", bulk_end=0, bulk_span=0)
    )
    engine.write_parquet(typed(raw, reading, used, as_of=as_of), work / "typed.parquet")
    rows = engine.read_parquet(work / "typed.parquet")
    rows_in = faults.check(staged, rows, engine)
    judged = int(engine.to_arrow(rows.aggregate(rows=rows.count()))["rows"][0].as_py())
    for part in staged.paths:
        part.unlink()
    return staged, reading, used, rows_in, staged.rows - judged


def event_columns(table: RawTable) -> dict[str, str]:
    """SQL of the staged columns of events; `table` knows the roles user, item, timestamp and perhaps event."""
    at = table.columns
    return {
        "user": at["user"].text,
        "item": at["item"].text,
        "event": at["event"].text if "event" in at else "NULL::VARCHAR",
        "time": at["timestamp"].text,
        "number": at["timestamp"].number,
        "instant": at["timestamp"].time,
        "user_odd": id_is_odd(at["user"].text),
        "item_odd": id_is_odd(at["item"].text),
    }


def _keep(work: Path, target: Path, engine: LocalEngine, limits: Limits) -> dict[str, Any]:
    """Good rows without repeats and machines, sorted by user, time, kind and item; and their counts."""
    rows = engine.read_parquet(work / "typed.parquet")
    good = rows.filter(rows.fault.isnull())
    engine.write_parquet(good.select(EVENT_COLUMNS).distinct(), work / "distinct.parquet")
    distinct = engine.read_parquet(work / "distinct.parquet")
    engine.write_parquet(bot_ids(distinct, limits), work / "bots.parquet")
    bots = engine.read_parquet(work / "bots.parquet")
    kept = distinct.anti_join(bots, "user_id")
    engine.write_parquet(kept, target, order_by=["user_id", "ts", "kind", "item_id"])
    events = engine.read_parquet(target)
    counts = engine.to_arrow(
        events.aggregate(
            rows=events.count(),
            users=events.user_id.nunique(),
            items=events.item_id.nunique(),
            first_ts=events.ts.min(),
            last_ts=events.ts.max(),
            **{f"kind_{kind}": (events.kind == kind).sum() for kind in range(len(KIND_NAMES))},
        )
    ).to_pylist()[0]
    totals = {
        "good": int(engine.to_arrow(good.aggregate(n=good.count()))["n"][0].as_py()),
        "distinct": int(engine.to_arrow(distinct.aggregate(n=distinct.count()))["n"][0].as_py()),
        "bots": int(engine.to_arrow(bots.aggregate(n=bots.count()))["n"][0].as_py()),
    }
    counts["duplicates"] = totals["good"] - totals["distinct"]
    counts["bots"] = totals["bots"]
    counts["bot_events"] = totals["distinct"] - counts["rows"]
    return counts


def _read_tables(
    found: Source, reading: Reading, events: ir.Table, folder: Path, work: Path, engine: LocalEngine, faults: Faults
) -> PropertyTables:
    tables = PropertyTables()
    if found.properties:
        files = [unpack(path, work) for path in found.properties]
        items = events.select("item_id").distinct()
        tables = read_properties(files, items, reading.item_ids, folder, work, engine, faults)
    if found.tree is not None:
        tree = read_tree(unpack(found.tree, work), folder, work, engine, faults)
        tables = PropertyTables(rows={**tables.rows, **tree.rows}, notes=[*tables.notes, *tree.notes])
    if {CATEGORIES_FILE, TREE_FILE} <= tables.rows.keys():
        categories = engine.read_parquet(folder / CATEGORIES_FILE).select("category").distinct()
        lost = categories.anti_join(engine.read_parquet(folder / TREE_FILE), "category")
        unknown = int(engine.to_arrow(lost.aggregate(n=lost.count()))["n"][0].as_py())
        if unknown:
            tables.notes.append(f"{unknown:,} categories are not in category_tree: they are roots of their own")
    elif TREE_FILE in tables.rows:
        tables.notes.append("category_tree is there, but no item has a category, so it is of no use yet")
    return tables


def _missing(found: Source, tables: PropertyTables) -> tuple[str, ...]:
    missing = [] if found.properties else [LOST["item_properties"]]
    names = (CATEGORIES_FILE, AVAILABILITY_FILE) if found.properties else ()
    missing += [LOST[name] for name in (*names, TREE_FILE) if name not in tables.rows]
    return tuple(missing)


def _event_notes(columns: ColumnMap, reading: Reading) -> list[str]:
    notes = [] if columns.event else ["no event column is mapped: every row is taken for a transaction"]
    if reading.unit not in ("ms", "date"):
        notes.append(f"times are in {reading.unit}, kept in ms")
    return notes

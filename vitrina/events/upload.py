"""A log of any kind in, the same rows by day out (raw_events.py): every column kept, in the order of the file."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from vitrina.engine import LocalEngine
from vitrina.errors import DataError
from vitrina.events.columns import EXAMPLE, IGNORE, ColumnMap
from vitrina.events.raw_events import COLUMNS_FILE, Listing, RawEvents, day_of
from vitrina.events.readers import event_columns
from vitrina.events.schema import DAY_MS, KIND_NAMES
from vitrina.events.sources import EVENTS, locate, unpack
from vitrina.events.staging import Staged, StagedFiles, named, open_table, quoted, read_from, stage
from vitrina.events.validation import judge, times

DAY_FILE = "events.parquet"


def upload(
    source: Path,
    columns: str | None,
    to: RawEvents,
    engine: LocalEngine,
    progress: Callable[[str, int, int], None] = lambda what, done, of: None,
) -> dict[str, Any]:
    """Puts the log at `source` (as `read_log` takes it) by days to `to`; `columns` as `--columns` takes them.

    Files that lie there already as they are are not sent again, so an interrupted upload goes on and a second one sends
    nothing. Rows without a readable time go with the first day, where reading counts them; lines that are no rows
    cannot be kept and are counted. `DataError` as of `read_log`.
    """
    mapping = None if columns is None else ColumnMap.load(columns)
    with tempfile.TemporaryDirectory(prefix="vitrina-upload-") as scratch:
        work = Path(scratch)
        found = locate(source, work / "source")
        days, broken, rows = _by_days(found.events, found.name, mapping, work, engine)
        files = {f"{EVENTS}/dt={day}/{DAY_FILE}": path for day, path in days.items()}
        files |= {path.name: path for path in (*found.properties, *([found.tree] if found.tree else []))}
        if mapping is not None:
            (work / COLUMNS_FILE).write_text(yaml.safe_dump(_as_yaml(mapping), allow_unicode=True), encoding="utf-8")
            files[COLUMNS_FILE] = work / COLUMNS_FILE
        sent = 0
        for done, (name, path) in enumerate(sorted(files.items())):
            progress("files", done, len(files))
            sent += to.upload(path, name)
    listing = Listing.of(to.files())
    return {"rows": rows, "days": len(days), "files": len(files), "sent": sent, "broken": broken, **listing.as_json()}


def _by_days(
    events: tuple[Path, ...], name: str, columns: ColumnMap | None, work: Path, engine: LocalEngine
) -> tuple[dict[str, Path], int, int]:
    """Writes a parquet file for each day; the number of lines that are no rows, and of rows."""
    used = columns or ColumnMap()
    wanted = {"user": used.user, "item": used.item, "timestamp": used.timestamp}
    if used.event is not None:
        wanted["event"] = used.event
    parts: list[Staged] = []
    header: tuple[str, ...] = ()
    for number, path in enumerate(events):
        table = open_table(
            unpack(path, work / f"file-{number}"),
            engine,
            wanted,
            f"Name your columns, for instance --columns {EXAMPLE}",
        )
        header = header or tuple(table.header)
        if set(header) != set(table.header):
            raise DataError(
                f"the columns are {', '.join(table.header)}, but {', '.join(header)} in the first file",
                where=table.file.name,
                remedy="Upload files of one kind at a time",
            )
        every = {f"raw_{place}": table.header[column] for place, column in enumerate(header)}
        offset = parts[-1].offset + parts[-1].rows if parts else 0
        target = work / f"staged-{number}.parquet"
        parts.append(stage(table, engine, {**event_columns(table), **every}, target, offset=offset))
    staged = StagedFiles(name=name, parts=parts)
    if staged.rows == 0:
        raise DataError("the file holds no rows below the header", where=name, remedy="Export the log again.")
    raw = engine.read_parquet(staged.paths)
    ts = times(raw, judge(raw, staged, columns, engine))
    kept = raw.select("n", *(f"raw_{place}" for place in range(len(header))), day=ts // DAY_MS)
    kept = kept.mutate(day=kept.day.fill_null(kept.day.min()))
    engine.write_parquet(kept, work / "days.parquet", order_by=["day", "n"])
    rows = read_from(work / "days.parquet")
    names = ", ".join(f"raw_{place} AS {named(column)}" for place, column in enumerate(header))
    found: dict[str, Path] = {}
    for (day,) in engine.duckdb.execute(f"SELECT DISTINCT day FROM {rows} ORDER BY day").fetchall():  # noqa: S608
        path = work / f"day-{int(day)}.parquet"
        engine.duckdb.execute(
            f"COPY (SELECT {names} FROM {rows} WHERE day = {int(day)} ORDER BY n) TO {quoted(path)} (FORMAT parquet)"  # noqa: S608
        )
        found[day_of(int(day) * DAY_MS)] = path
    return found, len(staged.bad_lines), staged.rows


def _as_yaml(columns: ColumnMap) -> dict[str, Any]:
    content: dict[str, Any] = {"user": columns.user, "item": columns.item, "timestamp": columns.timestamp}
    if columns.event is not None:
        events: dict[str, list[str]] = {}
        for name, kind in columns.names.items():
            events.setdefault(KIND_NAMES[kind], []).append(name)
        if columns.ignored:
            events[IGNORE] = sorted(columns.ignored)
        content |= {"event": columns.event, "events": events}
    return {**content, "weights": dict(zip(KIND_NAMES, columns.weights, strict=True))}

"""Any file of rows -> text columns in a parquet file, in file order, with the rows that are no rows set aside.

Plain DuckDB SQL, because Ibis cannot say how a CSV file is read; everything after this is Ibis.
"""

from __future__ import annotations

import csv
import glob
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import duckdb

from vitrina.engine import LocalEngine
from vitrina.errors import DataError
from vitrina.events.schema import MAX_ID_BYTES
from vitrina.events.sources import UNPACK_AGAIN, DataFile

DELIMITERS = (",", ";", "\t", "|")
MOST_REJECTS = 1_000_000
LAST_BYTES = 1 << 20
BLANK = " \t\r\n\0\x1a" + "".join(DELIMITERS)
SAVE_AS_UTF8 = "Save the file as UTF-8."
TOO_FEW = "too few columns"
BROKEN = {
    "MISSING COLUMNS": TOO_FEW,
    "TOO MANY COLUMNS": "too many columns",
    "UNQUOTED VALUE": "a quote that does not close",
    "INVALID ENCODING": "not UTF-8",
    "LINE SIZE OVER MAXIMUM": "the line is too long",
    "INVALID STATE": "broken quoting",
}


@dataclass(frozen=True, kw_only=True)
class Column:
    """One column as SQL. `text` gives VARCHAR, `number` DOUBLE, `time` BIGINT ms; each NULL where there is none."""

    text: str
    number: str
    time: str


@dataclass(frozen=True, kw_only=True)
class RawTable:
    """A file as something that SQL can select from; `header` gives SQL for every column by its own name. `delimiter` is
    that of a csv file."""

    file: DataFile
    rows: str
    columns: Mapping[str, Column]
    first_row: int
    header: Mapping[str, str]
    delimiter: str | None = None


@dataclass(frozen=True, kw_only=True)
class Staged:
    """The staged parquet, its row count, and the broken lines of the file: (row, reason, text), in order."""

    name: str
    path: Path
    rows: int
    broken: Sequence[tuple[int, str, str]]
    first_row: int
    offset: int = 0

    @property
    def paths(self) -> list[Path]:
        return [self.path]

    @property
    def bad_lines(self) -> list[tuple[str, int, str, str]]:
        """The broken lines as (file, row, reason, text)."""
        return [(self.name, *line) for line in self.broken]

    def place(self, n: int) -> tuple[str, int]:
        """The file, and the row in it, of the row numbered `n`; broken lines are counted."""
        lines = [line for line, _, _ in self.broken]
        first = n - self.offset + self.first_row
        row = first
        while (shifted := first + bisect_right(lines, row)) != row:
            row = shifted
        return self.name, row


@dataclass(frozen=True, kw_only=True)
class StagedFiles:
    """Several staged files of one log; `n` counts on from file to file."""

    name: str
    parts: Sequence[Staged]

    @property
    def paths(self) -> list[Path]:
        return [part.path for part in self.parts]

    @property
    def rows(self) -> int:
        return sum(part.rows for part in self.parts)

    @property
    def bad_lines(self) -> list[tuple[str, int, str, str]]:
        return [line for part in self.parts for line in part.bad_lines]

    def place(self, n: int) -> tuple[str, int]:
        """The file, and the row in it, of the row numbered `n`."""
        part = bisect_right([part.offset for part in self.parts], n) - 1
        while self.parts[part].rows == 0:  # an empty file begins where the next one does
            part -= 1
        return self.parts[part].place(n)


def open_table(file: DataFile, engine: LocalEngine, wanted: Mapping[str, str], remedy: str) -> RawTable:
    """Finds the wanted columns (role -> name) in the file; `DataError` lists what the file has instead."""
    if file.format == "parquet":
        return _open_parquet(file, engine, wanted, remedy)
    if file.format == "json":
        return _open_json(file, engine, wanted, remedy)
    return _open_csv(file, wanted, remedy)


def stage(
    table: RawTable,
    engine: LocalEngine,
    select: Mapping[str, str],
    target: Path,
    *,
    where: str = "true",
    offset: int = 0,
) -> Staged:
    """Runs the SQL columns `select` over the file, in order, into parquet; `n` numbers the rows from `offset`, before
    `where` cuts."""
    columns = ", ".join(f"{sql} AS {name}" for name, sql in select.items())
    inner = f"SELECT {columns}, row_number() OVER () - 1 + {offset} AS n FROM {table.rows}"  # noqa: S608 - names are quoted
    connection = engine.duckdb
    _drop_rejects(connection)
    try:
        connection.execute(f"COPY (SELECT * FROM ({inner}) WHERE {where}) TO {quoted(target)} (FORMAT parquet)")  # noqa: S608
        broken = _rejects(connection) if table.file.format == "csv" else []
    except duckdb.Error as error:
        raise _unreadable(table.file, error) from error
    finally:
        _drop_rejects(connection)
    count = connection.execute(f"SELECT count(*) FROM {read_from(target)}").fetchall()[0][0]  # noqa: S608
    staged = Staged(
        name=table.file.name, path=target, rows=count, broken=broken, first_row=table.first_row, offset=offset
    )
    for line, reason, text in broken:
        if reason in ("a quote that does not close", "broken quoting", "the line is too long"):
            raise DataError(
                f"{reason}: {text[:80]!r}",
                where=f"{staged.name}, row {line}",
                remedy="Everything after it is lost, so close the quote or remove it.",
            )
    return staged


def refuse_cut_off(table: RawTable, staged: Staged) -> None:
    """`DataError` when the last line of a csv file has too few columns and no line end: the file was cut there, and
    nobody knows how much of it is lost. A whole last line without a line end is as good as any; one that is blank, or
    has one column alone, is a broken line as elsewhere: programs end a file so, with a footer or a mark."""
    if table.delimiter is None or not staged.broken or staged.broken[-1][1] != TOO_FEW:
        return
    row, reason, text = staged.broken[-1]
    if table.delimiter not in text or not text.strip(BLANK):
        return
    path = table.file.path
    with path.open("rb") as raw:
        raw.seek(max(0, path.stat().st_size - LAST_BYTES))
        end = raw.read()
    last = end.replace(b"\r", b"\n").rpartition(b"\n")[2]
    if last and last.decode(errors="replace").strip() == text.strip():
        raise DataError(
            f"{reason} in the last line, which has no end ({text.strip()[:80]!r})",
            where=f"{staged.name}, row {row}",
            remedy=UNPACK_AGAIN,
        )


def quoted(path: Path | str) -> str:
    """A path as an SQL string."""
    return "'" + str(path).replace("'", "''") + "'"


def read_from(path: Path | str) -> str:
    """The path of one file to read as an SQL string; without it DuckDB takes some letters for a pattern."""
    return quoted(glob.escape(str(path)))


def named(column: str) -> str:
    """The name of a column as an SQL identifier."""
    return '"' + column.replace('"', '""') + '"'


def id_is_odd(text: str) -> str:
    """SQL: this id is too long, or holds a NUL."""
    return f"coalesce(strlen({text}) > {MAX_ID_BYTES} OR contains({text}, chr(0)), false)"


def _text_column(raw: str) -> Column:
    text = f"nullif(trim({raw}), '')"
    number = f"CASE WHEN isfinite(try_cast({text} AS DOUBLE)) THEN try_cast({text} AS DOUBLE) END"
    instant = f"try_cast({text} AS TIMESTAMPTZ)"
    time = f"CASE WHEN try_cast({text} AS DOUBLE) IS NULL AND isfinite({instant}) THEN epoch_ms({instant}) END"
    return Column(text=text, number=number, time=time)


def _open_csv(file: DataFile, wanted: Mapping[str, str], remedy: str) -> RawTable:
    with file.path.open("rb") as raw:
        first = raw.readline(1 << 20)
    try:
        line = first.decode("utf-8-sig").rstrip("\r\n")
    except UnicodeDecodeError as error:
        raise DataError(
            f"the header is not UTF-8 ({error})", where=f"{file.name}, row 1", remedy=SAVE_AS_UTF8
        ) from error
    if "\r" in line:
        line = line.partition("\r")[0]
    headers = {mark: [name.strip() for name in next(csv.reader([line], delimiter=mark), [])] for mark in DELIMITERS}
    mark = max(DELIMITERS, key=lambda one: (sum(name in headers[one] for name in wanted.values()), len(headers[one])))
    header = headers[mark]
    _require(header, wanted, f"{file.name}, row 1", remedy)
    names = ", ".join(f"'c{index}': 'VARCHAR'" for index in range(len(header)))
    rows = (
        f"read_csv({read_from(file.path)}, auto_detect=false, header=true, delim='{mark}', quote='\"', escape='\"', "
        f"columns={{{names}}}, store_rejects=true, rejects_limit={MOST_REJECTS})"
    )
    columns = {role: _text_column(f"c{header.index(name)}") for role, name in wanted.items()}
    every = {name: f"c{index}" for index, name in enumerate(header)}
    return RawTable(file=file, rows=rows, columns=columns, first_row=2, header=every, delimiter=mark)


def _open_parquet(file: DataFile, engine: LocalEngine, wanted: Mapping[str, str], remedy: str) -> RawTable:
    rows = f"read_parquet({read_from(file.path)})"
    try:
        described = engine.duckdb.execute(f"DESCRIBE SELECT * FROM {rows}").fetchall()  # noqa: S608 - the path is quoted
    except duckdb.Error as error:
        raise _unreadable(file, error) from error
    types = {str(name): str(kind) for name, kind, *_ in described}
    _require(list(types), wanted, file.name, remedy)
    every = {name: named(name) for name in types}
    columns = {role: _typed_column(every[name], types[name]) for role, name in wanted.items()}
    return RawTable(file=file, rows=rows, columns=columns, first_row=1, header=every)


def _typed_column(raw: str, kind: str) -> Column:
    if kind.startswith(("TIMESTAMP", "DATE")):
        return Column(text=f"{raw}::VARCHAR", number="NULL::DOUBLE", time=f"epoch_ms({raw}::TIMESTAMPTZ)")
    if kind in ("DOUBLE", "FLOAT") or kind.startswith("DECIMAL"):
        whole = f"CASE WHEN {raw} = floor({raw}) THEN coalesce(try_cast({raw} AS BIGINT)::VARCHAR, {raw}::VARCHAR)"
        number = f"CASE WHEN isfinite({raw}::DOUBLE) THEN {raw}::DOUBLE END"
        text = f"{whole} WHEN NOT isnan({raw}::DOUBLE) THEN {raw}::VARCHAR END"
        return Column(text=text, number=number, time="NULL::BIGINT")
    if kind == "BOOLEAN" or kind.endswith(("INT", "INTEGER")):
        text = f"{raw}::INTEGER::VARCHAR" if kind == "BOOLEAN" else f"{raw}::VARCHAR"
        return Column(text=text, number=f"{raw}::DOUBLE", time="NULL::BIGINT")
    return _text_column(f"{raw}::VARCHAR")


def _open_json(file: DataFile, engine: LocalEngine, wanted: Mapping[str, str], remedy: str) -> RawTable:
    with file.path.open("rb") as raw:
        array = raw.read(1 << 16).removeprefix(b"\xef\xbb\xbf").lstrip()[:1] == b"["
    reader = "read_json_objects" if array else "read_ndjson_objects"
    options = "format='array'" if array else "ignore_errors=true"
    rows = f"{reader}({read_from(file.path)}, {options})"
    keys = f"SELECT DISTINCT unnest(json_keys(json)) FROM (SELECT json FROM {rows} LIMIT 1000)"  # noqa: S608
    try:
        found = sorted(str(name) for (name,) in engine.duckdb.execute(keys).fetchall())
    except duckdb.Error as error:
        raise _unreadable(file, error) from error
    _require(found, wanted, file.name, remedy)
    every = {name: "(json ->> " + quoted('$."' + name.replace('"', '\\"') + '"') + ")" for name in found}
    columns = {role: _text_column(every[name]) for role, name in wanted.items()}
    return RawTable(file=file, rows=rows, columns=columns, first_row=1, header=every)


def _require(header: list[str], wanted: Mapping[str, str], where: str, remedy: str) -> None:
    lost = [name for name in wanted.values() if name not in header]
    if lost:
        raise DataError(
            f"no column {', '.join(lost)}; the columns are {', '.join(header) or 'none'}", where=where, remedy=remedy
        )
    twice = [name for name in wanted.values() if header.count(name) > 1]
    if twice:
        raise DataError(f"column {twice[0]} is there twice", where=where, remedy="Rename one of them.")


def _rejects(connection: duckdb.DuckDBPyConnection) -> list[tuple[int, str, str]]:
    found = connection.execute(
        "SELECT line, min_by(error_type::VARCHAR, CASE error_type::VARCHAR WHEN 'INVALID ENCODING' THEN 0 ELSE 1 END), "
        "any_value(csv_line) FROM reject_errors GROUP BY line ORDER BY line"
    ).fetchall()
    return [(int(line), BROKEN.get(kind, kind.lower()), str(text or "").rstrip("\r\n")) for line, kind, text in found]


def _drop_rejects(connection: duckdb.DuckDBPyConnection) -> None:
    connection.execute("DROP TABLE IF EXISTS reject_errors; DROP TABLE IF EXISTS reject_scans")


def _unreadable(file: DataFile, error: duckdb.Error) -> DataError:
    text = str(error).strip()
    first = text.splitlines()[0]
    if "state machine" in text:
        return DataError(
            "the lines end in different ways, or a quote is out of place",
            where=file.name,
            remedy="Save it with one line end.",
        )
    if "unicode" in text.lower() or "utf-8" in text.lower() or "utf8" in text.lower():
        return DataError(f"the file is not UTF-8 ({first})", where=file.name, remedy=SAVE_AS_UTF8)
    return DataError(f"the file cannot be read ({first})", where=file.name, remedy="Export or copy it again.")

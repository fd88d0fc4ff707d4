"""Sheets of a workbook -> parquet files of text columns, a row for each row of the sheet below its header."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vitrina.errors import DataError
from vitrina.events.baskets.columns import NEEDED, BasketColumns
from vitrina.events.sources import WORKBOOK_MARKS, WORKBOOK_SUFFIXES, DataFile

if TYPE_CHECKING:
    from python_calamine import CalamineSheet, CalamineWorkbook

HEADER_WITHIN = 20
"""The header stands in one of so many first rows of a sheet."""
CLEARLY_SALES = 3
"""A sheet with so many of the columns, one of OF_SALES among them, holds sales; any other may be a cover, a summary, a
list of products or their stock."""
OF_SALES = ("InvoiceNo", "CustomerID")
_ROWS_AT_ONCE = 50_000
_LOCKED = "EncryptedPackage".encode("utf-16-le")
"""What the directory of a workbook says that Excel saved with a password."""
_SAVE_AGAIN = "Open it in the program that made it and save it again, or export it as .csv."


@dataclass(frozen=True, kw_only=True)
class Sheet:
    """The rows of a sheet as a file; `first_row` is the number, in the sheet, of the first one below the header, and
    `header` has the names of all its columns, those of the file and others."""

    file: DataFile
    first_row: int
    header: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Sheets:
    """Those of a workbook that have the columns; `notes` name those that were left out."""

    read: list[Sheet]
    notes: tuple[str, ...]


def is_workbook(path: Path) -> bool:
    """Whether a file is to be read as a workbook, by its name or, where it is misnamed, by what it begins with."""
    if path.suffix.lower() in WORKBOOK_SUFFIXES:
        return True
    if path.suffix.lower() not in (".csv", ".txt", ".tsv"):
        return False
    with path.open("rb") as file:
        return file.read(4) in WORKBOOK_MARKS


def read_sheets(
    path: Path, shown: str, columns: BasketColumns, work: Path, progress: Callable[[float], None] = lambda share: None
) -> Sheets:
    """Writes the sheets that have the columns into `work`, those columns alone; `progress` is told the share done.

    A sheet is held in memory while it is read, about 80 bytes a cell. `DataError` when the workbook is broken or locked
    with a password, no sheet has the columns, or a sheet that is clearly sales lacks one that others have.
    """
    from python_calamine import CalamineError

    work.mkdir(parents=True, exist_ok=True)
    sheets: list[Sheet] = []
    others: dict[str, list[str]] = {}
    with _opened(path, shown) as book:
        for number, name in enumerate(book.sheet_names):
            where = f"{shown}, sheet {name!r}"
            try:
                sheet = book.get_sheet_by_index(number)
            except CalamineError as error:
                raise DataError(f"the sheet is broken ({error})", where=where, remedy=_SAVE_AGAIN) from error
            place, header = _header(sheet, columns)
            known = columns.find(header)
            if header and not set(known) >= set(NEEDED):
                others[where] = header
            elif place is not None:
                target = work / f"sheet{number}.parquet"
                for share in _write(sheet, place, {name: header.index(name) for name in known.values()}, target):
                    progress((number + share) / len(book.sheet_names))
                first = (sheet.start or (0, 0))[0] + place + 2
                file = DataFile(path=target, name=where, format="parquet")
                sheets.append(Sheet(file=file, first_row=first, header=tuple(filter(None, header))))
    if not sheets and not others:
        raise DataError("the workbook is empty", where=shown, remedy="Export the sales again.")
    clear = {where: header for where, header in others.items() if not sheets or _clearly_sales(columns.find(header))}
    if clear:
        where, header = max(clear.items(), key=lambda one: len(columns.find(one[1])))
        _require(header, where, columns, alone=not sheets)
    return Sheets(read=sheets, notes=tuple(_left_out(where, columns.find(header)) for where, header in others.items()))


def _clearly_sales(found: Mapping[str, str]) -> bool:
    return len(found) >= CLEARLY_SALES and any(column in found for column in OF_SALES)


def _left_out(where: str, found: Mapping[str, str]) -> str:
    lost = [column for column in NEEDED if column not in found]
    return f"{where}: it is left out, as it has no column {', '.join(lost)} in its first {HEADER_WITHIN} rows"


def _require(header: list[str], where: str, columns: BasketColumns, *, alone: bool) -> None:
    """As `BasketColumns.require`; where a sheet has none of the columns, they may stand too low, and where it is not
    `alone` they are to be called as in the others."""
    try:
        columns.require(header, where)
    except DataError as error:
        if not alone:
            remedy = "Call them as the other sheets do, or remove this sheet from the workbook"
            raise DataError(error.problem, where=error.where, remedy=remedy) from error
        if columns.find(header):
            raise
        within = f"Of a sheet, they must stand in one of the first {HEADER_WITHIN} rows: remove what is above them."
        raise DataError(error.problem, where=error.where, remedy=f"{error.remedy}. {within}") from error


def _opened(path: Path, shown: str) -> CalamineWorkbook:
    """Opens a workbook of any kind, told by its content: an .xls that is named .xlsx is read, too."""
    from python_calamine import CalamineError, CalamineWorkbook

    with path.open("rb") as file:
        try:
            return CalamineWorkbook.from_filelike(file)
        except (CalamineError, OSError, ValueError) as error:
            file.seek(0)
            content = file.read()
            if _LOCKED in content:
                raise DataError(
                    "the workbook is locked with a password",
                    where=shown,
                    remedy="Save it without a password, or export it as .csv.",
                ) from error
            broken = content[:4] in WORKBOOK_MARKS
            what = "the workbook is broken" if broken else "this is no workbook, whatever its name"
            raise DataError(f"{what} ({error})", where=shown, remedy=_SAVE_AGAIN) from error


def _header(sheet: CalamineSheet, columns: BasketColumns) -> tuple[int | None, list[str]]:
    """The place of the row that has the most of the columns, and its texts."""
    best: tuple[int, int | None, list[str]] = (-1, None, [])
    for place, row in enumerate(islice(sheet.iter_rows(), HEADER_WITHIN)):
        texts = [_text(value) or "" for value in row]
        found = len(columns.find(texts))
        if any(texts) and found > best[0]:
            best = (found, place, texts)
    return best[1], best[2]


def _write(sheet: CalamineSheet, place: int, places: Mapping[str, int], target: Path) -> Iterator[float]:
    """Writes the columns by name from their `places`, as text, and gives the share that is done after each block."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema = pa.schema([(name, pa.string()) for name in places])
    rows = islice(sheet.iter_rows(), place + 1, None)
    with pq.ParquetWriter(target, schema) as writer:
        for number, block in enumerate(_blocks(rows), start=1):
            texts = [pa.array([_text(row[at]) for row in block], pa.string()) for at in places.values()]
            writer.write_table(pa.Table.from_arrays(texts, schema=schema))
            yield min(number * _ROWS_AT_ONCE / max(sheet.height, 1), 1.0)


def _blocks(rows: Iterator[list[Any]]) -> Iterator[list[list[Any]]]:
    while block := list(islice(rows, _ROWS_AT_ONCE)):
        yield block


def _text(value: Any) -> str | None:
    """A cell as a csv file would have it."""
    if value is None or value == "":
        return None
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    if isinstance(value, dt.datetime):
        return value.isoformat(sep=" ")
    return str(value)

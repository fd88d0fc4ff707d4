"""Finds the tables of a sales file: csv, parquet or json lines (plain, .gz or .zip), or the sheets of a workbook."""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from vitrina.engine import LocalEngine
from vitrina.errors import DataError
from vitrina.events.baskets.columns import BasketColumns
from vitrina.events.baskets.workbook import Sheet, is_workbook, read_sheets
from vitrina.events.sources import (
    DATA_SUFFIXES,
    PACKED_SUFFIXES,
    WORKBOOK_SUFFIXES,
    DataFile,
    first_byte,
    found_in,
    unpack,
)
from vitrina.events.staging import RawTable, open_table
from vitrina.events.text_encoding import as_utf8

SUFFIXES = DATA_SUFFIXES + WORKBOOK_SUFFIXES
FORMS = "Give a workbook (.xlsx, .xls, .ods) or a .csv, .csv.gz, .parquet or .jsonl file, also in a .zip."
STEMS = ("baskets", "sales", "OnlineRetail", "Online Retail")
"""What a folder is searched for, in this order."""


@dataclass(frozen=True, kw_only=True)
class SalesTable:
    """A table of the file, its columns found: `columns` says what it calls each, `unused` names the others."""

    table: RawTable
    columns: dict[str, str]
    unused: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class SalesTables:
    """The tables of a sales file; `notes` tell its encoding when it is text that is not UTF-8, and name the sheets of a
    workbook that were left out."""

    tables: list[SalesTable]
    notes: tuple[str, ...]


def sales_tables(
    source: Path,
    columns: BasketColumns,
    work: Path,
    engine: LocalEngine,
    progress: Callable[[float], None] = lambda share: None,
) -> SalesTables:
    """Opens a sales file: one table, or one for each sheet of a workbook that has the columns; `work` takes what is
    unpacked. `DataError` names what is wrong with the file, or which columns are missing."""
    path = sales_file(source)
    inside = _workbook_inside(path, work) if path.suffix.lower() == ".zip" else None
    if inside is not None or is_workbook(path):
        sheets = read_sheets(inside or path, str(path), columns, work, progress)
        return SalesTables(tables=[_of_sheet(sheet, columns, engine) for sheet in sheets.read], notes=sheets.notes)
    file, encoding = as_utf8(unpack(path, work / "file"), work / "text")
    notes = () if encoding is None else (f"the file is not UTF-8; it was read as {encoding}",)
    return SalesTables(tables=[_opened(file, columns, engine)], notes=notes)


def sales_file(source: Path) -> Path:
    """The file that a path names: itself, or the one of a folder. `DataError` when it is none by its name."""
    if not source.exists():
        raise DataError("there is no such file or folder", where=str(source), remedy="Check the path.")
    if source.is_dir():
        name = sales_among((path.name for path in source.iterdir() if path.is_file()), str(source))
        if name is None:
            raise DataError(f"no sales file is here (found: {found_in(source)})", where=str(source), remedy=FORMS)
        return source / name
    if source.name.startswith("~$"):
        raise DataError(
            "this is the mark that Excel leaves beside an open workbook",
            where=str(source),
            remedy=f"Give the workbook itself, {source.name.removeprefix('~$')}.",
        )
    if not is_sales_name(source.name):
        ending = f"a file that ends in {source.suffix}" if source.suffix else "a file without an ending"
        raise DataError(f"{ending} cannot be read", where=str(source), remedy=FORMS)
    if not first_byte(source):
        raise DataError("the file is empty", where=str(source), remedy="Export it again.")
    return source


def sales_among(names: Iterable[str], where: str) -> str | None:
    """The file of a folder that holds the sales: one of STEMS, or the only one. None when there is no such file;
    `DataError` when it cannot be told which."""
    files = sorted(name for name in names if is_sales_name(name) and not name.startswith((".", "~$")))
    known = [name for stem in STEMS for name in files if stem_of_sales(name) == stem]
    chosen = [name for name in known if stem_of_sales(name) == stem_of_sales(known[0])] if known else files
    if len(chosen) > 1:
        raise DataError(
            f"it cannot be told which of {', '.join(chosen)} to read",
            where=where,
            remedy="Give the path of the file itself, or name it baskets.csv (or .xlsx, ...).",
        )
    return chosen[0] if chosen else None


def is_sales_name(name: str) -> bool:
    """Whether a file of this name may hold sales."""
    return stem_of_sales(name) != ""


def stem_of_sales(name: str) -> str:
    """`sales` of sales.csv.gz and sales.xlsx; empty for a file that holds no table by its name."""
    path = PurePosixPath(name)
    inner = path.with_suffix("") if path.suffix.lower() in PACKED_SUFFIXES else path
    if inner.suffix.lower() in SUFFIXES:
        return inner.stem
    return inner.name if path.suffix.lower() in PACKED_SUFFIXES else ""


def _opened(file: DataFile, columns: BasketColumns, engine: LocalEngine) -> SalesTable:
    header = list(open_table(file, engine, {}, FORMS).header)
    where = f"{file.name}, row 1" if file.format == "csv" else file.name
    found = columns.require(header, where)
    table = open_table(file, engine, found, FORMS)
    return SalesTable(table=table, columns=found, unused=_unused(header, found))


def _of_sheet(sheet: Sheet, columns: BasketColumns, engine: LocalEngine) -> SalesTable:
    opened = _opened(sheet.file, columns, engine)
    table = replace(opened.table, first_row=sheet.first_row)
    return replace(opened, table=table, unused=_unused(sheet.header, opened.columns))


def _unused(header: Iterable[str], found: Mapping[str, str]) -> tuple[str, ...]:
    return tuple(name for name in header if name and name not in found.values())


def _workbook_inside(path: Path, work: Path) -> Path | None:
    """The one workbook of a zip, unpacked; None when the zip has none."""
    try:
        with zipfile.ZipFile(path) as archive:
            books = [one for one in archive.infolist() if _holds_a_book(one)]
            if not books:
                return None
            if len(books) > 1:
                raise DataError(
                    f"one workbook was expected in the zip, found {_listed(books)}", where=str(path), remedy="Pack one."
                )
            work.mkdir(parents=True, exist_ok=True)
            target = work / PurePosixPath(books[0].filename).name
            with archive.open(books[0]) as packed, target.open("wb") as file:
                while block := packed.read(1 << 20):
                    file.write(block)
    except (zipfile.BadZipFile, EOFError) as error:
        raise DataError(
            f"the zip file is damaged ({error})", where=str(path), remedy="Copy or download it again."
        ) from error
    except (RuntimeError, NotImplementedError) as error:
        raise DataError(
            f"the zip file cannot be unpacked ({error})", where=str(path), remedy="Pack it plainly, without a password."
        ) from error
    return target


def _holds_a_book(member: zipfile.ZipInfo) -> bool:
    name = PurePosixPath(member.filename)
    hidden = name.name.startswith((".", "~$")) or "__MACOSX" in name.parts
    return not hidden and name.suffix.lower() in WORKBOOK_SUFFIXES


def _listed(members: Sequence[zipfile.ZipInfo]) -> str:
    return ", ".join(member.filename for member in members)

"""The invoices that the benchmark learns from: the caller's, the real file where it lies, or generated ones; also as a
workbook."""

from __future__ import annotations

import csv
import gzip
import os
from collections.abc import Iterator
from datetime import datetime
from io import TextIOWrapper
from pathlib import Path
from typing import Final, NamedTuple

from benchmarks.world import ROOT
from vitrina.errors import DataError
from vitrina.events.synthetic_baskets.files import SALES_FILE
from vitrina.events.synthetic_baskets.generator import BasketSpec, generate_baskets

REAL: Final = Path("online-retail", "OnlineRetail.csv.gz")
Cell = str | int | float | datetime | None


class Invoices(NamedTuple):
    """A file of invoices and what it is."""

    path: Path
    told: str


def invoices(given: Path | None, scratch: Path | None = None) -> Invoices:
    """The given file, else the real one in VITRINA_DATA or shared/data beside the repository; without it a generated
    shop in `scratch`, or `DataError` when it must be a real one."""
    real = Path(os.environ.get("VITRINA_DATA") or ROOT.parent / "shared" / "data") / REAL
    if given is not None:
        return Invoices(given, given.name)
    if real.exists():
        return Invoices(real, "UCI Online Retail")
    if scratch is None:
        raise DataError("the invoices are not there", where=str(real), remedy="Give --data FILE, or set VITRINA_DATA.")
    spec = BasketSpec()
    generate_baskets(spec, scratch / "sales")
    return Invoices(scratch / "sales" / SALES_FILE, f"a generated shop of {spec.baskets:,} baskets")


def as_workbook(source: Path, out: Path) -> Path:
    """The CSV file as an .xlsx with one sheet, numbers and dates as Excel keeps them."""
    from openpyxl import Workbook

    book = Workbook(write_only=True)
    sheet = book.create_sheet("Online Retail")
    for number, row in enumerate(_rows(source)):
        sheet.append([cell(one) for one in row] if number else row)
    book.save(out)
    return out


def cell(text: str) -> Cell:
    """A text as Excel would take it: a number, a date, nothing, or the text."""
    if not text:
        return None
    try:
        return float(text) if "." in text else int(text)
    except ValueError:
        pass  # no number
    try:
        return datetime.fromisoformat(text) if "-" in text else text
    except ValueError:
        return text


def _rows(source: Path) -> Iterator[list[str]]:
    with source.open("rb") as file:
        plain = gzip.GzipFile(fileobj=file) if source.suffix == ".gz" else file
        with TextIOWrapper(plain, encoding="utf-8", newline="") as lines:
            yield from csv.reader(lines)

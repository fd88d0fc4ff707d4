"""A small log and a small panel with known content, generated worlds, and one engine for all tests of this stage."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import openpyxl
import pandas as pd
import pytest

from vitrina.engine import LocalEngine
from vitrina.events.baskets.baskets import Baskets
from vitrina.events.baskets.columns import BasketColumns
from vitrina.events.baskets.reader import read_baskets
from vitrina.events.panels.columns import PRODUCTS, RAW_HEADER
from vitrina.events.synthetic_shop.generator import WorldSpec, generate_world


@pytest.fixture(scope="session")
def engine() -> Iterator[LocalEngine]:
    with LocalEngine(memory_limit="500MB", threads=2) as opened:
        yield opened


@pytest.fixture
def event_rows() -> list[str]:
    """60 rows from 2015-04-25 on: visitors 100-104, items 1-7, one event each ten minutes; row 0, 20, 40 a purchase,
    row 10, 30, 50 a cart, the others views."""
    rows = []
    for n in range(60):
        kind = "transaction" if n % 20 == 0 else "addtocart" if n % 10 == 0 else "view"
        ts = 1_429_920_000_000 + n * 600_000
        rows.append(f"{ts},{n % 5 + 100},{kind},{n % 7 + 1},{n if kind == 'transaction' else ''}")
    return rows


@pytest.fixture
def write_csv(tmp_path: Path) -> Callable[..., Path]:
    """Writes lines under a header as a CSV file and gives its path."""

    def write(
        rows: list[str], *, header: str = "timestamp,visitorid,event,itemid,transactionid", name: str = "log/events.csv"
    ) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("\n".join([header, *rows]) + "\n", encoding="utf-8", newline="")
        return path

    return write


@pytest.fixture
def panel_row() -> Callable[..., list[str]]:
    """The 48 values of one row as train_ver2.csv writes them; `owned` are places of products, `values` by column."""

    def row(customer: int, day: str = "2015-01-28", owned: Sequence[int] = (), **values: str) -> list[str]:
        given = dict.fromkeys(RAW_HEADER, "") | {
            "fecha_dato": day, "ncodpers": str(customer), "sexo": "V", "age": " 35", "fecha_alta": "2012-08-10",
            "ind_nuevo": " 0", "antiguedad": "     35", "renta": "87218.1", "segmento": "02 - PARTICULARES",
        }  # fmt: skip
        given |= {product.code: "1" if place in owned else "0" for place, product in enumerate(PRODUCTS)}
        return list((given | values).values())

    return row


@pytest.fixture
def write_panel(tmp_path: Path) -> Callable[..., Path]:
    """Writes rows under a header as a CSV file and gives its path."""

    def write(
        rows: Sequence[Sequence[str]], *, header: Sequence[str] = RAW_HEADER, name: str = "bank/train_ver2.csv"
    ) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("w", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows([header, *rows])
        return path

    return write


SALES_HEADER = "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country"


@pytest.fixture
def write_sales(tmp_path: Path) -> Callable[..., Path]:
    """Writes lines under Online Retail's header as a CSV file and gives its path."""

    def write(rows: Sequence[str], *, header: str = SALES_HEADER, name: str = "sales.csv", to: str = "utf-8") -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes("\n".join([header, *rows, ""]).encode(to))
        return path

    return write


@pytest.fixture
def write_book(tmp_path: Path) -> Callable[..., Path]:
    """Writes sheets (rows of cells by name) as a workbook and gives its path."""

    def write(sheets: Mapping[str, Sequence[Sequence[object]]], *, name: str = "sales.xlsx") -> Path:
        book = openpyxl.Workbook(write_only=True)
        for title, rows in sheets.items():
            sheet = book.create_sheet(title)
            for row in rows:
                sheet.append(row)
        book.save(tmp_path / name)
        return tmp_path / name

    return write


@pytest.fixture
def read_sales(tmp_path: Path, engine: LocalEngine) -> Callable[..., Baskets]:
    """Reads a sales file and opens what it became."""

    def read(path: Path, *, columns: str | None = None) -> Baskets:
        read_baskets(path, tmp_path / "validated", engine, columns=BasketColumns.parse(columns))
        return Baskets.open(tmp_path / "validated")

    return read


class Generated:
    """A generated world and its files as read by pandas; `progress` is what the generator told."""

    def __init__(self, folder: Path, spec: WorldSpec) -> None:
        self.folder, self.spec = folder, spec
        self.progress: list[int] = []
        self.oracle = generate_world(spec, folder, self.progress.append)
        self.events = pd.read_csv(folder / "events.csv")
        self.tree = pd.read_csv(folder / "category_tree.csv")
        parts = [pd.read_csv(folder / f"item_properties_part{part}.csv", dtype={"value": str}) for part in (1, 2)]
        self.properties = pd.concat(parts, ignore_index=True)

    def of(self, kind: str) -> pd.DataFrame:
        return self.events[self.events["event"] == kind]


@pytest.fixture(scope="session")
def generated() -> type[Generated]:
    return Generated


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> Generated:
    return Generated(tmp_path_factory.mktemp("world"), WorldSpec(events=300_000, seed=7))


@pytest.fixture(scope="session")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Generated:
    return Generated(tmp_path_factory.mktemp("plain"), WorldSpec(events=200_000, seed=7, structure=0.0, drift=0.0))

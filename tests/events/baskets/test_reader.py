"""Sales as files have them become baskets: what is kept, what is left out and counted, in which order."""

from __future__ import annotations

import csv
import gzip
import zipfile
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import numpy as np
import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from vitrina.engine import LocalEngine
from vitrina.events.baskets.baskets import Baskets
from vitrina.events.baskets.reader import read_baskets

WriteSales = Callable[..., Path]
WriteBook = Callable[..., Path]
ReadSales = Callable[..., Baskets]

DAY = 86_400_000
FIRST_DAY = 14_944 * DAY  # 2010-12-01
ROWS = [
    "536366,22423,CAKE STAND,2,2010-12-03 09:00:00,4.0,17850.0,United Kingdom",
    "536366,85123a,HEART  T-LIGHT ,2,2010-12-03 09:00:00,2.5,17850.0,United Kingdom",
    "536365,85123A,HEART T-LIGHT,6,2010-12-01 08:26:00,2.5,,United Kingdom",
    "536365,71053,LANTERN,6,2010-12-01 08:27:00,3.4,,United Kingdom",
    "536365,71053,LANTERN,6,2010-12-01 08:26:00,3.4,,United Kingdom",
    "C536366,22423,CAKE STAND,-2,2010-12-04 09:00:00,4.0,17850.0,United Kingdom",
    "536367,POST,POSTAGE,1,2010-12-05 09:00:00,18.0,12583.0,France",
    "536367,71053,damaged,0,2010-12-05 09:00:00,0.0,,United Kingdom",
    "536367,22423,CAKE STAND,1,2010-12-05 09:00:00,4.0,12583.0,France",
]
HEADER = ["InvoiceNo", "StockCode", "Description", "Quantity", "InvoiceDate", "UnitPrice", "CustomerID", "Country"]


def told(baskets: Baskets) -> list[tuple[str, int, str | None, list[str]]]:
    """Each basket as (invoice, ms, customer, codes)."""
    return [
        (
            str(baskets.invoices[n]),
            int(baskets.ts[n]),
            None if baskets.customer[n] < 0 else baskets.customers[baskets.customer[n]],
            [baskets.codes[item] for item in baskets.items[baskets.starts[n] : baskets.starts[n + 1]]],
        )
        for n in range(len(baskets))
    ]


PLANTED = [
    ("536365", FIRST_DAY + 506 * 60_000, None, ["71053", "85123A"]),
    ("536366", FIRST_DAY + 2 * DAY + 540 * 60_000, "17850", ["22423", "85123A"]),
    ("536367", FIRST_DAY + 4 * DAY + 540 * 60_000, "12583", ["22423"]),
]


def cells(row: str) -> list[object]:
    """A line as Excel has it: numbers are numbers, dates are dates."""
    invoice, code, name, quantity, date, price, customer, country = row.split(",")
    return [
        int(invoice) if invoice.isdigit() else invoice,
        float(code) if code.isdigit() else code,
        name,
        int(quantity),
        datetime.fromisoformat(date),
        float(price),
        float(customer) if customer else None,
        country,
    ]


def test_planted_sales_become_their_baskets(write_sales: WriteSales, read_sales: ReadSales) -> None:
    baskets = read_sales(write_sales(ROWS))
    assert told(baskets) == PLANTED
    assert baskets.codes == ("22423", "71053", "85123A")
    assert baskets.descriptions == ("CAKE STAND", "LANTERN", "HEART T-LIGHT")
    assert baskets.customers == ("12583", "17850")
    report = baskets.report
    assert (report.rows_in, report.rows_out, report.baskets, report.baskets_of_two) == (9, 5, 3, 2)
    assert report.dropped == {
        "cancellations": 1,
        "codes that are no products": 1,
        "quantity of 0 or less": 1,
        "the product again in its invoice": 1,
    }
    assert (report.rejected, report.baskets_of_nobody, report.dated) == ({}, 1, True)
    assert "1 lines dropped: cancellations" in report.summary()


@pytest.mark.parametrize("form", ["csv.gz", "zip", "semicolons", "parquet", "jsonl", "xlsx", "xlsx in zip", "folder"])
def test_every_form_says_the_same(
    form: str, write_sales: WriteSales, write_book: WriteBook, read_sales: ReadSales, tmp_path: Path
) -> None:
    plain = write_sales(ROWS, name="plain/sales.csv")
    if form == "csv.gz":
        path = tmp_path / "sales.csv.gz"
        path.write_bytes(gzip.compress(plain.read_bytes()))
    elif form == "semicolons":
        path = write_sales([row.replace(",", ";") for row in ROWS], header=";".join(HEADER))
    elif form == "parquet":
        columns = zip(*(cells(row) for row in ROWS), strict=True)
        table = {n: [str(v) for v in c] if n in HEADER[:2] else list(c) for n, c in zip(HEADER, columns, strict=True)}
        path = tmp_path / "sales.parquet"
        pq.write_table(pa.table(table), path)
    elif form == "jsonl":
        path = tmp_path / "sales.jsonl"
        lines = [dict(zip(HEADER, row.split(","), strict=True)) for row in ROWS]
        path.write_text("\n".join(str(line).replace("'", '"') for line in lines))
    elif form == "folder":
        path = plain.parent
        (path / "~$sales.xlsx").write_bytes(b"left by Excel")
        (path / "readme.md").write_text("no sales")
    elif form == "zip":
        path = tmp_path / "sales.zip"
        with zipfile.ZipFile(path, "w") as archive:
            archive.write(plain, "a/sales.csv")
    else:
        path = write_book({"Online Retail": [HEADER, *map(cells, ROWS)]}, name="Online Retail.xlsx")
        if form == "xlsx in zip":
            with zipfile.ZipFile(tmp_path / "online+retail.zip", "w") as archive:
                archive.write(path, path.name)
            path = tmp_path / "online+retail.zip"
    assert told(read_sales(path)) == PLANTED


def test_sheets_with_the_columns_are_read_as_one_wherever_their_header_stands(
    write_book: WriteBook, read_sales: ReadSales
) -> None:
    second = [name.replace("InvoiceNo", "Invoice").replace("CustomerID", "Customer ID") for name in HEADER]
    sheets = {
        "About": [["Sales of our shop"], ["Ask Ann"]],
        "2010": [["Sales"], [], second, *map(cells, ROWS[:4])],
        "2011": [second, *map(cells, ROWS[4:]), [None] * 8],
    }
    baskets = read_sales(write_book(sheets))
    assert told(baskets) == PLANTED
    assert [name.rpartition(", ")[2] for name in baskets.report.files] == ["sheet '2010'", "sheet '2011'"]
    assert baskets.report.columns["CustomerID"] == "Customer ID"


def test_a_column_that_may_have_another_name_is_told_with_the_way_out(
    write_sales: WriteSales, write_book: WriteBook, read_sales: ReadSales
) -> None:
    named = [{"Quantity": "Qty", "InvoiceDate": "When"}.get(name, name) for name in HEADER]
    for sales in (write_sales(ROWS, header=",".join(named)), write_book({"Sales": [named, *map(cells, ROWS)]})):
        date, quantity = read_sales(sales).report.missing
        unused = "columns that are not used: Qty, When, UnitPrice, Country"
        assert date.startswith("no InvoiceDate: ") and date.endswith(f"--columns InvoiceDate=NAME; {unused}")
        assert quantity.startswith("no Quantity: ") and quantity.endswith(f"--columns Quantity=NAME; {unused}")
        assert read_sales(sales, columns="Quantity=Qty,InvoiceDate=When").report.missing == ()
    dated = [name.replace("When", "InvoiceDate") for name in named]
    book = write_book({"2010": [HEADER, *map(cells, ROWS[:4])], "2011": [dated, *map(cells, ROWS[4:])]})
    (quantity,) = read_sales(book).report.missing
    assert "sheet '2011': what came back" in quantity and "2010" not in quantity
    assert quantity.endswith("call it as the other sheets do; columns that are not used: Qty, UnitPrice, Country")
    bare = write_sales(["1,22423,CAKE STAND,7"], header="InvoiceNo,StockCode,Description,CustomerID")
    assert not any("--columns" in text for text in read_sales(bare).report.missing)


def test_without_dates_baskets_stand_in_the_order_of_the_file(write_sales: WriteSales, read_sales: ReadSales) -> None:
    header = "order_id,sku,Description,CustomerID"
    baskets = read_sales(
        write_sales(["2,aa,PEN,7", "1,bb,INK,", "2,bb,INK,7", "1,aa,PEN,"], header=header),
        columns="InvoiceNo=order_id,StockCode=sku",
    )
    assert told(baskets) == [("2", 0, "7", ["AA", "BB"]), ("1", 1, None, ["AA", "BB"])]
    assert not baskets.dated
    assert "order of the file" in " ".join(baskets.report.missing)
    assert "Quantity" in " ".join(baskets.report.missing)


@pytest.mark.parametrize(
    ("date", "ms"),
    [
        ("12/13/2010 8:26", FIRST_DAY + 12 * DAY + 506 * 60_000),
        ("13/12/2010 08:26", FIRST_DAY + 12 * DAY + 506 * 60_000),
        ("13.12.2010 08:26:00", FIRST_DAY + 12 * DAY + 506 * 60_000),
        ("13.12.2010", FIRST_DAY + 12 * DAY),
        ("12/13/10 8:26", FIRST_DAY + 12 * DAY + 506 * 60_000),
        ("13/12/10 08:26", FIRST_DAY + 12 * DAY + 506 * 60_000),
        ("12/13/10", FIRST_DAY + 12 * DAY),
        ("12/13/10 8:26 AM", FIRST_DAY + 12 * DAY + 506 * 60_000),
        ("13.12.10 08:26", FIRST_DAY + 12 * DAY + 506 * 60_000),
        ("13.12.10", FIRST_DAY + 12 * DAY),
        ("13-Dec-2010", FIRST_DAY + 12 * DAY),
        ("13-Dec-10", FIRST_DAY + 12 * DAY),
        ("13 Dec 10 08:26:00", FIRST_DAY + 12 * DAY + 506 * 60_000),
        ("2010-12-13", FIRST_DAY + 12 * DAY),
        ("2010-12-13T08:26:00+01:00", FIRST_DAY + 12 * DAY + 446 * 60_000),
        ("20101213", FIRST_DAY + 12 * DAY),
        ("40525", FIRST_DAY + 12 * DAY),
        (str((FIRST_DAY + 12 * DAY) // 1000), FIRST_DAY + 12 * DAY),
        (str(FIRST_DAY + 12 * DAY), FIRST_DAY + 12 * DAY),
    ],
)
def test_dates_are_read_as_offices_write_them(
    date: str, ms: int, write_sales: WriteSales, read_sales: ReadSales
) -> None:
    assert read_sales(write_sales([f"1,10002,PEN,1,{date},1,7,UK"])).ts.tolist() == [ms]


def test_days_and_months_that_could_be_either_are_noted(write_sales: WriteSales, read_sales: ReadSales) -> None:
    baskets = read_sales(write_sales(["1,10002,PEN,1,02/03/2011,1,7,UK", "2,10002,PEN,1,03/02/2011,1,7,UK"]))
    assert [str(invoice) for invoice in baskets.invoices] == ["1", "2"]
    assert any("day or the month first" in note for note in baskets.report.notes)


def test_the_five_digits_rule_holds_where_codes_have_five_digits(
    write_sales: WriteSales, read_sales: ReadSales
) -> None:
    own = ["1,MUG,MUG,1,2011-01-01,1,7,UK", "1,M,Manual,1,2011-01-01,1,7,UK", "1,S,SOAP,1,2011-01-01,1,7,UK"]
    assert read_sales(write_sales(own)).codes == ("MUG", "S")
    five = [f"1,{10_000 + n},PEN,1,2011-01-01,1,7,UK" for n in range(9)]
    assert "MUG" not in read_sales(write_sales([*five, own[0]])).codes
    assert "MUG" in read_sales(write_sales([*five[:8], own[0]])).codes


def test_eans_are_not_the_five_digits_of_that_rule(write_sales: WriteSales, read_sales: ReadSales) -> None:
    line = "1,{},TEA,1,2011-01-01,1,7,UK"
    shop = [line.format(4_006_381_333_931 + n) for n in range(30)] + [line.format("TEA-1"), line.format("POST")]
    baskets = read_sales(write_sales(shop))
    assert "TEA-1" in baskets.codes and len(baskets.codes) == 31
    assert not any("five digits" in note for note in baskets.report.notes)
    codes = (*range(10_000, 10_018), "15056bl", "4006381333931", "TEA-1")
    other = read_sales(write_sales([line.format(code) for code in codes]))
    assert {"15056BL", "4006381333931"} < set(other.codes) and "TEA-1" not in other.codes


def test_the_codes_that_went_are_named_with_their_lines(write_sales: WriteSales, read_sales: ReadSales) -> None:
    line = "{},{},NAME,1,2011-01-01,1,7,UK"
    rows = [line.format(n, code) for n, code in enumerate(["10002"] * 200 + ["POST", "post", "Post", "DOT"])]
    gone = "codes that are no products, with their lines: POST (3), DOT (1)"
    assert gone in read_sales(write_sales(rows)).report.notes
    many = [line.format(1, f"GIFT{n:02d}") for n in range(12)]
    named = ", ".join(f"GIFT{n:02d} (1)" for n in range(8))
    assert f"{gone}, {named}, 4 more" in read_sales(write_sales([*rows, *many])).report.notes
    assert not any("no products" in note for note in read_sales(write_sales([line.format(1, "MUG")])).report.notes)


def test_a_shop_whose_invoices_all_begin_with_c_has_no_cancellations(
    write_sales: WriteSales, read_sales: ReadSales
) -> None:
    baskets = read_sales(write_sales([f"C{n},1000{n},PEN,1,2011-01-01,1,7,UK" for n in range(3)]))
    assert len(baskets) == 3
    assert any("C does not mean a cancellation" in note for note in baskets.report.notes)


def test_most_invoices_may_be_cancellations(write_sales: WriteSales, read_sales: ReadSales) -> None:
    back = [f"C{n},1000{n},PEN,-1,2011-01-01,1,7,UK" for n in range(5)]
    baskets = read_sales(write_sales([*back, "7,10007,PEN,1,2011-01-01,1,7,UK"]))
    assert (baskets.codes, baskets.report.dropped) == (("10007",), {"cancellations": 5})
    assert not any("begin with C" in note for note in baskets.report.notes)


def test_a_product_is_called_what_it_is_sold_as(write_sales: WriteSales, read_sales: ReadSales) -> None:
    line = "{},10002,{},{},2011-01-01,1,7,UK"
    names = [("check", 1), ("check", 1), ("OLD NAME", 1), ("NEW NAME", 1), ("?", 1), ("LOST", -1), ("LOST", -2)]
    rows = [line.format(n, name, quantity) for n, (name, quantity) in enumerate(names)]
    assert read_sales(write_sales(rows)).descriptions == ("NEW NAME",)
    assert read_sales(write_sales([*rows, line.format(9, "OLD NAME", 2)])).descriptions == ("OLD NAME",)
    assert read_sales(write_sales([line.format(1, "", 1)])).descriptions == ("",)


@pytest.mark.parametrize(
    ("encoding", "name"), [("cp1252", "£5 CAFÉ MUG"), ("cp1251", "КРУЖКА"), ("utf-16", "КРУЖКА £")]
)
def test_a_file_in_an_offices_encoding_is_read_and_noted(
    encoding: str, name: str, write_sales: WriteSales, read_sales: ReadSales
) -> None:
    baskets = read_sales(write_sales([f"1,10002,{name},1,2011-01-01,1,7,UK"], to=encoding))
    assert baskets.descriptions == (name,)
    assert f"the file is not UTF-8; it was read as {encoding}" in baskets.report.notes


def test_reading_tells_how_far_it_is(write_book: WriteBook, engine: LocalEngine, tmp_path: Path) -> None:
    shares: list[float] = []
    path = write_book({"S": [HEADER, *map(cells, ROWS)]})
    read_baskets(path, tmp_path / "out", engine, lambda what, share: shares.append(share))
    assert shares == sorted(shares) and (shares[0], shares[-1]) == (0.0, 1.0) and len(shares) >= 5


@pytest.fixture(scope="module")
def real(data_dir: Path, engine: LocalEngine, tmp_path_factory: pytest.TempPathFactory) -> Baskets:
    """The UCI file."""
    out = tmp_path_factory.mktemp("real") / "validated"
    read_baskets(data_dir / "online-retail" / "OnlineRetail.csv.gz", out, engine)
    return Baskets.open(out)


def test_the_real_file_gives_its_known_counts(real: Baskets) -> None:
    report = real.report
    assert report.rows_in == 541_909
    assert report.dropped["cancellations"] == 9_288
    assert report.rows_in == report.rows_out + sum(report.dropped.values())
    assert (report.baskets, report.baskets_of_two, report.items, report.customers) == (20_538, 18_292, 3_808, 4_335)
    assert real.descriptions[real.codes.index("85123A")] == "WHITE HANGING HEART T-LIGHT HOLDER"
    assert "POST" not in real.codes and all(code == code.upper() for code in real.codes)
    assert np.all(np.diff(real.ts) >= 0)
    assert len(set(real.invoices.tolist())) == len(real)
    assert not any("invoice numbers" in note for note in report.notes)


@pytest.mark.slow
def test_the_real_file_as_a_workbook_gives_the_same_baskets(
    data_dir: Path, real: Baskets, read_sales: ReadSales, tmp_path: Path
) -> None:
    book = openpyxl.Workbook(write_only=True)
    sheet = book.create_sheet("Online Retail")
    with gzip.open(data_dir / "online-retail" / "OnlineRetail.csv.gz", "rt", encoding="utf-8", newline="") as file:
        rows = csv.reader(file)
        sheet.append(next(rows))
        for invoice, code, name, quantity, date, price, customer, country in rows:
            sheet.append(
                [
                    int(invoice) if invoice.isdigit() else invoice,
                    int(code) if code.isdigit() else code,
                    name or None,
                    int(quantity),
                    datetime.fromisoformat(date),
                    float(price),
                    float(customer) if customer else None,
                    country,
                ]
            )
    book.save(tmp_path / "OnlineRetail.xlsx")
    baskets = read_sales(tmp_path / "OnlineRetail.xlsx")
    for name in ("starts", "items", "ts", "customer", "invoices"):
        np.testing.assert_array_equal(getattr(baskets, name), getattr(real, name))
    for name in ("codes", "descriptions", "customers", "dated"):
        assert getattr(baskets, name) == getattr(real, name)
    assert baskets.report.dropped == real.report.dropped

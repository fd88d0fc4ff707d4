"""Every fault of a sales file is planted and must be named with a way out; an older folder stays as it was."""

from __future__ import annotations

import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from vitrina.engine import LocalEngine
from vitrina.errors import ConfigError, DataError
from vitrina.events.baskets.baskets import Baskets
from vitrina.events.baskets.raw import open_raw_baskets
from vitrina.events.baskets.reader import read_baskets

WriteSales = Callable[..., Path]
WriteBook = Callable[..., Path]
Fault = Callable[[Path], DataError]

ROW = "536365,10002,PEN,6,2010-12-01 08:26:00,2.5,17850.0,UK"
HEADER = ["InvoiceNo", "StockCode", "Description", "CustomerID"]


@pytest.fixture
def fault(tmp_path: Path, engine: LocalEngine) -> Fault:
    """Reads and gives the fault that it raises; nothing is published, and an older folder stays byte for byte."""

    def read(source: Path) -> DataError:
        out = tmp_path / "published"
        out.mkdir(exist_ok=True)
        (out / "report.json").write_text("the old report")
        before = sorted(path.name for path in tmp_path.iterdir())
        with pytest.raises(DataError) as caught:
            read_baskets(source, out, engine)
        assert sorted(path.name for path in tmp_path.iterdir()) == before
        assert {path.name: path.read_bytes() for path in out.iterdir()} == {"report.json": b"the old report"}
        assert caught.value.where.startswith(str(source))
        assert caught.value.remedy
        return caught.value

    return read


def locked_workbook() -> bytes:
    """A compound file whose directory holds an EncryptedPackage, as Excel saves a workbook with a password."""
    none, end, table = 0xFFFFFFFF, 0xFFFFFFFE, 0xFFFFFFFD

    def entry(name: str, kind: int, child: int, start: int, size: int) -> bytes:
        text = (name + "\0").encode("utf-16-le")
        front = text.ljust(64, b"\0") + struct.pack("<HBB3I", len(text), kind, 1, none, none, child)
        return front + bytes(36) + struct.pack("<IQ", start, size)

    header = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(16)
    header += struct.pack("<5H6x9I", 0x3E, 3, 0xFFFE, 9, 6, 0, 1, 1, 0, 4096, end, 0, end, 0)
    header += struct.pack("<109I", 0, *[none] * 108)
    chain = struct.pack("<128I", table, end, *range(3, 10), end, *[none] * 118)
    folder = entry("Root Entry", 5, 1, end, 0) + entry("EncryptedPackage", 2, none, 2, 4096)
    return header + chain + folder.ljust(512, b"\0") + bytes(4096)


def test_a_missing_column_is_named_with_those_that_are_there(
    write_sales: WriteSales, write_book: WriteBook, fault: Fault
) -> None:
    error = fault(write_sales(["1,2,3"], header="InvoiceNo,StockCode,Description"))
    assert error.problem == "no column CustomerID; the columns are InvoiceNo, StockCode, Description"
    assert error.where.endswith(", row 1") and "--columns" in error.remedy
    error = fault(write_book({"Notes": [["none"]], "2011": [HEADER[:3], [1, 2, "PEN"]]}))
    assert error.where.endswith("sheet '2011'") and "no column CustomerID" in error.problem
    low = fault(write_book({"2011": [["Sales report"]] * 20 + [HEADER, [1, 2, "PEN", 7]]}))
    assert "the columns are Sales report" in low.problem and "in one of the first 20 rows" in low.remedy


def test_a_sheet_of_sales_that_lacks_a_column_of_the_others_is_refused(write_book: WriteBook, fault: Fault) -> None:
    client = ["InvoiceNo", "StockCode", "Description", "Client"]
    for jan in (client, ["InvoiceNo", "Code", "Description", "Quantity", "Client"]):
        rows = [list(range(len(jan)))] * 3
        error = fault(write_book({"Dec": [HEADER, [1, 2, "PEN", 7]], "Jan": [["Sales"], jan, *rows]}))
        assert error.where.endswith("sheet 'Jan'") and "CustomerID; the columns are InvoiceNo" in error.problem
        assert "Client" in error.problem and "remove this sheet" in error.remedy


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("sales.csv", b"", "the file is empty"),
        ("sales.csv", b"InvoiceNo,StockCode,Description,CustomerID\n", "no lines below the header"),
        ("sales.csv", b"InvoiceNo,StockCode,Description,CustomerID\n,,,\n", "no lines below the header"),
        ("sales.pdf", b"%PDF-1.7", "a file that ends in .pdf cannot be read"),
        ("sales", b"InvoiceNo", "a file without an ending"),
        ("~$sales.xlsx", b"\x05ann", "the mark that Excel leaves"),
        ("sales.xlsx", b"InvoiceNo,StockCode", "no workbook, whatever its name"),
        ("sales.xlsx", b"", "the file is empty"),
        ("sales.xlsx", b"PK\x03\x04" + bytes(300), "the workbook is broken"),
        ("sales.xlsx", locked_workbook(), "locked with a password"),
        ("sales.csv", locked_workbook(), "locked with a password"),
        ("sales.zip", b"PK\x03\x04 cut", "the zip file is damaged"),
        ("sales.csv.gz", b"plain", "is no gzip file"),
        ("sales.csv.gz", b"\x1f\x8b\x08\x00cut", "damaged or ends early"),
    ],
)
def test_a_file_that_is_no_sales_file_says_why(
    name: str, content: bytes, words: str, tmp_path: Path, fault: Fault
) -> None:
    (tmp_path / name).write_bytes(content)
    assert words in fault(tmp_path / name).problem


def test_a_file_that_cannot_be_read_says_so(tmp_path: Path, fault: Fault) -> None:
    path = tmp_path / "sales.csv"
    path.symlink_to("/proc/self/mem")  # no one may read its beginning
    assert "the file cannot be read (" in fault(path).problem
    with pytest.raises(DataError, match="the file cannot be read") as raised:
        open_raw_baskets(str(path)).fetch(tmp_path / "copy")
    assert raised.value.where == str(path)


def test_a_workbook_without_sales_says_why(write_book: WriteBook, fault: Fault, tmp_path: Path) -> None:
    assert "the workbook is empty" in fault(write_book({"S": []})).problem
    book = write_book({"S": [HEADER]})
    assert "no lines below the header" in fault(book).problem
    book.write_bytes(book.read_bytes()[:-400])
    assert "the workbook is broken" in fault(book).problem


@pytest.mark.parametrize(
    ("members", "words"),
    [
        ({"read.me": "x"}, "found nothing"),
        ({"a.csv": "x", "b.csv": "x"}, "found a.csv, b.csv"),
        ({"a.xlsx": "x", "b.xlsx": "x"}, "found a.xlsx, b.xlsx"),
        ({"a.xlsx": "x"}, "no workbook"),
    ],
)
def test_a_zip_without_one_table_says_what_it_has(
    members: dict[str, str], words: str, tmp_path: Path, fault: Fault
) -> None:
    with zipfile.ZipFile(tmp_path / "sales.zip", "w") as archive:
        for name, text in members.items():
            archive.writestr(name, text)
    assert words in fault(tmp_path / "sales.zip").problem


def test_a_folder_must_have_one_file_of_sales(tmp_path: Path, fault: Fault, write_sales: WriteSales) -> None:
    folder = tmp_path / "shop"
    folder.mkdir()
    (folder / "notes.md").write_text("none")
    assert "no sales file is here (found: notes.md)" in fault(folder).problem
    for name in ("may.csv", "june.xlsx"):
        (folder / name).write_text("x")
    assert "june.xlsx, may.csv" in fault(folder).problem
    assert "no such file" in fault(tmp_path / "nowhere.csv").problem


@pytest.mark.parametrize(
    ("row", "words"),
    [
        (ROW.replace("536365", ""), "no InvoiceNo"),
        (ROW.replace("10002", ""), "no StockCode"),
        (ROW.replace(",6,", ",six,"), r"Quantity is no number ('six')"),
        (ROW.replace("536365", "5" * 101), f"InvoiceNo is longer than 100 characters ('{'5' * 100}')"),
        (ROW.replace("10002", "1" * 20_000), f"StockCode is longer than 100 characters ('{'1' * 100}')"),
        (ROW.replace("17850.0", "7" * 101), "CustomerID is longer than 100 characters"),
        (ROW.replace("2010-12-01 08:26:00", "soon"), r"InvoiceDate is no date ('soon')"),
        (ROW.replace("2010-12-01 08:26:00", ""), "InvoiceDate is no date"),
    ],
)
def test_many_lines_with_a_fault_stop_the_reading(row: str, words: str, write_sales: WriteSales, fault: Fault) -> None:
    error = fault(write_sales([ROW] * 50 + [row]))
    assert words in error.problem and "1 of 51 rows are bad" in error.problem
    assert error.where.endswith(", row 52")


def test_few_lines_with_a_fault_are_left_out_and_counted(
    write_sales: WriteSales, engine: LocalEngine, tmp_path: Path
) -> None:
    rows = [ROW.replace("10002", str(10_002 + n)) for n in range(200)]
    report = read_baskets(write_sales([*rows, ROW.replace(",6,", ",six,")]), tmp_path / "out", engine)
    assert (report.rows_in, report.rows_out, report.rejected) == (201, 200, {"Quantity is no number": 1})
    assert [(bad.row, bad.value) for bad in report.examples] == [(202, "six")]


def test_long_texts_do_not_set_the_size_of_all(write_sales: WriteSales, read_sales: Callable[..., Baskets]) -> None:
    """A description is cut, a line with a code or a number beyond all measure is left out."""
    rows = [ROW.replace("10002", str(10_002 + n)) for n in range(400)]
    rows[0] = rows[0].replace("PEN", "PEN  " + "ж" * 20_000)
    rows += [ROW.replace("10002", "X" * 20_000), ROW.replace("536365", "5" * 20_000)]
    baskets = read_sales(write_sales(rows))
    assert baskets.descriptions[0] == "PEN " + "ж" * 196 and set(baskets.descriptions[1:]) == {"PEN"}
    assert (len(baskets.codes), baskets.invoices.tolist()) == (400, ["536365"])
    report = baskets.report
    assert report.rejected == {
        "StockCode is longer than 100 characters": 1,
        "InvoiceNo is longer than 100 characters": 1,
    }
    assert "1 lines have descriptions of more than 200 characters, which were cut" in report.notes
    assert max(map(len, (*report.notes, *(bad.value for bad in report.examples)))) <= 100
    assert not any("no products, with" in note for note in report.notes)
    exact = read_sales(write_sales([ROW.replace("PEN", "P" * 200).replace("17850.0", "7" * 100)]))
    assert exact.descriptions == ("P" * 200,) and exact.customers == ("7" * 100,)
    assert not any("were cut" in note for note in exact.report.notes)


def test_a_file_that_was_cut_within_its_last_line_is_refused(
    write_sales: WriteSales, read_sales: Callable[..., Baskets], fault: Fault
) -> None:
    rows = [ROW.replace("536365", f"53{n:04}") for n in range(1, 301)]
    for end in ("", "530301,1", "530301,10002,P", "530301,10002,PEN,6,2010-12-01 08:26:00,2.5,17850.0", "530301,'é'"):
        sales = write_sales(rows)
        sales.write_bytes(sales.read_bytes() + end.encode())
        if end:
            error = fault(sales)
            assert error.problem == f"too few columns in the last line, which has no end ({end!r})"
            assert error.where.endswith("row 302") and "a transfer that stopped halfway" in error.remedy
        else:
            assert len(read_sales(sales)) == 300
    sales.write_bytes(sales.read_bytes() + b"\n")
    assert read_sales(sales).report.rejected == {"too few columns": 1}
    for end in (rows[0], "\r\n".join(rows[:2])):
        sales.write_bytes("\r\n".join(["InvoiceNo,StockCode,Description,A,InvoiceDate,B,CustomerID,C", end]).encode())
        assert len(read_sales(sales)) == end.count("53")


@pytest.mark.parametrize(
    "end", ["   ", "\t", "\x1a", "\0", ",,", " , ", "(300 rows affected)", "a;b", "\n(300 rows)", "53"]
)
def test_a_last_line_that_is_blank_or_a_footer_is_one_broken_line(
    write_sales: WriteSales, read_sales: Callable[..., Baskets], end: str
) -> None:
    sales = write_sales([ROW.replace("536365", f"53{n:04}") for n in range(1, 301)])
    sales.write_bytes(sales.read_bytes() + end.encode())
    baskets = read_sales(sales)
    assert len(baskets) == 300 and baskets.report.rejected == {"too few columns": 1}


def test_a_workbooks_bad_cell_is_named_by_its_row(write_book: WriteBook, fault: Fault) -> None:
    rows: list[list[object]] = [[1, 10002, "PEN", 7]] * 9 + [[None, 10002, "PEN", 7]]
    error = fault(write_book({"Shop": [["Sales of May"], HEADER, *rows]}))
    assert error.where.endswith("sheet 'Shop', row 12")


def test_a_file_without_any_sale_says_where_its_lines_went(write_sales: WriteSales, fault: Fault) -> None:
    error = fault(write_sales([ROW.replace(",6,", ",-6,"), ROW.replace("10002", "POST")]))
    assert "no line is a sale" in error.problem and "quantity of 0 or less: 1" in error.problem


def test_cancellations_alone_are_no_sales(write_sales: WriteSales, fault: Fault) -> None:
    back = [ROW.replace("536365", f"C53636{n}") for n in range(5)]
    error = fault(write_sales([one.replace(",6,", ",-6,") for one in back]))
    assert "no line is a sale (cancellations: 5)" in error.problem
    header = "InvoiceNo,StockCode,Description,InvoiceDate,UnitPrice,CustomerID,Country"
    rows = [one.replace(",6,", ",") for one in (*back, ROW.replace("536365", "536370"))]
    error = fault(write_sales(rows, header=header))
    assert "5 of 6 invoices begin with C, as cancellations do, and no Quantity tells" in error.problem
    assert "Give the column Quantity" in error.remedy and error.where.endswith("sales.csv")


def test_a_folder_of_something_else_is_not_replaced(
    write_sales: WriteSales, engine: LocalEngine, tmp_path: Path
) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").write_text("x")
    with pytest.raises(ConfigError, match="was not written by this step"):
        read_baskets(write_sales([ROW]), tmp_path / "mine", engine)

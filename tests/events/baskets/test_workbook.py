"""Which sheets of a workbook are read, and which are left out and named."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from vitrina.events.baskets.baskets import Baskets

WriteBook = Callable[..., Path]
ReadSales = Callable[..., Baskets]

HEADER = ["InvoiceNo", "StockCode", "Description", "CustomerID"]


def test_sheets_without_the_columns_are_left_out_by_name(write_book: WriteBook, read_sales: ReadSales) -> None:
    sheets = {
        "About": [["Sales of our shop"], ["Ask Ann"]],
        "Products": [["StockCode", "Description", "UnitPrice"], ["22423", "CAKE STAND", 4]],
        "Sales": [HEADER, ["1", "22423", "CAKE STAND", 7], ["1", "71053", "LANTERN", 7]],
        "Top": [["StockCode", "Description", "Quantity"], ["22423", "CAKE STAND", 90]],
        "Stock": [["StockCode", "Description", "Quantity", "InvoiceDate"], ["22423", "CAKE STAND", 9, "2011-12-01"]],
        "Nothing": [],
    }
    report = read_sales(write_book(sheets)).report
    told = [note for note in report.notes if "left out" in note]
    assert len(told) == 4 and all(note in report.summary() for note in told)
    assert "sheet 'About': it is left out, as it has no column InvoiceNo, StockCode" in told[0]
    assert "sheet 'Products': it is left out, as it has no column InvoiceNo, CustomerID in" in told[1]
    assert "sheet 'Top': it is left out" in told[2] and "sheet 'Stock': it is left out" in told[3]

"""Columns are found by their names, by near relatives of them and by what the caller says."""

from __future__ import annotations

import pytest

from vitrina.errors import ConfigError, DataError
from vitrina.events.baskets.columns import BasketColumns

USUAL = ["InvoiceNo", "StockCode", "Description", "Quantity", "InvoiceDate", "CustomerID"]


def test_the_usual_names_and_those_of_the_second_edition_are_found() -> None:
    assert BasketColumns().require(USUAL, "x") == {name: name for name in USUAL}
    second = ["Invoice", "StockCode", "Description", "Quantity", "InvoiceDate", "Price", "Customer ID", "Country"]
    found = BasketColumns().require(second, "x")
    assert (found["InvoiceNo"], found["CustomerID"]) == ("Invoice", "Customer ID")
    assert BasketColumns().find(["invoice_no", "STOCKCODE"]) == {"InvoiceNo": "invoice_no", "StockCode": "STOCKCODE"}


def test_the_callers_own_names_come_first() -> None:
    columns = BasketColumns.parse("InvoiceNo=order, StockCode=sku")
    found = columns.require(["order", "sku", "StockCode", "Description", "CustomerID"], "x")
    assert (found["InvoiceNo"], found["StockCode"]) == ("order", "sku")
    assert "Quantity" not in found


@pytest.mark.parametrize(
    ("header", "columns", "words"),
    [
        (
            ["InvoiceNo", "StockCode", "Description"],
            None,
            r"no column CustomerID; the columns are InvoiceNo, .*--columns",
        ),
        (USUAL, "StockCode=sku", "no column sku"),
        (USUAL, "Quantity=count", "no column count"),
        ([], None, "no column InvoiceNo, StockCode, Description, CustomerID; the columns are none"),
        (USUAL, "StockCode=InvoiceNo", "column InvoiceNo cannot be two things"),
    ],
)
def test_missing_columns_are_named(header: list[str], columns: str | None, words: str) -> None:
    with pytest.raises(DataError, match=words):
        BasketColumns.parse(columns).require(header, "x")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("InvoiceNo", "no name=value pair"),
        ("InvoiceNo=", "no name=value pair"),
        ("user=customer", "'user' is not one of InvoiceNo"),
        ("StockCode=a,StockCode=b", "given twice"),
    ],
)
def test_a_wrong_mapping_is_named(text: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        BasketColumns.parse(text)

"""Numbers of invoices that stand for several purchases: they begin anew, or two tills give them to two people."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from vitrina.events.baskets.baskets import Baskets

WriteSales = Callable[..., Path]
ReadSales = Callable[..., Baskets]

DAY = 86_400_000


def told(baskets: Baskets) -> list[tuple[str, int, str | None, list[str]]]:
    """Each basket as (invoice, ms, customer, codes)."""
    names = (*baskets.customers, None)
    bounds = zip(baskets.starts[:-1], baskets.starts[1:], strict=True)
    codes = [[baskets.codes[item] for item in baskets.items[begin:end]] for begin, end in bounds]
    who = [names[number] for number in baskets.customer]
    return list(zip(baskets.invoices.tolist(), baskets.ts.tolist(), who, codes, strict=True))


def test_numbers_that_come_again_are_other_purchases(write_sales: WriteSales, read_sales: ReadSales) -> None:
    """Numbers begin anew each year; an invoice that is written over midnight stays one."""
    line = "{},{},PEN,1,{},1,{},UK"
    rows = [
        line.format(n, 10_000 + 2 * (n % 20) + year % 2 + side, f"{year}-01-{1 + n % 28:02d} 09:00:00", 17_000 + year)
        for year in (2010, 2011)
        for n in range(1, 301)
        for side in (0, 30)
    ]
    rows += [line.format("B7", code, f"2011-03-{at}", 5) for code, at in ((10_001, "01 23:50"), (10_002, "02 00:10"))]
    rows += [line.format("B7", 10_003, "2011-03-02 12:10:00", 5), line.format("B7", 10_004, "2011-03-03 00:11:00", 5)]
    baskets = read_sales(write_sales(rows))
    yearly = [one for one in told(baskets) if one[0] != "B7"]
    assert len(yearly) == 600 and {len(codes) for *_, codes in yearly} == {2}
    assert {(ms // DAY > 14_974, who) for _, ms, who, _ in yearly} == {(False, "19010"), (True, "19011")}
    assert [codes for invoice, _, _, codes in told(baskets) if invoice == "B7"] == [
        ["10001", "10002", "10003"],
        ["10004"],
    ]
    assert "301 invoice numbers come again over 12 hours later: each time is a basket" in baskets.report.notes
    assert baskets.report.rows_out == 1204


def test_days_without_a_clock_part_numbers_that_come_again_the_next_day(
    write_sales: WriteSales, read_sales: ReadSales
) -> None:
    rows = [f"1,{10_000 + 2 * day + side},PEN,1,2011-01-0{day},1,,UK" for day in (1, 2, 3) for side in (0, 1)]
    assert [codes for *_, codes in told(read_sales(write_sales(rows)))] == [
        ["10002", "10003"],
        ["10004", "10005"],
        ["10006", "10007"],
    ]


@pytest.mark.parametrize("date", ["2011-01-01 09:00:00", None])
def test_an_invoice_has_one_customer(date: str | None, write_sales: WriteSales, read_sales: ReadSales) -> None:
    """Two tills give the same number to two people; what has no customer goes to the only one that there is."""
    header = "InvoiceNo,StockCode,Description,CustomerID" + (",InvoiceDate" if date else "")
    lines = [(1, 10_001, 8), (1, 10_002, 7), (1, 10_003, 8), (1, 10_004, ""), (2, 10_001, ""), (2, 10_002, 9)]
    rows = [f"{number},{code},PEN,{who}" + (f",{date}" if date else "") for number, code, who in lines]
    baskets = read_sales(write_sales(rows, header=header))
    assert [(invoice, who, codes) for invoice, _, who, codes in told(baskets)] == [
        ("1", "8", ["10001", "10003"]),
        ("1", "7", ["10002"]),
        ("1", None, ["10004"]),
        ("2", "9", ["10001", "10002"]),
    ]
    assert "1 invoice numbers have lines of several customers: each one's are a basket" in baskets.report.notes

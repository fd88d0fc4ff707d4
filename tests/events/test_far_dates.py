"""A few dates beyond a long gap are slips; a pause, a season and the ends of a log are none."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date, timedelta
from pathlib import Path

import pytest

from vitrina.events.baskets.baskets import Baskets
from vitrina.events.far_dates import span_of_bulk

WriteSales = Callable[..., Path]
ReadSales = Callable[..., Baskets]
FAR = "InvoiceDate is over a year from the rest of the file"


@pytest.mark.parametrize(
    ("places", "counts", "span"),
    [
        ([10, 11, 12, 500], [900, 1100, 1000, 3], (10, 12)),
        ([10, 11, 12, 500], [900, 1100, 1000, 4], (10, 500)),
        ([10, 11, 12, 112], [900, 1100, 1000, 1], (10, 112)),
        ([10, 11, 12, 113], [900, 1100, 1000, 1], (10, 12)),
        ([-400, 10, 11, 500, 900], [1, 1000, 1000, 1, 2], (10, 11)),
        ([0, 300, 600], [1000, 1, 1000], (0, 600)),
        ([0, 1, 2, 3], [1, 5000, 5000, 1], (0, 3)),
        ([7], [1], (7, 7)),
        (range(0, 400_000, 200), [1] * 2000, (0, 399_800)),
    ],
    ids=["slip", "many", "near", "over the gap", "both sides", "between", "ends", "one", "all apart"],
)
def test_little_beyond_a_gap_is_far(places: Sequence[int], counts: Sequence[int], span: tuple[int, int]) -> None:
    assert span_of_bulk(places, counts, gap=100) == span


def lines(days: Sequence[date], each: int) -> list[str]:
    """`each` invoices of two products on each day."""
    numbers = iter(range(1, len(days) * each + 1))
    return [
        f"{number},{code},PEN,1,{day} 09:00:00,1,7,UK"
        for day in days
        for number in (next(numbers) for _ in range(each))
        for code in (10_001, 10_002)
    ]


def days_from(first: date, count: int) -> list[date]:
    return [first + timedelta(days=n) for n in range(count)]


def test_an_invoice_of_another_decade_is_named_and_left_out(write_sales: WriteSales, read_sales: ReadSales) -> None:
    rows = lines(days_from(date(2010, 12, 1), 200), 4)
    slips = [f"S{n},10001,PEN,1,{day},1,7,UK" for n, day in enumerate(("2021-03-01 10:00:00", "01.02.1999"))]
    baskets = read_sales(write_sales([*rows, *slips]))
    report = baskets.report
    assert (len(baskets), report.rejected) == (800, {FAR: 2})
    assert [(bad.row, bad.value) for bad in report.examples] == [
        (len(rows) + 2, "2021-03-01 10:00:00"),
        (len(rows) + 3, "01.02.1999"),
    ]
    assert "S0" not in baskets.invoices
    assert f"2 lines rejected: {FAR}" in report.summary() and "2010-12-01 .. 2011-06-18 UTC" in report.summary()


def test_pauses_seasons_and_last_days_stay(write_sales: WriteSales, read_sales: ReadSales) -> None:
    winters = [*days_from(date(2008, 12, 1), 90), *days_from(date(2009, 12, 1), 90), date(2010, 12, 1)]
    ends = [f"E{n},10001,PEN,1,{day} 10:00:00,1,7,UK" for n, day in enumerate(("2008-11-02", "2011-12-02"))]
    baskets = read_sales(write_sales([*lines(winters, 4), *ends]))
    assert (len(baskets), baskets.report.rejected) == (181 * 4 + 2, {})
    closed = [*days_from(date(2018, 1, 1), 90), *days_from(date(2020, 1, 1), 1)]
    assert read_sales(write_sales(lines(closed, 4))).report.rejected == {}


def test_a_file_of_many_ages_is_not_cut_to_one(write_sales: WriteSales, read_sales: ReadSales) -> None:
    rows = [f"{n},10001,PEN,1,{1990 + n}-01-01,1,7,UK" for n in range(0, 30, 2)]
    assert read_sales(write_sales(rows)).report.rejected == {}

"""The columns are those of the public file, and every name says one thing."""

from __future__ import annotations

import csv
from datetime import date
from pathlib import Path

from vitrina.events.panels.columns import NAME_OF, NAMED_HEADER, PRODUCTS, RAW_HEADER, month_of, month_text


def test_the_header_is_that_of_the_public_file(data_dir: Path) -> None:
    with (data_dir / "santander" / "train_ver2_sample.csv").open(encoding="utf-8", newline="") as file:
        assert tuple(next(csv.reader(file))) == RAW_HEADER
    with (data_dir / "santander" / "products.csv").open(encoding="utf-8", newline="") as file:
        assert [row["item_id"] for row in csv.DictReader(file)] == [product.code for product in PRODUCTS]


def test_no_name_is_there_twice() -> None:
    assert len(PRODUCTS) == 24
    for names in (RAW_HEADER, NAMED_HEADER, [one.russian for one in PRODUCTS], [one.english for one in PRODUCTS]):
        assert len(set(names)) == len(names)
    assert all(NAME_OF[raw] == NAME_OF[name] == name for raw, name in zip(RAW_HEADER, NAMED_HEADER, strict=True))


def test_months_are_counted_without_gaps() -> None:
    assert month_of(date(2016, 1, 28)) == month_of(date(2015, 12, 28)) + 1
    assert [month_text(month_of(date(2015, month, 28))) for month in (1, 12)] == ["2015-01", "2015-12"]

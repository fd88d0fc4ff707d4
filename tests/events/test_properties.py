"""What an item was at a time: planted values, read back before, between and after."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from vitrina.engine import LocalEngine
from vitrina.errors import DataError
from vitrina.events.prepare import Prepared, prepare
from vitrina.events.properties import availability_as_of, categories_as_of
from vitrina.events.readers import read_log
from vitrina.events.validation import Limits

WriteCsv = Callable[..., Path]
DAY = 86_400_000
TS = 1_429_920_000_000
ROWS = [
    f"{TS},1,categoryid,10",
    f"{TS + 2 * DAY},1,categoryid,11",
    f"{TS + 5 * DAY},1,categoryid,12",
    f"{TS + 5 * DAY},2,categoryid,20",
    f"{TS + 5 * DAY},2,categoryid,21",
    f"{TS + 6 * DAY},2,categoryid,22",
    f"{TS},1,790,n120.000",
    f"{TS},1,888,1111 2222",
    f"{TS},1,available,1",
    f"{TS + DAY},1,available,0",
    f"{TS + 3 * DAY},1,available,1",
    f"{TS},999,categoryid,10",
]
HEADER = "timestamp,itemid,property,value"


@pytest.fixture
def prepared(event_rows: list[str], write_csv: WriteCsv, tmp_path: Path, engine: LocalEngine) -> Prepared:
    write_csv(event_rows)
    write_csv(ROWS[:5], header=HEADER, name="log/item_properties_part1.csv")
    write_csv(ROWS[5:], header=HEADER, name="log/item_properties_part2.csv")
    write_csv(["10,", "11,10", "12,10"], header="categoryid,parentid", name="log/category_tree.csv")
    report = read_log(tmp_path / "log", None, tmp_path / "validated", engine)
    assert report.properties == {"categories.parquet": 6, "availability.parquet": 3, "tree.parquet": 3}
    assert report.missing == ()
    assert report.notes == (
        "1 items of item_properties have no event and are left out",
        "3 categories are not in category_tree: they are roots of their own",
    )
    return prepare(tmp_path / "validated", tmp_path / "prepared", engine)


@pytest.mark.parametrize(
    ("at", "first", "second"),
    [
        (TS - 1, -1, -1),
        (TS, 10, -1),
        (TS + 2 * DAY - 1, 10, -1),
        (TS + 2 * DAY, 11, -1),
        (TS + 5 * DAY, 12, 21),
        (TS + 99 * DAY, 12, 22),
    ],
)
def test_the_last_category_at_or_before_a_time(
    at: int, first: int, second: int, prepared: Prepared, engine: LocalEngine
) -> None:
    snapshot = categories_as_of(prepared, engine, at)
    assert snapshot.values.tolist() == [first, second, -1, -1, -1, -1, -1]
    assert snapshot.known.tolist() == [first >= 0, second >= 0, *[False] * 5]
    assert snapshot.filled == 0


def test_back_fill_takes_the_first_later_value_and_says_how_often(prepared: Prepared, engine: LocalEngine) -> None:
    snapshot = categories_as_of(prepared, engine, TS, back_fill=True)
    assert snapshot.values.tolist() == [10, 21, -1, -1, -1, -1, -1]
    assert snapshot.filled == 1
    assert (
        snapshot.summary("category") == "category: 2 items have a value, 1 of them back-filled from later; 5 have none"
    )


@pytest.mark.parametrize(("at", "there"), [(TS, True), (TS + DAY, False), (TS + 3 * DAY, True), (TS - 1, True)])
def test_availability_at_a_time(at: int, there: bool, prepared: Prepared, engine: LocalEngine) -> None:
    snapshot = availability_as_of(prepared, engine, at)
    assert snapshot.values.tolist() == [there, *[True] * 6]
    assert snapshot.known[0] == (at >= TS)


def test_a_shop_without_properties_knows_nothing_and_sells_everything(
    event_rows: list[str], write_csv: WriteCsv, tmp_path: Path, engine: LocalEngine
) -> None:
    read_log(write_csv(event_rows), None, tmp_path / "validated", engine)
    plain = prepare(tmp_path / "validated", tmp_path / "prepared", engine)
    assert plain.categories(engine) is plain.availability(engine) is plain.tree(engine) is plain.titles(engine) is None
    assert not categories_as_of(plain, engine, TS).known.any()
    assert availability_as_of(plain, engine, TS).values.all()


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ("soon,1,categoryid,10", "time cannot be read"),
        ("1430000000,1,categoryid,10", "before 1995 or after 2100"),
        (f"{TS},,categoryid,10", "no integer item id"),
        (f"{TS},a,categoryid,10", "no integer item id"),
        (f"{TS},1,,10", "no property name"),
        (f"{TS},1,categoryid,shoes", r"value is not an integer \('shoes'\)"),
        (f"{TS},1,available,2", "neither 0 nor 1"),
        (f"{TS},1", "too few columns"),
    ],
)
def test_a_bad_property_row_is_named(
    row: str, words: str, event_rows: list[str], write_csv: WriteCsv, tmp_path: Path, engine: LocalEngine
) -> None:
    write_csv(event_rows)
    path = write_csv([*ROWS[:8], row, *ROWS[8:]], header=HEADER, name="log/item_properties.csv")
    with pytest.raises(DataError, match=words) as caught:
        read_log(tmp_path / "log", None, tmp_path / "out", engine)
    assert caught.value.where == f"{path}, row 10"
    report = read_log(tmp_path / "log", None, tmp_path / "out", engine, limits=Limits(max_bad_share=0.2))
    assert sum(report.rejected.values()) == 1
    assert report.properties["categories.parquet"] == 6


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        (["1,", "2,1", "2,"], "category 2 has two parents"),
        (["1,2", "2,3", "3,1"], "category 1 is its own ancestor"),
        (["1,1"], "category 1 is its own ancestor"),
        (["a,1"], "the category is not an integer.*row|row 2"),
        (["1,b"], "the parent is not an integer"),
    ],
)
def test_an_impossible_tree_is_refused(
    rows: list[str], words: str, event_rows: list[str], write_csv: WriteCsv, tmp_path: Path, engine: LocalEngine
) -> None:
    write_csv(event_rows)
    write_csv(rows, header="categoryid,parentid", name="log/category_tree.csv")
    with pytest.raises(DataError, match=words) as caught:
        read_log(tmp_path / "log", None, tmp_path / "out", engine)
    assert "category_tree.csv" in caught.value.where


def test_one_part_of_two_and_whole_beside_parts_are_refused(
    event_rows: list[str], write_csv: WriteCsv, tmp_path: Path, engine: LocalEngine
) -> None:
    write_csv(event_rows)
    write_csv(ROWS, header=HEADER, name="log/item_properties_part1.csv")
    with pytest.raises(DataError, match=r"only item_properties_part1\.csv of two parts"):
        read_log(tmp_path / "log", None, tmp_path / "out", engine)
    write_csv(ROWS, header=HEADER, name="log/item_properties.csv")
    with pytest.raises(DataError, match="whole and in parts"):
        read_log(tmp_path / "log", None, tmp_path / "out", engine)


def test_deep_trees_and_long_rings_are_told_apart(
    event_rows: list[str], write_csv: WriteCsv, tmp_path: Path, engine: LocalEngine
) -> None:
    write_csv(event_rows)
    chain = ["0,", *(f"{n},{n - 1}" for n in range(1, 300))]
    write_csv(chain, header="categoryid,parentid", name="log/category_tree.csv")
    assert read_log(tmp_path / "log", None, tmp_path / "out", engine).properties == {"tree.parquet": 300}
    write_csv(["0,299", *chain[1:]], header="categoryid,parentid", name="log/category_tree.csv")
    with pytest.raises(DataError, match="its own ancestor"):
        read_log(tmp_path / "log", None, tmp_path / "out", engine)


def test_the_real_sample_has_properties(data_dir: Path, tmp_path: Path, engine: LocalEngine) -> None:
    read_log(data_dir / "retailrocket-raw-sample", None, tmp_path / "validated", engine)
    sample = prepare(tmp_path / "validated", tmp_path / "prepared", engine)
    late = categories_as_of(sample, engine, sample.report.last_ts)
    assert late.known.sum() == 584
    assert (late.values[~late.known] == -1).all()
    assert np.unique(late.values[late.known]).size > 100
    early = categories_as_of(sample, engine, sample.report.first_ts - 1, back_fill=True)
    assert early.filled == early.known.sum() == 584

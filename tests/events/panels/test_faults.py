"""Every fault of a panel is planted and must be named with file, row, column and remedy; nothing is published."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path

import pytest

from vitrina.engine import LocalEngine
from vitrina.errors import ConfigError, DataError
from vitrina.events.panels.columns import RAW_HEADER
from vitrina.events.panels.raw import open_raw_panel
from vitrina.events.panels.reader import read_panel

PanelRow = Callable[..., list[str]]
WritePanel = Callable[..., Path]
WriteBook = Callable[..., Path]
Fault = Callable[..., DataError]


@pytest.fixture
def fault(tmp_path: Path, engine: LocalEngine) -> Fault:
    """Reads and gives the fault that it raises; nothing is published, and an older folder stays byte for byte."""

    def read(source: Path, *, as_of_month: int | None = None) -> DataError:
        out = tmp_path / "published"
        out.mkdir(exist_ok=True)
        (out / "report.json").write_text("the old report")
        before = sorted(path.name for path in tmp_path.iterdir())
        with pytest.raises(DataError) as caught:
            read_panel(source, out, engine, as_of_month=as_of_month)
        assert sorted(path.name for path in tmp_path.iterdir()) == before
        assert {path.name: path.read_bytes() for path in out.iterdir()} == {"report.json": b"the old report"}
        return caught.value

    return read


@pytest.mark.parametrize(
    ("column", "value", "words"),
    [
        ("ncodpers", "", "ncodpers is empty"),
        ("ncodpers", "12x", r"ncodpers is not an integer \('12x'\)"),
        ("ncodpers", "12.5", "ncodpers is not an integer"),
        ("fecha_dato", " NA", "fecha_dato is empty"),
        ("fecha_dato", "2015-13-28", r"fecha_dato is not a date \('2015-13-28'\).*28-01-2015"),
        ("fecha_dato", "28/01/2015", "fecha_dato is not a date"),
        ("fecha_dato", "1015-01-28", "fecha_dato is before 1995-01"),
        ("fecha_dato", "2115-01-28", "fecha_dato is before 1995-01 or after 2099"),
        ("fecha_dato", "2016-06-28", "fecha_dato is after 2016-05.*Cut the file"),
        ("age", "abc", r"age is not a number \('abc'\)"),
        ("renta", "138,098", r"renta is not a number \('138,098'\).*138098,06: without marks between thousands"),
        ("renta", "1.380.98,06", "renta is not a number"),
        ("renta", "inf", "renta is not a number"),
        ("fecha_alta", "soon", "fecha_alta is not a date"),
        ("fecha_alta", "0012-08-10", "fecha_alta is before 1900"),
        ("ult_fec_cli_1t", "2015-02-30", "ult_fec_cli_1t is not a date"),
        ("ind_recibo_ult1", "2", r"ind_recibo_ult1 is not 0, 1 or NA \('2'\)"),
        ("ind_ahor_fin_ult1", "yes", "ind_ahor_fin_ult1 is not 0, 1 or NA"),
    ],
)
def test_a_broken_value_is_named_with_file_row_and_column(
    column: str, value: str, words: str, panel_row: PanelRow, write_panel: WritePanel, fault: Fault
) -> None:
    rows = [panel_row(n) for n in range(20)]
    rows[7][RAW_HEADER.index(column)] = value
    source = write_panel(rows)
    error = fault(source, as_of_month=2016 * 12 + 4)
    assert error.where == f"{source}, row 9"
    with pytest.raises(DataError, match=words):
        raise error
    assert "1 of 20 rows are bad" in error.problem


def test_lines_that_are_no_rows_are_faults(panel_row: PanelRow, write_panel: WritePanel, fault: Fault) -> None:
    source = write_panel([panel_row(1), panel_row(2)[:30], panel_row(3)])
    error = fault(source)
    assert (error.where, "too few columns" in error.problem) == (f"{source}, row 3", True)


def test_a_second_row_of_a_customer_and_month(panel_row: PanelRow, write_panel: WritePanel, fault: Fault) -> None:
    rows = [panel_row(n) for n in range(5)] + [panel_row(3, "2015-01-29"), panel_row(4)]
    source = write_panel(rows)
    error = fault(source)
    assert error.where == f"{source}, row 7"
    assert "customer 3 has a second row in 2015-01 (the first is row 5; 2 such repeats)" in error.problem
    assert "Keep one row" in error.remedy


def test_missing_columns_are_named_by_both_names(panel_row: PanelRow, write_panel: WritePanel, fault: Fault) -> None:
    place = RAW_HEADER.index("renta")
    source = write_panel(
        [panel_row(1)[:place] + panel_row(1)[place + 1 :]], header=RAW_HEADER[:place] + RAW_HEADER[place + 1 :]
    )
    error = fault(source)
    assert error.where == f"{source}, row 1"
    assert error.problem == "no column renta (or income)"
    misspelt = fault(write_panel([panel_row(1)], header=[name.replace("renta", "rentas") for name in RAW_HEADER]))
    assert misspelt.problem == "no column renta (or income); 'rentas' may be meant for it"
    assert "?" not in str(misspelt)


def test_unknown_and_repeated_columns(panel_row: PanelRow, write_panel: WritePanel, fault: Fault) -> None:
    unknown = fault(write_panel([["0", *panel_row(1)]], header=["Unnamed: 0", *RAW_HEADER]))
    assert unknown.problem == "'Unnamed: 0' is no column of a panel"
    assert "48 columns of train_ver2.csv" in unknown.remedy
    both = fault(write_panel([[*panel_row(1), "1"]], header=[*RAW_HEADER, "income"]))
    assert both.problem == "income and renta are one column"
    twice = fault(write_panel([[*panel_row(1), "1"]], header=[*RAW_HEADER, "renta"]))
    assert twice.problem == "column renta is there twice"


def test_a_file_of_something_else(panel_row: PanelRow, write_panel: WritePanel, fault: Fault) -> None:
    headless = fault(write_panel([panel_row(2)], header=panel_row(1)))
    assert headless.problem.startswith("no column fecha_dato (or fetch_date), ncodpers (or id), ind_empleado (or")
    assert "and 45 more" in headless.problem
    events = fault(write_panel([["1", "2", "view"]], header=["visitorid", "itemid", "event"]))
    assert "the unknown columns are visitorid, itemid, event" in events.problem


def test_faults_of_an_extract(write_panel: WritePanel, fault: Fault) -> None:
    header = ["fecha_dato", "ncodpers", "product"]
    good = ["2015-01-28", "1", "ind_cco_fin_ult1"]
    source = write_panel([good, ["2015-01-28", "2", "ind_bitcoin_ult1"]], header=header)
    error = fault(source)
    assert error.where == f"{source}, row 3"
    assert "product is no known product ('ind_bitcoin_ult1')" in error.problem
    assert "ind_ahor_fin_ult1, ind_aval_fin_ult1" in error.remedy
    repeated = fault(write_panel([good, ["2015-05-28", "1", "ind_1m_checking_acc"]], header=header))
    assert "customer 1 has a second row of ind_cco_fin_ult1 (the first is row 2; 1 such repeats)" in repeated.problem
    wider = fault(write_panel([[*good, "x"]], header=[*header, "note"]))
    assert wider.problem == "'note' is no column of an acquisitions extract"


def test_empty_and_damaged_files(panel_row: PanelRow, write_panel: WritePanel, tmp_path: Path, fault: Fault) -> None:
    assert "no rows below the header" in fault(write_panel([])).problem
    empty = tmp_path / "empty.csv"
    empty.touch()
    assert fault(empty).problem == "the file is empty"
    packed = gzip.compress(write_panel([panel_row(n) for n in range(200)]).read_bytes())
    half = tmp_path / "half.csv.gz"
    half.write_bytes(packed[: len(packed) // 2])
    assert "damaged or ends early" in fault(half).problem


def test_a_workbook_is_named_as_what_is_not_read(tmp_path: Path, write_book: WriteBook, fault: Fault) -> None:
    book = write_book({"S": [list(RAW_HEADER)]}, name="panel.xlsx")
    assert fault(book).problem == "a workbook is read as a file of sales only"
    assert ".csv (UTF-8)" in fault(book).remedy
    old = tmp_path / "panel.xls"
    old.write_bytes(b"\xd0\xcf\x11\xe0" + bytes(300))
    assert fault(old).problem == fault(book).problem
    with pytest.raises(DataError, match="no such file or folder"):
        open_raw_panel(str(tmp_path / "nosuch.xlsx")).fetch(tmp_path / "copy")


@pytest.mark.parametrize("extract", [False, True], ids=["panel", "extract"])
def test_a_few_rows_of_a_far_month_are_named(
    extract: bool, panel_row: PanelRow, write_panel: WritePanel, fault: Fault
) -> None:
    if extract:
        rows = [["2015-01-28", str(n), "ind_cco_fin_ult1"] for n in range(1100)]
        rows += [["2000-01-28", "2001", "ind_cco_fin_ult1"], ["2099-01-28", "2002", "ind_cco_fin_ult1"]]
        source = write_panel(rows, header=["fecha_dato", "ncodpers", "product"])
    else:
        rows = [panel_row(n, f"2015-{1 + n % 2:02d}-28") for n in range(2100)]
        source = write_panel([*rows, panel_row(5000, "2099-01-28"), panel_row(5001, "2000-01-28")])
    error = fault(source)
    assert error.where == f"{source}, row {1103 if extract else 2102}"
    if extract:
        assert "fecha_dato is 2099-01, far from the rest" in error.problem and "(1 such rows)" in error.problem
    else:
        assert "fecha_dato is 2099-01, far from the rest, 2015-01 .. 2015-02 (2 such rows)" in error.problem
    assert error.remedy == "Correct or remove these rows."


def test_a_folder_without_a_panel(tmp_path: Path, fault: Fault) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    assert "no panel is here (found: nothing)" in fault(folder).problem
    for name in ("a.csv", "b.csv"):
        (folder / name).write_text("x\n1\n")
    error = fault(folder)
    assert "found: a.csv, b.csv" in error.problem
    assert "train_ver2.csv" in error.remedy
    assert "no such file" in fault(tmp_path / "nowhere").problem


def test_a_folder_of_others_is_not_replaced(
    panel_row: PanelRow, write_panel: WritePanel, tmp_path: Path, engine: LocalEngine
) -> None:
    source = write_panel([panel_row(1)])
    with pytest.raises(ConfigError, match="was not written by this step"):
        read_panel(source, source.parent, engine)
    assert source.is_file()

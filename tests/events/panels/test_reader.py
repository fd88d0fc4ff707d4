"""Every value of a panel arrives, whatever the file's packing, naming, padding and mixture of types."""

from __future__ import annotations

import csv
import gzip
import zipfile
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest

from vitrina.engine import LocalEngine
from vitrina.events.panels.columns import (
    ALL_KNOWN,
    NAMED_HEADER,
    PRODUCTS,
    PROFILE,
    RAW_HEADER,
    month_of,
)
from vitrina.events.panels.reader import read_panel
from vitrina.events.panels.report import PanelReport

PanelRow = Callable[..., list[str]]
WritePanel = Callable[..., Path]
JANUARY = month_of(date(2015, 1, 28))


def panel_of(folder: Path) -> pa.Table:
    return pq.read_table(folder / "panel.parquet")


def test_the_public_sample_is_read_without_loss(data_dir: Path, tmp_path: Path, engine: LocalEngine) -> None:
    """48 columns x 999 rows against Python's csv."""
    source = data_dir / "santander" / "train_ver2_sample.csv"
    with source.open(encoding="utf-8", newline="") as file:
        raw = sorted(csv.DictReader(file), key=lambda row: int(row["ncodpers"]))
    report = read_panel(source, tmp_path / "out", engine)
    rows = panel_of(tmp_path / "out").to_pylist()
    assert len(rows) == len(raw) == report.rows_in == report.rows_out == report.customers == 999
    assert len(RAW_HEADER) == 48
    compared = 0
    for row, given in zip(rows, raw, strict=True):
        text = {name: None if value.strip() in ("", "NA") else value.strip() for name, value in given.items()}
        assert row["customer"] == int(given["ncodpers"])
        assert row["month"] == month_of(date.fromisoformat(given["fecha_dato"]))
        for column in PROFILE:
            value, shown = row[column.name], text[column.raw]
            if shown is None:
                assert value is None
            elif column.kind == "number":
                assert value == float(shown)
            elif column.kind == "date":
                assert date(1970, 1, 1) + timedelta(days=value) == date.fromisoformat(shown)
            else:
                assert value == shown.removesuffix(".0")
        for place, product in enumerate(PRODUCTS):
            assert row["owned"] >> place & 1 == (text[product.code] == "1")
            assert row["known"] >> place & 1 == (text[product.code] is not None)
        compared += 2 + len(PROFILE) + len(PRODUCTS)
    assert compared == 48 * 999
    assert report.empty["income"] == sum(row["renta"] == "" for row in raw) > 100
    assert report.owned["ind_1m_checking_acc"] == sum(row["ind_cco_fin_ult1"] == "1" for row in raw)
    assert any("one month" in note for note in report.notes)


def test_rows_are_typed_sorted_and_counted(
    panel_row: PanelRow, write_panel: WritePanel, tmp_path: Path, engine: LocalEngine
) -> None:
    steps: list[tuple[str, float]] = []
    rows = [
        panel_row(9, "2015-04-28", owned=[0]),
        panel_row(7, "2015-02-28", owned=[2, 23]),
        panel_row(7, "2015-01-28", owned=[2], ind_nomina_ult1="NA", ind_nom_pens_ult1=" NA"),
    ]
    report = read_panel(write_panel(rows), tmp_path / "out", engine, lambda step, share: steps.append((step, share)))
    table = panel_of(tmp_path / "out")
    kinds = {"number": "double", "date": "int32", "category": "string", "flag": "string"}
    assert {field.name: str(field.type) for field in table.schema} == {
        "customer": "int64", "month": "int32", "owned": "uint32", "known": "uint32",
        **{column.name: kinds[column.kind] for column in PROFILE},
    }  # fmt: skip
    unknown = (1 << 21) | (1 << 22)
    assert table.select(["customer", "month", "owned", "known"]).to_pylist() == [
        {"customer": 7, "month": JANUARY, "owned": 1 << 2, "known": ALL_KNOWN - unknown},
        {"customer": 7, "month": JANUARY + 1, "owned": (1 << 2) | (1 << 23), "known": ALL_KNOWN},
        {"customer": 9, "month": JANUARY + 3, "owned": 1, "known": ALL_KNOWN},
    ]
    assert (report.form, report.rows_out, report.customers, report.missing) == ("panel", 3, 2, ())
    assert report.months == {"2015-01": 1, "2015-02": 1, "2015-04": 1}
    assert report.unknown["ind_1m_salary_acc"] == report.unknown["ind_1m_pension_obligation_account"] == 1
    assert report.owned["ind_1m_checking_acc"] == 2
    assert report.notes == ("no rows in 2015-03: lags across them are missing",)
    assert PanelReport.read(tmp_path / "out") == report
    assert "3 rows of 2 customers" in report.summary()
    assert steps[-1] == ("done", 1.0)
    assert [share for _, share in steps] == sorted(share for _, share in steps)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["panel.parquet", "report.json"]


def pack(source: Path, how: str, folder: Path) -> Path:
    """The same panel in another packing."""
    folder.mkdir()
    if how == "csv.gz":
        (folder / "train_ver2.csv.gz").write_bytes(gzip.compress(source.read_bytes()))
    elif how == "csv.zip":
        with zipfile.ZipFile(folder / "train_ver2.csv.zip", "w", zipfile.ZIP_DEFLATED) as archive:
            archive.write(source, "train_ver2.csv")
    elif how == "beside other files":
        (folder / "train_ver2.csv").write_bytes(source.read_bytes())
        (folder / "products.csv").write_text("item_id,item_name\n")
        (folder / "acquisitions.csv").write_text("fecha_dato,ncodpers,product\n")
    elif how == "under another name":
        (folder / "march.csv").write_bytes(source.read_bytes())
    elif how == "parquet as pandas types it":
        pd.read_csv(source).to_parquet(folder / "train_ver2.parquet")
    elif how == "written by pandas":
        pd.read_csv(source, skipinitialspace=True).to_csv(folder / "train_ver2.csv", index=False)
    return folder


@pytest.mark.parametrize(
    "how",
    [
        "csv.gz", "csv.zip", "beside other files", "under another name", "written by pandas",
        "parquet as pandas types it",
    ],
)  # fmt: skip
def test_every_packing_gives_the_same_panel(
    how: str, panel_row: PanelRow, write_panel: WritePanel, tmp_path: Path, engine: LocalEngine
) -> None:
    lacking = {"ind_nuevo": "NA", "indrel_1mes": "2.0", "cod_prov": "", "ind_nomina_ult1": "NA", "renta": ""}
    rows = [panel_row(1, owned=[1]), panel_row(2, owned=[3], cod_prov=" 8", indrel_1mes="1"), panel_row(3, **lacking)]
    source = write_panel(rows)
    read_panel(source, tmp_path / "plain", engine)
    plain = panel_of(tmp_path / "plain")
    assert plain["client_type_1m"].to_pylist() == [None, "1", "2"]
    assert plain["province_code"].to_pylist() == [None, "8", None]
    read_panel(pack(source, how, tmp_path / "packed"), tmp_path / "out", engine)
    assert panel_of(tmp_path / "out") == plain


def test_the_names_of_requests_and_their_dates_mean_the_same(
    panel_row: PanelRow, write_panel: WritePanel, tmp_path: Path, engine: LocalEngine
) -> None:
    raw = [panel_row(5, "2015-01-28", [4], ult_fec_cli_1t="2015-07-02"), panel_row(5, "2015-02-28", [4, 5])]
    read_panel(write_panel(raw), tmp_path / "raw", engine)
    dates = [RAW_HEADER.index(name) for name in ("fecha_dato", "fecha_alta", "ult_fec_cli_1t")]
    renamed = [
        ["-".join(reversed(value.split("-"))) if place in dates else value for place, value in enumerate(row)][::-1]
        for row in raw
    ]
    source = write_panel(renamed, header=NAMED_HEADER[::-1], name="renamed.csv")
    read_panel(source, tmp_path / "renamed", engine)
    assert panel_of(tmp_path / "renamed") == panel_of(tmp_path / "raw")
    assert panel_of(tmp_path / "raw")["last_date_as_primary"].to_pylist() == [
        (date(2015, 7, 2) - date(1970, 1, 1)).days,
        None,
    ]


WRITTEN = {
    "0": "0", " 1": "1", "1.0": "1", "99.0": "99", "P": "P", "P.0": "P.0", "004": "004", "1.5": "1.5", "NA": None,
    "     NA": None, "": None, "02 - A, B": "02 - A, B", "CORUÑA, A": "CORUÑA, A", "O'HARA": "O'HARA",
}  # fmt: skip


def test_a_category_is_one_value_however_it_is_written(
    panel_row: PanelRow, write_panel: WritePanel, tmp_path: Path, engine: LocalEngine
) -> None:
    source = write_panel([panel_row(n, canal_entrada=text) for n, text in enumerate(WRITTEN)])
    read_panel(source, tmp_path / "out", engine)
    assert panel_of(tmp_path / "out")["entry_channel"].to_pylist() == list(WRITTEN.values())


def test_numbers_keep_every_digit(
    panel_row: PanelRow, write_panel: WritePanel, tmp_path: Path, engine: LocalEngine
) -> None:
    given = ["122179.11000000002", "-999999", "     0", "1e3", "28894395.51"]
    read_panel(write_panel([panel_row(n, renta=text) for n, text in enumerate(given)]), tmp_path / "out", engine)
    assert panel_of(tmp_path / "out")["income"].to_pylist() == [float(text) for text in given]


def test_portfolios_of_an_extract_only_grow(write_panel: WritePanel, tmp_path: Path, engine: LocalEngine) -> None:
    rows = [
        ["2015-03-28", "2", "ind_1m_savings_acc"],
        ["2015-01-28", "1", "ind_cco_fin_ult1"],
        ["28-03-2015", "1", "ind_recibo_ult1"],
        ["2015-01-28", "1", "ind_aval_fin_ult1"],
    ]
    source = write_panel(rows, header=["fecha_dato", "ncodpers", "product"], name="acquisitions.csv")
    report = read_panel(source, tmp_path / "out", engine)
    table = panel_of(tmp_path / "out")
    assert table.column_names == ["customer", "month", "owned", "known"]
    assert [str(field.type) for field in table.schema] == ["int64", "int32", "uint32", "uint32"]
    first = (1 << 1) | (1 << 2)
    assert [tuple(row.values()) for row in table.to_pylist()] == [
        (1, JANUARY, first, ALL_KNOWN),
        (1, JANUARY + 1, first, ALL_KNOWN),
        (1, JANUARY + 2, first | (1 << 23), ALL_KNOWN),
        (2, JANUARY + 2, 1, ALL_KNOWN),
    ]
    assert (report.form, report.rows_in, report.rows_out, report.empty) == ("acquisitions", 4, 4, {})
    assert any("no profile columns" in text for text in report.missing)
    assert PanelReport.read(tmp_path / "out") == report


def test_the_public_extract_agrees_with_pandas(data_dir: Path, tmp_path: Path, engine: LocalEngine) -> None:
    """The folder holds the one-month sample too; the extract is what it is for."""
    report = read_panel(data_dir / "santander", tmp_path / "out", engine)
    raw = pd.read_csv(data_dir / "santander" / "acquisitions.csv.gz")
    assert report.rows_in == len(raw) == 32_954
    bit = {product.code: 1 << place for place, product in enumerate(PRODUCTS)}
    raw["bit"] = raw["product"].map(bit)
    days = sorted(raw["fecha_dato"].unique())
    wide = raw.groupby(["ncodpers", "fecha_dato"])["bit"].sum().unstack(fill_value=0).reindex(columns=days)
    owned = wide.cumsum(axis=1).to_numpy()  # a product is taken once, so sums are unions
    customer = np.repeat(wide.index.to_numpy(), len(days)).reshape(owned.shape)
    month = np.tile([month_of(date.fromisoformat(day)) for day in days], len(owned)).reshape(owned.shape)
    table = panel_of(tmp_path / "out")
    assert table["customer"].to_pylist() == customer[owned > 0].tolist()
    assert table["month"].to_pylist() == month[owned > 0].tolist()
    assert table["owned"].to_pylist() == owned[owned > 0].tolist()
    assert report.customers == 9_471
    assert len(report.months) == 17


def test_an_offices_encoding_and_its_decimal_commas_are_read(
    panel_row: PanelRow, write_panel: WritePanel, tmp_path: Path, engine: LocalEngine
) -> None:
    rows = [
        panel_row(1, nomprov="CORUÑA, A", renta="138098,06", ind_nuevo="1,0", ind_recibo_ult1="1,0"),
        panel_row(2, nomprov="MÁLAGA", renta="87218,1234", age="35,0"),
        panel_row(3, renta="-5,5"),
    ]
    plain = write_panel(rows, name="plain.csv")
    with plain.open(encoding="utf-8", newline="") as file:
        table = list(csv.reader(file))
    source = tmp_path / "panel.csv"
    with source.open("w", encoding="cp1252", newline="") as file:
        csv.writer(file, delimiter=";").writerows(table)
    report = read_panel(source, tmp_path / "out", engine)
    found = panel_of(tmp_path / "out").select(["province_name", "income", "age", "ind_new_client"]).to_pylist()
    assert [tuple(row.values()) for row in found] == [
        ("CORUÑA, A", 138098.06, 35.0, "1"),
        ("MÁLAGA", 87218.1234, 35.0, "0"),
        (None, -5.5, 35.0, "0"),
    ]
    assert report.owned["ind_1m_debit_account"] == 1
    assert report.notes[0] == "the file is not UTF-8; it was read as cp1252"


def test_months_without_rows_are_told_as_stretches(
    panel_row: PanelRow, write_panel: WritePanel, tmp_path: Path, engine: LocalEngine
) -> None:
    """A few rows after a long gap stay while they are more than one in a thousand."""
    days = ("2010-01-28", "2010-03-28", "2013-06-28")
    report = read_panel(write_panel([panel_row(n, day) for n, day in enumerate(days)]), tmp_path / "out", engine)
    assert report.notes == ("no rows in 2010-02, 2010-04 .. 2013-05: lags across them are missing",)

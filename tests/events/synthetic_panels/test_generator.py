"""Generated bank panels: the bank's own file format, one world however it is cut, the published marginals."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from pyarrow import parquet

from vitrina.engine import LocalEngine
from vitrina.errors import ConfigError
from vitrina.events.panels.columns import ALL_KNOWN, PRODUCTS, PROFILE, RAW_HEADER
from vitrina.events.panels.panel import Panel
from vitrina.events.panels.reader import read_panel
from vitrina.events.panels.report import PanelReport
from vitrina.events.synthetic_panels import generator
from vitrina.events.synthetic_panels.files import RAW_FILE
from vitrina.events.synthetic_panels.generator import PanelSpec, generate_panel
from vitrina.events.synthetic_panels.marginals import REAL, comparison, marginals
from vitrina.events.synthetic_panels.walk import packed, unpacked

SMALL = PanelSpec(customers=1_000, seed=5)
MARGINALS = PanelSpec(customers=20_000, seed=11)


@pytest.fixture(scope="module")
def raw(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("raw")
    generate_panel(SMALL, folder, as_raw_csv=True)
    return folder


@pytest.fixture(scope="module")
def direct(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("direct")
    generate_panel(SMALL, folder)
    return folder


@pytest.fixture(scope="module")
def big(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("big")
    generate_panel(MARGINALS, folder)
    return folder


@pytest.fixture(scope="module")
def measured(big: Path) -> dict[str, float]:
    return marginals(big)


# Format


def test_reading_the_raw_file_gives_the_validated_one(
    raw: Path, direct: Path, tmp_path: Path, engine: LocalEngine
) -> None:
    report = read_panel(raw, tmp_path / "read", engine)
    ours, theirs = (parquet.read_table(folder / "panel.parquet") for folder in (direct, tmp_path / "read"))
    assert ours.num_rows == report.rows_out
    assert ours.schema.remove_metadata() == theirs.schema.remove_metadata()
    for name in ours.column_names:
        assert ours[name].combine_chunks().equals(theirs[name].combine_chunks()), name
    told = PanelReport.read(direct)
    for name in ("rows_out", "customers", "first_month", "last_month", "months", "empty", "unknown", "owned"):
        assert getattr(told, name) == getattr(report, name), name


def test_the_validated_folder_opens_as_a_panel(direct: Path, engine: LocalEngine) -> None:
    panel = Panel.open(direct, engine)
    assert len(panel.indptr) == SMALL.customers + 1
    assert set(panel.profile) == {column.name for column in PROFILE}
    assert (np.diff(panel.month) == 1)[np.diff(panel.customer) == 0].all()


def test_the_raw_file_looks_like_the_banks(raw: Path, data_dir: Path) -> None:
    sample = data_dir / "santander" / "train_ver2_sample.csv"
    ours, theirs = (path.read_text(encoding="utf-8").splitlines() for path in (raw / RAW_FILE, sample))
    assert ours[0] == theirs[0]
    ours_rows, their_rows = (list(csv.reader(lines[1:])) for lines in (ours, theirs))
    free = {"ncodpers", "pais_residencia", "nomprov", "renta", "segmento", "canal_entrada"}
    for place, name in enumerate(RAW_HEADER):
        if name not in free:
            kinds = {_shape(row[place]) for row in their_rows}
            new = {_shape(row[place]) for row in ours_rows} - kinds
            assert not new - _SEEN_ELSEWHERE.get(name, set()), name
    assert sum('"' in line for line in ours[1:]) == len(ours) - 1  # only provinces are quoted, in every row
    assert {line.count('"') for line in ours[1:]} == {2}


# What the month of the sample cannot show: the bank's columns have these too.
_SEEN_ELSEWHERE = {
    "age": {"999"},  # a hundred years
    "antiguedad": {"    999"},
    "ind_nuevo": {"99"},
    "ind_nomina_ult1": {"NA"},
    "ind_nom_pens_ult1": {"NA"},
    "conyuemp": {"A"},
}
_SEEN_ELSEWHERE["antiguedad"] |= {"      9", "     99"}


def _shape(text: str) -> str:
    """Digits as 9, letters as A, NA as it is; blanks stay."""
    if text.strip() == "NA":
        return text
    return "".join("9" if c.isdigit() else "A" if c.isalpha() else c for c in text)


def test_months_follow_each_other_in_the_raw_file(raw: Path) -> None:
    days = [line[:10] for line in (raw / RAW_FILE).read_text(encoding="utf-8").splitlines()[1:]]
    assert days == sorted(days)
    assert (days[0], days[-1]) == ("2015-01-28", "2016-05-28")
    assert {path.name for path in raw.iterdir()} == {RAW_FILE, "oracle.json", "oracle.npz"}


def test_unknown_salary_columns_are_neither_owned_nor_known(big: Path) -> None:
    rows = parquet.read_table(big / "panel.parquet", columns=["owned", "known"])
    owned, known = rows["owned"].to_numpy(), rows["known"].to_numpy()
    assert set(np.unique(known)) == {ALL_KNOWN, ALL_KNOWN & ~(1 << 21 | 1 << 22)}
    assert not (owned & ~known).any()


def test_masks_come_back() -> None:
    masks = np.array([0, 1, 1 << 23, 0b1010_0000_0001_0000_0000_0011, ALL_KNOWN], dtype=np.uint32)
    np.testing.assert_array_equal(packed(unpacked(masks)), masks)


# One world


def test_a_seed_decides_every_byte(tmp_path: Path) -> None:
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        for as_raw_csv in (True, False):
            generate_panel(PanelSpec(customers=300, seed=seed), tmp_path / f"{name}{as_raw_csv}", as_raw_csv=as_raw_csv)
    for folder, file in (("True", RAW_FILE), ("False", "panel.parquet")):
        once, again, other = ((tmp_path / f"{world}{folder}" / file).read_bytes() for world in "abc")
        assert once == again
        assert once != other


def test_blocks_do_not_change_the_world(
    tmp_path: Path, raw: Path, direct: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(generator, "_CUSTOMERS_AT_ONCE", 367)
    generate_panel(SMALL, tmp_path / "raw", as_raw_csv=True)
    generate_panel(SMALL, tmp_path / "direct")
    assert (tmp_path / "raw" / RAW_FILE).read_bytes() == (raw / RAW_FILE).read_bytes()
    ours, whole = (parquet.read_table(folder / "panel.parquet") for folder in (tmp_path / "direct", direct))
    assert ours.equals(whole)


def test_more_customers_leave_the_others_as_they_were(tmp_path: Path, direct: Path) -> None:
    generate_panel(PanelSpec(customers=400, seed=SMALL.seed), tmp_path / "few")
    few, many = (pd.read_parquet(folder / "panel.parquet") for folder in (tmp_path / "few", direct))
    pd.testing.assert_frame_equal(few, many.head(len(few)))


# Marginals: how far a panel of this size may be from the bank's


@pytest.mark.parametrize(
    ("name", "tolerance"),
    [
        ("rows per customer", 0.15),
        ("customers in the first month", 0.012),
        ("customers in the last month", 0.012),
        ("pairs with an acquisition", 0.002),
        ("of active customers", 0.005),
        ("of inactive customers", 0.0015),
        ("of TOP", 0.035),
        ("of PARTICULARES", 0.005),
        ("of UNIVERSITARIO", 0.006),
        ("products taken per such pair", 0.06),
        ("products owned", 0.09),
        ("no product, last month", 0.03),
        ("one product, last month", 0.03),
        ("active", 0.03),
        ("TOP", 0.006),
        ("PARTICULARES", 0.015),
        ("UNIVERSITARIO", 0.015),
        ("segment not known", 0.005),
        ("age, mean", 0.8),
        ("income, median", 3_000),
        ("income, mean", 9_000),
        ("income not known", 0.02),
        ("channel not known", 0.006),
        ("salary not known", 0.0003),
        ("MADRID", 0.012),
    ],
)
def test_marginals(measured: dict[str, float], name: str, tolerance: float) -> None:
    assert measured[name] == pytest.approx(REAL[name], abs=tolerance)


def test_products_are_owned_and_taken_as_often_as_the_banks(measured: dict[str, float]) -> None:
    for name, value in REAL.items():
        if name.endswith(" owned") and value > 0.008 and name != "products owned":
            assert measured[name] == pytest.approx(value, rel=0.2), name
        if name.endswith("100,000 pairs") and value > 80:
            assert measured[name] == pytest.approx(value, rel=0.12 if value > 250 else 0.2), name


def test_the_order_of_products_and_their_season_are_those_of_the_real_extract(big: Path, data_dir: Path) -> None:
    real = pd.read_csv(data_dir / "santander" / "acquisitions.csv.gz")
    ours = first_holdings(pd.read_parquet(big / "panel.parquet", columns=["customer", "month", "owned"]))
    codes = [product.code for product in PRODUCTS]
    theirs = real[real["fecha_dato"] > "2015-01-28"]
    order = pd.DataFrame(
        {"theirs": theirs["product"].value_counts(), "ours": ours["product"].value_counts()}, index=codes
    ).fillna(0)
    assert order["theirs"].rank().corr(order["ours"].rank()) > 0.75
    assert len(set(order["ours"].nlargest(7).index) & set(order["theirs"].nlargest(7).index)) >= 5
    months = {"theirs": theirs["fecha_dato"].str[:7], "ours": ours["month"]}
    for code, peaks in (("ind_reca_fin_ult1", {"2015-06"}), ("ind_cco_fin_ult1", {"2015-06", "2015-07"})):
        for one, rows in (("theirs", theirs), ("ours", ours)):
            by_month = months[one][rows["product"] == code].value_counts()
            assert by_month.index[0] in peaks, (code, one)
            assert by_month.iloc[0] > 1.5 * by_month.median(), (code, one)


def first_holdings(rows: pd.DataFrame) -> pd.DataFrame:
    """The extract's form: product and month of what a customer holds for the first time after its first row."""
    owned = unpacked(rows["owned"].to_numpy())
    new_customer = rows["customer"].ne(rows["customer"].shift()).to_numpy()
    ever = pd.DataFrame(owned).groupby(rows["customer"].to_numpy()).cummax().to_numpy()
    before = np.vstack([np.zeros((1, owned.shape[1]), dtype=bool), ever[:-1]])
    at, product = np.nonzero(owned & ~before & ~new_customer[:, None])
    month = [f"{one // 12}-{one % 12 + 1:02d}" for one in rows["month"].to_numpy()[at]]
    return pd.DataFrame({"product": [PRODUCTS[one].code for one in product], "month": month})


def test_marginals_of_a_panel_that_can_be_counted_by_hand(tmp_path: Path) -> None:
    rows: dict[str, Any] = {column.name: pd.Series([None] * 5, dtype="str") for column in PROFILE}
    rows |= {
        "customer": [1, 1, 1, 2, 2],
        "month": np.array([10, 11, 12, 10, 12], dtype=np.int32),
        "owned": np.array([0, 0b101, 0b100, 1, 3], dtype=np.uint32),
        "known": np.array([ALL_KNOWN] * 5, dtype=np.uint32),
        "ind_client_activity": ["1", "0", "0", "0", "0"],
        "client_segment": ["01 - TOP", "02 - PARTICULARES", None, "03 - UNIVERSITARIO", "03 - UNIVERSITARIO"],
        "income": [100.0, 100.0, 100.0, np.nan, np.nan],
        "age": [30.0, 30, 30, 50, 50],
        "province_name": ["MADRID", "MADRID", "MADRID", "AVILA", "AVILA"],
    }
    pd.DataFrame(rows).to_parquet(tmp_path / "panel.parquet")
    with pytest.warns(RuntimeWarning):  # nobody of a segment has a pair
        figures = marginals(tmp_path)
    assert figures["pairs with an acquisition"] == 1 / 2  # the second customer misses a month
    assert (figures["of active customers"], figures["of inactive customers"]) == (1, 0)
    assert figures["products taken per such pair"] == 2
    assert figures["products owned"] == 6 / 5
    assert (figures["no product, last month"], figures["one product, last month"]) == (0, 1 / 2)
    assert figures["ahor taken per 100,000 pairs"] == 50_000
    assert (figures["income not known"], figures["age, mean"], figures["MADRID"]) == (2 / 5, 38, 3 / 5)


def test_the_comparison_names_both(big: Path) -> None:
    assert "| pairs with an acquisition | 0.0352 |" in comparison(big)


# Sizes and mistakes


@pytest.mark.parametrize(
    "spec",
    [
        PanelSpec(customers=1),
        PanelSpec(customers=40, months=2),
        PanelSpec(customers=60, months=30, start=2019 * 12 + 5),
        PanelSpec(customers=60, structure=0.4, seed=3),
    ],
)
def test_panels_of_other_shapes_are_whole(tmp_path: Path, engine: LocalEngine, spec: PanelSpec) -> None:
    told: list[int] = []
    generate_panel(spec, tmp_path / "raw", as_raw_csv=True, progress=told.append)
    report = read_panel(tmp_path / "raw", tmp_path / "read", engine)
    assert told[-1] == report.rows_out
    assert report.customers == spec.customers
    assert report.last_month == spec.end - 1 or spec.customers == 1


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"customers": 0}, "customers=0"),
        ({"customers": 1e6}, "whole number"),
        ({"months": 1}, "months=1"),
        ({"seed": -1}, "seed=-1"),
        ({"start": 201_501}, "start=201501"),
        ({"structure": 1.5}, "structure=1.5"),
        ({"structure": float("nan")}, "structure=nan"),
        ({"months": True}, "months=True"),
    ],
)
def test_a_wrong_spec_says_what_to_give(wrong: dict[str, Any], named: str) -> None:
    with pytest.raises(ConfigError, match=named):
        PanelSpec(**wrong)


def test_an_interrupted_panel_leaves_the_old_one(tmp_path: Path) -> None:
    def stop(_: int) -> None:
        raise KeyboardInterrupt

    spec = PanelSpec(customers=20)
    generate_panel(spec, tmp_path / "panel")
    before = (tmp_path / "panel" / "panel.parquet").read_bytes()
    with pytest.raises(KeyboardInterrupt):
        generate_panel(PanelSpec(customers=21), tmp_path / "panel", progress=stop)
    assert (tmp_path / "panel" / "panel.parquet").read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["panel"]
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "mine.txt").touch()
    with pytest.raises(ConfigError, match="Give another folder"):
        generate_panel(spec, tmp_path / "other")

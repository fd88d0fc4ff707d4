"""A panel in memory is the file, customer by customer."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from vitrina.engine import LocalEngine
from vitrina.errors import DataError
from vitrina.events.panels.columns import PROFILE, month_of
from vitrina.events.panels.panel import NO_DATE, NO_LEVEL, Panel
from vitrina.events.panels.reader import read_panel

PanelRow = Callable[..., list[str]]
WritePanel = Callable[..., Path]
JANUARY = month_of(date(2015, 1, 28))


@pytest.fixture
def folder(panel_row: PanelRow, write_panel: WritePanel, tmp_path: Path, engine: LocalEngine) -> Path:
    rows = [
        panel_row(30, "2015-02-28", [1], sexo="H", renta="", fecha_alta=""),
        panel_row(10, "2015-02-28", [2, 3], sexo="V", ind_nomina_ult1="NA"),
        panel_row(20, "2015-01-28", [], sexo="", age=" NA", ind_actividad_cliente=" 1"),
        panel_row(10, "2015-01-28", [2], sexo="V", ult_fec_cli_1t="1970-01-02"),
    ]
    read_panel(write_panel(rows), tmp_path / "validated", engine)
    return tmp_path / "validated"


def test_rows_go_by_customer_and_month(folder: Path, engine: LocalEngine) -> None:
    panel = Panel.open(folder, engine)
    assert panel.customer.tolist() == [10, 10, 20, 30]
    assert panel.month.tolist() == [JANUARY, JANUARY + 1, JANUARY, JANUARY + 1]
    assert panel.owned.tolist() == [1 << 2, (1 << 2) | (1 << 3), 0, 1 << 1]
    assert (panel.known >> 21 & 1).tolist() == [1, 0, 1, 1]
    assert panel.indptr.tolist() == [0, 2, 3, 4]
    assert panel.customers.tolist() == [10, 20, 30]
    assert [panel.rows_of(customer) for customer in (10, 30)] == [slice(0, 2), slice(3, 4)]
    assert [panel.rows_of(customer) for customer in (5, 11, 31)] == [slice(0, 0)] * 3
    assert len(panel) == 4
    dtypes = [array.dtype for array in (panel.customer, panel.month, panel.owned, panel.known, panel.indptr)]
    assert dtypes == [np.int64, np.int32, np.uint32, np.uint32, np.int64]


def test_the_profile_tells_what_is_not_known(folder: Path, engine: LocalEngine) -> None:
    panel = Panel.open(folder, engine)
    assert list(panel.profile) == [column.name for column in PROFILE]
    assert panel.levels["gender"] == ("H", "V")
    assert panel.profile["gender"].tolist() == [1, 1, NO_LEVEL, 0]
    assert panel.levels["ind_client_activity"] == ("1",)
    assert panel.profile["ind_client_activity"].tolist() == [NO_LEVEL, NO_LEVEL, 0, NO_LEVEL]
    assert panel.levels["ind_spouse_employee"] == ()
    np.testing.assert_array_equal(panel.profile["age"], [35.0, 35.0, np.nan, 35.0])
    np.testing.assert_array_equal(panel.profile["income"], [87218.1, 87218.1, 87218.1, np.nan])
    assert panel.profile["last_date_as_primary"].tolist() == [1, NO_DATE, NO_DATE, NO_DATE]
    assert panel.profile["registration_date"][3] == NO_DATE
    kinds = {"number": np.float64, "date": np.int32, "category": np.int32, "flag": np.int32}
    assert all(panel.profile[column.name].dtype == kinds[column.kind] for column in PROFILE)


def test_nothing_after_as_of_month_is_read(folder: Path, engine: LocalEngine) -> None:
    panel = Panel.open(folder, engine, as_of_month=JANUARY)
    assert panel.customer.tolist() == [10, 20]
    assert panel.levels["gender"] == ("V",)
    assert panel.indptr.tolist() == [0, 1, 2]
    with pytest.raises(DataError, match="the panel begins in 2015-01"):
        Panel.open(folder, engine, as_of_month=JANUARY - 1)


def test_an_extract_has_no_profile(write_panel: WritePanel, tmp_path: Path, engine: LocalEngine) -> None:
    source = write_panel([["2015-01-28", "1", "ind_cco_fin_ult1"]], header=["fecha_dato", "ncodpers", "product"])
    report = read_panel(source, tmp_path / "out", engine)
    panel = Panel.open(tmp_path / "out", engine)
    assert (dict(panel.profile), dict(panel.levels), panel.owned.tolist()) == ({}, {}, [4])
    assert panel.report == report


def test_many_rows_of_many_levels_keep_their_places(
    panel_row: PanelRow, write_panel: WritePanel, tmp_path: Path, engine: LocalEngine, rng: np.random.Generator
) -> None:
    """More rows than one batch of the engine holds."""
    folder = tmp_path / "out"
    rows = 300_000
    channel = rng.integers(0, 150, rows)
    read_panel(write_panel([panel_row(1)]), folder, engine)
    table = pq.read_table(folder / "panel.parquet")
    table = table.take(np.zeros(rows, np.int64))
    table = table.set_column(0, "customer", pa.array(np.arange(rows)))
    place = table.column_names.index("entry_channel")
    table = table.set_column(place, "entry_channel", pa.array([f"K{one:03d}" if one else None for one in channel]))
    pq.write_table(table, folder / "panel.parquet", row_group_size=10_000)
    panel = Panel.open(folder, engine)
    assert panel.levels["entry_channel"] == tuple(f"K{one:03d}" for one in range(1, 150))
    np.testing.assert_array_equal(panel.profile["entry_channel"], channel - 1)


def test_a_folder_that_is_no_panel_is_refused(folder: Path, tmp_path: Path, engine: LocalEngine) -> None:
    with pytest.raises(DataError, match="no report can be read"):
        Panel.open(tmp_path, engine)
    table = pq.read_table(folder / "panel.parquet")
    for places in ([1, 0, 2, 3], [2, 0, 1, 3], [0, 0, 1, 2]):
        pq.write_table(table.take(places), folder / "panel.parquet")
        with pytest.raises(DataError, match="not sorted by customer and month"):
            Panel.open(folder, engine)

"""The prepared folder numbers the ids in their order, sorts the events, and keeps every row."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from vitrina.engine import LocalEngine
from vitrina.errors import ConfigError, DataError
from vitrina.events.columns import ColumnMap
from vitrina.events.prepare import Prepared, prepare
from vitrina.events.readers import read_log

WriteCsv = Callable[..., Path]


@pytest.mark.parametrize("text", [False, True])
def test_rows_go_back_to_the_same_events(
    text: bool, event_rows: list[str], write_csv: WriteCsv, tmp_path: Path, engine: LocalEngine
) -> None:
    names = ["ä-long-name", "b", "Z", "9", "10"]
    rows = [row.replace(",10", f",{names[n % 5]}-10", 1) if text else row for n, row in enumerate(event_rows)]
    columns = ColumnMap.parse("user=visitorid,item=itemid,event=event,timestamp=timestamp")
    read_log(write_csv(rows), columns, tmp_path / "validated", engine)
    prepared = prepare(tmp_path / "validated", tmp_path / "prepared", engine)
    assert prepared.users.kind == ("str" if text else "int")
    validated = pq.read_table(tmp_path / "validated" / "events.parquet")
    table = pq.read_table(tmp_path / "prepared" / "events.parquet")
    assert {field.name: str(field.type) for field in table.schema} == {
        "user": "int32", "item": "int32", "kind": "int8", "ts": "int64",
    }  # fmt: skip
    back = zip(
        prepared.users.ids_of(table["user"].to_numpy()),
        prepared.items.ids_of(table["item"].to_numpy()),
        table["kind"].to_pylist(),
        table["ts"].to_pylist(),
        strict=True,
    )
    assert sorted(back) == sorted(tuple(row.values()) for row in validated.to_pylist())
    order = np.lexsort([table[name].to_numpy() for name in ("item", "kind", "ts", "user")])
    np.testing.assert_array_equal(order, np.arange(len(table)))
    assert sorted(path.name for path in prepared.folder.iterdir()) == [
        "events.parquet", "items.npy", "report.json", "users.npy",
    ]  # fmt: skip


def test_real_events_are_sorted_and_complete(data_dir: Path, tmp_path: Path, engine: LocalEngine) -> None:
    read_log(data_dir / "retailrocket", None, tmp_path / "validated", engine)
    prepared = prepare(tmp_path / "validated", tmp_path / "prepared", engine)
    table = pq.read_table(prepared.folder / "events.parquet")
    assert (len(table), len(prepared.users), len(prepared.items)) == (97_381, 2_174, 29_905)
    user, ts = table["user"].to_numpy(), table["ts"].to_numpy()
    assert (np.diff(user) >= 0).all()
    assert (np.diff(ts)[np.diff(user) == 0] >= 0).all()
    assert prepared.report.rows_out == 97_381


def test_preparing_twice_gives_the_same_bytes(
    event_rows: list[str], write_csv: WriteCsv, tmp_path: Path, engine: LocalEngine
) -> None:
    contents = []
    for _ in range(2):
        read_log(write_csv(event_rows), None, tmp_path / "validated", engine)
        prepared = prepare(tmp_path / "validated", tmp_path / "prepared", engine)
        contents.append({path.name: path.read_bytes() for path in prepared.folder.iterdir()})
    assert contents[0] == contents[1]


def test_what_is_no_folder_of_ours_is_refused(tmp_path: Path, engine: LocalEngine) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "one.jpg").touch()
    with pytest.raises(DataError, match="this is no prepared folder"):
        Prepared.open(tmp_path / "photos")
    with pytest.raises(DataError, match=r"report\.json"):
        prepare(tmp_path / "photos", tmp_path / "out", engine)
    assert not (tmp_path / "out").exists()


def test_a_foreign_folder_is_not_replaced(
    event_rows: list[str], write_csv: WriteCsv, tmp_path: Path, engine: LocalEngine
) -> None:
    read_log(write_csv(event_rows), None, tmp_path / "validated", engine)
    with pytest.raises(ConfigError, match=r"users\.npy is not in it"):
        prepare(tmp_path / "validated", tmp_path / "log", engine)
    assert (tmp_path / "log" / "events.csv").is_file()

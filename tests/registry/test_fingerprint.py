from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from vitrina.errors import DataError
from vitrina.registry.fingerprint import fingerprint

ROWS = 1_000


def columns() -> dict[str, pa.Array]:
    rng = np.random.default_rng(1)
    return {
        "user": pa.array(rng.integers(0, 50, ROWS).astype(np.int32)),
        "kind": pa.array(rng.integers(0, 3, ROWS).astype(np.int8)),
        "title": pa.array([None if n % 7 == 0 else f"товар {n % 13}" for n in range(ROWS)]),
        "price": pa.array([None if n % 11 == 0 else n / 3 for n in range(ROWS)]),
        "available": pa.array([n % 2 == 0 for n in range(ROWS)]),
    }


def write(folder: Path, table: pa.Table, **how: object) -> str:
    folder.mkdir()
    pq.write_table(table, folder / "events.parquet", **how)
    np.save(folder / "items.npy", np.arange(9))
    (folder / "report.json").write_text(f'{{"path": "{folder}"}}')
    return fingerprint(folder)


def test_equal_data_have_equal_fingerprints_however_they_are_written(tmp_path: Path) -> None:
    table = pa.table(columns())
    first = write(tmp_path / "a", table)
    assert len(first) == 64
    assert write(tmp_path / "b", table) == first
    assert write(tmp_path / "c", table, compression="zstd", row_group_size=100) == first
    assert write(tmp_path / "d", table.take(np.random.default_rng(2).permutation(ROWS))) == first
    assert write(tmp_path / "e", table.select(table.column_names[::-1])) == first
    assert (
        write(tmp_path / "f", table.set_column(2, "title", table["title"].dictionary_encode().cast(pa.string())))
        == first
    )


def test_every_change_changes_it(tmp_path: Path) -> None:
    table = pa.table(columns())
    seen = {write(tmp_path / "same", table)}
    for name, values in columns().items():
        changed = values.to_pylist()
        place = 12
        changed[place] = not changed[place] if name == "available" else changed[place + 1]
        assert changed[place] != values[place].as_py(), "the test must change something"
        position = table.column_names.index(name)
        seen.add(write(tmp_path / name, table.set_column(position, name, pa.array(changed, values.type))))
    nulls = pa.array([0.0 if value is None else value for value in columns()["price"].to_pylist()])
    seen.add(write(tmp_path / "null as zero", table.set_column(3, "price", nulls)))
    seen.add(write(tmp_path / "row less", table.slice(1)))
    seen.add(write(tmp_path / "row twice", pa.concat_tables([table, table.slice(0, 1)])))
    seen.add(write(tmp_path / "row thrice", pa.concat_tables([table, table.slice(0, 1), table.slice(0, 1)])))
    seen.add(write(tmp_path / "renamed", table.rename_columns(["item", "kind", "title", "price", "available"])))
    swapped = table.set_column(0, "user", table["kind"].cast(pa.int32())).set_column(
        1, "kind", table["user"].cast(pa.int8())
    )
    seen.add(write(tmp_path / "swapped", swapped))
    assert len(seen) == 1 + len(columns()) + 6
    np.save(tmp_path / "same" / "items.npy", np.arange(1, 10))
    assert fingerprint(tmp_path / "same") not in seen


def test_a_folder_without_data_is_told(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no parquet"):
        fingerprint(tmp_path)
    (tmp_path / "events.parquet").write_bytes(b"PAR1half")
    with pytest.raises(DataError, match=r"events\.parquet"):
        fingerprint(tmp_path)

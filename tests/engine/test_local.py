"""The local engine reads and writes parquet in order, whole or not at all, within its memory."""

from __future__ import annotations

from pathlib import Path

import ibis
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from vitrina.engine import Engine, LocalEngine
from vitrina.errors import ConfigError, DataError


def test_what_is_written_in_order_is_read_in_order(tmp_path: Path) -> None:
    values = np.random.default_rng(0).permutation(300_000)
    with LocalEngine(threads=2) as engine:
        wanted: Engine = engine
        wanted.write_parquet(ibis.memtable(pa.table({"x": values})), tmp_path / "in" / "x.parquet", order_by="x")
        kept = pq.read_table(tmp_path / "in" / "x.parquet")["x"].to_numpy()
        np.testing.assert_array_equal(kept, np.arange(300_000))
        table = wanted.read_parquet(tmp_path / "in" / "x.parquet")
        top = wanted.to_arrow(table.filter(table.x > 299_997).select((table.x + 1).name("y")))
        assert sorted(top["y"].to_pylist()) == [299_999, 300_000]
    assert [path.name for path in (tmp_path / "in").iterdir()] == ["x.parquet"]


def test_a_failing_expression_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "x.parquet"
    with LocalEngine(threads=1) as engine:
        engine.write_parquet(ibis.memtable({"x": ["1"]}), path)
        before = path.read_bytes()
        with pytest.raises(Exception, match="Could not convert"):
            engine.write_parquet(ibis.memtable({"x": ["one"]}).mutate(x=ibis._.x.cast("int64")), path)
    assert path.read_bytes() == before
    assert [one.name for one in tmp_path.iterdir()] == ["x.parquet"]


def test_a_sort_larger_than_memory_spills(tmp_path: Path) -> None:
    with LocalEngine(memory_limit="60MB", threads=1, temp_directory=tmp_path / "spill") as engine:
        wide = ibis.range(3_000_000).unnest().name("x").as_table()
        wide = wide.mutate(key=(wide.x * 7919) % 3_000_017, pad=wide.x.cast("string"))
        engine.write_parquet(wide, tmp_path / "x.parquet", order_by=["key", "x"])
        kept = engine.read_parquet(tmp_path / "x.parquet")
        assert engine.to_arrow(kept.aggregate(n=kept.count()))["n"].to_pylist() == [3_000_000]


def test_a_missing_or_broken_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "broken.parquet").write_bytes(b"PAR1 half a file")
    with LocalEngine() as engine:
        with pytest.raises(DataError, match=r"absent\.parquet"):
            engine.read_parquet(tmp_path / "absent.parquet")
        with pytest.raises(DataError, match=r"broken\.parquet"):
            engine.read_parquet(tmp_path / "broken.parquet")


@pytest.mark.parametrize("name", ["ho[1]me", "ho*me", "ho?me", "[!x]", "a]b", "ho{a,b}", "**", "it's"])
def test_a_path_is_that_path_and_no_pattern(name: str, tmp_path: Path) -> None:
    with LocalEngine(threads=1) as engine:
        for number, folder in enumerate((name, "ho1me", "hoXme")):
            engine.write_parquet(ibis.memtable({"x": [number]}), tmp_path / folder / "x.parquet")
        for path in (tmp_path / name / "x.parquet", [str(tmp_path / name / "x.parquet")]):
            assert engine.to_arrow(engine.read_parquet(path))["x"].to_pylist() == [0]
        with pytest.raises(DataError, match="no such parquet file"):
            engine.read_parquet(tmp_path / "ho[1]me" / "*.parquet")


def test_impossible_settings_are_refused() -> None:
    with pytest.raises(ConfigError, match="thread"):
        LocalEngine(threads=0)
    with pytest.raises(ConfigError, match="much"):
        LocalEngine(memory_limit="much").connect()


def test_closing_removes_its_own_temporary_folder_and_may_be_repeated() -> None:
    engine = LocalEngine().connect()
    folder = Path(engine.duckdb.sql("select current_setting('temp_directory')").fetchall()[0][0])
    assert folder.is_dir()
    engine.close()
    engine.close()
    assert not folder.exists()

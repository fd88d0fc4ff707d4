"""A file is read at its own path, whatever letters are in it, though DuckDB takes some of them for a pattern."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from vitrina.engine import LocalEngine
from vitrina.events.panels.reader import read_panel
from vitrina.events.readers import read_log
from vitrina.events.sources import DataFile
from vitrina.events.staging import open_table, stage

PATTERNS = {"ho[1]me": "ho1me", "ho*me": "ho and me", "ho?me": "ho1me", "**": "ho1me", "it's [1]": "it's 1"}
"""Names of folders, each with a decoy that it fits as a pattern."""

named_like_a_pattern = pytest.mark.parametrize("name", PATTERNS)


def write(path: Path, item: str) -> DataFile:
    path.parent.mkdir(exist_ok=True)
    kind = path.suffix[1:]
    if kind == "parquet":
        pq.write_table(pa.table({"item": [item]}), path)
    elif kind == "csv":
        path.write_text(f"item\n{item}\n")
    else:
        path.write_text(json.dumps([{"item": item}] if kind == "json" else {"item": item}))
    return DataFile(path=path, name=path.name, format="json" if kind == "jsonl" else kind)


@named_like_a_pattern
@pytest.mark.parametrize("kind", ["csv", "parquet", "json", "jsonl"])
def test_one_file_is_staged(kind: str, name: str, tmp_path: Path, engine: LocalEngine) -> None:
    write(tmp_path / PATTERNS[name] / f"x.{kind}", "decoy")
    table = open_table(write(tmp_path / name / f"x.{kind}", "mine"), engine, {"item": "item"}, "")
    for folder in (PATTERNS[name], name):
        staged = stage(table, engine, {"item": table.columns["item"].text}, tmp_path / folder / "staged.parquet")
        assert staged.rows == 1
    assert engine.to_arrow(engine.read_parquet(staged.path))["item"].to_pylist() == ["mine"]


@named_like_a_pattern
def test_a_log_and_a_panel_are_read(
    name: str,
    tmp_path: Path,
    event_rows: list[str],
    write_csv: Callable[..., Path],
    panel_row: Callable[..., list[str]],
    write_panel: Callable[..., Path],
    engine: LocalEngine,
) -> None:
    for folder, rows in ((PATTERNS[name], 10), (name, 40)):
        log = write_csv(event_rows[:rows], name=f"{folder}/log/events.csv").parent
        panel = write_panel([panel_row(customer) for customer in range(rows)], name=f"{folder}/panel.csv")
        assert read_log(log, None, tmp_path / folder / "events", engine).rows_out == rows
        assert read_panel(panel, tmp_path / folder / "panel", engine).rows_out == rows

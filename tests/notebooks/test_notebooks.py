"""Every notebook runs from a clean kernel on the real extracts, and what is committed is what it prints."""

from __future__ import annotations

import base64
import itertools
import os
import re
from functools import cache
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

from vitrina.candidates.retrieval import MATRICES
from vitrina.ranking.regimes import REGIMES

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
LARGEST_BYTES = 3_000_000
MOST_SECONDS = 1_500
MACHINE_PATH = re.compile(r"(?<![\w.>}\])*~-])/(root|home|work|tmp|Users|var)/\w")
NUMBER = re.compile(r"[-+]?\d[\d,]*\.?\d*")


def read(path: Path) -> Any:
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    return notebook


def code_cells(notebook: Any) -> list[Any]:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def texts(cell: Any) -> list[str]:
    """What a cell says, without pictures: Markdown if there is any, else plain text."""
    shown = (output.get("data", {}) for output in cell.outputs)
    return [data.get("text/markdown") or data["text/plain"] for data in shown if "image/png" not in data]


@cache
def executed(path: Path, data: Path) -> Any:
    """The notebook run from nothing, in its own folder and a new kernel."""
    notebook = read(path)
    for cell in code_cells(notebook):
        cell.outputs, cell.execution_count = [], None
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VITRINA_DATA", str(data))
        patch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]).rstrip(os.pathsep))
        patch.setenv("PYTHONWARNINGS", "default")
        patch.delenv("MPLBACKEND", raising=False)
        client = NotebookClient(
            notebook,
            timeout=MOST_SECONDS,
            startup_timeout=MOST_SECONDS,
            iopub_timeout=120,  # after four seconds it would leave out what a cell shows
            kernel_name="python3",
            resources={"metadata": {"path": str(path.parent)}},
        )
        client.execute()
    return notebook


def test_there_is_a_notebook() -> None:
    assert (ROOT / "notebooks" / "main_research.ipynb") in NOTEBOOKS


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_it_is_committed_as_one_run_from_top_to_bottom(path: Path) -> None:
    notebook = read(path)
    assert path.stat().st_size < LARGEST_BYTES
    assert [cell.execution_count for cell in code_cells(notebook)] == list(range(1, len(code_cells(notebook)) + 1))
    kinds = {output.output_type for cell in code_cells(notebook) for output in cell.outputs}
    assert kinds <= {"display_data", "execute_result"}, "streams are noise, errors are errors"


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_it_names_no_path_of_one_machine(path: Path) -> None:
    shown = [str(cell.outputs) + cell.source for cell in code_cells(read(path))]
    without_pictures = [re.sub(r"[A-Za-z0-9+/=\\n]{200,}", "", text) for text in shown]
    assert [match.group() for text in without_pictures for match in MACHINE_PATH.finditer(text)] == []


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_its_pictures_are_pictures(path: Path) -> None:
    data = [output.get("data", {}) for cell in code_cells(read(path)) for output in cell.outputs]
    pictures = [base64.b64decode(one["image/png"]) for one in data if "image/png" in one]
    assert pictures
    assert all(picture.startswith(b"\x89PNG") and len(picture) > 3_000 for picture in pictures)


def test_the_research_shows_every_step_and_hypothesis() -> None:
    """A picture and a sentence made from numbers for each of the six steps of exploration and the five hypotheses."""
    cells = read(ROOT / "notebooks" / "main_research.ipynb").cells
    headed = ("### Step", "### H")
    answers = [after for cell, after in itertools.pairwise(cells) if cell.source.startswith(headed)]
    answers += [after for cell, after in itertools.pairwise(cells) if "\n### Step" in cell.source]
    assert len(answers) == 6 + 5
    for cell in answers:
        assert any("image/png" in output.data for output in cell.outputs)
        assert len(numbers(" ".join(texts(cell)))) >= 4
    verdicts = [text for cell in answers for text in texts(cell) if "**Verdict" in text]
    assert len(verdicts) == 5


def test_the_research_drops_every_source_and_shows_every_ranker() -> None:
    cells = code_cells(read(ROOT / "notebooks" / "main_research.ipynb"))
    groups = next(cell.source for cell in cells if "SOURCE_GROUPS = " in cell.source)
    assert [name for name in MATRICES if f'"{name}"' not in groups] == []
    said = " ".join(text for cell in cells for text in texts(cell))
    assert [regime for regime in REGIMES if f"learning_curve_{regime}" not in said] == []


@pytest.mark.slow
@pytest.mark.timeout(2400)
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_it_runs_from_a_clean_kernel(path: Path, data_dir: Path) -> None:
    notebook = executed(path, data_dir)
    kinds = {output.output_type for cell in code_cells(notebook) for output in cell.outputs}
    assert kinds <= {"display_data", "execute_result"}
    committed = code_cells(read(path))
    assert [len(cell.outputs) for cell in code_cells(notebook)] == [len(cell.outputs) for cell in committed]


@pytest.mark.slow
@pytest.mark.timeout(2400)
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_what_is_committed_about_the_data_is_what_it_finds(path: Path, data_dir: Path) -> None:
    """Cells tagged `eda` depend on data and seeds alone, so their texts and numbers must come out again."""
    fresh, committed = code_cells(executed(path, data_dir)), code_cells(read(path))
    compared = 0
    for now, then in zip(fresh, committed, strict=True):
        if "eda" not in then.metadata.get("tags", []):
            continue
        for said_now, said_then in zip(texts(now), texts(then), strict=True):
            assert NUMBER.sub("#", said_now) == NUMBER.sub("#", said_then)
            assert numbers(said_now) == pytest.approx(numbers(said_then), rel=0.02, abs=0.011)
            compared += len(numbers(said_then))
    assert compared > 60


def numbers(text: str) -> list[float]:
    """Every number of a text, in its order."""
    return [float(found.replace(",", "").rstrip(".")) for found in NUMBER.findall(text)]

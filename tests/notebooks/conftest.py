"""What a stored notebook shows."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import nbformat
import pytest

LARGEST_BYTES = 600_000


class Shown:
    """A notebook as it is stored: `cells`, and `everything` that they say."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @cached_property
    def cells(self) -> list[Any]:
        return nbformat.read(self.path, as_version=4).cells

    @cached_property
    def everything(self) -> str:
        return " ".join(self.said(cell) for cell in self.cells if cell.cell_type == "code")

    @staticmethod
    def said(cell: Any) -> str:
        """All that a cell shows as text."""
        shown = [output.data for output in cell.outputs]
        return " ".join(
            data.get("text/markdown") or data.get("text/plain", "") for data in shown if "image/png" not in data
        )

    @property
    def answers(self) -> dict[str, Any]:
        """The code after each question."""
        return {
            cell.source.rpartition("### ")[2].partition("\n")[0]: after
            for cell, after in itertools.pairwise(self.cells)
            if cell.cell_type == "markdown" and "### " in cell.source
        }

    def answers_all(self, asked: Sequence[str]) -> None:
        """Every question is answered by a picture and numbers, and the pictures are small."""
        assert [heading.partition(":")[0].partition(",")[0] for heading in self.answers] == list(asked)
        for heading, answer in self.answers.items():
            assert any("image/png" in output.data for output in answer.outputs), heading
            assert len(re.findall(r"\d", self.said(answer))) >= 10, heading
        assert self.path.stat().st_size < LARGEST_BYTES


@pytest.fixture(scope="session")
def shown() -> Callable[[str], Shown]:
    """A notebook by its name."""
    return lambda name: Shown(Path(__file__).resolve().parents[2] / "notebooks" / name)

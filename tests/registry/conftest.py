from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from vitrina.registry.model_format import write_model


@pytest.fixture
def make_model(tmp_path: Path) -> Callable[[int], Path]:
    """Writes a small model folder that differs by its number."""

    def make(number: int) -> Path:
        folder = tmp_path / f"made-{number}"
        notes = tmp_path / "notes.txt"
        notes.write_text(f"model {number}")
        arrays = {"factors": np.full((3, 2), number, np.float32), "ids": np.array([b"a", b"bc", b"d"])}
        write_model(folder, arrays=arrays, files={"notes.txt": notes}, meta={"as_of": number, "scenario": "storefront"})
        return folder

    return make

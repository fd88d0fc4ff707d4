"""`python -m app.warm`, which an image's build runs: afterwards a service finds its kernels compiled."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.slow
def test_what_is_warmed_is_found_again(tmp_path: Path) -> None:
    def warm() -> dict[str, int]:
        environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path), "NUMBA_CPU_NAME": "generic"}
        subprocess.run([sys.executable, "-m", "app.warm"], check=True, env=environment)
        return {path.name: path.stat().st_mtime_ns for path in tmp_path.rglob("*.nb[ic]")}

    first = warm()
    for kernel in ("ranking_pass.rank_one", "retrieval.retrieve", "trees.score"):
        assert any(name.startswith(kernel) and name.endswith(".nbc") for name in first), kernel
    assert warm() == first, "a second process compiles nothing"

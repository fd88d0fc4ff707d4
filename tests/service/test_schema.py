"""schemathesis with all its checks over every documented operation, against the served app."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from vitrina.events.ids import IdMap

EXAMPLES = 200
TOKEN = "secret"
# a request may be wrong and too long at once
CONFIG = """
[checks]
negative_data_rejection.expected-statuses = [400, 401, 403, 404, 405, 409, 413, 415, 422]
"""


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["int", "str"])
def test_schemathesis_finds_nothing(serve, tmp_path: Path, kind: str) -> None:
    ids = None if kind == "int" else IdMap(np.array([f"sku-{row:02d}".encode() for row in range(20)]))
    command = [
        *(str(Path(sys.executable).parent / "schemathesis"), "run"),
        *("--checks", "all", "--max-examples", str(EXAMPLES), "--seed", "1", "--phases", "examples,coverage,fuzzing"),
        *("-H", f"Authorization: Bearer {TOKEN}", "--no-color", "--output-sanitize", "false"),
    ]
    (tmp_path / "schemathesis.toml").write_text(CONFIG)
    with serve(tmp_path, ids=ids, admin_token=TOKEN) as running:
        documented = [
            (method, path)
            for path, methods in running.client.get("/openapi.json").json()["paths"].items()
            for method in methods
        ]
        done = subprocess.run(
            [*command, f"{running.url}/openapi.json"], capture_output=True, text=True, timeout=500, cwd=tmp_path
        )
    assert done.returncode == 0, done.stdout[-4000:]
    assert int(re.search(r"(\d+) selected", done.stdout)[1]) == len(documented) == 9
    # operations without parameters have a single case; the four with parameters get the full number each
    assert int(re.search(r"(\d+) generated", done.stdout)[1]) >= 4 * EXAMPLES

"""schemathesis with all its checks over every documented operation, against the served app."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from vitrina.accounts.scopes import SCOPES
from vitrina.events.ids import IdMap

EXAMPLES = 100
# A request may be wrong and too long at once. No pattern tells that a day is in the calendar, no schema that a month of
# the history comes before the client's.
CONFIG = """
[checks]
negative_data_rejection.expected-statuses = [400, 401, 403, 404, 405, 409, 413, 415, 422]

[[operations]]
include-path-regex = "^/predict"
checks.positive_data_acceptance.expected-statuses = [200, 422]
"""


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize(("kind", "paths", "operations"), [("int", "/", 20), ("str", "^/(recommend|similar)", 4)])
def test_schemathesis_finds_nothing(serve, tmp_path: Path, kind: str, paths: str, operations: int) -> None:
    """Over every operation; those that take ids also with ids that are text."""
    ids = None if kind == "int" else IdMap(np.array([f"sku-{row:02d}".encode() for row in range(20)]))
    (tmp_path / "schemathesis.toml").write_text(CONFIG)
    with serve(tmp_path, bank=True, basket=True, ids=ids, require_token="admin") as running:
        command = [
            *(str(Path(sys.executable).parent / "schemathesis"), "run", f"{running.url}/openapi.json"),
            *("--checks", "all", "--max-examples", str(EXAMPLES), "--seed", "1"),
            *(
                "--request-timeout",
                "120",
                "--phases",
                "examples,coverage,fuzzing",
                "--include-path-regex",
                paths,
                "--no-color",
            ),
            *("-H", f"Authorization: Bearer {running.token(*SCOPES)}", "--output-sanitize", "false"),
        ]
        documented = [
            (method, path)
            for path, methods in running.client.get("/openapi.json").json()["paths"].items()
            for method in methods
            if re.search(paths, path)
        ]
        done = subprocess.run(command, capture_output=True, text=True, timeout=1500, cwd=tmp_path)
    assert done.returncode == 0, done.stdout[-4000:]
    assert int(re.search(r"(\d+) selected", done.stdout)[1]) == len(documented) == operations
    # operations without parameters have a single case; the others (two of the bank's have few) the full number each
    taking = len([path for _, path in documented if re.search("recommend|similar|predict|send_data|token", path)])
    assert int(re.search(r"(\d+) generated", done.stdout)[1]) >= taking * EXAMPLES

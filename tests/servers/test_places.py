"""Tests that share a server share a process."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from places import place

CONFTEST = """
import pytest
from places import ByPlace

def pytest_xdist_make_scheduler(config, log):
    return ByPlace(config, log)
"""
TEST = """
import os
from pathlib import Path
import pytest

@pytest.mark.parametrize("number", range(6))
def test_one(number):
    with Path(os.environ["SEEN"]).open("a") as file:
        file.write(f"{__file__} {os.getpid()}\\n")
"""


def test_a_folder_of_servers_is_one_place_and_any_other_file_is_one() -> None:
    assert place("tests/stack/test_bank.py::test_a[x::y]") == place("tests/stack/test_basket.py::test_b")
    assert place("tests/pipelines/test_a.py::test_a") == "tests/pipelines"
    assert place("tests/stacks/test_a.py::test_a") == "tests/stacks/test_a.py"
    assert place("tests/service/test_a.py::Test::test_a") == "tests/service/test_a.py"


def test_a_place_is_one_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("stack/test_a.py", "stack/test_b.py", "service/test_c.py", "service/test_d.py"):
        path = tmp_path / "tests" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(TEST)
    (tmp_path / "conftest.py").write_text(CONFTEST)
    (tmp_path / "pytest.ini").write_text(f"[pytest]\npythonpath = {Path(__file__).parent}\n")
    monkeypatch.setenv("SEEN", str(tmp_path / "seen"))
    command = [sys.executable, "-m", "pytest", "-q", "-n", "2", "--dist", "loadscope", "--no-loadscope-reorder"]
    done = subprocess.run([*command, "--import-mode=importlib"], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    processes: dict[str, set[str]] = {}
    for line in (tmp_path / "seen").read_text().splitlines():
        path, process = line.split()
        processes.setdefault(place(str(Path(path).relative_to(tmp_path))), set()).add(process)
    assert len(processes) == 3 and all(len(found) == 1 for found in processes.values())
    assert len(set.union(*processes.values())) == 2

"""`vitrina generate --shape bank` in a process of its own: what it writes is what the reader and the oracle take."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from vitrina.engine import LocalEngine
from vitrina.events.panels.columns import RAW_HEADER
from vitrina.events.panels.panel import Panel
from vitrina.events.panels.reader import read_panel
from vitrina.events.synthetic_panels.generator import PanelSpec, PanelWorld


def generate(out: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    start = "import sys; from vitrina.cli import main; sys.argv[0] = 'vitrina'; main()"
    command = [sys.executable, "-c", start, "generate", "--out", str(out), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, env=os.environ | {"COLUMNS": "200"})


def test_a_raw_panel_and_a_validated_one_are_the_same_world(tmp_path: Path) -> None:
    sizes = ("--customers", "300", "--months", "6", "--seed", "3")
    raw = generate(tmp_path / "raw", "--shape", "bank", *sizes, "--json")
    validated = generate(tmp_path / "validated", "--shape", "bank", *sizes, "--validated", "--structure", "1")
    assert (raw.returncode, validated.returncode) == (0, 0), raw.stderr + validated.stderr
    told = json.loads(raw.stdout)
    assert raw.stderr == "" and "generate: " in validated.stderr
    assert told["raw"] is True and (told["customers"], told["months"], told["seed"]) == (300, 6, 3)

    with (tmp_path / "raw" / "train_ver2.csv").open(encoding="utf-8") as file:
        assert [name.strip('"') for name in file.readline().strip().split(",")] == list(RAW_HEADER)
        assert sum(1 for _ in file) == told["rows"]
    with LocalEngine(memory_limit="500MB", threads=1) as engine:
        read_panel(tmp_path / "raw", tmp_path / "read", engine)
        read, written = (Panel.open(tmp_path / name, engine) for name in ("read", "validated"))
    assert len(read) == told["rows"]
    assert (read.owned == written.owned).all() and (read.customer == written.customer).all()
    spec = PanelSpec(customers=300, months=6, seed=3)
    assert PanelWorld.load(tmp_path / "raw").spec == PanelWorld.load(tmp_path / "validated").spec == spec


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--shape", "bank", "--events", "1000"), "--events is no option of --shape bank"),
        (("--customers", "10"), "--customers is no option of --shape storefront"),
        (("--validated",), "--raw/--validated is no option of --shape storefront"),
        (("--shape", "casino"), "casino"),
        (("--shape", "bank", "--months", "1"), "--months"),
    ],
)
def test_an_option_of_another_shape_is_refused_and_nothing_written(
    tmp_path: Path, arguments: tuple[str, ...], says: str
) -> None:
    done = generate(tmp_path / "world", *arguments, "--json")
    assert done.returncode == 2
    assert says in json.loads(done.stdout)["error"]["reason"]
    assert not (tmp_path / "world").exists()

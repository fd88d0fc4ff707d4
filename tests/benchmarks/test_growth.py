"""The growth benchmark: the memory watch sees a planted peak, the fit finds a planted exponent, the page says both."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from benchmarks.growth import exponent, fitted, tables
from benchmarks.machine import machine
from benchmarks.process_tree import Watched, watch
from benchmarks.results import store

HUNGRY = """
import subprocess, sys, time
child = subprocess.run([sys.executable, "-c", "import time; kept = bytearray(150_000_000); time.sleep(2)"], check=True)
print('{"done": true}')
"""


def test_memory_of_children_counts(tmp_path: Path) -> None:
    seen = watch([sys.executable, "-c", HUNGRY], env=dict(os.environ), cwd=tmp_path)
    assert seen.output == '{"done": true}\n'
    assert 150 < seen.peak_mb() < 400
    assert seen.seconds > 1


def test_a_failure_is_told_with_its_messages(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="out of luck"):
        watch([sys.executable, "-c", "raise SystemExit('out of luck')"], env=dict(os.environ), cwd=tmp_path)


def test_a_peak_belongs_to_its_step() -> None:
    seen = Watched(
        seconds=3.0, processor_seconds=1.0, samples=((0.5, 10_000_000), (1.5, 90_000_000), (2.5, 20_000_000)), output=""
    )
    assert [seen.peak_mb(0, 1), seen.peak_mb(1, 2), seen.peak_mb(2, 3), seen.peak_mb()] == [10, 90, 20, 90]


@pytest.mark.parametrize("power", [0.5, 1.0, 1.7])
def test_the_fit_finds_a_planted_exponent(power: float) -> None:
    sizes = [100_000, 500_000, 2_756_101]
    assert exponent(sizes, [3e-4 * size**power for size in sizes]) == pytest.approx(power, abs=1e-3)


def test_the_page_holds_every_size_step_and_exponent(tmp_path: Path) -> None:
    points = [
        {
            "events": size,
            "users": size // 2,
            "items": size // 10,
            "seconds": size / 1000,
            "processor_seconds": size / 800,
            "peak_mb": 500.0,
            "events_per_second": 1000.0,
            "steps": {"prepare": {"seconds": size / 4000, "peak_mb": 300.0}},
        }
        for size in (1_000, 4_000)
    ]
    found = {"points": points, "fitted": fitted(points)}
    assert found["fitted"] == {"seconds": 1.0, "peak_mb": 0.0, "prepare seconds": 1.0}
    store(tmp_path, "growth", {"machine": machine("2015-09-18"), **found}, tables(found))
    page = (tmp_path / "growth.md").read_text()
    assert "2015-09-18" in page and "4,000 events" in page
    assert "| prepare | 0.2 s, 300 MB | 1.0 s, 300 MB | 1.00 |" in page
    assert '"fitted"' in (tmp_path / "growth.json").read_text()
    assert fitted(points[:1]) == {}

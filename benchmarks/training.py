"""One training of a scenario as a process of its own: what it took, and the table of several beside each other."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from benchmarks.process_tree import watch
from benchmarks.results import Table
from benchmarks.world import ROOT, VITRINA, environment

Facts = dict[str, Any]


def train_into(home: Path, scenario: str, data: Path) -> None:
    """`vitrina train` of a scenario into the state folder `home`."""
    home.mkdir(parents=True, exist_ok=True)
    command = [*VITRINA, "train", scenario, "--data", str(data), "--json"]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env=environment(home), cwd=ROOT)


def trained(scenario: str, data: Path, home: Path, told: Callable[[Facts], Facts]) -> Facts:
    """Trains once, from the raw file to the champion; `told` picks what is kept of the steps' results."""
    home.mkdir(parents=True)
    seen = watch([*VITRINA, "train", scenario, "--data", str(data), "--json"], env=environment(home), cwd=ROOT)
    results = json.loads(seen.output.splitlines()[-1])
    return {
        **told(results),
        "winner": results["register"]["winner"],
        "seconds": round(seen.seconds, 2),
        "processor_seconds": round(seen.processor_seconds, 2),
        "peak_mb": round(seen.peak_mb(), 1),
        "steps": seen.by_step(results),
    }


def training_table(points: Sequence[Facts], heads: Sequence[str], first: Sequence[tuple[str, str]], note: str) -> Table:
    """A column under each of `heads`: the facts that `first` names with their formats, the whole training, its
    steps."""
    whole = [("seconds", "seconds"), ("processor seconds", "processor_seconds"), ("peak memory, MB", "peak_mb")]
    rows = [
        *((head, *(f"{one[key]:,.0f}" for one in points)) for head, key in (*first, *whole)),
        *(
            (
                step,
                *(f"{one['steps'][step]['seconds']:,.1f} s, {one['steps'][step]['peak_mb']:,.0f} MB" for one in points),
            )
            for step in points[0]["steps"]
        ),
    ]
    memory = "Memory: resident, over the process tree, sampled."
    columns = ("whole training, and its steps", *heads)
    return Table(title="Training", columns=columns, rows=tuple(rows), notes=(f"{note} {memory}",))

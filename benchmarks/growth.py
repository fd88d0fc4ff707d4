"""How time and memory of `vitrina train storefront` grow with the log: generated worlds, every step included, from
files to lists.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.process_tree import watch
from benchmarks.results import Table
from benchmarks.world import ROOT, VITRINA, environment, generated

TARGET_EVENTS = 2_756_101
TARGET = "at most 480 s and 6,000 MB (design: 300 s, 4,000 MB)"


def run(events: Sequence[int], scratch: Path, *, note: Callable[[str], None]) -> dict[str, Any]:
    """One training per size, each in a state folder of its own; the result is ready for JSON. Generating is not
    counted.
    """
    points = []
    for count in sorted(events):
        note(f"Generating {count:,} events")
        world = generated(count, scratch)
        note(f"Training on {count:,} events")
        points.append(measure(world, scratch / f"home-{count}", count))
        note(f"  {points[-1]['seconds']:,.0f} s, at most {points[-1]['peak_mb']:,.0f} MB")
    return {"points": points, "fitted": fitted(points), "target": {"events": TARGET_EVENTS, "text": TARGET}}


def measure(world: Path, home: Path, events: int) -> dict[str, Any]:
    """Trains once, from the raw files to the published lists."""
    home.mkdir(parents=True)
    seen = watch([*VITRINA, "train", "storefront", "--data", str(world), "--json"], env=environment(home), cwd=ROOT)
    results = json.loads(seen.output.splitlines()[-1])
    return {
        "events": events,
        "users": results["validate"]["users"],
        "items": results["validate"]["items"],
        "lists": results["publish"].get("users", results["publish"].get("lists")),
        "winner": results["register"]["winner"],
        "seconds": round(seen.seconds, 2),
        "processor_seconds": round(seen.processor_seconds, 2),
        "peak_mb": round(seen.peak_mb(), 1),
        "events_per_second": round(events / seen.seconds, 1),
        "steps": seen.by_step(results),
    }


def fitted(points: Sequence[dict[str, Any]]) -> dict[str, float]:
    """Exponents b of seconds ~ events ** b and MB ~ events ** b by least squares on logarithms; empty below two
    points.
    """
    if len(points) < 2:
        return {}
    found = {}
    for name in ("seconds", "peak_mb"):
        found[name] = exponent([one["events"] for one in points], [one[name] for one in points])
    for step in points[0]["steps"]:
        found[f"{step} seconds"] = exponent(
            [one["events"] for one in points], [one["steps"][step]["seconds"] for one in points]
        )
    return found


def exponent(sizes: Sequence[float], values: Sequence[float]) -> float:
    """The slope of log(values) over log(sizes)."""
    floor = 1e-3  # a step that took no time at all
    slope, _ = np.polyfit(np.log(sizes), np.log(np.maximum(values, floor)), 1)
    return round(float(slope), 3)


def tables(found: dict[str, Any]) -> list[Table]:
    """The tables that are printed and stored."""
    points = found["points"]
    sizes = tuple(f"{one['events']:,} events" for one in points)

    def row(name: str, cells: Sequence[str], exponent: float | None = None) -> tuple[str, ...]:
        return (name, *cells, "" if exponent is None else f"{exponent:.2f}")

    power = found["fitted"]
    total = [
        row("users", [f"{one['users']:,}" for one in points]),
        row("items", [f"{one['items']:,}" for one in points]),
        row("seconds", [f"{one['seconds']:,.1f}" for one in points], power.get("seconds")),
        row("processor seconds", [f"{one['processor_seconds']:,.1f}" for one in points]),
        row("events per second", [f"{one['events_per_second']:,.0f}" for one in points]),
        row("peak memory, MB", [f"{one['peak_mb']:,.0f}" for one in points], power.get("peak_mb")),
    ]
    steps = [
        row(
            step,
            [f"{one['steps'][step]['seconds']:,.1f} s, {one['steps'][step]['peak_mb']:,.0f} MB" for one in points],
            power.get(f"{step} seconds"),
        )
        for step in points[0]["steps"]
    ]
    note = (
        "`vitrina train storefront` as a process of its own on generated worlds, from raw files to published lists, "
        "gate included; generating is not counted. Memory: resident, over the process tree, sampled. "
        f"Target at {TARGET_EVENTS:,} events: {TARGET}. Exponent: b of value ~ events^b over the sizes."
    )
    return [
        Table(title="Growth", columns=("whole training", *sizes, "exponent"), rows=tuple(total), notes=(note,)),
        Table(title="Steps", columns=("step", *sizes, "exponent"), rows=tuple(steps)),
    ]

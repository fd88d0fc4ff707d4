"""The verbs of the command line that are about logs of events."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer

from vitrina import options
from vitrina.console import Reporter, show_json


def generate(
    out: Annotated[
        Path, typer.Option("--out", help="Folder for events.csv, item_properties_part1/2.csv, category_tree.csv.")
    ],
    events: Annotated[int, typer.Option("--events", min=100, help="Number of events.")] = 100_000,
    seed: Annotated[int, typer.Option("--seed", min=0, help="The same seed makes the same world.")] = 0,
    structure: Annotated[
        float, typer.Option("--structure", min=0.0, max=1.0, help="0 makes a world without tastes.")
    ] = 1.0,
    as_json: options.AsJson = False,
) -> None:
    """Write a RetailRocket-shaped world of any size, with its oracle beside it."""
    from vitrina.events.synthetic import WorldSpec, generate_world

    reporter = Reporter(quiet=as_json)
    spec = WorldSpec(events=events, seed=seed, structure=structure)
    with reporter:
        reporter.begin("generate")
        begun = time.perf_counter()
        generate_world(spec, out, progress=lambda done: reporter.progress("events", done, events))
        reporter.end(f"generate: {time.perf_counter() - begun:.1f} s")
    show_json({"out": str(out), "events": events, "seed": seed}, plain=as_json)

"""The verbs of the command line that are about logs of events; the context holds the environment."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer

from vitrina import options
from vitrina.console import Reporter, show_json
from vitrina.errors import ConfigError


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


def upload(
    context: typer.Context,
    data: Annotated[Path, typer.Option("--data", help="Folder in RetailRocket's layout, a zip of it, or one file.")],
    to: Annotated[
        str | None,
        typer.Option("--to", envvar="VITRINA_EVENTS_URI", help="Where to: s3://BUCKET/prefix or a folder."),
    ] = None,
    columns: options.Columns = None,
    as_json: options.AsJson = False,
) -> None:
    """Put a log where raw events lie by day; what lies there already is not sent again."""
    from vitrina.engine import LocalEngine
    from vitrina.events.raw_events import open_raw_events
    from vitrina.events.upload import upload as upload_log
    from vitrina.storage.opening import access_from

    if to is None:
        raise ConfigError("it is not said where to. Name it: --to s3://BUCKET/prefix")
    reporter = Reporter(quiet=as_json)
    place = open_raw_events(to, access=access_from(context.obj))
    with reporter, LocalEngine() as engine:
        reporter.begin("upload")
        begun = time.perf_counter()
        result = upload_log(data, columns, place, engine, reporter.progress)
        reporter.end(f"upload: {time.perf_counter() - begun:.1f} s")
    show_json({"to": to, **result}, plain=as_json)


def events(context: typer.Context, data: options.Data = None, as_json: options.AsJson = False) -> None:
    """Tell which days of raw events lie there, without fetching them; the fingerprint changes when anything does."""
    from vitrina.events.raw_events import Listing, open_raw_events
    from vitrina.storage.opening import access_from

    if data is None:
        raise ConfigError("it is not said where the events lie. Name it: --data s3://BUCKET/prefix")
    listing = Listing.of(open_raw_events(data, access=access_from(context.obj)).files())
    show_json({"data": data, "days": list(listing.days), **listing.as_json()}, plain=as_json)

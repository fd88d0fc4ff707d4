"""The verbs of the command line that are about logs of events; the context holds the environment."""

from __future__ import annotations

import time
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from vitrina.errors import ConfigError
from vitrina.scenarios import scenario
from vitrina.verbs import options
from vitrina.verbs.console import Reporter, show_json


class Shape(StrEnum):
    """What a generated world looks like."""

    STOREFRONT = "storefront"
    BANK = "bank"
    BASKETS = "baskets"


SIZED_BY = {
    Shape.STOREFRONT: ("--events",),
    Shape.BANK: ("--customers", "--months", "--raw/--validated"),
    Shape.BASKETS: ("--baskets", "--products", "--customers", "--months"),
}
"""Options that a shape has, of those that not all of them have."""


def generate(
    out: Annotated[Path, typer.Option("--out", help="Folder for the files, with the world's oracle beside them.")],
    shape: Annotated[
        Shape,
        typer.Option(
            "--shape",
            help="A shop's log as RetailRocket's, a bank's panel as Santander's, or invoices as Online Retail's.",
        ),
    ] = Shape.STOREFRONT,
    events: Annotated[
        int | None, typer.Option("--events", min=100, help="Number of events of a storefront.", show_default="100000")
    ] = None,
    baskets: Annotated[
        int | None, typer.Option("--baskets", min=1, help="Invoices of a shop.", show_default="20000")
    ] = None,
    products: Annotated[
        int | None, typer.Option("--products", min=20, help="Products on these invoices.", show_default="1500")
    ] = None,
    customers: Annotated[
        int | None,
        typer.Option(
            "--customers", min=1, help="Customers of a bank, or on a shop's invoices.", show_default="10000; 3000"
        ),
    ] = None,
    months: Annotated[
        int | None,
        typer.Option(
            "--months",
            min=2,
            max=120,
            help="Months of a bank, from January 2015 on; or of invoices, from December 2010 on.",
            show_default="17; 12",
        ),
    ] = None,
    raw: Annotated[
        bool | None,
        typer.Option(
            "--raw/--validated",
            help="A bank's train_ver2.csv, or panel.parquet as the step `validate` would leave it.",
            show_default="raw",
        ),
    ] = None,
    seed: Annotated[int, typer.Option("--seed", min=0, help="The same seed makes the same world.")] = 0,
    structure: Annotated[
        float,
        typer.Option("--structure", min=0.0, max=1.0, help="0 makes a world without tastes, lags and seasons."),
    ] = 1.0,
    as_json: options.AsJson = False,
) -> None:
    """Write a world of any size whose laws are known, in the shape of a scenario's files."""
    sizes = {"baskets": baskets, "products": products, "customers": customers, "months": months}
    given = {"--events": events, "--raw/--validated": raw, **{f"--{name}": size for name, size in sizes.items()}}
    others = [name for name, value in given.items() if value is not None and name not in SIZED_BY[shape]]
    if others:
        raise ConfigError(f"{others[0]} is no option of --shape {shape.value}: leave it out.")
    reporter = Reporter(quiet=as_json)
    with reporter:
        reporter.begin("generate")
        begun = time.perf_counter()
        asked = {name: size for name, size in sizes.items() if size is not None}
        if shape is Shape.BANK:
            made = _bank(out, reporter, raw is not False, seed, structure, asked)
        elif shape is Shape.BASKETS:
            made = _baskets(out, reporter, seed, structure, asked)
        else:
            made = _storefront(out, reporter, seed, structure, events or 100_000)
        reporter.end(f"generate: {time.perf_counter() - begun:.1f} s")
    show_json({"out": str(out), **made, "seed": seed}, plain=as_json)


def _storefront(out: Path, reporter: Reporter, seed: int, structure: float, events: int) -> dict[str, object]:
    from vitrina.events.synthetic_shop.generator import WorldSpec, generate_world

    spec = WorldSpec(events=events, seed=seed, structure=structure)
    generate_world(spec, out, progress=lambda done: reporter.progress("events", done, events))
    return {"events": events}


def _baskets(out: Path, reporter: Reporter, seed: int, structure: float, sizes: Mapping[str, int]) -> dict[str, object]:
    from vitrina.events.synthetic_baskets.generator import BasketSpec, generate_baskets

    spec = BasketSpec(**sizes, seed=seed, structure=structure)
    generate_baskets(spec, out, progress=lambda done: reporter.progress("baskets", done, spec.baskets))
    return {
        "shape": "baskets",
        "baskets": spec.baskets,
        "products": spec.products,
        "customers": spec.customers,
        "months": spec.months,
    }


def _bank(
    out: Path, reporter: Reporter, raw: bool, seed: int, structure: float, sizes: Mapping[str, int]
) -> dict[str, object]:
    from vitrina.events.synthetic_panels.generator import PanelSpec, generate_panel

    spec = PanelSpec(**sizes, seed=seed, structure=structure)
    rows = 0

    def tell(done: int) -> None:
        nonlocal rows
        rows = done
        reporter.progress("rows at most", done, spec.customers * spec.months)

    generate_panel(spec, out, as_raw_csv=raw, progress=tell)
    return {"shape": "bank", "customers": spec.customers, "months": spec.months, "rows": rows, "raw": raw}


def upload(
    context: typer.Context,
    data: Annotated[Path, typer.Option("--data", help="As `train` takes it: a folder, a zip of it, or one file.")],
    to: Annotated[
        str | None,
        typer.Option(
            "--to", help="Where to: s3://BUCKET/prefix or a folder; without it, the scenario's VITRINA_..._EVENTS_URI."
        ),
    ] = None,
    name: options.OfScenario = options.MAIN,
    columns: options.Columns = None,
    as_json: options.AsJson = False,
) -> None:
    """Put a log, a panel or sales where raw data lies; what lies there already is not sent again."""
    from vitrina.engine import LocalEngine
    from vitrina.storage.opening import access_from

    declared = scenario(name)
    place = to or declared.setting("EVENTS_URI", environment=context.obj)
    if place is None:
        raise ConfigError("it is not said where to. Name it: --to s3://BUCKET/prefix")
    reporter = Reporter(quiet=as_json)
    raw = declared.open_raw_data(place, access_from(context.obj))
    with reporter, LocalEngine() as engine:
        reporter.begin("upload")
        begun = time.perf_counter()
        result = raw.put(data, columns, engine, reporter.progress)
        reporter.end(f"upload: {time.perf_counter() - begun:.1f} s")
    show_json({"to": place, **result}, plain=as_json)


def events(
    context: typer.Context,
    data: Annotated[
        str | None,
        typer.Option(
            "--data", help="s3://BUCKET/prefix or a folder; without it, the scenario's VITRINA_..._EVENTS_URI."
        ),
    ] = None,
    name: options.OfScenario = options.MAIN,
    as_json: options.AsJson = False,
) -> None:
    """Tell what raw data lies there, without fetching it; the fingerprint changes when anything does."""
    from vitrina.events.raw_files import require_there
    from vitrina.storage.opening import access_from

    declared = scenario(name)
    place = data or declared.setting("EVENTS_URI", environment=context.obj)
    if place is None:
        raise ConfigError("it is not said where the data lies. Name it: --data s3://BUCKET/prefix")
    if data is not None:  # the folder that is set may come later: the watcher of new data asks until it does
        require_there(data)
    listing = declared.open_raw_data(place, access_from(context.obj)).listing()
    show_json({"data": place, **listing}, plain=as_json)

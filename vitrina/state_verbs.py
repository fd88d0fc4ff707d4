"""The verbs of the command line that are about the state database."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from vitrina import options
from vitrina.console import show_json, show_runs
from vitrina.options import open_state, state_address
from vitrina.scenarios import scenario


def runs(
    name: options.Name,
    run_id: Annotated[str | None, typer.Option("--run-id", help="Only the steps of this run.")] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, max=10_000, help="How many at most.")] = 100,
    as_json: options.AsJson = False,
    home: options.Home = options.DEFAULT_HOME,
    state_uri: options.StateUri = None,
) -> None:
    """Show how the recorded steps went, the newest first."""
    found = open_state(home, state_uri).step_runs(scenario(name).name, run_id=run_id, limit=limit)
    if as_json:
        show_json({"runs": [asdict(one) for one in found]}, plain=True)
    else:
        show_runs(found)


def migrate(
    to: Annotated[
        str, typer.Option("--to", metavar="VERSION", help="Another schema version than the newest.")
    ] = "head",
    as_json: options.AsJson = False,
    home: options.Home = options.DEFAULT_HOME,
    state_uri: options.StateUri = None,
) -> None:
    """Bring the state database to the newest schema version; do this before a new Vitrina uses it."""
    from vitrina.storage.database import open_engine, shown
    from vitrina.storage.schema import migrate as move

    engine = open_engine(state_address(home, state_uri))
    done = move(engine, to)
    show_json({"database": shown(engine), "before": done.before, "after": done.after}, plain=as_json)

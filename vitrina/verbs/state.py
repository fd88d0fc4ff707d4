"""The verbs of the command line that are about the state database."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Iterable
from contextlib import nullcontext
from dataclasses import asdict
from pathlib import Path
from types import FrameType
from typing import Annotated, NoReturn

import typer

from vitrina.errors import ConfigError
from vitrina.scenarios import SCENARIOS, scenario
from vitrina.verbs import options
from vitrina.verbs.background import check_free
from vitrina.verbs.console import say, show_json, show_runs
from vitrina.verbs.options import open_state, state_address

METRICS_PORT = 9108


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


def metrics(
    host: options.Host = "127.0.0.1",
    port: options.Port = METRICS_PORT,
    disk: Annotated[
        list[str] | None,
        typer.Option("--disk", metavar="NAME=PATH", help="Watch the disk that a folder lies on; may be repeated."),
    ] = None,
    graphite: Annotated[
        str | None,
        typer.Option(
            "--graphite",
            metavar="HOST:PORT",
            envvar="VITRINA_GRAPHITE",
            help="Send the business by day to this carbon.",
        ),
    ] = None,
    as_json: options.AsJson = False,
    home: options.Home = options.DEFAULT_HOME,
    state_uri: options.StateUri = None,
) -> None:
    """Serve what the state database knows of the pipeline to Prometheus, until it is stopped."""
    from vitrina.storage.database import open_engine
    from vitrina.telemetry.graphite import GraphiteSender
    from vitrina.telemetry.pipeline_exporter import PipelineCollector, StateReader, forwarding, serving

    volumes = _volumes(disk or [])
    check_free(host, port)
    sender = GraphiteSender.at(graphite) if graphite else None
    read = StateReader(lambda: open_state(home, state_uri))
    last_steps = {name: scenario(name).steps[-1].name for name in SCENARIOS}
    collector = PipelineCollector(read, last_steps=last_steps, volumes=volumes, sender=sender)
    with serving(collector, host, port):
        open_engine(state_address(home, state_uri))  # an address that can never work ends it now
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, _end)
        url = f"http://{host}:{port}/metrics"
        if as_json:
            show_json({"metrics": url}, plain=True)
            sys.stdout.flush()
        else:
            say(f"Metrics on {url}, Ctrl-C ends it.")
        with forwarding(read, sender) if sender else nullcontext():
            threading.Event().wait()


def _end(number: int, frame: FrameType | None) -> NoReturn:
    raise SystemExit(0)


def _volumes(given: Iterable[str]) -> dict[str, Path]:
    found: dict[str, Path] = {}
    for one in given:
        name, _, path = one.partition("=")
        if not name or not path or name in found:
            raise ConfigError(f"--disk {one!r}: write NAME=PATH, each NAME once, for instance home=/var/lib/vitrina")
        if not Path(path).exists():
            raise ConfigError(f"--disk {one!r}: there is no {path}. Name a folder on the disk to watch")
        found[name] = Path(path)
    return found

"""`vitrina ...`: the command line. Reads the environment and the clock, turns errors into texts and exit codes."""

from __future__ import annotations

import json
import os
import socket
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, NoReturn, Unpack

import typer

from vitrina import __version__, options
from vitrina.console import Reporter, say, show_json, show_recommendations, show_steps, show_text, show_usage, warn
from vitrina.data_verbs import events, generate, upload
from vitrina.errors import ConfigError, DataError, InputError, VitrinaError
from vitrina.interrupts import CtrlC
from vitrina.options import Asked, open_recorder, open_run
from vitrina.pipeline import Done, run_step
from vitrina.pipeline import train as train_all
from vitrina.scenarios import Run, scenario
from vitrina.scenarios.event_log import COMPLETE_JOURNEY
from vitrina.state_verbs import metrics, migrate, runs
from vitrina.telemetry import logs
from vitrina.trail import trail

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)

INTERRUPTED = 130
DEMO_EVENTS = 300_000


def _print_version(wanted: bool) -> None:
    if wanted:
        show_text(f"vitrina {__version__}")
        raise typer.Exit


@app.callback()
def vitrina(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """A recommender stack that a team runs on its own events: from raw log to a served top-k."""


@app.command()
def train(
    name: options.Name,
    data: options.Data = None,
    columns: options.Columns = None,
    as_of: options.AsOf = None,
    tune: options.Tune = 0,
    force: options.Force = False,
    run_id: options.RunId = None,
    as_json: options.AsJson = False,
    home: options.Home = options.DEFAULT_HOME,
    registry_uri: options.RegistryUri = None,
    state_uri: options.StateUri = None,
    threads: options.Threads = None,
) -> None:
    """Run all steps: read, fit, evaluate, register, promote, publish."""
    reporter = Reporter(quiet=as_json)
    run_id = run_id or f"train-{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"
    asked = Asked(data=data, columns=columns, as_of=as_of, tune=tune, force=force, threads=threads, run_id=run_id)
    run = _run(name, home, registry_uri, reporter, **asked)
    with trail(run, os.environ, whole=True) as around, reporter:
        done = train_all(
            scenario(name),
            run,
            started=lambda step: reporter.begin(step.name),
            finished=_told(reporter),
            recorder=open_recorder(run_id, home, state_uri, clock=_now, warn=warn),
            around=around,
        )
    if as_json:
        show_json({one.step: {"seconds": round(one.seconds, 3), **one.result} for one in done}, plain=True)
        return
    if run.objects.exists(run.key("evaluation")):
        show_text((run.local("evaluation") / "table.md").read_text(encoding="utf-8"))
    champion = run.registry.champion()
    show_text(f"champion: version {champion.version}" if champion else "champion: none")


@app.command()
def step(
    name: options.Name,
    step_name: Annotated[str | None, typer.Argument(metavar="STEP", help="Its name; --list shows all.")] = None,
    listed: Annotated[bool, typer.Option("--list", help="Show the steps with their inputs and outputs.")] = False,
    data: options.Data = None,
    columns: options.Columns = None,
    as_of: options.AsOf = None,
    tune: options.Tune = 0,
    force: options.Force = False,
    run_id: options.RunId = None,
    as_json: options.AsJson = False,
    home: options.Home = options.DEFAULT_HOME,
    registry_uri: options.RegistryUri = None,
    state_uri: options.StateUri = None,
    threads: options.Threads = None,
) -> None:
    """Run one step on what the steps before it left."""
    steps = scenario(name).steps
    if listed:
        known = [{"step": one.name, "inputs": list(one.inputs), "outputs": list(one.outputs)} for one in steps]
        if as_json:
            show_json({"steps": known}, plain=True)
        else:
            show_steps(steps)
        return
    if step_name is None:
        raise ConfigError(f"no step is named. The steps of {name} are: {', '.join(one.name for one in steps)}")
    chosen = scenario(name).step(step_name)
    reporter = Reporter()  # on standard error, so whoever drives the steps by --json still sees how they go
    asked = Asked(data=data, columns=columns, as_of=as_of, tune=tune, force=force, threads=threads, run_id=run_id)
    run = _run(name, home, registry_uri, reporter, **asked)
    with trail(run, os.environ) as around, reporter, around(chosen):
        reporter.begin(chosen.name)
        done = run_step(chosen, run, open_recorder(run_id, home, state_uri, clock=_now, warn=warn))
        _told(reporter)(done)
    outputs = {output: run.objects.uri(run.key(output)) for output in chosen.outputs}
    show_json({**done.result, "outputs": outputs}, plain=as_json)


for verb in (runs, migrate, metrics, generate, upload, events):
    app.command()(verb)


@app.command()
def evaluate(
    name: options.Name,
    holdout: Annotated[Path | None, typer.Option("--holdout", help="CSV of (user,item) pairs to score it on.")] = None,
    k: Annotated[int, typer.Option("--k", min=1, max=1000, help="Length of the lists.")] = 10,
    new_only: options.NewOnly = False,
    as_json: options.AsJson = False,
    home: options.Home = options.DEFAULT_HOME,
    registry_uri: options.RegistryUri = None,
) -> None:
    """Score the champion on your own holdout file; without one, show the table of the last backtest."""
    from vitrina.scenarios.champion import Champion

    reporter = Reporter(quiet=as_json)
    run = _run(name, home, registry_uri, reporter)
    if holdout is not None:
        with reporter:
            scores = Champion.open(run).score(holdout, k=k, new_only=new_only)
        show_json(scores, plain=as_json)
        return
    if not run.objects.exists(run.key("evaluation")):
        raise DataError(
            "nothing is evaluated yet",
            where=f"{name} in {home}",
            remedy=f"Train first (vitrina train {name} --data PATH), or score the champion on a file (--holdout FILE)",
        )
    if as_json:
        show_json(json.loads((run.local("evaluation") / "table.json").read_text(encoding="utf-8")), plain=True)
    else:
        show_text((run.local("evaluation") / "table.md").read_text(encoding="utf-8"))


@app.command()
def batch(
    name: options.Name,
    users: Annotated[Path, typer.Option("--users", help="CSV with a column user, user_id, visitorid or customer_id.")],
    out: Annotated[Path, typer.Option("--out", help="CSV to write: user,item,rank,score.")],
    k: Annotated[int, typer.Option("--k", min=1, max=1000, help="Items per user.")] = 100,
    new_only: options.NewOnly = False,
    as_json: options.AsJson = False,
    home: options.Home = options.DEFAULT_HOME,
    registry_uri: options.RegistryUri = None,
) -> None:
    """Write the champion's top k for every user of a file."""
    from vitrina.scenarios.champion import Champion

    reporter = Reporter(quiet=as_json)
    run = _run(name, home, registry_uri, reporter)
    with reporter:
        result = Champion.open(run).batch(users, out, k=k, new_only=new_only, progress=run.progress)
    show_json(result, plain=as_json)


@app.command()
def recommend(
    name: options.Name,
    user_id: Annotated[str, typer.Option("--user-id", help="Whom to recommend to.")],
    k: Annotated[int, typer.Option("--k", min=1, max=100, help="How many items.")] = 10,
    session: Annotated[
        str, typer.Option("--session", metavar="ITEM,ITEM", help="Items seen in this visit, the oldest first.")
    ] = "",
    as_json: options.AsJson = False,
    home: options.Home = options.DEFAULT_HOME,
    registry_uri: options.RegistryUri = None,
) -> None:
    """Ask the champion once, without a service."""
    from vitrina.scenarios.champion import Champion

    run = _run(name, home, registry_uri, Reporter(quiet=True))
    items = [item for item in session.split(",") if item]
    answer = Champion.open(run).recommend(user_id, k=k, session=items)
    if as_json:
        show_json(answer, plain=True)
    else:
        show_recommendations(answer)


@app.command()
def promote(
    name: options.Name,
    version: Annotated[str | None, typer.Option("--version", help="Which version; without it, the challenger.")] = None,
    as_json: options.AsJson = False,
    home: options.Home = options.DEFAULT_HOME,
    registry_uri: options.RegistryUri = None,
) -> None:
    """Make a registered version the champion; a running service swaps to it."""
    champion = _run(name, home, registry_uri, Reporter(quiet=as_json)).registry.promote(version)
    show_json({"champion": champion.version}, plain=as_json)


@app.command()
def rollback(
    name: options.Name,
    as_json: options.AsJson = False,
    home: options.Home = options.DEFAULT_HOME,
    registry_uri: options.RegistryUri = None,
) -> None:
    """Go back to the champion before this one; a running service swaps to it."""
    champion = _run(name, home, registry_uri, Reporter(quiet=as_json)).registry.rollback()
    show_json({"champion": champion.version}, plain=as_json)


@app.command()
def serve(
    host: options.Host = "127.0.0.1",
    port: options.Port = 8000,
    workers: options.Workers = 1,
    home: options.Home = options.DEFAULT_HOME,
    registry_uri: options.RegistryUri = None,
) -> None:
    """Serve the champion over HTTP, and whatever champion comes after it."""
    _check_free(host, port)
    _serve(host, port, workers, home, registry_uri)


@app.command()
def demo(
    port: options.Port = 8000,
    no_serve: Annotated[bool, typer.Option("--no-serve", help="Train only.")] = False,
    home: options.Home = options.DEFAULT_HOME,
    threads: options.Threads = None,
) -> None:
    """Train on a real grocery log (Complete Journey), register, publish, and serve it."""
    from vitrina.events.complete_journey import complete_journey_folder

    if not no_serve:
        _check_free("127.0.0.1", port)
    try:
        complete_journey_folder()
        data = COMPLETE_JOURNEY
    except DataError as error:
        say(f"{error}. A generated world is used instead.")
        data = str(home / "demo-world")
        generate(out=Path(data), events=DEMO_EVENTS)
    train("storefront", data=data, home=home, threads=threads)
    if not no_serve:
        url = f"http://127.0.0.1:{port}"
        say(f"\nServing on {url}, the description is on {url}/docs; Ctrl-C ends it. Try:")
        say(f"  curl -X POST '{url}/recommendations?user_id=1&k=5'\n")
        _serve("127.0.0.1", port, 1, home, None)


def main() -> None:
    """Entry point. Exit codes without a stack trace: 2 for bad input, 1 for any other library error, 130 for Ctrl-C."""
    ctrl_c = CtrlC()
    ctrl_c.listen()
    try:
        logs.configure(os.environ, terminal=sys.stderr.isatty())
        code = app(standalone_mode=False, obj=os.environ)
    except typer.TyperException as error:
        _report("UsageError", error.format_message())
        show_usage(error)
        sys.exit(error.exit_code)
    except VitrinaError as error:
        _fail(error)
    except (KeyboardInterrupt, typer.Abort):
        sys.exit(INTERRUPTED)
    except Exception:
        if not ctrl_c.seen:
            raise
        sys.exit(INTERRUPTED)  # a native library (DuckDB, CatBoost) told of Ctrl-C with an error of its own
    sys.exit(code if isinstance(code, int) else 0)


def _fail(error: VitrinaError) -> NoReturn:
    _report(type(error).__name__, str(error))
    say(f"error: {error}", style="red")
    sys.exit(2 if isinstance(error, InputError) else 1)


def _report(kind: str, reason: str) -> None:
    if "--json" in sys.argv:
        show_json({"error": {"type": kind, "reason": reason}}, plain=True)


def _run(name: str, home: Path, registry_uri: str | None, reporter: Reporter, **asked: Unpack[Asked]) -> Run:
    return open_run(name, home, registry_uri, environment=os.environ, now=_now(), reporter=reporter, **asked)


def _now() -> int:
    return time.time_ns() // 1_000_000


def _told(reporter: Reporter) -> Callable[[Done], None]:
    return lambda done: reporter.end(f"{done.step}: {done.seconds:.1f} s")


def _check_free(host: str, port: int) -> None:
    try:
        with socket.create_server((host, port)):
            pass
    except OSError as error:
        raise ConfigError(f"{host}:{port} cannot be listened on ({error.strerror}). Choose another: --port") from error


def _serve(host: str, port: int, workers: int, home: Path, registry_uri: str | None) -> NoReturn:
    """Becomes the service: the library does not import it, and Ctrl-C reaches nobody else."""
    os.environ["VITRINA_HOME"] = str(home)
    if registry_uri is not None:
        os.environ["VITRINA_REGISTRY_URI"] = registry_uri
    sys.stdout.flush()
    sys.stderr.flush()
    # -P: a folder named `app` where the user stands must not be taken for the service
    command = [sys.executable, "-P", "-m", "app", "--host", host, "--port", str(port), "--workers", str(workers)]
    os.execv(sys.executable, command)

"""`vitrina ...`: the command line. Reads the environment and the clock, turns errors into texts and exit codes."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, NoReturn, Unpack

import typer

from vitrina import __version__
from vitrina.errors import ConfigError, DataError, InputError, VitrinaError
from vitrina.pipeline import Done, alone, run_step
from vitrina.pipeline import train as train_all
from vitrina.scenarios import Run, scenario
from vitrina.scenarios.event_log import COMPLETE_JOURNEY
from vitrina.telemetry import logs
from vitrina.verbs import options, users
from vitrina.verbs.background import check_free
from vitrina.verbs.console import (
    Reporter,
    in_plain_words,
    say,
    show_json,
    show_recommendations,
    show_steps,
    show_text,
    show_usage,
    warn,
)
from vitrina.verbs.data import events, generate, upload
from vitrina.verbs.interrupts import CtrlC
from vitrina.verbs.options import Asked, open_recorder, open_run
from vitrina.verbs.registry import promote, rollback
from vitrina.verbs.serve import become_service, serve, stop
from vitrina.verbs.state import metrics, migrate, runs
from vitrina.verbs.trail import trail

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)

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
    data: options.TrainingData = None,
    columns: options.Columns = None,
    as_of: options.AsOf = None,
    recipe: options.Recipe = None,
    tune: options.Tune = 0,
    force: options.Force = False,
    challenger: options.Challenger = False,
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
    asked = Asked(data=data, columns=columns, as_of=as_of, recipe=recipe, tune=tune, force=force, threads=threads)
    asked |= Asked(challenger=challenger, run_id=run_id)
    run = _run(name, home, registry_uri, reporter, **asked)
    with alone(home, name, said=warn), trail(run, os.environ, whole=True) as around, reporter:
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
    champion, waiting = run.registry.champion(), run.registry.challenger()
    show_text(f"champion: version {champion.version}" if champion else "champion: none")
    if challenger and waiting:
        show_text(f"challenger: version {waiting.version}, vitrina promote {name} makes it champion")


@app.command()
def step(
    name: options.Name,
    step_name: Annotated[str | None, typer.Argument(metavar="STEP", help="Its name; --list shows all.")] = None,
    listed: Annotated[bool, typer.Option("--list", help="Show the steps with their inputs and outputs.")] = False,
    data: options.TrainingData = None,
    columns: options.Columns = None,
    as_of: options.AsOf = None,
    recipe: options.Recipe = None,
    tune: options.Tune = 0,
    force: options.Force = False,
    challenger: options.Challenger = False,
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
    asked = Asked(data=data, columns=columns, as_of=as_of, recipe=recipe, tune=tune, force=force, threads=threads)
    asked |= Asked(challenger=challenger, run_id=run_id)
    run = _run(name, home, registry_uri, reporter, **asked)
    with alone(home, name, said=warn), trail(run, os.environ) as around, reporter, around(chosen):
        reporter.begin(chosen.name)
        done = run_step(chosen, run, open_recorder(run_id, home, state_uri, clock=_now, warn=warn))
        _told(reporter)(done)
    outputs = {output: run.objects.uri(run.key(output)) for output in chosen.outputs}
    show_json({**done.result, "outputs": outputs}, plain=as_json)


for verb in (runs, migrate, metrics, generate, upload, events, promote, rollback, serve, stop):
    app.command()(verb)
app.add_typer(users.users, name="users")


@app.command()
def evaluate(
    name: options.Name,
    holdout: Annotated[
        Path | None,
        typer.Option("--holdout", help="CSV of (user,item) pairs to score it on, or a file of later sales of baskets."),
    ] = None,
    k: Annotated[int, typer.Option("--k", min=1, max=1000, help="Length of the lists.")] = 10,
    new_only: options.NewOnly = False,
    as_json: options.AsJson = False,
    home: options.Home = options.DEFAULT_HOME,
    registry_uri: options.RegistryUri = None,
) -> None:
    """Score the champion on your own holdout file; without one, show the table of the last backtest."""
    reporter = Reporter(quiet=as_json)
    run = _run(name, home, registry_uri, reporter)
    if holdout is not None:
        score = scenario(name).verb("holdout")
        with reporter:
            scores = score(run, holdout, k=k, new_only=new_only)
        show_json(scores, plain=as_json)
        return
    if not run.objects.exists(run.key("evaluation")):
        raise DataError(
            "nothing is evaluated yet",
            where=f"{name} in {home}",
            remedy=f"Train first: vitrina train {name} --data PATH",
        )
    if as_json:
        show_json(json.loads((run.local("evaluation") / "table.json").read_text(encoding="utf-8")), plain=True)
    else:
        show_text((run.local("evaluation") / "table.md").read_text(encoding="utf-8"))


@app.command()
def batch(
    name: options.Name,
    users: Annotated[
        Path,
        typer.Option(
            "--users",
            help="CSV with a column user, user_id, visitorid or customer_id; of the bank, a panel of months; of "
            "baskets, carts (InvoiceNo,StockCode and, if known, CustomerID).",
        ),
    ],
    out: Annotated[
        Path,
        typer.Option(
            "--out",
            help="CSV to write: user,item,rank,score, or customer,product,rank,probability, or cart,product,rank,...",
        ),
    ],
    k: Annotated[
        int | None, typer.Option("--k", min=1, max=1000, help="Items per user; without it, 100, or 7 products.")
    ] = None,
    new_only: options.NewOnly = False,
    as_json: options.AsJson = False,
    home: options.Home = options.DEFAULT_HOME,
    registry_uri: options.RegistryUri = None,
) -> None:
    """Write the champion's top k for every user, customer or cart of a file."""
    write = scenario(name).verb("batch")
    reporter = Reporter(quiet=as_json)
    run = _run(name, home, registry_uri, reporter)
    with reporter:
        result = write(run, users, out, k=k, new_only=new_only)
    show_json(result, plain=as_json)


@app.command()
def recommend(
    name: options.Name,
    user_id: Annotated[
        str | None, typer.Option("--user-id", "--customer", help="Whom to recommend to; a cart may be nobody's.")
    ] = None,
    k: Annotated[int, typer.Option("--k", "--n", min=1, max=100, help="How many items.")] = 10,
    session: Annotated[
        str,
        typer.Option(
            "--session", "--cart", metavar="ITEM,ITEM", help="Items seen in this visit, the oldest first; or the cart."
        ),
    ] = "",
    as_json: options.AsJson = False,
    home: options.Home = options.DEFAULT_HOME,
    registry_uri: options.RegistryUri = None,
) -> None:
    """Ask the champion once, without a service."""
    ask = scenario(name).verb("recommend")
    run = _run(name, home, registry_uri, Reporter(quiet=True))
    items = [item for item in session.split(",") if item]
    answer = ask(run, user_id, k=k, session=items)
    if as_json:
        show_json(answer, plain=True)
    else:
        show_recommendations(answer)


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
        check_free("127.0.0.1", port)
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
        become_service(os.environ, "127.0.0.1", port, 1, home, None)


def main() -> None:
    """Entry point. Exit codes without a stack trace: 2 for bad input, 1 for any other library error, 130 for Ctrl-C."""
    ctrl_c = CtrlC()
    ctrl_c.listen()
    try:
        logs.configure(os.environ, terminal=sys.stderr.isatty())
        code = app(standalone_mode=False, obj=os.environ)
    except typer.TyperException as error:
        _report("UsageError", in_plain_words(error).format_message())
        show_usage(error)
        sys.exit(error.exit_code)
    except VitrinaError as error:
        _fail(error)
    except (KeyboardInterrupt, typer.Abort):
        ctrl_c.end()
    except Exception:
        if not ctrl_c.seen:
            raise
        ctrl_c.end()  # a native library (DuckDB, CatBoost) told of Ctrl-C with an error of its own
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

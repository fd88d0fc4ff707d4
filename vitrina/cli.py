"""`vitrina ...`: the command line. Reads the environment once, turns library errors into texts and exit codes, draws progress."""

from __future__ import annotations

import json
import os
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from vitrina import __version__
from vitrina.console import Reporter
from vitrina.errors import ConfigError, InputError, VitrinaError
from vitrina.pipeline import Done, run_step
from vitrina.pipeline import train as train_all
from vitrina.scenarios import Run, scenario
from vitrina.scenarios.event_log import COMPLETE_JOURNEY

app = typer.Typer(help="A recommender stack that a team runs on its own events.", no_args_is_help=True, add_completion=False)

Name = Annotated[str, typer.Argument(metavar="SCENARIO", help="storefront")]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON document on standard output; progress goes to standard error.")]
Home = Annotated[Path, typer.Option("--home", envvar="VITRINA_HOME", help="Folder of the embedded state.")]
RegistryUri = Annotated[
    str | None, typer.Option("--registry-uri", envvar="VITRINA_REGISTRY_URI", help="MLflow server or database; default: HOME/mlflow.db.")
]
Data = Annotated[
    str | None, typer.Option("--data", help=f"Folder or file with events, or '{COMPLETE_JOURNEY}' for the log that comes with the package.")
]
Columns = Annotated[
    str | None, typer.Option("--columns", help="How the log names its columns: user=customer,item=sku,event=type,timestamp=ts, or a YAML file.")
]
AsOf = Annotated[str | None, typer.Option("--as-of", help="Use only events before this day or time (ISO, UTC).")]
Tune = Annotated[int, typer.Option("--tune", min=0, help="Search hyper-parameters with this many trials first.")]
Force = Annotated[bool, typer.Option("--force", help="Promote whatever the gate says.")]
Threads = Annotated[int, typer.Option("--threads", min=1, envvar="VITRINA_THREADS", help="Threads of the heavy work.")]
DEFAULT_HOME = Path(".vitrina")
CORES = os.cpu_count() or 1


@app.command()
def train(
    name: Name,
    data: Data = None,
    columns: Columns = None,
    as_of: AsOf = None,
    tune: Tune = 0,
    force: Force = False,
    as_json: AsJson = False,
    home: Home = DEFAULT_HOME,
    registry_uri: RegistryUri = None,
    threads: Threads = CORES,
) -> None:
    """Run all steps: read, fit, evaluate, register, promote, publish."""
    reporter = Reporter(quiet=as_json)
    run = _run(name, home, registry_uri, reporter, data=data, columns=columns, as_of=as_of, tune=tune, force=force, threads=threads)
    with reporter:
        done = train_all(scenario(name), run, started=lambda step: reporter.begin(step.name), finished=_told(reporter))
    _out({one.step: {"seconds": round(one.seconds, 3), **one.result} for one in done}, as_json)


@app.command()
def step(
    name: Name,
    step_name: Annotated[str, typer.Argument(metavar="STEP", help="extract, validate, ... (vitrina step storefront help lists them)")],
    data: Data = None,
    columns: Columns = None,
    as_of: AsOf = None,
    tune: Tune = 0,
    force: Force = False,
    as_json: AsJson = False,
    home: Home = DEFAULT_HOME,
    registry_uri: RegistryUri = None,
    threads: Threads = CORES,
) -> None:
    """Run one step on what the steps before it left."""
    reporter = Reporter(quiet=as_json)
    run = _run(name, home, registry_uri, reporter, data=data, columns=columns, as_of=as_of, tune=tune, force=force, threads=threads)
    chosen = scenario(name).step(step_name)
    with reporter:
        reporter.begin(chosen.name)
        done = run_step(chosen, run)
        _told(reporter)(done)
    _out(done.result, as_json)


@app.command()
def evaluate(
    name: Name,
    holdout: Annotated[Path | None, typer.Option("--holdout", help="CSV of (user,item) pairs to score the champion on.")] = None,
    k: Annotated[int, typer.Option(min=1, max=1000, help="Length of the lists.")] = 10,
    new_only: Annotated[bool, typer.Option("--new-only", help="Leave out what the user already touched.")] = False,
    as_json: AsJson = False,
    home: Home = DEFAULT_HOME,
    registry_uri: RegistryUri = None,
) -> None:
    """Score the champion on your own holdout file; without one, print the table of the last backtest."""
    from vitrina.scenarios.champion import Champion

    reporter = Reporter(quiet=as_json)
    run = _run(name, home, registry_uri, reporter)
    if holdout is None:
        folder = run.local("evaluation")
        if as_json:
            _out(json.loads((folder / "table.json").read_text()), as_json)
        else:
            print((folder / "table.md").read_text())
        return
    with reporter:
        scores = Champion.open(run).score(holdout, k=k, new_only=new_only)
    _out(scores, as_json)


@app.command()
def batch(
    name: Name,
    users: Annotated[Path, typer.Option("--users", help="CSV with a column of user ids.")],
    out: Annotated[Path, typer.Option("--out", help="CSV to write: user,item,rank,score.")],
    k: Annotated[int, typer.Option(min=1, max=1000, help="Items per user.")] = 100,
    new_only: Annotated[bool, typer.Option("--new-only", help="Leave out what the user already touched.")] = False,
    as_json: AsJson = False,
    home: Home = DEFAULT_HOME,
    registry_uri: RegistryUri = None,
) -> None:
    """Write the champion's top k for every user of a file."""
    from vitrina.scenarios.champion import Champion

    reporter = Reporter(quiet=as_json)
    run = _run(name, home, registry_uri, reporter)
    with reporter:
        result = Champion.open(run).batch(users, out, k=k, new_only=new_only, progress=run.progress)
    _out(result, as_json)


@app.command()
def recommend(
    name: Name,
    user_id: Annotated[str, typer.Option("--user-id", help="Whom to recommend to.")],
    k: Annotated[int, typer.Option(min=1, max=100, help="How many items.")] = 10,
    session: Annotated[str, typer.Option("--session", help="Items seen in this visit, comma-separated, the oldest first.")] = "",
    as_json: AsJson = False,
    home: Home = DEFAULT_HOME,
    registry_uri: RegistryUri = None,
) -> None:
    """Ask the champion once, without a service."""
    from vitrina.scenarios.champion import Champion

    run = _run(name, home, registry_uri, Reporter(quiet=True))
    items = [item for item in session.split(",") if item]
    _out(Champion.open(run).recommend(user_id, k=k, session=items), as_json)


@app.command()
def promote(
    name: Name,
    version: Annotated[str | None, typer.Option("--version", help="Version to promote; default: the challenger.")] = None,
    as_json: AsJson = False,
    home: Home = DEFAULT_HOME,
    registry_uri: RegistryUri = None,
) -> None:
    """Make a registered version the champion; a running service swaps to it."""
    champion = _run(name, home, registry_uri, Reporter(quiet=as_json)).registry.promote(version)
    _out({"champion": champion.version}, as_json)


@app.command()
def rollback(name: Name, as_json: AsJson = False, home: Home = DEFAULT_HOME, registry_uri: RegistryUri = None) -> None:
    """Go back to the champion before this one; a running service swaps to it."""
    champion = _run(name, home, registry_uri, Reporter(quiet=as_json)).registry.rollback()
    _out({"champion": champion.version}, as_json)


@app.command()
def generate(
    out: Annotated[Path, typer.Option("--out", help="Folder for events.csv, item_properties_part1/2.csv, category_tree.csv.")],
    events: Annotated[int, typer.Option(min=1, help="Number of events.")] = 100_000,
    seed: Annotated[int, typer.Option(help="The same seed makes the same world.")] = 0,
    structure: Annotated[float, typer.Option(min=0.0, max=1.0, help="0 makes a world without tastes.")] = 1.0,
    as_json: AsJson = False,
) -> None:
    """Write a RetailRocket-shaped world of any size, with its oracle beside it."""
    from vitrina.events.synthetic import WorldSpec, generate_world

    reporter = Reporter(quiet=as_json)
    spec = WorldSpec(events=events, seed=seed, structure=structure)
    with reporter:
        reporter.begin("generate")
        generate_world(spec, out, progress=lambda done: reporter.progress("events", done, events))
    _out({"out": str(out), "events": events, "seed": seed}, as_json)


@app.command()
def serve(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535)] = 8000,
    workers: Annotated[int, typer.Option(min=1)] = 1,
    home: Home = DEFAULT_HOME,
    registry_uri: RegistryUri = None,
) -> None:
    """Serve the champion over HTTP."""
    _serve(host, port, workers, home, registry_uri)


@app.command()
def demo(
    port: Annotated[int, typer.Option(min=1, max=65535)] = 8000,
    no_serve: Annotated[bool, typer.Option("--no-serve", help="Train only.")] = False,
    home: Home = DEFAULT_HOME,
) -> None:
    """Train on a real grocery log (Complete Journey), register, publish, and serve on PORT."""
    from vitrina.events.complete_journey import complete_journey_folder

    console = Console(stderr=True)
    try:
        complete_journey_folder()
        data = COMPLETE_JOURNEY
    except InputError as error:
        console.print(f"{error} A generated world is used instead.")
        data = str(home / "demo-world")
        generate(out=Path(data), events=300_000)
    train("storefront", data=data, home=home, threads=CORES)
    if not no_serve:
        console.print(f"\nServing on http://127.0.0.1:{port} (Ctrl-C ends it). Try:")
        console.print(f"  curl -X POST 'http://127.0.0.1:{port}/recommendations?user_id=1&k=5'\n", soft_wrap=True)
        _serve("127.0.0.1", port, 1, home, None)


def main() -> None:
    """Entry point: exit code 2 for bad input, 1 for any other library error; no stack trace for either."""
    try:
        app(standalone_mode=False)
    except typer.Exit as ended:
        sys.exit(ended.exit_code)
    except typer.Abort:
        sys.exit(130)
    except KeyboardInterrupt:
        sys.exit(130)
    except InputError as error:
        _fail(error, 2)
    except VitrinaError as error:
        _fail(error, 1)
    except Exception as error:
        from click.exceptions import ClickException

        if not isinstance(error, ClickException):
            raise
        error.show()
        sys.exit(error.exit_code)


def _fail(error: VitrinaError, code: int) -> None:
    if "--json" in sys.argv:
        print(json.dumps({"error": {"type": type(error).__name__, "reason": str(error)}}))
    Console(stderr=True).print(f"[red]error[/red] {error}", soft_wrap=True, highlight=False)
    sys.exit(code)


def _run(
    name: str,
    home: Path,
    registry_uri: str | None,
    reporter: Reporter,
    *,
    data: str | None = None,
    columns: str | None = None,
    as_of: str | None = None,
    tune: int = 0,
    force: bool = False,
    threads: int = CORES,
) -> Run:
    from vitrina.registry.mlflow_registry import MlflowRegistry
    from vitrina.storage.objects import FolderObjects

    declared = scenario(name)
    return Run(
        scenario=declared.name,
        objects=FolderObjects(home / "objects"),
        registry=MlflowRegistry(
            registry_uri or f"sqlite:///{home.absolute()}/mlflow.db",
            experiment=os.environ.get("VITRINA_EXPERIMENT", declared.experiment),
            model_name=os.environ.get("VITRINA_REGISTERED_MODEL", declared.registered_model),
        ),
        now=time.time_ns() // 1_000_000,
        data=data,
        columns=columns,
        as_of=None if as_of is None else _moment(as_of),
        tune=tune,
        force=force,
        threads=threads,
        note=reporter.note,
        progress=reporter.progress,
    )


def _moment(text: str) -> int:
    try:
        at = datetime.fromisoformat(text)
    except ValueError as error:
        raise ConfigError(f"--as-of: {text!r} is no ISO day or time. Write for instance 2015-09-01") from error
    return int((at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp() * 1000)


def _told(reporter: Reporter) -> Any:
    def tell(done: Done) -> None:
        reporter.end(f"{done.step}: {done.seconds:.1f} s")

    return tell


def _out(result: dict[str, Any], as_json: bool) -> None:
    if as_json:
        print(json.dumps(result, ensure_ascii=False))
    else:
        Console().print_json(json.dumps(result, ensure_ascii=False))


def _serve(host: str, port: int, workers: int, home: Path, registry_uri: str | None) -> None:
    """Becomes the service: the library does not import it, and Ctrl-C reaches nobody else."""
    os.environ["VITRINA_HOME"] = str(home)
    if registry_uri is not None:
        os.environ["VITRINA_REGISTRY_URI"] = registry_uri
    sys.stdout.flush()
    sys.stderr.flush()
    command = [sys.executable, "-m", "app", "--host", host, "--port", str(port), "--workers", str(workers)]
    os.execv(sys.executable, command)


__all__ = ["__version__", "app", "main"]

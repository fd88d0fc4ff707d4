"""The arguments and options that several verbs of the command line share, and the `Run` that they ask for."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, TypedDict, Unpack

import typer

from vitrina.errors import ConfigError
from vitrina.pipeline import Recorder
from vitrina.registry.registry import Registry
from vitrina.scenarios import SCENARIOS, Run, Scenario, scenario
from vitrina.scenarios.event_log import COMPLETE_JOURNEY
from vitrina.storage.state import State
from vitrina.verbs.console import Reporter

Name = Annotated[str, typer.Argument(metavar="SCENARIO", help=f"One of: {', '.join(SCENARIOS)}.")]
OfScenario = Annotated[
    str, typer.Option("--scenario", metavar="SCENARIO", help=f"Whose data: one of {', '.join(SCENARIOS)}.")
]
AsJson = Annotated[
    bool, typer.Option("--json", help="One JSON document on standard output and nothing else; errors are JSON, too.")
]
Home = Annotated[
    Path,
    typer.Option("--home", envvar="VITRINA_HOME", show_envvar=True, help="Folder of the embedded state."),
]
RegistryUri = Annotated[
    str | None,
    typer.Option(
        "--registry-uri",
        envvar="VITRINA_REGISTRY_URI",
        help="MLflow server (http://...) or database (sqlite:///...); without it, HOME/mlflow.db.",
    ),
]
StateUri = Annotated[
    str | None,
    typer.Option(
        "--state-uri",
        envvar="VITRINA_STATE_URI",
        help="State database (postgresql+psycopg2://...); without it, the file HOME/state.db.",
    ),
]
RunId = Annotated[
    str | None,
    typer.Option(
        "--run-id",
        metavar="TEXT",
        help="Name of the run in the state database; without it, `train` makes one up and `step` is not recorded.",
    ),
]
TrainingData = Annotated[
    str | None,
    typer.Option(
        "--data",
        help="Folder or file to train on, an s3:// address, "
        f"or '{COMPLETE_JOURNEY}' for the log that comes with the package; without it, the scenario's "
        "VITRINA_..._EVENTS_URI.",
    ),
]
Columns = Annotated[
    str | None,
    typer.Option(
        "--columns",
        help="How the log names its columns: user=customer,item=sku,event=type,timestamp=ts, or a YAML file.",
    ),
]
AsOf = Annotated[
    str | None,
    typer.Option(
        "--as-of", metavar="TIME", help="Use only events before this day or time: 2015-09-01, 2015-09-01T12:00 (UTC)."
    ),
]
Tune = Annotated[
    int,
    typer.Option(
        "--tune",
        min=0,
        metavar="N",
        help="Search hyper-parameters with N trials first; later trainings in the same HOME keep what was found.",
    ),
]
Recipe = Annotated[
    str | None,
    typer.Option("--recipe", metavar="NAME", help="A named configuration of the scenario; without it, its first."),
]
Force = Annotated[bool, typer.Option("--force", help="Promote the new model whatever the gate says.")]
Challenger = Annotated[
    bool,
    typer.Option("--challenger", help="Do not promote what the gate lets pass: it waits for `vitrina promote`."),
]
Threads = Annotated[
    int | None,
    typer.Option(
        "--threads", min=1, envvar="VITRINA_THREADS", help="Threads of the heavy work; without it, one per core."
    ),
]
NewOnly = Annotated[bool, typer.Option("--new-only", help="Leave out what the user already touched.")]
Host = Annotated[str, typer.Option("--host", help="Address to listen on; 0.0.0.0 for every one of the machine.")]
Port = Annotated[int, typer.Option("--port", min=1, max=65535, help="Port to listen on.")]
Workers = Annotated[int, typer.Option("--workers", min=1, help="Processes that answer.")]

DEFAULT_HOME = Path(".vitrina")
MAIN = next(iter(SCENARIOS))
"""The scenario that is meant when none is named."""


class Asked(TypedDict, total=False):
    """What a verb may be asked for beyond the place of its state; the text of `as_of` is read here."""

    data: str | None
    columns: str | None
    as_of: str | None
    tune: int
    force: bool
    challenger: bool
    threads: int | None
    run_id: str | None
    recipe: str | None


def open_run(
    name: str,
    home: Path,
    registry_uri: str | None,
    *,
    environment: Mapping[str, str],
    now: int,
    reporter: Reporter,
    **asked: Unpack[Asked],
) -> Run:
    """The run of a verb over the state in `home`; `now` in ms. `ConfigError` for an unknown scenario or recipe, a wrong
    time, or a folder that cannot be written."""
    from vitrina.storage.opening import access_from, objects_for

    declared = scenario(name)
    recipe = declared.known_recipe(asked.get("recipe"))
    _make(home)
    access, cache = access_from(environment), home / "cache"
    return Run(
        scenario=declared.name,
        objects=objects_for(
            environment.get("VITRINA_OBJECTS_URI") or str(home / "objects"), cache=cache / "objects", access=access
        ),
        registry=open_registry(declared, home, registry_uri, environment=environment),
        now=now,
        data=asked.get("data") or declared.setting("EVENTS_URI", environment=environment),
        columns=asked.get("columns"),
        as_of=_moment(asked.get("as_of")),
        tune=asked.get("tune", 0),
        force=asked.get("force", False),
        challenger=asked.get("challenger", False),
        threads=asked.get("threads") or os.cpu_count() or 1,
        note=reporter.note,
        progress=reporter.progress,
        access=access,
        cache=cache,
        run_id=asked.get("run_id"),
        recipe=recipe,
    )


def open_registry(
    declared: Scenario, home: Path, registry_uri: str | None, *, environment: Mapping[str, str]
) -> Registry:
    """The registry of a scenario's models."""
    from vitrina.registry.mlflow_registry import MlflowRegistry, code_file

    return MlflowRegistry(
        registry_uri or f"sqlite:///{home.absolute()}/mlflow.db",
        experiment=declared.setting("EXPERIMENT", environment=environment) or declared.experiment,
        model_name=declared.setting("REGISTERED_MODEL", environment=environment) or declared.registered_model,
        pyfunc_code=code_file(declared.pyfunc),
    )


def open_recorder(
    run_id: str | None, home: Path, state_uri: str | None, *, clock: Callable[[], int], warn: Callable[[str], None]
) -> Recorder | None:
    """What records the steps of a run; without a `run_id`, nothing does."""
    if run_id is None:
        return None
    return Recorder(open_state=lambda: open_state(home, state_uri), run_id=run_id, clock=clock, warn=warn)


def open_state(home: Path, state_uri: str | None) -> State:
    """The state database of a verb; `StateError` when it cannot be used."""
    from vitrina.storage.sql_state import SqlState

    return SqlState.open(state_address(home, state_uri))


def state_address(home: Path, state_uri: str | None) -> str:
    """The URI of the state database: the one that was given, or that of the embedded one."""
    return state_uri or f"sqlite:///{home.absolute()}/state.db"


def _make(home: Path) -> None:
    try:
        home.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        reason = f"the state folder {home} cannot be made: {error.strerror}. Name another with --home or VITRINA_HOME"
        raise ConfigError(reason) from error


def _moment(text: str | None) -> int | None:
    if text is None:
        return None
    try:
        at = datetime.fromisoformat(text)
    except ValueError as error:
        raise ConfigError(f"--as-of: {text!r} is no ISO day or time. Write for instance 2015-09-01") from error
    return int((at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp() * 1000)

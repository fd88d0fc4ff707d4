"""The verbs of the command line that start and end the service; the context holds the environment."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from vitrina.errors import ConfigError
from vitrina.verbs import options
from vitrina.verbs.background import Background, check_free
from vitrina.verbs.console import say, show_json, warn


def serve(
    context: typer.Context,
    host: options.Host = "127.0.0.1",
    port: options.Port = 8000,
    workers: options.Workers = 1,
    background: Annotated[
        bool, typer.Option("--background", help="Return once it answers; `vitrina stop` ends it.")
    ] = False,
    as_json: options.AsJson = False,
    home: options.Home = options.DEFAULT_HOME,
    registry_uri: options.RegistryUri = None,
) -> None:
    """Serve the champions over HTTP, and whatever champions come after them."""
    if not background:
        if as_json:
            raise ConfigError("--json: a server in the foreground tells no result. Give --background with it")
        check_free(host, port)
        become_service(context.obj, host, port, workers, home, registry_uri)
    kept = Background(home)
    environment = _environment(context.obj, home, registry_uri)
    server, child = kept.start(_command(host, port, workers), host=host, port=port, environment=environment)
    try:
        told = kept.wait(server, child)
    except KeyboardInterrupt:
        kept.stop()
        raise
    models, error, unconfirmed = told.get("models", {}), told.get("error"), told.get("unconfirmed", [])
    if as_json:
        found = {"pid": server.pid, "url": server.url, "log": str(kept.log), "models": models}
        show_json({**found, "unconfirmed": unconfirmed}, plain=True)
    else:
        served = ", ".join(f"{name} (version {version})" for name, version in models.items())
        say(f"Serving {served or 'no model yet'} on {server.url} in the background.")
        say(f"  pid {server.pid}, log {kept.log}; vitrina stop (make kill) ends it.")
    if unconfirmed:
        why = "the registry has not answered yet, or its champion is still being loaded"
        warn(f"Served as last on this host: {', '.join(unconfirmed)}; {why}. The server takes it up by itself.")
    if error:
        warn(f"{error['reason']}. {error['remedy']}. The server takes it up by itself.")


def stop(
    as_json: options.AsJson = False,
    home: options.Home = options.DEFAULT_HOME,
) -> None:
    """End the server in the background of this state folder, answers under way first; no other process is touched."""
    kept = Background(home)
    done = kept.stop()
    if done.server is None:
        text = f"no server runs in the background of {home.absolute()}"
    elif not done.found:
        text = f"the server of {home.absolute()} is gone already: pid {done.server.pid} is not its process any more"
    elif done.forced:
        text = f"the server, pid {done.server.pid}, did not end in time and was killed"
    else:
        text = f"the server, pid {done.server.pid}, is ended"
    if as_json:
        stopped = done.server.pid if done.server and done.found else None
        show_json({"stopped": stopped, "forced": done.forced, "told": text}, plain=True)
    else:
        say(text)


def become_service(
    environment: Mapping[str, str], host: str, port: int, workers: int, home: Path, registry_uri: str | None
) -> NoReturn:
    """Becomes the service: the library does not import it, and Ctrl-C reaches nobody else."""
    sys.stdout.flush()
    sys.stderr.flush()
    os.execve(sys.executable, _command(host, port, workers), _environment(environment, home, registry_uri))


def _command(host: str, port: int, workers: int) -> list[str]:
    # -P: a folder named `app` where the user stands must not be taken for the service
    return [sys.executable, "-P", "-m", "app", "--host", host, "--port", str(port), "--workers", str(workers)]


def _environment(given: Mapping[str, str], home: Path, registry_uri: str | None) -> dict[str, str]:
    registry = {} if registry_uri is None else {"VITRINA_REGISTRY_URI": registry_uri}
    return {**given, "VITRINA_HOME": str(home), **registry}

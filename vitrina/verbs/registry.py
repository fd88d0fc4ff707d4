"""The verbs of the command line that move the champion; the context holds the environment."""

from __future__ import annotations

from typing import Annotated

import typer

from vitrina.scenarios import scenario
from vitrina.verbs import options
from vitrina.verbs.console import show_json
from vitrina.verbs.options import open_registry


def promote(
    context: typer.Context,
    name: options.Name,
    version: Annotated[str | None, typer.Option("--version", help="Which version; without it, the challenger.")] = None,
    as_json: options.AsJson = False,
    home: options.Home = options.DEFAULT_HOME,
    registry_uri: options.RegistryUri = None,
) -> None:
    """Make a registered version the champion; a running service swaps to it."""
    champion = open_registry(scenario(name), home, registry_uri, environment=context.obj).promote(version)
    show_json({"champion": champion.version}, plain=as_json)


def rollback(
    context: typer.Context,
    name: options.Name,
    as_json: options.AsJson = False,
    home: options.Home = options.DEFAULT_HOME,
    registry_uri: options.RegistryUri = None,
) -> None:
    """Go back to the champion before this one; a running service swaps to it."""
    champion = open_registry(scenario(name), home, registry_uri, environment=context.obj).rollback()
    show_json({"champion": champion.version}, plain=as_json)

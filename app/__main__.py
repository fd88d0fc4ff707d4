"""`python -m app`: the service with the settings of the environment; `vitrina serve` becomes this process."""

from __future__ import annotations

import argparse
import os
import sys

from app.checked_settings import read_settings
from app.server import run
from vitrina.errors import InputError, VitrinaError
from vitrina.telemetry import logs


def main() -> None:
    """Serves until a signal ends it. Exit codes without a stack trace: 2 for a wrong setting, 1 for any other error of
    the library."""
    parser = argparse.ArgumentParser(prog="python -m app", description="Serve the champion over HTTP.")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8000)
    parser.add_argument("--workers", type=int, default=1)
    chosen = parser.parse_args()
    try:
        logs.configure(os.environ, terminal=sys.stderr.isatty())
        run(read_settings(), host=chosen.host, port=chosen.port, workers=chosen.workers)
    except VitrinaError as error:
        from vitrina.verbs.console import say  # what draws for people is no part of a service that runs

        say(f"error: {error}", style="red")
        sys.exit(2 if isinstance(error, InputError) else 1)


main()

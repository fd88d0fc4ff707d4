"""`python -m app`: the service with the settings of the environment; `vitrina serve` becomes this process."""

from __future__ import annotations

import argparse

from app.server import run
from app.settings import Settings


def main() -> None:
    """Serves until a signal ends it."""
    parser = argparse.ArgumentParser(prog="python -m app", description="Serve the champion over HTTP.")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8000)
    parser.add_argument("--workers", type=int, default=1)
    chosen = parser.parse_args()
    run(Settings(), host=chosen.host, port=chosen.port, workers=chosen.workers)


main()

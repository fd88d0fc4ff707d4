"""The service as a child process: `vitrina serve` over a file registry, or any command that serves."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import psutil
from ports import free_port
from waiting import PATIENCE, wait

ROOT = Path(__file__).resolve().parents[2]


@contextmanager
def vitrina_serve(home: Path, workers: int = 2, **settings: str) -> Iterator[tuple[psutil.Process, str]]:
    """`vitrina serve --workers`, nothing injected, over the file registry `home/registry`."""
    given = {"VITRINA_HOME": str(home), "VITRINA_REGISTRY_URI": f"file://{home / 'registry'}", **settings}
    port = free_port()
    vitrina = [sys.executable, "-c", "from vitrina.cli import main; main()"]
    command = [*vitrina, "serve", "--port", str(port), "--workers", str(workers)]
    with service_process(command, home / "log.txt", port, **given) as found:
        yield found


@contextmanager
def service_process(command: list[str], log: Path, port: int, **given: str) -> Iterator[tuple[psutil.Process, str]]:
    """A service as a child process, once it is ready, and its address; `given` goes into its environment."""
    with log.open("w") as file:
        child = subprocess.Popen(command, stdout=file, stderr=file, env={**os.environ, **given}, cwd=ROOT)
    url = f"http://127.0.0.1:{port}"
    try:
        wait(lambda: _ready(url), otherwise=log.read_text, pause=0.1)
        yield psutil.Process(child.pid), url
    finally:
        child.terminate()
        child.wait(timeout=PATIENCE)


def _ready(url: str) -> bool:
    try:
        return httpx.get(f"{url}/readyz").status_code == 200
    except httpx.TransportError:
        return False

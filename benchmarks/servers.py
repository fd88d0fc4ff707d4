"""The servers under test: child processes, one worker each, on free ports of 127.0.0.1."""

from __future__ import annotations

import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

PATIENCE_SECONDS = 120.0


@dataclass(frozen=True, kw_only=True)
class Server:
    """A running server; `ready_seconds` from the start of its process to the first good answer."""

    port: int
    process: psutil.Process
    ready_seconds: float

    def processor_seconds(self) -> float:
        """Processor time so far, of the process and its children."""
        family = [self.process, *self.process.children(recursive=True)]
        return float(sum(sum(one.cpu_times()[:2]) for one in family))

    def get(self, path: str) -> bytes:
        """The body of a GET."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=10) as answer:
            return bytes(answer.read())


@contextmanager
def running(command: Sequence[str], *, ready: str, env: Mapping[str, str], cwd: Path, log: Path) -> Iterator[Server]:
    """Starts `command` with `{port}` filled in, waits until GET `ready` answers 200, and ends it with its children
    afterwards.

    Its output goes to `log`. `RuntimeError` with the end of the log when it dies or does not become ready.
    """
    port = free_port()
    begun = time.perf_counter()
    with log.open("wb") as file:
        child = subprocess.Popen(
            [part.replace("{port}", str(port)) for part in command],
            stdout=file,
            stderr=file,
            env=dict(env),
            cwd=cwd,
            stdin=subprocess.DEVNULL,
        )
    process = psutil.Process(child.pid)
    try:
        while not _answers(f"http://127.0.0.1:{port}{ready}"):
            if child.poll() is not None or time.perf_counter() - begun > PATIENCE_SECONDS:
                raise RuntimeError(f"{' '.join(command)}: not ready. The end of its log:\n{log.read_text()[-2000:]}")
            time.sleep(0.02)
        yield Server(port=port, process=process, ready_seconds=time.perf_counter() - begun)
    finally:
        _end(child, process)


def free_port() -> int:
    """A port that nobody listens on at this moment."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def _end(child: subprocess.Popen[bytes], process: psutil.Process) -> None:
    """The started process and those that it started, politely and then not."""
    family = process.children(recursive=True) if process.is_running() else []
    child.terminate()
    try:
        child.wait(timeout=15)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()
    _, alive = psutil.wait_procs(family, timeout=5)
    for one in alive:
        one.kill()

"""Load on one server by wrk: as many requests as it takes, or a given number per second.

wrk is a C program with one thread here. Per request it takes a quarter of the processor time of the quickest server
under test; k6 takes twice that server's and so, on 2 cores, would measure itself.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

SCRIPT = Path(__file__).parent / "load.lua"
CONNECTIONS = 16
PATIENT_CONNECTIONS = 128
TIMEOUT = "5s"


@dataclass(frozen=True, kw_only=True)
class Load:
    """What one stretch of load met: requests and errors as counts, latencies in milliseconds."""

    requests: int
    seconds: float
    p50: float
    p99: float
    max: float
    errors: int

    @property
    def rate(self) -> float:
        """Answers per second."""
        return self.requests / self.seconds


def put_load(port: int, requests: Path, *, seconds: int, seed: int, rate: float | None = None) -> Load:
    """Loads 127.0.0.1:port with the requests of a file (see load.lua) for some seconds.

    Without `rate` each of 16 connections asks again as soon as it was answered. With `rate` up to 128 connections pause
    for exponential times whose mean gives that many requests per second; a stalled server then meets a queue, as it
    would with independent visitors.
    """
    wrk = shutil.which("wrk")
    if wrk is None:
        raise SystemExit(
            "wrk is not installed, and the serving benchmark needs it. Debian: apt install wrk; macOS: brew install wrk"
        )
    connections, pause = CONNECTIONS, 0.0
    if rate is not None:
        connections = min(PATIENT_CONNECTIONS, max(CONNECTIONS, round(rate / 10)))
        pause = 1_000 * connections / rate
    command = [wrk, "--threads", "1", "--connections", str(connections), "--duration", f"{seconds}s"]
    command += [
        "--timeout",
        TIMEOUT,
        "--script",
        str(SCRIPT),
        f"http://127.0.0.1:{port}/",
        "--",
        str(requests),
        str(pause),
        str(seed),
    ]
    told = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return read_result(told)


def read_result(told: str) -> Load:
    """The figures in wrk's output."""
    line = next(line for line in told.splitlines() if line.startswith("RESULT "))
    found = json.loads(line.removeprefix("RESULT "))
    return Load(
        requests=found["requests"],
        seconds=found["microseconds"] / 1e6,
        p50=found["p50"] / 1e3,
        p99=found["p99"] / 1e3,
        max=found["max"] / 1e3,
        errors=found["status_errors"] + found["socket_errors"],
    )

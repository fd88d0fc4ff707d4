"""Runs a command to its end, and watches the memory of its whole process tree."""

from __future__ import annotations

import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

EVERY_SECONDS = 0.2
MEGABYTE = 1e6


@dataclass(frozen=True, kw_only=True)
class Watched:
    """A finished command. `samples` are (seconds since its start, resident bytes of the tree); `processor_seconds` of
    the whole tree.
    """

    seconds: float
    processor_seconds: float
    samples: tuple[tuple[float, int], ...]
    output: str

    def peak_mb(self, first: float = 0.0, last: float = float("inf")) -> float:
        """The most resident memory between two times (seconds since the start), in MB; 0 without a sample there."""
        return max((size for at, size in self.samples if first <= at <= last), default=0) / MEGABYTE

    def by_step(self, results: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, float]]:
        """`seconds` and `peak_mb` of each step of a `vitrina train`, whose `results` they are. Steps stand back to
        back, and what Python's start took comes before the first.
        """
        found, until = {}, self.seconds
        for name, result in reversed(list(results.items())):
            begun = until - result["seconds"]
            peak = self.peak_mb(begun - 2 * EVERY_SECONDS, until)  # a short step meets one sample at least
            found[name] = {"seconds": result["seconds"], "peak_mb": round(peak, 1)}
            until = begun
        return dict(reversed(found.items()))


def watch(command: Sequence[str], *, env: Mapping[str, str], cwd: Path) -> Watched:
    """Runs `command`; `RuntimeError` with the end of its messages when it fails. Standard output is kept, as JSON may
    be in it.
    """
    with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as messages:
        begun = time.perf_counter()
        child = psutil.Popen(
            list(command), stdout=output, stderr=messages, stdin=subprocess.DEVNULL, env=dict(env), cwd=cwd
        )
        samples, spent = [], 0.0
        while child.poll() is None:
            samples.append((time.perf_counter() - begun, _resident(child)))
            spent = max(spent, _processor_seconds(child))
            time.sleep(EVERY_SECONDS)
        seconds = time.perf_counter() - begun
        if child.returncode != 0:
            messages.seek(0)
            raise RuntimeError(
                f"{' '.join(command)} ended with {child.returncode}:\n{messages.read().decode()[-3000:]}"
            )
        output.seek(0)
        return Watched(seconds=seconds, processor_seconds=spent, samples=tuple(samples), output=output.read().decode())


def _resident(process: psutil.Process) -> int:
    """Bytes over the tree; a process that just ended counts nothing."""
    total = 0
    for one in _family(process):
        try:
            total += one.memory_info().rss
        except psutil.Error:
            continue
    return total


def _processor_seconds(process: psutil.Process) -> float:
    """User and system time of the process and of its children that it waited for."""
    try:
        return float(sum(process.cpu_times()[:4]))
    except psutil.Error:
        return 0.0


def _family(process: psutil.Process) -> list[psutil.Process]:
    try:
        return [process, *process.children(recursive=True)]
    except psutil.Error:
        return []

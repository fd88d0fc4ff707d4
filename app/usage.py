"""Tells the metrics what this process uses: processor time and memory, once a second."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import psutil

from vitrina.telemetry.metrics import ServiceMetrics

EVERY_SECONDS = 1.0


@contextmanager
def telling_usage(metrics: ServiceMetrics) -> Iterator[None]:
    """Tells it from a thread while the block runs; a killed process has told all but its last second."""
    process = psutil.Process()
    ended = threading.Event()

    def tell() -> None:
        spent = process.cpu_times()
        metrics.process(cpu_seconds=spent.user + spent.system, resident_bytes=process.memory_info().rss)

    def run() -> None:
        while not ended.wait(EVERY_SECONDS):
            tell()

    thread = threading.Thread(target=run, name="vitrina-usage", daemon=True)
    tell()
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
        tell()

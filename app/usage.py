"""Tells the metrics what this process uses of processor time and memory, and how busy its machine is, once a second."""

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
    started = process.create_time()
    ended = threading.Event()

    def tell() -> None:
        spent = process.cpu_times()
        metrics.process(
            cpu_seconds=spent.user + spent.system, resident_bytes=process.memory_info().rss, started=started
        )

    def run() -> None:
        psutil.cpu_percent()  # from here on it tells this thread of the time since it was last asked
        while not ended.wait(EVERY_SECONDS):
            tell()
            metrics.host(cpu_ratio=psutil.cpu_percent() / 100, available_bytes=psutil.virtual_memory().available)

    thread = threading.Thread(target=run, name="vitrina-usage", daemon=True)
    tell()
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
        tell()

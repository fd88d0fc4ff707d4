"""Sends what the service counts of the bank's products to Graphite: one worker for all, from a thread of its own.

A request meets nothing of it: it counts in memory as ever, and the thread reads what the workers have counted.
"""

from __future__ import annotations

import fcntl
import logging
import os
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from app.settings import Settings
from vitrina.telemetry.graphite import GraphiteSender
from vitrina.telemetry.metrics import ServiceMetrics
from vitrina.telemetry.product_series import ProductSeries

SCENARIO = "bank_products"
ROUTES = ("/predict", "/predict_proba", "/random")
CLOSE_SECONDS = 2.0
log = logging.getLogger(__name__)


@contextmanager
def reporting(settings: Settings, metrics: ServiceMetrics, clock: Callable[[], float] = time.time) -> Iterator[None]:
    """Sends while the block runs, at each multiple of `graphite_seconds`; nothing without an address."""
    if not settings.graphite:
        yield
        return
    prefix = prefix_of(settings.graphite_prefix, socket.gethostname())
    reporter = Reporter(metrics, GraphiteSender.at(settings.graphite), Lead(settings.metrics_folder), prefix)
    every, ended = settings.graphite_seconds, threading.Event()

    def run() -> None:
        due = 0
        while not ended.is_set():
            before, due = due, int(clock()) // every * every + every
            due += every if due == before else 0  # a wait may end a moment early
            ended.wait(max(0.0, due - clock()))
            reporter.tell(due, clock())  # at the end before it is due, so that no request is left out

    reporter.begin()
    thread = threading.Thread(target=run, name="vitrina-report", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
        reporter.close()


class Reporter:
    """Sends the values of all workers while this one has the lead; one thread at a time uses it."""

    def __init__(self, metrics: ServiceMetrics, sender: GraphiteSender, lead: Lead, prefix: str = "") -> None:
        self._metrics = metrics
        self._sender = sender
        self._lead = lead
        self._prefix = prefix
        self._series = ProductSeries(scenario=SCENARIO, routes=ROUTES)

    def begin(self) -> None:
        """Takes the lead if it is free, and notes what was counted until now."""
        if self._lead.taken():
            self._series(self._metrics.collect(), now=0.0)

    def tell(self, ts: int, now: float) -> None:
        """Queues the values of this moment for the time `ts`, unless another worker leads. Never waits for Graphite."""
        try:
            if self._lead.taken():
                for name, value in self._series(self._metrics.collect(), now=now).items():
                    self._sender.send(self._prefix + name, value, ts)
                self._metrics.graphite(sent=self._sender.sent, dropped=self._sender.dropped)
        except Exception:
            log.exception("The values of a moment do not reach Graphite")

    def close(self) -> None:
        """Delivers what waits, for two seconds at most, and gives the lead away."""
        self._sender.close(CLOSE_SECONDS)
        self._metrics.graphite(sent=self._sender.sent, dropped=self._sender.dropped)
        self._lead.close()


class Lead:
    """Which of the processes that share a folder speaks for all: the holder of a lock, which ends with its process.

    Without a folder there is one process, and it leads.
    """

    def __init__(self, folder: Path | None) -> None:
        self._file = None if folder is None else os.open(folder / "graphite.lock", os.O_RDWR | os.O_CREAT)

    def taken(self) -> bool:
        """Whether this process leads; it does from now on if nobody did."""
        if self._file is None:
            return True
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def close(self) -> None:
        if self._file is not None:
            os.close(self._file)


def prefix_of(setting: str, host: str) -> str:
    """What stands before every name: the setting and a dot, `{host}` in it being the host as one node of a name."""
    return f"{setting.replace('{host}', re.sub(r'[^A-Za-z0-9_-]', '_', host))}." if setting else ""

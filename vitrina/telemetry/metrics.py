"""`ServiceMetrics`: what the service counts, over an injected Prometheus registry.

Label values are bound once and kept, because looking them up costs more than counting. Over several worker processes
prometheus_client keeps the values in files (its own environment variable names the folder); `exposition` merges them.
"""

from __future__ import annotations

import struct
import time
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector

from vitrina.telemetry import names
from vitrina.telemetry.names import MetricName

SCENARIO = "storefront"
MODES: dict[str, Any] = {"sum": "livesum", "min": "livemin", "max": "livemax"}
READS = 5
READ_PAUSE = 0.02


class ServiceMetrics:
    """Counters of one process. `folder` is the multi-process folder, None for a single process."""

    def __init__(self, registry: CollectorRegistry | None = None, folder: str | None = None) -> None:
        self.registry = registry if registry is not None else CollectorRegistry()
        self._folder = folder
        self._metrics: dict[str, Any] = {name.name: _make(name, self.registry) for name in names.SERVICE_NAMES}
        self._bound: dict[tuple[str, ...], Any] = {}

    def request(self, route: str, status: int, seconds: float) -> None:
        self._child(names.REQUESTS, route, str(status)).inc()
        self._child(names.LATENCY, route).observe(seconds)

    def error(self, kind: str) -> None:
        self._child(names.ERRORS, kind).inc()

    def answer(self, source: str) -> None:
        self._child(names.ANSWERS, SCENARIO, source).inc()

    def fallback(self, reason: str) -> None:
        self._child(names.FALLBACKS, SCENARIO, reason).inc()

    def cold_user(self) -> None:
        self._child(names.COLD_USERS, SCENARIO).inc()

    def swap(self, what: str, outcome: str) -> None:
        self._child(names.SWAPS, SCENARIO, what, outcome).inc()

    def registry_up(self, up: bool) -> None:
        self._child(names.REGISTRY_UP).set(float(up))

    def objects_up(self, up: bool) -> None:
        self._child(names.OBJECTS_UP).set(float(up))

    def serving(self, version: str, *, before: str | None, as_of: int, lists_as_of: int | None, now: int) -> None:
        """The versions that this process serves from now on; times in milliseconds since the epoch."""
        if before is not None and before != version:
            self._child(names.MODEL_INFO, SCENARIO, before).set(0)
        self._child(names.MODEL_INFO, SCENARIO, version).set(1)
        self._child(names.MODEL_AS_OF, SCENARIO).set(as_of / 1000)
        self._child(names.LISTS_AS_OF, SCENARIO).set((lists_as_of or 0) / 1000)
        if before != version:
            self._child(names.MODEL_LOADED, SCENARIO).set(now / 1000)

    def exposition(self) -> bytes:
        """The text that Prometheus scrapes; of all workers when they share a folder (may wait a moment for one)."""
        if self._folder is None:
            return generate_latest(self.registry)
        for _ in range(READS - 1):
            try:
                return self._merged(self._folder)
            except (struct.error, ValueError, RuntimeError):  # a starting worker was just making one of its files
                time.sleep(READ_PAUSE)
        return self._merged(self._folder)

    @staticmethod
    def _merged(folder: str) -> bytes:
        merged = CollectorRegistry()
        MultiProcessCollector(merged, path=folder)
        return generate_latest(merged)

    def _child(self, name: MetricName, *values: str) -> Any:
        key = (name.name, *values)
        child = self._bound.get(key)
        if child is None:
            metric = self._metrics[name.name]
            child = self._bound[key] = metric.labels(*values) if values else metric
        return child


def _make(name: MetricName, registry: CollectorRegistry) -> Counter | Gauge | Histogram:
    if name.kind == "counter":
        return Counter(name.name, name.help, name.labels, registry=registry)
    if name.kind == "gauge":
        return Gauge(name.name, name.help, name.labels, registry=registry, multiprocess_mode=MODES[name.merge])
    return Histogram(name.name, name.help, name.labels, registry=registry, buckets=name.buckets)

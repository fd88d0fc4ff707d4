"""What a service that says which products a client takes tells Graphite: the facts of Prometheus, under other names.

In: the metric families of a moment. Out: values by name. Counts are running totals, so a value that is lost on its way
is made good by the next one; only `response_time` is about the time since the values before.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable
from typing import Final

from prometheus_client.metrics_core import Metric

from vitrina.telemetry import names

CPU_LOAD: Final = "bank-rs.system.cpu_load"
"""Processors of the machine in use, percent of all of them."""
MEMORY_FREE: Final = "bank-rs.system.memory_free_mb"
"""Memory of the machine that a process could still have, MiB."""
UP_TIME: Final = "bank-rs.system.up_time"
"""Seconds since the oldest live worker began."""
REQUESTS: Final = "bank-rs.requests"
"""Answered requests of the given routes, running total."""
RESPONSE_TIME: Final = "response_time"
"""Milliseconds that an answer of these routes took, mean over those since the values before; none of no answers."""


def response_code(status: int | str) -> str:
    """Name of the running total of the routes' answers with this status."""
    return f"response_code.{status}"


def target(column: str) -> str:
    """Name of the running total of the positive answers for a product."""
    return f"target.{column}"


class ProductSeries:
    """Values of one scenario that is asked by these routes; called at each time that values are sent."""

    def __init__(self, *, scenario: str, routes: Collection[str]) -> None:
        self._scenario = scenario
        self._routes = frozenset(routes)
        self._before: tuple[float, float] | None = None

    def __call__(self, families: Iterable[Metric], *, now: float) -> dict[str, float]:
        """Values by name from the families of `ServiceMetrics.collect`; `now` in seconds since the epoch."""
        found: defaultdict[str, float] = defaultdict(float, {REQUESTS: 0.0, response_code(200): 0.0})
        spent = 0.0
        for name, labels, value, *_ in (sample for family in families for sample in family.samples):
            asked = labels.get("route") in self._routes
            if name == names.REQUESTS.name and asked:
                found[REQUESTS] += value
                found[response_code(labels["status"])] += value
            elif name == f"{names.LATENCY.name}_sum" and asked:
                spent += value
            elif name == names.PREDICTED.name and labels["scenario"] == self._scenario:
                found[target(labels["product"])] += value
            elif name == names.HOST_CPU.name:
                found[CPU_LOAD] = 100 * value
            elif name == names.HOST_MEMORY.name:
                found[MEMORY_FREE] = value / 2**20
            elif name == names.STARTED.name:
                found[UP_TIME] = now - value
        return found | self._response_time(found[REQUESTS], spent)

    def _response_time(self, requests: float, seconds: float) -> dict[str, float]:
        """Nothing at the first call, when it is not known what was before."""
        before, self._before = self._before, (requests, seconds)
        if before is None or requests <= before[0]:
            return {}
        return {RESPONSE_TIME: 1000 * (seconds - before[1]) / (requests - before[0])}

"""`ServiceMetrics`: what the service counts, and the text that Prometheus scrapes.

Counting is on the path of every request, so one observation goes into one cell or two, and what Prometheus sees is made
from them when it asks: the requests of a route are the sum of its latency buckets, and an answer's cell is keyed by all
that is told about it (source, k, cold user, whole or not), of which each metric is a sum.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterator
from pathlib import Path

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.metrics_core import Metric

from vitrina.telemetry import names
from vitrina.telemetry.cells import ABSENT, Cells, Key, all_slots
from vitrina.telemetry.exposition import ANSWER, GAUGES, REQUEST, SECONDS, families


class ServiceMetrics:
    """What one process counts. With a folder, `exposition` tells it of all processes that share the folder."""

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder
        self._cells = Cells(folder)
        self._forget_gauges()
        self._cpu_before = self._cells.snapshot().get((names.CPU.name,), 0.0)
        self.registry = CollectorRegistry()
        self.registry.register(self)

    def of(self, scenario: str) -> ScenarioMetrics:
        """What is counted under the label of a scenario."""
        return ScenarioMetrics(self._cells, scenario)

    def requests(self, route: str) -> Callable[[int, float], None]:
        """Counts an answered request of a route (of a closed set), by status and seconds; for one thread alone."""
        values, bounds, places = self._cells.values, names.LATENCY_BUCKETS, self._cells.places
        rows: dict[int, list[int]] = {}

        def count(status: int, seconds: float) -> None:
            row = rows.get(status)
            if row is None:
                buckets: list[Key] = [(REQUEST, route, status, bucket) for bucket in range(len(bounds) + 1)]
                row = rows[status] = places([*buckets, (SECONDS, route, status)])
            values[row[bisect_left(bounds, seconds)]] += 1.0
            values[row[-1]] += seconds

        return count

    def error(self, kind: str) -> None:
        """A refused or failed request."""
        self._cells.add((names.ERRORS.name, kind))

    def process(self, *, cpu_seconds: float, resident_bytes: float) -> None:
        """What this process has used: processor time since its start, memory now."""
        self._cells.put((names.CPU.name,), self._cpu_before + cpu_seconds)
        self._cells.put((names.MEMORY.name,), resident_bytes)

    def exposition(self) -> bytes:
        """The text that Prometheus scrapes."""
        return generate_latest(self.registry)

    def collect(self) -> Iterator[Metric]:
        """prometheus_client asks this of what is in its registry."""
        slots = [(self._cells.snapshot(), True)] if self._folder is None else all_slots(self._folder)
        return families(slots)

    def describe(self) -> list[Metric]:
        """Nothing, so that registering needs no numbers yet."""
        return []

    def close(self) -> None:
        """Ends this process' share in the gauges, as its own end would."""
        self._cells.close()

    def _forget_gauges(self) -> None:
        """What an ended process left in this slot is no longer so; what it counted is."""
        for key in self._cells.snapshot():
            if key[0] in GAUGES:
                self._cells.put(key, ABSENT)


class ScenarioMetrics:
    """What is counted for one scenario. Its sources, reasons and outcomes are there from the start, at zero."""

    def __init__(self, cells: Cells, scenario: str) -> None:
        self._cells = cells
        self._scenario = scenario
        self.answer = self._answer_counter()
        sources: list[Key] = [
            (of.name, scenario, source) for of in (names.ANSWERS, names.ITEMS) for source in names.SOURCES
        ]
        reasons: list[Key] = [(names.FALLBACKS.name, scenario, reason) for reason in names.REASONS]
        swaps: list[Key] = [(names.SWAPS.name, scenario, *outcome) for outcome in names.SWAP_OUTCOMES]
        cells.places([*sources, *swaps, (names.COLD_USERS.name, scenario)])
        self._values = cells.values
        self._reasons: dict[names.Reason, int] = dict(zip(names.REASONS, cells.places(reasons), strict=True))

    def _answer_counter(self) -> Callable[[str, int, bool, int], None]:
        """Counts an answer by source, k, whether the user is cold, and items; for one thread alone.

        `items` of the `k` asked for came from its first `source`; a cold user has no history.
        """
        values, places, scenario, more_items = self._cells.values, self._cells.places, self._scenario, self.more_items
        known: dict[tuple[str, int, bool, bool], int] = {}

        def count(source: str, k: int, cold: bool, items: int) -> None:
            whole = items == k
            key = (source, k, cold, whole)
            place = known.get(key)
            if place is None:
                place = known[key] = places([(ANSWER, scenario, source, k, int(cold), k if whole else 0)])[0]
            values[place] += 1.0
            if not whole:
                more_items(source, items)

        return count

    def more_items(self, source: str, items: int) -> None:
        """Items of an answer that are not told by its `k`: fewer, or from a later source."""
        self._cells.add((names.ITEMS.name, self._scenario, source), items)

    def fallback(self, reason: names.Reason) -> None:
        """An answer needs a later source; for one thread alone."""
        self._values[self._reasons[reason]] += 1.0

    def swap(self, what: str, outcome: str) -> None:
        self._cells.add((names.SWAPS.name, self._scenario, what, outcome))

    def registry_up(self, up: bool) -> None:
        self._cells.put((names.REGISTRY_UP.name,), float(up))

    def objects_up(self, up: bool) -> None:
        self._cells.put((names.OBJECTS_UP.name,), float(up))

    def serving(self, version: str, *, before: str | None, as_of: int, lists_as_of: int | None, now: int) -> None:
        """The versions that this process serves from now on; times in milliseconds since the epoch."""
        put, scenario = self._cells.put, self._scenario
        if before is not None and before != version:
            put((names.MODEL_INFO.name, scenario, before), ABSENT)
        put((names.MODEL_INFO.name, scenario, version), 1.0)
        put((names.MODEL_AS_OF.name, scenario), as_of / 1000)
        put((names.LISTS_AS_OF.name, scenario), (lists_as_of or 0) / 1000)
        if before != version:
            put((names.MODEL_LOADED.name, scenario), now / 1000)

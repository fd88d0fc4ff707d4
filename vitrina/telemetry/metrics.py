"""`ServiceMetrics`: what the service counts, and the text that Prometheus scrapes.

Counting is on the path of every request, so one observation goes into one cell or two, and what Prometheus sees is made
from them when it asks: the requests of a route are the sum of its latency buckets, and an answer's cell is keyed by all
that is told about it (source, k, cold user, whole or not), of which each metric is a sum.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.metrics_core import Metric

from vitrina.telemetry import names
from vitrina.telemetry.cells import ABSENT, Cells, Key, all_slots
from vitrina.telemetry.exposition import ANSWER, GAUGES, NOT_TOLD, OBSERVED, REQUEST, SECONDS, TOTAL, families


class ServiceMetrics:
    """What one process counts. With a folder, `exposition` tells it of all processes that share the folder."""

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder
        self._cells = Cells(folder)
        self._forget_gauges()
        self._before = self._cells.snapshot()
        self.registry = CollectorRegistry()
        self.registry.register(self)

    def of(self, scenario: str) -> ScenarioMetrics:
        """What is counted under the label of a scenario."""
        return ScenarioMetrics(self._cells, scenario)

    def products(self, scenario: str, columns: Sequence[str]) -> ProductMetrics:
        """What is counted of a scenario that says which of these products a client takes."""
        return ProductMetrics(self._cells, scenario, columns)

    def companions(self, scenario: str) -> CompanionMetrics:
        """What is counted of a scenario that says what goes with a cart."""
        return CompanionMetrics(self._cells, scenario)

    def sign_ins(self) -> Callable[[names.SignInOutcome], None]:
        """Counts a sign-in by how it ended."""
        keys: list[Key] = [(names.SIGN_INS.name, outcome) for outcome in names.SIGN_IN_OUTCOMES]
        self._cells.places(keys)
        return lambda outcome: self._cells.add((names.SIGN_INS.name, outcome))

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

    def process(self, *, cpu_seconds: float, resident_bytes: float, started: float) -> None:
        """What this process has used: processor time since it `started` (seconds since the epoch), memory now."""
        self._put_total((names.CPU.name,), cpu_seconds)
        self._cells.put((names.MEMORY.name,), resident_bytes)
        self._cells.put((names.STARTED.name,), started)

    def host(self, *, cpu_ratio: float, available_bytes: float) -> None:
        """How busy the machine is: share of its processors in use, memory that it could still give."""
        self._cells.put((names.HOST_CPU.name,), cpu_ratio)
        self._cells.put((names.HOST_MEMORY.name,), available_bytes)

    def graphite(self, *, sent: int, dropped: Mapping[str, int]) -> None:
        """Values that this process has delivered to Graphite, and those that it never will, by reason."""
        self._put_total((names.GRAPHITE_SENT.name,), sent)
        for reason, count in dropped.items():
            self._put_total((names.GRAPHITE_DROPPED.name, reason), count)

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

    def _put_total(self, key: Key, own: float) -> None:
        """Sets a counter to what this process counted, upon what an ended one left in its slot."""
        self._cells.put(key, self._before.get(key, 0.0) + own)

    def _forget_gauges(self) -> None:
        """What an ended process left in this slot is no longer so; what it counted is."""
        for key in self._cells.snapshot():
            if key[0] in GAUGES:
                self._cells.put(key, ABSENT)


class ModelMetrics:
    """What is counted of a scenario's served model, whatever it answers. Outcomes are there from the start, at zero."""

    def __init__(self, cells: Cells, scenario: str, outcomes: Sequence[tuple[str, str]]) -> None:
        self._cells = cells
        self._scenario = scenario
        cells.places([(names.SWAPS.name, scenario, *outcome) for outcome in outcomes])

    def swap(self, what: str, outcome: str) -> None:
        self._cells.add((names.SWAPS.name, self._scenario, what, outcome))

    def registry_up(self, up: bool) -> None:
        self._cells.put((names.REGISTRY_UP.name, self._scenario), float(up))

    def serving(self, version: str, *, before: str | None, now: int, as_of: int | None = None) -> None:
        """The version that this process serves from now on; times in milliseconds since the epoch. Without `as_of` the
        model's age is not told."""
        put, scenario = self._cells.put, self._scenario
        if before is not None and before != version:
            put((names.MODEL_INFO.name, scenario, before), ABSENT)
        put((names.MODEL_INFO.name, scenario, version), 1.0)
        put((names.MODEL_AS_OF.name, scenario), ABSENT if as_of is None else as_of / 1000)
        if before != version:
            put((names.MODEL_LOADED.name, scenario), now / 1000)


class ScenarioMetrics(ModelMetrics):
    """What is counted of one that recommends items. Its sources and reasons are there from the start, at zero."""

    def __init__(self, cells: Cells, scenario: str) -> None:
        super().__init__(cells, scenario, names.SWAP_OUTCOMES)
        self.answer = self._answer_counter()
        sources: list[Key] = [
            (of.name, scenario, source) for of in (names.ANSWERS, names.ITEMS) for source in names.SOURCES
        ]
        reasons: list[Key] = [(names.FALLBACKS.name, scenario, reason) for reason in names.REASONS]
        cells.places([*sources, (names.COLD_USERS.name, scenario)])
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

    def objects_up(self, up: bool) -> None:
        self._cells.put((names.OBJECTS_UP.name,), float(up))

    def serving(
        self, version: str, *, before: str | None, now: int, as_of: int | None = None, lists_as_of: int | None = None
    ) -> None:
        """The versions of model and lists that this process serves from now on."""
        super().serving(version, before=before, as_of=as_of, now=now)
        self._cells.put((names.LISTS_AS_OF.name, self._scenario), (lists_as_of or 0) / 1000)


class ProductMetrics(ModelMetrics):
    """What is counted of one that says which products a client takes, each there from the start, at zero."""

    def __init__(self, cells: Cells, scenario: str, columns: Sequence[str]) -> None:
        super().__init__(cells, scenario, names.MODEL_OUTCOMES)
        self._values = cells.values
        self._places = cells.places([(names.PREDICTED.name, scenario, column) for column in columns])

    def predicted(self, products: Iterable[int]) -> None:
        """An answer says yes to these, given by their places in `columns`; for one thread alone."""
        values, places = self._values, self._places
        for product in products:
            values[places[product]] += 1.0


class CompanionMetrics(ModelMetrics):
    """What is counted of one that says what goes with a cart; all but confidences is there from the start, at zero."""

    def __init__(self, cells: Cells, scenario: str) -> None:
        super().__init__(cells, scenario, names.MODEL_OUTCOMES)
        self._places = cells.places
        self._values = cells.values
        sources, reasons = names.COMPANION_SOURCES, names.CART_REASONS
        cells.places([(names.ANSWERS.name, scenario, source) for source in sources])
        items: list[Key] = [(names.ITEMS.name, scenario, source) for source in sources]
        self._items = dict(zip(sources, cells.places(items), strict=True))
        fallbacks: list[Key] = [(names.FALLBACKS.name, scenario, reason) for reason in reasons]
        self._reasons: dict[names.CartReason, int] = dict(zip(reasons, cells.places(fallbacks), strict=True))
        (self._unknown,) = cells.places([(names.UNKNOWN_PRODUCTS.name, scenario)])
        self._observe_cart = self._histogram(names.CART)
        self._observe_confidence = self._histogram(names.CONFIDENCE)
        self._answers: dict[tuple[str, int, bool], int] = {}

    def answered(self, source: str, *, n: int, items: int, cart: int, unknown: int, confidence: float | None) -> None:
        """An answer with `items` of the `n` that were asked for, to a cart of so many products, `unknown` of them not
        known, and the first one's confidence (None without any); for one thread alone."""
        whole = items == n
        place = self._answers.get((source, n, whole))
        if place is None:
            (place,) = self._places([(ANSWER, self._scenario, source, n, NOT_TOLD, n if whole else 0)])
            self._answers[source, n, whole] = place
        self._values[place] += 1.0
        if not whole:
            self._values[self._items[source]] += items
        self._observe_cart(cart)
        if unknown:
            self._values[self._unknown] += unknown
        if confidence is not None:
            self._observe_confidence(confidence)

    def fallback(self, reason: names.CartReason) -> None:
        """An answer is not made of its cart; for one thread alone."""
        self._values[self._reasons[reason]] += 1.0

    def _histogram(self, name: names.MetricName) -> Callable[[float], None]:
        values, bounds = self._values, name.buckets
        buckets: list[Key] = [(OBSERVED, name.name, self._scenario, bucket) for bucket in range(len(bounds) + 1)]
        row = self._places([*buckets, (TOTAL, name.name, self._scenario)])

        def observe(value: float) -> None:
            values[row[bisect_left(bounds, value)]] += 1.0
            values[row[-1]] += value

        return observe

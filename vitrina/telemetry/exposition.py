"""From the cells of one or several processes to Prometheus' metric families.

Counts of ended processes stay; a gauge speaks for the living alone and becomes one value as its name says.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from itertools import accumulate

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.utils import floatToGoString

from vitrina.telemetry import names
from vitrina.telemetry.cells import Key
from vitrina.telemetry.names import MetricName

REQUEST, SECONDS, ANSWER = "request", "request_seconds", "answer"
OBSERVED, TOTAL = "observed", "observed_sum"  # of a histogram with cells of its own: a bucket, and what was observed
NOT_TOLD = -1  # whether a user is cold, where nobody says so
BUCKETS = {name.name: name.buckets for name in names.SERVICE_NAMES}
GAUGES = {name.name: name for name in names.SERVICE_NAMES if name.kind == "gauge"}
MERGES: dict[str, Callable[[Iterable[float]], float]] = {"sum": sum, "min": min, "max": max}


def families(slots: Iterable[tuple[dict[Key, float], bool]]) -> Iterator[Metric]:
    """Metric families of the numbers of each process and whether it lives, in the order of the name table."""
    counted: defaultdict[Key, float] = defaultdict(float)
    told: defaultdict[Key, list[float]] = defaultdict(list)
    workers = 0
    for numbers, alive in slots:
        workers += alive
        for key, value in numbers.items():
            if key[0] not in GAUGES:
                counted[key] += value
            elif alive and not math.isnan(value):
                told[key].append(value)
    values = _counters(counted) | {key: MERGES[GAUGES[str(key[0])].merge](of) for key, of in told.items()}
    values[(names.WORKERS.name,)] = workers
    histograms = _histograms(counted)
    for name in names.SERVICE_NAMES:
        yield _histogram(name, histograms) if name.kind == "histogram" else _plain(name, values)


def _counters(counted: dict[Key, float]) -> dict[Key, float]:
    """The counters: those with a cell of their own, and those that are sums over the cells of requests and answers."""
    found: defaultdict[Key, float] = defaultdict(float)
    for key, value in counted.items():
        match key:
            case (str() as kind, route, status, _) if kind == REQUEST:
                found[names.REQUESTS.name, route, status] += value
            case (str() as kind, scenario, source, _, cold, int() as items) if kind == ANSWER:
                found[names.ANSWERS.name, scenario, source] += value
                found[names.ITEMS.name, scenario, source] += value * items
                if cold != NOT_TOLD:
                    found[names.COLD_USERS.name, scenario] += value * bool(cold)
            case _:
                found[key] += value
    return dict(found)


class _Observed:
    """One label set of a histogram: observations by bucket (the last one without a bound) and their sum."""

    def __init__(self, bounds: int) -> None:
        self.buckets = [0.0] * (bounds + 1)
        self.sum = 0.0


def _histograms(counted: dict[Key, float]) -> dict[Key, _Observed]:
    found: dict[Key, _Observed] = {}
    for key, value in counted.items():
        match key:
            case (str() as kind, route, _, int() as bucket) if kind == REQUEST:
                of = found.setdefault((names.LATENCY.name, route), _Observed(len(names.LATENCY_BUCKETS)))
                of.buckets[bucket] += value
            case (str() as kind, route, _) if kind == SECONDS:
                of = found.setdefault((names.LATENCY.name, route), _Observed(len(names.LATENCY_BUCKETS)))
                of.sum += value
            case (str() as kind, scenario, _, int() as k, _, _) if kind == ANSWER:
                of = found.setdefault((names.ASKED_ITEMS.name, scenario), _Observed(len(names.K_BUCKETS)))
                of.buckets[bisect_left(names.K_BUCKETS, k)] += value
                of.sum += value * k
            case (str() as kind, str() as name, scenario, int() as bucket) if kind == OBSERVED:
                of = found.setdefault((name, scenario), _Observed(len(BUCKETS[name])))
                of.buckets[bucket] += value
            case (str() as kind, str() as name, scenario) if kind == TOTAL:
                of = found.setdefault((name, scenario), _Observed(len(BUCKETS[name])))
                of.sum += value
    return found


def _plain(name: MetricName, values: dict[Key, float]) -> Metric:
    made = CounterMetricFamily if name.kind == "counter" else GaugeMetricFamily
    family = made(name.name, name.help, labels=name.labels)
    for key, value in values.items():
        if key[0] == name.name:
            family.add_metric([str(label) for label in key[1:]], value)
    return family


def _histogram(name: MetricName, found: dict[Key, _Observed]) -> Metric:
    family = HistogramMetricFamily(name.name, name.help, labels=name.labels)
    for key, observed in found.items():
        if key[0] == name.name:
            bounds = [floatToGoString(bound) for bound in (*name.buckets, math.inf)]
            buckets = list(zip(bounds, accumulate(observed.buckets), strict=True))
            family.add_metric([str(label) for label in key[1:]], buckets, observed.sum)
    return family

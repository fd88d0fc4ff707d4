"""The one table of metric names: name, kind, help, labels from closed sets, buckets.

Names follow Prometheus: a prefix, base units (seconds), `_total` for counters, timestamps instead of ages.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

LATENCY_BUCKETS = (0.0001, 0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0)


@dataclass(frozen=True, kw_only=True)
class MetricName:
    """One metric. `merge` says how a gauge of several worker processes becomes one value."""

    name: str
    kind: Literal["counter", "gauge", "histogram"]
    help: str
    labels: tuple[str, ...] = ()
    buckets: tuple[float, ...] = ()
    merge: Literal["livesum", "livemin", "livemax"] = "livemax"


REQUESTS = MetricName(
    name="vitrina_http_requests_total",
    kind="counter",
    help="Answered requests by route and status.",
    labels=("route", "status"),
)
LATENCY = MetricName(
    name="vitrina_http_request_duration_seconds",
    kind="histogram",
    help="Time from the request's head to the end of the answer.",
    labels=("route",),
    buckets=LATENCY_BUCKETS,
)
ERRORS = MetricName(
    name="vitrina_errors_total",
    kind="counter",
    help="Refused or failed requests by kind of error.",
    labels=("kind",),
)
ANSWERS = MetricName(
    name="vitrina_recommendations_total",
    kind="counter",
    help="Recommendation answers by the source that they come from.",
    labels=("source",),
)
FALLBACKS = MetricName(
    name="vitrina_fallbacks_total",
    kind="counter",
    help="Times that an answer needed a later source of the chain, by reason.",
    labels=("reason",),
)
COLD_USERS = MetricName(
    name="vitrina_cold_users_total",
    kind="counter",
    help="Recommendation requests for users without any history.",
)
SWAPS = MetricName(
    name="vitrina_swaps_total",
    kind="counter",
    help="Changes of the served model or lists, by what changed and how it ended.",
    labels=("what", "outcome"),
)
REGISTRY_UP = MetricName(
    name="vitrina_registry_up",
    kind="gauge",
    help="1 when the last look at the registry succeeded (the least of the workers).",
    merge="livemin",
)
OBJECTS_UP = MetricName(
    name="vitrina_objects_up",
    kind="gauge",
    help="1 when the last look for lists in the object store succeeded (the least of the workers).",
    merge="livemin",
)
MODEL_INFO = MetricName(
    name="vitrina_model_info",
    kind="gauge",
    help="Number of workers that serve this model version.",
    labels=("version",),
    merge="livesum",
)
MODEL_AS_OF = MetricName(
    name="vitrina_model_as_of_timestamp_seconds",
    kind="gauge",
    help="Time of the newest event that the served model has seen.",
    merge="livemin",
)
MODEL_LOADED = MetricName(
    name="vitrina_model_loaded_timestamp_seconds",
    kind="gauge",
    help="Time at which the served model was put to work.",
    merge="livemin",
)
LISTS_AS_OF = MetricName(
    name="vitrina_lists_as_of_timestamp_seconds",
    kind="gauge",
    help="Time of the newest event behind the precomputed lists, 0 without lists.",
    merge="livemin",
)

METRIC_NAMES: tuple[MetricName, ...] = (
    REQUESTS,
    LATENCY,
    ERRORS,
    ANSWERS,
    FALLBACKS,
    COLD_USERS,
    SWAPS,
    REGISTRY_UP,
    OBJECTS_UP,
    MODEL_INFO,
    MODEL_AS_OF,
    MODEL_LOADED,
    LISTS_AS_OF,
)

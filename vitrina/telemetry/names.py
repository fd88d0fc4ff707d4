"""The one table of metric names, the service's half: name, kind, help, labels from closed sets, buckets.

Names follow Prometheus: a prefix, base units (seconds, bytes), `_total` for counters, timestamps instead of ages. The
pipeline's half is in pipeline_names.py; docs/monitor.md says of each what is normal and what to do when it is not.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

LATENCY_BUCKETS = (
    *(0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025),
    *(0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0),
)
K_BUCKETS = (1.0, 5.0, 10.0, 20.0, 50.0, 100.0)

SOURCES = ("precomputed", "session", "history", "popular")
Reason = Literal["unknown_user", "no_list", "lists_of_other_model", "too_few", "source_failed"]
REASONS: tuple[Reason, ...] = get_args(Reason)
SWAP_OUTCOMES = (
    *(("model", "done"), ("model", "refused"), ("lists", "done"), ("lists", "refused")),
    ("watcher", "failed"),
)


@dataclass(frozen=True, kw_only=True)
class MetricName:
    """One metric. `merge` says how a gauge of several live worker processes becomes one value."""

    name: str
    kind: Literal["counter", "gauge", "histogram"]
    help: str
    labels: tuple[str, ...] = ()
    buckets: tuple[float, ...] = ()
    merge: Literal["sum", "min", "max"] = "max"


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
    help="Recommendation answers by the source of their first item.",
    labels=("scenario", "source"),
)
ITEMS = MetricName(
    name="vitrina_recommended_items_total",
    kind="counter",
    help="Recommended items by the source that gave them.",
    labels=("scenario", "source"),
)
FALLBACKS = MetricName(
    name="vitrina_fallbacks_total",
    kind="counter",
    help="Times that an answer needed a later source of the chain, by reason.",
    labels=("scenario", "reason"),
)
COLD_USERS = MetricName(
    name="vitrina_cold_users_total",
    kind="counter",
    help="Recommendation answers for users without any history.",
    labels=("scenario",),
)
ASKED_ITEMS = MetricName(
    name="vitrina_requested_items",
    kind="histogram",
    help="Items asked for (k) by the answered recommendation requests.",
    labels=("scenario",),
    buckets=K_BUCKETS,
)
SWAPS = MetricName(
    name="vitrina_swaps_total",
    kind="counter",
    help="Changes of the served model or lists, by what changed and how it ended, over all workers.",
    labels=("scenario", "what", "outcome"),
)
REGISTRY_UP = MetricName(
    name="vitrina_registry_up",
    kind="gauge",
    help="1 when the last look at the registry succeeded (the least of the workers).",
    merge="min",
)
OBJECTS_UP = MetricName(
    name="vitrina_objects_up",
    kind="gauge",
    help="1 when the last look for lists in the object store succeeded (the least of the workers).",
    merge="min",
)
MODEL_INFO = MetricName(
    name="vitrina_model_info",
    kind="gauge",
    help="Number of workers that serve this model version.",
    labels=("scenario", "version"),
    merge="sum",
)
MODEL_AS_OF = MetricName(
    name="vitrina_model_as_of_timestamp_seconds",
    kind="gauge",
    help="Time of the newest event that the served model has seen (the oldest of the workers).",
    labels=("scenario",),
    merge="min",
)
MODEL_LOADED = MetricName(
    name="vitrina_model_loaded_timestamp_seconds",
    kind="gauge",
    help="Time at which the served model was put to work (the oldest of the workers).",
    labels=("scenario",),
    merge="min",
)
LISTS_AS_OF = MetricName(
    name="vitrina_lists_as_of_timestamp_seconds",
    kind="gauge",
    help="Time of the newest event behind the precomputed lists, 0 without lists (the oldest of the workers).",
    labels=("scenario",),
    merge="min",
)
WORKERS = MetricName(
    name="vitrina_workers",
    kind="gauge",
    help="Live worker processes of this replica.",
    merge="sum",
)
CPU = MetricName(
    name="vitrina_process_cpu_seconds_total",
    kind="counter",
    help="Processor time of all workers of this replica, those that ended included.",
)
MEMORY = MetricName(
    name="vitrina_process_resident_memory_bytes",
    kind="gauge",
    help="Resident memory of the live workers together; a page that they share counts once for each.",
    merge="sum",
)

SERVICE_NAMES: tuple[MetricName, ...] = (
    REQUESTS,
    LATENCY,
    ERRORS,
    ANSWERS,
    ITEMS,
    FALLBACKS,
    COLD_USERS,
    ASKED_ITEMS,
    SWAPS,
    REGISTRY_UP,
    OBJECTS_UP,
    MODEL_INFO,
    MODEL_AS_OF,
    MODEL_LOADED,
    LISTS_AS_OF,
    WORKERS,
    CPU,
    MEMORY,
)

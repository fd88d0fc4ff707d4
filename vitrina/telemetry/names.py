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
CART_BUCKETS = (0.0, 1.0, 2.0, 3.0, 5.0, 10.0, 20.0, 50.0, 100.0)
CONFIDENCE_BUCKETS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 0.9)

SOURCES = ("precomputed", "session", "history", "popular")
Reason = Literal["unknown_user", "no_list", "lists_of_other_model", "too_few", "source_failed"]
REASONS: tuple[Reason, ...] = get_args(Reason)
COMPANION_SOURCES = ("cart", "history", "popular")
CartReason = Literal["empty_cart", "unknown_products", "nothing_goes_with_it", "source_failed"]
CART_REASONS: tuple[CartReason, ...] = get_args(CartReason)
SignInOutcome = Literal["done", "refused", "throttled", "failed"]
SIGN_IN_OUTCOMES: tuple[SignInOutcome, ...] = get_args(SignInOutcome)
MODEL_OUTCOMES = (("model", "done"), ("model", "refused"), ("watcher", "failed"))
SWAP_OUTCOMES = (*MODEL_OUTCOMES, ("lists", "done"), ("lists", "refused"))


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
CART = MetricName(
    name="vitrina_cart_products",
    kind="histogram",
    help="Products in the carts that companions were asked for.",
    labels=("scenario",),
    buckets=CART_BUCKETS,
)
UNKNOWN_PRODUCTS = MetricName(
    name="vitrina_unknown_products_total",
    kind="counter",
    help="Products in these carts that the served model does not know.",
    labels=("scenario",),
)
CONFIDENCE = MetricName(
    name="vitrina_companion_confidence",
    kind="histogram",
    help="Confidence of the first companion of an answer.",
    labels=("scenario",),
    buckets=CONFIDENCE_BUCKETS,
)
SIGN_INS = MetricName(
    name="vitrina_sign_ins_total",
    kind="counter",
    help="Sign-ins at /token: done, refused (wrong name or password), throttled (429) or failed (database away).",
    labels=("outcome",),
)
PREDICTED = MetricName(
    name="vitrina_predicted_products_total",
    kind="counter",
    help="Positive answers of /predict and /random by product.",
    labels=("scenario", "product"),
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
    help="1 when the last look for a scenario's champion in the registry succeeded (the least of the workers).",
    labels=("scenario",),
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
STARTED = MetricName(
    name="vitrina_process_start_time_seconds",
    kind="gauge",
    help="Time at which the oldest live worker began.",
    merge="min",
)
HOST_CPU = MetricName(
    name="vitrina_host_cpu_ratio",
    kind="gauge",
    help="Share of the machine's processors in use, over the last second.",
)
HOST_MEMORY = MetricName(
    name="vitrina_host_memory_available_bytes",
    kind="gauge",
    help="Memory of the machine that a process could still have.",
    merge="min",
)
GRAPHITE_SENT = MetricName(
    name="vitrina_graphite_sent_total",
    kind="counter",
    help="Values delivered to Graphite.",
)
GRAPHITE_DROPPED = MetricName(
    name="vitrina_graphite_dropped_total",
    kind="counter",
    help="Values that never reached Graphite, by reason.",
    labels=("reason",),
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
    CART,
    UNKNOWN_PRODUCTS,
    CONFIDENCE,
    SIGN_INS,
    PREDICTED,
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
    STARTED,
    HOST_CPU,
    HOST_MEMORY,
    GRAPHITE_SENT,
    GRAPHITE_DROPPED,
)

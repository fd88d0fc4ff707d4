"""The name table follows Prometheus' rules, and no two of its names are equal."""

from __future__ import annotations

import re

import pytest

from vitrina.telemetry.names import SERVICE_NAMES, MetricName
from vitrina.telemetry.pipeline_names import PIPELINE_NAMES

METRIC_NAMES = tuple(dict.fromkeys(SERVICE_NAMES + PIPELINE_NAMES))  # what is sent to Graphite, both tell


@pytest.mark.parametrize("metric", METRIC_NAMES, ids=lambda metric: metric.name)
def test_names(metric: MetricName) -> None:
    assert re.fullmatch(r"vitrina_[a-z][a-z0-9_]*", metric.name)
    assert metric.name.endswith("_total") == (metric.kind == "counter")
    assert metric.help.endswith(".")
    assert not {"user", "user_id", "item", "item_id"} & set(metric.labels), "labels come from closed sets"
    assert (metric.kind == "histogram") == bool(metric.buckets)
    assert list(metric.buckets) == sorted(set(metric.buckets))
    if "duration" in metric.name or "timestamp" in metric.name:
        assert metric.name.endswith("_seconds")


def test_names_are_unique() -> None:
    assert len({metric.name for metric in METRIC_NAMES}) == len(METRIC_NAMES)

"""The name table follows Prometheus' rules, and what is counted comes out under those names."""

from __future__ import annotations

import re
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from vitrina.telemetry.metrics import ServiceMetrics
from vitrina.telemetry.names import SERVICE_NAMES, MetricName
from vitrina.telemetry.pipeline_names import PIPELINE_NAMES

METRIC_NAMES = SERVICE_NAMES + PIPELINE_NAMES
STOREFRONT = {"scenario": "storefront"}


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


def test_counts_come_out() -> None:
    registry = CollectorRegistry()
    metrics = ServiceMetrics(registry)
    metrics.request("/x", 200, 0.0015)
    metrics.request("/x", 200, 0.0003)
    metrics.answer("popular")
    metrics.fallback("no_list")
    metrics.serving("2", before="1", as_of=5000, lists_as_of=None, now=9000)

    def value(name: str, **labels: str) -> float | None:
        return registry.get_sample_value(name, labels)

    assert value("vitrina_http_requests_total", route="/x", status="200") == 2
    assert value("vitrina_http_request_duration_seconds_bucket", route="/x", le="0.0005") == 1
    assert value("vitrina_http_request_duration_seconds_sum", route="/x") == pytest.approx(0.0018)
    assert (
        value("vitrina_model_info", **STOREFRONT, version="1"),
        value("vitrina_model_info", **STOREFRONT, version="2"),
    ) == (0, 1)
    assert (
        value("vitrina_model_as_of_timestamp_seconds", **STOREFRONT),
        value("vitrina_model_loaded_timestamp_seconds", **STOREFRONT),
    ) == (5, 9)
    assert b'vitrina_fallbacks_total{reason="no_list",scenario="storefront"} 1.0' in metrics.exposition()


def test_two_objects_do_not_share_counts() -> None:
    first, second = ServiceMetrics(), ServiceMetrics()
    first.answer("popular")
    assert (
        second.registry.get_sample_value("vitrina_recommendations_total", {**STOREFRONT, "source": "popular"}) is None
    )


def test_processes_are_summed(tmp_path: Path) -> None:
    code = (
        "from vitrina.telemetry.metrics import ServiceMetrics\n"
        f"metrics = ServiceMetrics(folder={str(tmp_path)!r})\n"
        "metrics.answer('popular'); metrics.request('/x', 200, 0.001)\n"
    )
    for _ in range(2):
        subprocess.run(
            [sys.executable, "-c", code],
            check=True,
            timeout=60,
            cwd=Path(__file__).parents[2],
            env={"PROMETHEUS_MULTIPROC_DIR": str(tmp_path)},
        )
    text = ServiceMetrics(folder=str(tmp_path)).exposition().decode()
    assert 'vitrina_recommendations_total{scenario="storefront",source="popular"} 2.0' in text
    assert 'vitrina_http_request_duration_seconds_count{route="/x"} 2.0' in text


def test_a_file_that_is_just_being_made_is_waited_for(tmp_path: Path) -> None:
    half = tmp_path / "counter_1.db"
    half.touch()
    threading.Thread(target=lambda: (time.sleep(0.03), half.unlink())).start()
    assert ServiceMetrics(folder=str(tmp_path)).exposition() == b""

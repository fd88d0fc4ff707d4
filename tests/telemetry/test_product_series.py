"""Series for Graphite say what Prometheus is told at the same moment, of the given routes and scenario alone."""

from __future__ import annotations

import pytest

from vitrina.telemetry.metrics import ServiceMetrics
from vitrina.telemetry.product_series import ProductSeries

SERIES = {"scenario": "bank", "routes": ["/predict", "/random"]}


def test_every_name_has_its_value_in_its_unit() -> None:
    metrics = ServiceMetrics()
    series = ProductSeries(**SERIES)
    bank = metrics.products("bank", ["loans", "plan"])
    series(metrics.collect(), now=0.0)
    metrics.requests("/predict")(200, 0.25)
    metrics.requests("/random")(200, 0.05)
    metrics.requests("/random")(422, 0.06)
    metrics.requests("/recommendations")(200, 9.0)
    metrics.products("other", ["loans"]).predicted([0])
    bank.predicted([1])
    bank.predicted([1])
    metrics.process(cpu_seconds=1.0, resident_bytes=1.0, started=1000.0)
    metrics.host(cpu_ratio=0.5, available_bytes=3 * 2**20)
    assert series(metrics.collect(), now=1012.5) == {
        "bank-rs.system.cpu_load": 50,
        "bank-rs.system.memory_free_mb": 3,
        "bank-rs.system.up_time": 12.5,
        "bank-rs.requests": 3,
        "response_code.200": 2,
        "response_code.422": 1,
        "response_time": pytest.approx(120),
        "target.loans": 0,
        "target.plan": 2,
    }


def test_before_anything_happened_totals_are_zero_and_gauges_missing() -> None:
    found = ProductSeries(**SERIES)(ServiceMetrics().collect(), now=5.0)
    assert found == {"bank-rs.requests": 0, "response_code.200": 0}


def test_response_time_is_of_the_answers_since_the_values_before() -> None:
    metrics = ServiceMetrics()
    series = ProductSeries(**SERIES)
    answer = metrics.requests("/predict")

    def told() -> float | None:
        return series(metrics.collect(), now=0.0).get("response_time")

    answer(200, 5.0)
    assert told() is None, "unknown since when"
    answer(200, 0.1)
    answer(200, 0.3)
    assert told() == pytest.approx(200)
    assert told() is None, "no answer in between"
    answer(200, 0.7)
    assert told() == pytest.approx(700)

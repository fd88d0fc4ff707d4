"""What is counted comes out under the names of the table; a gauge speaks for the living processes alone."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from vitrina.telemetry.metrics import ServiceMetrics


def value(metrics: ServiceMetrics, name: str, **labels: str) -> float | None:
    return metrics.registry.get_sample_value(name, labels)


def test_requests_come_out_as_counter_and_histogram() -> None:
    metrics = ServiceMetrics()
    for status, seconds in ((200, 0.0015), (200, 0.00025), (503, 7.0)):
        metrics.requests("/x")(status, seconds)
    assert value(metrics, "vitrina_http_requests_total", route="/x", status="200") == 2
    assert value(metrics, "vitrina_http_requests_total", route="/x", status="503") == 1
    latency = "vitrina_http_request_duration_seconds"
    buckets = {
        le: value(metrics, f"{latency}_bucket", route="/x", le=le) for le in ("0.0001", "0.00025", "5.0", "+Inf")
    }
    assert buckets == {"0.0001": 0, "0.00025": 1, "5.0": 2, "+Inf": 3}
    assert value(metrics, f"{latency}_sum", route="/x") == pytest.approx(7.00175)
    assert value(metrics, f"{latency}_count", route="/x") == 3


def test_answers_come_out_by_source_k_cold_users_and_items() -> None:
    metrics = ServiceMetrics()
    shop = metrics.of("shop")
    shop.answer("precomputed", k=10, cold=False, items=10)
    shop.answer("precomputed", k=7, cold=False, items=5)
    shop.more_items("history", 2)
    shop.answer("popular", k=100, cold=True, items=60)
    metrics.of("bank").answer("popular", k=1, cold=True, items=1)
    asked = {"scenario": "shop"}
    by_source = {
        source: (
            value(metrics, "vitrina_recommendations_total", **asked, source=source),
            value(metrics, "vitrina_recommended_items_total", **asked, source=source),
        )
        for source in ("precomputed", "session", "history", "popular")
    }
    assert by_source == {"precomputed": (2, 15), "session": (0, 0), "history": (0, 2), "popular": (1, 60)}
    assert value(metrics, "vitrina_cold_users_total", **asked) == 1
    buckets = {le: value(metrics, "vitrina_requested_items_bucket", **asked, le=le) for le in ("5.0", "10.0", "100.0")}
    assert buckets == {"5.0": 0, "10.0": 2, "100.0": 3}
    assert value(metrics, "vitrina_requested_items_sum", **asked) == 117


def test_what_may_happen_is_there_at_zero_before_it_does() -> None:
    metrics = ServiceMetrics()
    shop = metrics.of("shop")
    assert value(metrics, "vitrina_fallbacks_total", scenario="shop", reason="too_few") == 0
    assert value(metrics, "vitrina_swaps_total", scenario="shop", what="model", outcome="refused") == 0
    shop.fallback("too_few")
    assert value(metrics, "vitrina_fallbacks_total", scenario="shop", reason="too_few") == 1


def test_products_are_counted_from_zero() -> None:
    metrics = ServiceMetrics()
    bank = metrics.products("bank", ["loans", "mortgage", "plan"])
    bank.predicted([2, 0])
    bank.predicted([])
    bank.predicted([2])
    told = {
        product: value(metrics, "vitrina_predicted_products_total", scenario="bank", product=product)
        for product in ("loans", "mortgage", "plan")
    }
    assert told == {"loans": 1, "mortgage": 0, "plan": 2}


def test_a_model_of_products_is_told_as_any_other_and_has_no_lists() -> None:
    metrics = ServiceMetrics()
    metrics.of("shop").serving("7", before=None, as_of=1000, lists_as_of=1000, now=2000)
    bank = metrics.products("bank", ["loans"])
    bank.serving("1", before=None, as_of=4000, now=8000)
    bank.serving("2", before="1", as_of=5000, now=9000)
    bank.swap("model", "done")
    of = {"scenario": "bank"}
    assert value(metrics, "vitrina_model_info", **of, version="1") is None
    assert value(metrics, "vitrina_model_info", **of, version="2") == 1
    assert value(metrics, "vitrina_model_info", scenario="shop", version="7") == 1
    assert value(metrics, "vitrina_model_as_of_timestamp_seconds", **of) == 5
    assert value(metrics, "vitrina_model_loaded_timestamp_seconds", **of) == 9
    assert value(metrics, "vitrina_lists_as_of_timestamp_seconds", **of) is None
    assert value(metrics, "vitrina_swaps_total", **of, what="model", outcome="done") == 1
    assert value(metrics, "vitrina_swaps_total", **of, what="model", outcome="refused") == 0
    assert value(metrics, "vitrina_swaps_total", **of, what="lists", outcome="refused") is None


def test_values_for_graphite_are_counted_on_where_an_ended_process_was(tmp_path: Path) -> None:
    for _ in range(2):
        metrics = ServiceMetrics(tmp_path)
        metrics.graphite(sent=2, dropped={"full": 0})
        metrics.graphite(sent=5, dropped={"full": 3})
        told = (
            value(metrics, "vitrina_graphite_sent_total"),
            value(metrics, "vitrina_graphite_dropped_total", reason="full"),
        )
        metrics.close()
    assert told == (10, 6)


def test_a_swapped_out_version_is_gone() -> None:
    metrics = ServiceMetrics()
    shop = metrics.of("shop")
    shop.serving("1", before=None, as_of=4000, lists_as_of=3000, now=8000)
    shop.serving("2", before="1", as_of=5000, lists_as_of=None, now=9000)
    versions = [value(metrics, "vitrina_model_info", scenario="shop", version=version) for version in ("1", "2")]
    assert versions == [None, 1]
    assert value(metrics, "vitrina_model_as_of_timestamp_seconds", scenario="shop") == 5
    assert value(metrics, "vitrina_model_loaded_timestamp_seconds", scenario="shop") == 9
    assert value(metrics, "vitrina_lists_as_of_timestamp_seconds", scenario="shop") == 0


def test_two_objects_do_not_share_counts() -> None:
    first, second = ServiceMetrics(), ServiceMetrics()
    first.error("Oops")
    assert b'vitrina_errors_total{kind="Oops"} 1.0' in first.exposition()
    assert b"Oops" not in second.exposition()


def test_one_scenario_that_the_registry_fails_is_not_hidden_by_the_others() -> None:
    metrics = ServiceMetrics()
    for scenario, up in (("bank", True), ("shop", False), ("carts", True)):
        metrics.of(scenario).registry_up(up)
    found = {name: value(metrics, "vitrina_registry_up", scenario=name) for name in ("bank", "shop", "carts")}
    assert found == {"bank": 1, "shop": 0, "carts": 1}


WORKER = """
import sys
from pathlib import Path
from vitrina.telemetry.metrics import ServiceMetrics
metrics = ServiceMetrics(Path(sys.argv[1]))
shop = metrics.of("shop")
shop.answer("popular", k=3, cold=True, items=3)
metrics.requests("/x")(200, 0.001)
shop.serving(sys.argv[2], before=None, as_of=int(sys.argv[3]), lists_as_of=None, now=9000)
shop.registry_up(sys.argv[2] != "down")
metrics.process(cpu_seconds=10.0, resident_bytes=1000.0, started=float(sys.argv[3]))
print("counted", flush=True)
sys.stdin.read()
"""


@contextmanager
def worker(folder: Path, version: str, as_of: int = 5000) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-c", WORKER, str(folder), version, str(as_of)]
    root = Path(__file__).parents[2]
    with subprocess.Popen(command, cwd=root, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "counted\n"
        try:
            yield child
        finally:
            child.kill()


def test_processes_are_summed_and_a_killed_one_keeps_only_its_counts(tmp_path: Path) -> None:
    with worker(tmp_path, "2", as_of=7000):
        with worker(tmp_path, "down") as other:
            reader = ServiceMetrics(tmp_path)
            assert value(reader, "vitrina_workers") == 3
            assert value(reader, "vitrina_model_info", scenario="shop", version="2") == 1
            assert value(reader, "vitrina_model_as_of_timestamp_seconds", scenario="shop") == 5
            assert value(reader, "vitrina_registry_up", scenario="shop") == 0
            assert value(reader, "vitrina_process_resident_memory_bytes") == 2000
            assert value(reader, "vitrina_process_start_time_seconds") == 5000
            os.kill(other.pid, signal.SIGKILL)
            other.wait()
        assert value(reader, "vitrina_workers") == 2
        assert value(reader, "vitrina_model_info", scenario="shop", version="down") is None
        assert value(reader, "vitrina_model_as_of_timestamp_seconds", scenario="shop") == 7
        assert value(reader, "vitrina_registry_up", scenario="shop") == 1
        assert value(reader, "vitrina_process_resident_memory_bytes") == 1000
        assert value(reader, "vitrina_process_cpu_seconds_total") == 20
        assert value(reader, "vitrina_recommendations_total", scenario="shop", source="popular") == 2
        with worker(tmp_path, "2"):
            assert value(reader, "vitrina_workers") == 3
            assert value(reader, "vitrina_process_cpu_seconds_total") == 30, "counts on where the killed one ended"
            assert value(reader, "vitrina_recommendations_total", scenario="shop", source="popular") == 3
            assert value(reader, "vitrina_http_request_duration_seconds_count", route="/x") == 3
            assert value(reader, "vitrina_model_info", scenario="shop", version="2") == 2
            assert len(list(tmp_path.glob("*.cells"))) == 3, "it took the slot of the killed one"
        reader.close()


def test_companions_come_out_by_source_cart_and_confidence() -> None:
    metrics = ServiceMetrics()
    basket, of = metrics.companions("basket"), {"scenario": "basket"}
    assert value(metrics, "vitrina_fallbacks_total", **of, reason="unknown_products") == 0
    assert value(metrics, "vitrina_companion_confidence_count", **of) == 0
    basket.answered("cart", n=10, items=10, cart=4, unknown=1, confidence=0.2)
    basket.answered("cart", n=10, items=3, cart=1, unknown=0, confidence=0.95)
    basket.answered("popular", n=7, items=7, cart=2, unknown=2, confidence=0.04)
    basket.answered("popular", n=7, items=0, cart=0, unknown=0, confidence=None)
    basket.fallback("unknown_products")
    by_source = {
        source: (
            value(metrics, "vitrina_recommendations_total", **of, source=source),
            value(metrics, "vitrina_recommended_items_total", **of, source=source),
        )
        for source in ("cart", "history", "popular")
    }
    assert by_source == {"cart": (2, 13), "history": (0, 0), "popular": (2, 7)}
    assert value(metrics, "vitrina_cold_users_total", **of) is None, "nobody tells who is cold"
    assert value(metrics, "vitrina_requested_items_sum", **of) == 34
    assert value(metrics, "vitrina_unknown_products_total", **of) == 3
    assert value(metrics, "vitrina_fallbacks_total", **of, reason="unknown_products") == 1
    assert value(metrics, "vitrina_cart_products_sum", **of) == 7
    carts = {le: value(metrics, "vitrina_cart_products_bucket", **of, le=le) for le in ("0.0", "2.0", "5.0", "+Inf")}
    assert carts == {"0.0": 1, "2.0": 3, "5.0": 4, "+Inf": 4}
    confidence = [value(metrics, "vitrina_companion_confidence_bucket", **of, le=le) for le in ("0.05", "0.2", "+Inf")]
    assert confidence == [1, 2, 3]


def test_sign_ins_are_counted_by_outcome_from_zero() -> None:
    metrics = ServiceMetrics()
    count = metrics.sign_ins()
    for outcome in ("done", "refused", "refused"):
        count(outcome)
    outcomes = ("done", "refused", "throttled", "failed")
    assert [value(metrics, "vitrina_sign_ins_total", outcome=one) for one in outcomes] == [1, 2, 0, 0]

"""The Prometheus of the tests: it scrapes, keeps old samples, evaluates rules and says when something is wrong."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from prometheus_client import CollectorRegistry, Counter, start_http_server
from prometheus_server import PrometheusServer
from waiting import wait

RULE = {"alert": "TooMany", "expr": "planted_total > 6", "labels": {"severity": "page"}}


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrometheusServer]:
    registry = CollectorRegistry()
    Counter("planted", "Seven.", ["kind"], registry=registry).labels("a").inc(7)
    served, thread = start_http_server(0, addr="127.0.0.1", registry=registry)
    folder = tmp_path_factory.mktemp("prometheus")
    rules = folder / "rules.yml"
    rules.write_text(yaml.safe_dump({"groups": [{"name": "planted", "rules": [RULE]}]}))
    server = PrometheusServer(folder, targets={"app": [f"127.0.0.1:{served.server_port}"]}, rules=[rules])
    old = int(time.time()) - 86_400
    server.backfill(
        f'# TYPE past gauge\npast{{kind="b"}} 3 {old}\npast{{kind="b"}} 4 {old + 60}\n# EOF\n',
    )
    with server:
        yield server
    served.shutdown()
    served.server_close()
    thread.join()


def test_it_scrapes_and_answers(prometheus: PrometheusServer) -> None:
    (found,) = prometheus.until('planted_total{job="app"}')
    assert found.value == 7
    assert found.labels["kind"] == "a"
    assert prometheus.query("scalar(planted_total)")[0].value == 7
    assert prometheus.query("absent_metric") == []
    assert prometheus.label_values("kind", "planted_total") == ["a"]


def test_it_keeps_what_was_before_it(prometheus: PrometheusServer) -> None:
    now = time.time()
    (found,) = prometheus.query_range("past", now - 90_000, now, 60)
    assert {value for _, value in found.points} == {3, 4}
    assert found.value == 4


def test_it_evaluates_rules(prometheus: PrometheusServer) -> None:
    wait(lambda: [alert["labels"]["alertname"] for alert in prometheus.alerts()] == ["TooMany"])


def test_a_wrong_question_and_a_wrong_rule_say_what_is_wrong(prometheus: PrometheusServer, tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="parse error"):
        prometheus.query("rate(")
    rules = tmp_path / "rules.yml"
    rules.write_text(yaml.safe_dump({"groups": [{"name": "broken", "rules": [{"alert": "A", "expr": "rate("}]}]}))
    with pytest.raises(AssertionError, match="parse error"), PrometheusServer(tmp_path / "p", {}, [rules]):
        pass

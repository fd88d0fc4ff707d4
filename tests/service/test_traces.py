"""Spans of the service, as a collector receives them over OTLP."""

from __future__ import annotations

import logging
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest
from otlp_server import OtlpServer, Received

CALLER = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
UNSAMPLED = "00-0af7651916cd43dd8448eb211c80319d-b7ad6b7169203331-00"
SERVER = 2
WITHOUT = """
import asyncio, sys
from app.main import create_app
from app.settings import Settings
app = create_app(Settings())
async def live():
    async with app.router.lifespan_context(app):
        pass
asyncio.run(live())
print(*[name for name in sys.modules if name.startswith(("opentelemetry", "google.protobuf", "requests"))])
"""


@pytest.fixture
def collector(monkeypatch: pytest.MonkeyPatch) -> Iterator[OtlpServer]:
    with OtlpServer() as server:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", server.url)
        monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "50")
        yield server


def under(collector: OtlpServer, parent: Received) -> list[Received]:
    return [one for one in collector.spans if one.parent == parent.span]


def test_a_span_goes_on_from_the_callers_and_says_what_answered(serve, tmp_path, collector, monkeypatch) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Bearer to-the-collector")
    with serve(tmp_path) as running:
        begin = time.time_ns()
        headers = {"traceparent": CALLER, "x-request-id": "q1"}
        assert running.client.post("/recommendations/?user_id=1&k=3", headers=headers).json()["source"] == "precomputed"
        (span,) = collector.named("POST /recommendations")
        end = time.time_ns()  # not before: the span ends when the answer has left, and may be here by then
    assert (span.trace, span.parent, span.kind) == (CALLER[3:35], CALLER[36:52], SERVER)
    assert begin <= span.begin < span.end <= end
    answered = {"vitrina.source": "precomputed", "vitrina.model_version": "1", "vitrina.k": 3}
    assert span.attributes == {
        "http.request.method": "POST",
        "http.route": "/recommendations",
        "http.response.status_code": 200,
        "vitrina.request_id": "q1",
        "vitrina.scenario": "storefront",
        **answered,
    }
    (child,) = under(collector, span)
    assert (child.name, child.trace) == ("answer", span.trace)
    assert span.begin <= child.begin <= child.end <= span.end
    assert child.attributes == {"vitrina.scenario": "storefront", **answered}
    assert span.resource["service.name"] == "vitrina-app"
    assert span.headers["authorization"] == "Bearer to-the-collector"
    assert not span.failed


def test_without_a_caller_each_request_is_a_trace_of_its_own(serve, tmp_path, collector) -> None:
    with serve(tmp_path) as running:
        for sent in ({}, {"traceparent": "00-nonsense-01"}):
            running.client.get("/similar_items?item_id=104&k=2", headers=sent)
        spans = collector.named("GET /similar_items", 2)
    assert len({one.trace for one in spans}) == 2
    assert {one.parent for one in spans} == {""}
    assert spans[0].attributes["vitrina.model_version"] == "1"


def test_errors_are_marked_and_unknown_paths_make_no_names(serve, tmp_path, collector, monkeypatch) -> None:
    with serve(tmp_path) as running:
        state = running.app.state.service.of("storefront").served.state
        monkeypatch.setattr(type(state.recommender), "similar", lambda *_: 1 / 0)
        running.client.get("/similar_items?item_id=104")
        running.client.post("/recommendations?user_id=x")
        running.client.get("/users/17/secrets")
        (fault,) = collector.named("GET /similar_items")
        (refused,) = collector.named("POST /recommendations")
        (unknown,) = collector.named("GET")
    assert (fault.failed, fault.why) == (True, "ZeroDivisionError: division by zero")
    assert (fault.attributes["http.response.status_code"], fault.attributes["error.type"]) == (500, "ZeroDivisionError")
    assert (refused.failed, refused.attributes["http.response.status_code"]) == (False, 422)
    assert "http.route" not in unknown.attributes
    assert "17" not in str(unknown.attributes | {"vitrina.request_id": ""})


def test_the_callers_sampling_is_followed(serve, tmp_path, collector) -> None:
    with serve(tmp_path) as running:
        running.client.post("/recommendations?user_id=1", headers={"traceparent": UNSAMPLED})
        running.client.post("/recommendations?user_id=1", headers={"traceparent": CALLER})
        (span,) = collector.named("POST /recommendations")
    assert span.trace == CALLER[3:35]


def test_what_is_left_is_sent_at_the_end(serve, tmp_path, collector, monkeypatch) -> None:
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "60000")
    with serve(tmp_path) as running:
        running.client.get("/readyz")
    assert [one.name for one in collector.spans] == ["GET /readyz"]


def test_a_line_of_a_traced_request_names_its_trace(serve, tmp_path, collector) -> None:
    from vitrina.telemetry.logs import fields_of

    seen: list[dict[str, object]] = []

    class Listens(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            seen.append(fields_of(record))

    listens = Listens()
    logging.getLogger("app.requests").addHandler(listens)
    try:
        with serve(tmp_path) as running:
            running.client.get("/nowhere", headers={"traceparent": CALLER, "x-request-id": "q1"})
    finally:
        logging.getLogger("app.requests").removeHandler(listens)
    assert [(one["request_id"], one["trace_id"]) for one in seen] == [("q1", CALLER[3:35])]


def test_a_collector_that_is_away_costs_no_answer_and_is_said_once(serve, tmp_path, collector, caplog) -> None:
    collector.status = 500
    caplog.set_level(logging.INFO, "vitrina.telemetry.spans")
    with serve(tmp_path) as running:
        for _ in range(5):
            asked = collector.asked
            assert running.client.post("/recommendations?user_id=1").status_code == 200
            running.until(lambda asked=asked: collector.asked > asked)
        said = [one.getMessage() for one in caplog.records if "collector" in one.getMessage()]
        assert said == ["The collector of traces does not take them; they are dropped until it does"]
        collector.status = 200
        running.client.get("/readyz")
        collector.named("GET /readyz")
        running.until(lambda: "The collector of traces takes them again" in caplog.text)
    assert not [one for one in caplog.records if one.name.startswith("opentelemetry")]


def test_without_an_endpoint_nothing_of_it_is_imported(tmp_path) -> None:
    environment = {"VITRINA_HOME": str(tmp_path), "PATH": "/bin"}
    done = subprocess.run([sys.executable, "-c", WITHOUT], env=environment, capture_output=True, text=True, timeout=300)
    assert (done.stdout.strip(), done.returncode) == ("", 0), done.stderr

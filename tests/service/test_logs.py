"""Request ids in answers and lines, which answers are written to the log, and the lines of the started service."""

from __future__ import annotations

import json
import logging
import re
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
from ports import free_port
from waiting import PATIENCE, wait

from app.logs import RequestIds, RequestLog

ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
PLANTED = {
    "VITRINA_ADMIN_TOKEN": "planted-admin-token",
    "VITRINA_S3_ACCESS_KEY": "vitrina",
    "VITRINA_S3_SECRET_KEY": "planted-s3-secret",
    "VITRINA_TELEGRAM_TOKEN": "123456:planted-telegram-token",
    "VITRINA_REGISTRY_URI": "http://vitrina:planted-password@127.0.0.1:1",
}


def lines(caplog: pytest.LogCaptureFixture) -> list[dict[str, Any]]:
    """Level, message and fields of the lines about requests."""
    return [
        {"level": one.levelname, "message": one.getMessage(), **getattr(one, "fields", {})}
        for one in caplog.records
        if one.name == "app.requests"
    ]


def good(caplog: pytest.LogCaptureFixture) -> list[dict[str, Any]]:
    """Those of answers: a line about a refusal before may come late."""
    return [one for one in lines(caplog) if one["message"].endswith(" 200")]


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("POST", "/recommendations?user_id=1", 200),
        ("POST", "/recommendations?user_id=x", 422),
        ("GET", "/similar_items?item_id=1", 404),
        ("GET", "/nowhere", 404),
        ("PUT", "/", 405),
        ("GET", "/metrics", 200),
        ("GET", "/openapi.json", 200),
    ],
)
def test_an_answer_carries_the_id_that_was_sent_and_a_refusal_always_one(client, method, path, status) -> None:
    given = client.request(method, path, headers={"x-request-id": "from-the-Shop_1.2"})
    assert (given.status_code, given.headers.get_list("x-request-id")) == (status, ["from-the-Shop_1.2"])
    made = [client.request(method, path).headers.get_list("x-request-id") for _ in range(2)]
    if status == 200:
        assert made == [[], []]
    else:
        assert made[0] != made[1]
        assert all(ID.fullmatch(one) for (one,) in made)


@pytest.mark.parametrize("sent", ["", "a b", "x" * 65, "a\tb", "ё".encode(), '"', "a,b", "../a"])
def test_what_is_no_request_id_is_replaced(client, sent: str) -> None:
    made = client.get("/", headers={"x-request-id": sent}).headers["x-request-id"]
    assert made != sent
    assert ID.fullmatch(made)


def test_ids_of_two_workers_differ() -> None:
    one, other = RequestIds(), RequestIds()
    assert len({ids.of([])[0] for ids in (one, other) for _ in range(1_000)}) == 2_000


def test_lines_written_while_a_request_is_handled_carry_its_id(serve, tmp_path, monkeypatch, caplog) -> None:
    from vitrina.telemetry.logs import fields_of

    seen: dict[str, str] = {}

    def written(*_: object, **__: object) -> None:
        raise ValueError("the ranker fails")

    class Listens(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            seen[fields_of(record)["request_id"]] = record.getMessage()

    listens = Listens()
    logging.getLogger("vitrina.serving.answer").addHandler(listens)
    try:
        with serve(tmp_path) as running, ThreadPoolExecutor(8) as pool:
            state = running.app.state.service.of("storefront").served.state
            monkeypatch.setattr(type(state.recommender), "recommend", written)

            def ask(number: int) -> int:
                headers = {"x-request-id": f"q{number}"}
                return httpx.post(f"{running.url}/recommendations?user_id=2&k=3", headers=headers).status_code

            assert set(pool.map(ask, range(40))) == {200}
    finally:
        logging.getLogger("vitrina.serving.answer").removeHandler(listens)
    assert seen.keys() == {f"q{number}" for number in range(40)}


def test_a_fault_is_one_line_with_its_trace_under_the_id_of_the_answer(serve, tmp_path, monkeypatch, caplog) -> None:
    with serve(tmp_path) as running:
        state = running.app.state.service.of("storefront").served.state
        monkeypatch.setattr(type(state.recommender), "similar", lambda *_: 1 / 0)
        answer = running.client.get("/similar_items?item_id=104", headers={"x-request-id": "q1"})
        values = running.client.get("/metrics").text
    assert (answer.status_code, answer.headers["x-request-id"]) == (500, "q1")
    assert "X-Request-ID" in answer.json()["error"]["remedy"]
    (line,) = lines(caplog)
    assert (line["level"], line["message"], line["status"]) == ("ERROR", "GET /similar_items 500", 500)
    (record,) = [one for one in caplog.records if one.name == "app.requests"]
    assert record.exc_info is not None and record.exc_info[0] is ZeroDivisionError
    assert [one for one in caplog.records if one.levelno >= logging.ERROR] == [record], "said once"
    assert 'vitrina_errors_total{kind="Internal Server Error"} 1.0' in values
    assert 'vitrina_http_requests_total{route="/similar_items",status="500"} 1.0' in values


def test_a_refusal_is_written_with_its_reason_and_without_the_query(client, caplog) -> None:
    def refused_and_written() -> bool:
        client.post("/recommendations?user_id=visitor-of-mine")
        return bool(lines(caplog))  # written after the answer has left, and held back after many refusals

    wait(refused_and_written, pause=0.2)
    line = lines(caplog)[0]
    assert line["level"] == "WARNING"
    assert line["message"] == "POST /recommendations 422"
    assert line["reason"].startswith("user_id: not an integer")
    assert "visitor-of-mine" not in str(line)


def test_good_answers_are_written_only_on_demand(serve, tmp_path, client, caplog) -> None:
    caplog.set_level(logging.INFO, "app.requests")
    client.post("/recommendations?user_id=1")
    assert good(caplog) == []
    with serve(tmp_path, access_log=True) as running:
        for _ in range(30):
            running.client.post("/recommendations?user_id=1")
    assert [(one["level"], one["message"]) for one in good(caplog)] == [("INFO", "POST /recommendations 200")] * 30


def test_slow_answers_are_written(serve, tmp_path, caplog) -> None:
    with serve(tmp_path, slow_seconds=1e-6) as running:
        running.client.post("/recommendations?user_id=1")
    (line,) = lines(caplog)
    assert (line["level"], line["slow"], line["status"]) == ("WARNING", True, 200)
    assert 0 < line["seconds"] < 60


def test_refused_and_slow_ones_are_bounded_and_failed_ones_are_not(caplog) -> None:
    now = [0.0]
    log = RequestLog(slow_seconds=1.0, rate=10.0, clock=lambda: now[0])
    scope: dict[str, Any] = {"method": "POST", "path": "/x"}
    for _ in range(100):
        log(scope, 422, 0.001)
    assert len(lines(caplog)) == 10
    for _ in range(100):
        log(scope, 503, 0.001)
    assert len(lines(caplog)) == 110
    assert lines(caplog)[10]["unsaid"] == 90
    assert "unsaid" not in lines(caplog)[11]
    log(scope, 200, 2.0)
    assert len(lines(caplog)) == 110
    now[0] = 0.2
    for _ in range(5):
        log(scope, 422, 0.001)
    assert len(lines(caplog)) == 112
    assert lines(caplog)[110]["unsaid"] == 1


@pytest.mark.slow
@pytest.mark.parametrize("workers", [1, 2])
def test_all_that_a_started_service_says_is_json_without_secrets(tmp_path: Path, workers: int) -> None:
    """From its start to its end, with a registry that cannot be reached and an admin who mistypes."""
    port = free_port()
    start = "from vitrina.cli import main; main()"
    command = [sys.executable, "-c", start, "serve", "--port", str(port), "--workers", str(workers)]
    environment = {**PLANTED, "VITRINA_LOG_FORMAT": "json", "VITRINA_HOME": str(tmp_path), "PATH": "/usr/bin:/bin"}
    written = tmp_path / "log.txt"
    with written.open("w") as log:
        service = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
    try:
        url = f"http://127.0.0.1:{port}"
        wait(lambda: answers(url), otherwise=written.read_text, pause=0.1)
        wrong = {"authorization": "Bearer planted-wrong-token", "x-request-id": "q1"}
        assert httpx.get(f"{url}/models", headers=wrong).status_code == 401
        assert httpx.get(f"{url}/readyz", headers={"x-request-id": "q2"}).status_code == 503
    finally:
        service.send_signal(signal.SIGTERM)
        assert service.wait(PATIENCE) in (0, -signal.SIGTERM), written.read_text()
    said = [json.loads(line) for line in written.read_text().splitlines()]
    assert all({"time", "level", "logger", "message"} <= one.keys() for one in said)
    by_id = {one["request_id"]: one for one in said if "request_id" in one}
    assert (by_id["q1"]["status"], by_id["q1"]["reason"]) == (401, "the token was not made by this service")
    assert (by_id["q2"]["status"], by_id["q2"]["level"]) == (503, "error")
    assert {"vitrina.serving.watcher", "uvicorn.error"} <= {one["logger"] for one in said}
    assert ("gunicorn.error" in {one["logger"] for one in said}) == (workers > 1)
    assert "planted" not in written.read_text()


def answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}/healthz").status_code == 200
    except httpx.TransportError:
        return False

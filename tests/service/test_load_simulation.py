"""test_recsys.py as it is called: against the served toy world, against other servers, against nobody.

It runs without site-packages (-S), which is how it is promised to run.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from http.server import BaseHTTPRequestHandler, HTTPServer
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from ports import free_port
from prometheus_client.parser import text_string_to_metric_families
from web_thread import served

SCRIPT = Path(__file__).resolve().parents[2] / "test_recsys.py"
COMMAND = (sys.executable, "-I", "-S", str(SCRIPT))


class Done:
    """A finished run: exit code, what it printed, and the lines of its log file."""

    def __init__(self, folder: Path, *arguments: str, token: str = "") -> None:
        command, environment = [*COMMAND, *arguments], {**os.environ, "VITRINA_TOKEN": token}
        ended = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=300)
        self.code, self.out, self.err = ended.returncode, ended.stdout, ended.stderr
        log = folder / "test_recsys.log"
        self.log: list[dict[str, Any]] = (
            [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []
        )


@contextmanager
def answering(status: int, body: bytes, kind: str = "application/json") -> Iterator[str]:
    """The address of a server that says the same to everybody."""

    class Same(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def do_POST(self) -> None:
            self.do_GET()

        def log_message(self, *_: Any) -> None:
            pass

    with served(HTTPServer(("127.0.0.1", 0), Same)) as url:
        yield url


def test_five_requests_for_users_with_and_without_a_history(serve, tmp_path: Path) -> None:
    with serve(tmp_path / "home") as running:
        done = Done(tmp_path, "--host", running.url)
        answered = {
            sample.labels["status"]: sample.value
            for family in text_string_to_metric_families(running.client.get("/metrics").text)
            for sample in family.samples
            if sample.name == "vitrina_http_requests_total" and sample.labels["route"] == "/recommendations"
        }
    assert done.code == 0, done.out + done.err
    assert "users with a history: 1, 2, 3" in done.out
    assert "5 requests in" in done.out and "0 failed" in done.out
    asked = done.log[-5:]
    assert Counter(one["source"] for one in asked) == {"precomputed": 2, "history": 1, "popular": 2}
    assert {one["user"] for one in asked} >= {"1", "2", "3"}
    assert all(one["status"] == 200 and len(one["items"]) == 5 and one["milliseconds"] > 0 for one in asked)
    moments = [datetime.fromisoformat(one["at"]).timestamp() for one in asked]
    pauses = [after - before for before, after in pairwise(moments)]
    assert all(pause > 0.005 for pause in pauses) and len(set(pauses)) == 4
    assert min(pauses) < 1.5, "a second and a request at most; on a busy machine some take longer"
    assert answered == {"200": 8}, "3 tried, 5 asked"


def test_a_rate_is_kept_for_the_stated_time(running, tmp_path: Path) -> None:
    asked = ("--users", "1, 2,1", "--rate", "60", "--duration", "2", "--k", "3", "--seed", "1")
    done = Done(tmp_path, "--host", running.url.removeprefix("http://"), *asked)
    assert done.code == 0, done.out + done.err
    assert 80 < len(done.log) < 160, "by the seed: a late one is not left out"
    assert Counter(one["user"] for one in done.log).keys() == {"1", "2"}
    assert {len(one["items"]) for one in done.log} == {3}
    assert "the others are in the log file" in done.out
    assert "p50" in done.out and "p99" in done.out and "50.0%" in done.out


def test_users_come_from_a_file_and_a_seed_repeats_their_order(running, tmp_path: Path) -> None:
    users = tmp_path / "users.csv"
    users.write_text("visitorid,visits\n" + "".join(f"{user},1\n" for user in range(3, 33)))

    def asked(requests: str, seed: str) -> set[str]:
        options = ("--users-file", str(users), "--rate", "300", "--requests", requests, "--seed", seed)
        done = Done(tmp_path, "--host", running.url, *options)
        assert len(done.log) == int(requests)
        return {one["user"] for one in done.log}

    assert asked("30", "7") == {str(user) for user in range(3, 33)}
    assert asked("4", "7") == asked("4", "7") != asked("4", "8")


@pytest.mark.parametrize("option", ["--host", "--url"])
def test_nobody_listens(tmp_path: Path, option: str) -> None:
    port = free_port()
    done = Done(tmp_path, option, f"127.0.0.1:{port}")
    assert done.code == 1
    assert f"Nothing answers on http://127.0.0.1:{port}" in done.err and "vitrina serve" in done.err
    assert "Traceback" not in done.err


def test_a_refused_request_makes_the_run_fail_and_is_told_with_its_reason(running, tmp_path: Path) -> None:
    done = Done(tmp_path, "--host", running.url, "--users", "1,somebody", "--requests", "4")
    assert done.code == 1
    assert "2 failed" in done.out
    assert "status 422: not an integer of 64 bits. Send an integer such as 17" in done.out
    assert [one["status"] for one in done.log].count(200) == 2


def test_a_key_opens_closed_routes(serve, tmp_path: Path) -> None:
    with serve(tmp_path / "home", require_token="recommendations") as running:
        for token in (running.api_key("recommendations"), f" {running.token()}\n"):
            done = Done(tmp_path, "--host", running.url, "--rate", "100", token=token)
            assert done.code == 0, done.out + done.err
            assert "users with a history: 1, 2, 3" in done.out and "VITRINA_TOKEN" not in done.out
            assert {one["status"] for one in done.log} == {200} and len(done.log) == 8
            assert token.strip() not in done.out + done.err + json.dumps(done.log)


def test_closed_routes_are_told_with_what_opens_them(serve, tmp_path: Path) -> None:
    with serve(tmp_path / "home", require_token="recommendations") as running:
        for token, status in (("", 401), ("planted-token", 401), (running.api_key("events"), 403)):
            done = Done(tmp_path, "--host", running.url, "--rate", "100", token=token)
            assert done.code == 1
            assert {one["status"] for one in done.log} == {status}
            (remedy,) = (line for line in done.out.splitlines() if "VITRINA_TOKEN" in line)
            assert "set VITRINA_TOKEN" in remedy and "vitrina users" in remedy
            assert not token or token not in done.out + done.err + json.dumps(done.log)


@pytest.mark.parametrize("token", ["planted\nX-Forged: 1", "planted-ключ"])
def test_a_token_that_no_header_may_hold_is_refused_and_not_shown(tmp_path: Path, token: str) -> None:
    done = Done(tmp_path, token=token)
    assert (done.code, done.out, done.log) == (2, "", [])
    assert "error: VITRINA_TOKEN" in done.err
    assert "planted" not in done.err and "Traceback" not in done.err


def test_help_names_the_token(tmp_path: Path) -> None:
    assert "VITRINA_TOKEN" in Done(tmp_path, "--help").out


def test_a_service_without_a_model_is_told_with_its_remedy(serve, tmp_path: Path) -> None:
    with serve(tmp_path / "home", champion=False) as running:
        done = Done(tmp_path, "--host", running.url, "--requests", "1")
    assert done.code == 1
    assert "vitrina train storefront" in done.out


@pytest.mark.parametrize(
    ("status", "body", "told"),
    [
        (200, b"<html>", "status 200 without JSON: is this the service?"),
        (200, b'{"recs": []}', "status 200 without items"),
        (200, b"[1]", "status 200 without JSON"),
        (500, b'{"detail": "no"}', "status 500: {'detail': 'no'}"),
    ],
)
def test_an_answer_that_is_none_is_a_failure(tmp_path: Path, status: int, body: bytes, told: str) -> None:
    with answering(status, body) as url:
        done = Done(tmp_path, "--host", url, "--users", "1", "--requests", "1")
    assert done.code == 1
    assert told in done.out


def test_an_end_by_hand_prints_what_was_asked_so_far(running, tmp_path: Path) -> None:
    command = [*COMMAND, "--host", running.url, "--users", "1", "--duration", "600"]
    child = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert child.stdout is not None
    child.stdout.readline()
    child.stdout.readline()
    time.sleep(0.1)
    child.send_signal(signal.SIGINT)
    out, err = child.communicate(timeout=300)
    assert child.returncode == 130
    assert "requests in" in out and "Traceback" not in err


@pytest.mark.parametrize(
    "wrong",
    [
        ("--k", "0"),
        ("--requests", "-1"),
        ("--rate", "nan"),
        ("--users", " , "),
        ("--users", "1", "--users-file", "also.txt"),
        ("--users-file", "missing.txt"),
        ("--host", "ftp://127.0.0.1"),
        ("--host", "http://127.0.0.1:port"),
        ("--unknown", "1"),
    ],
)
def test_bad_input_ends_with_2(tmp_path: Path, wrong: tuple[str, ...]) -> None:
    done = Done(tmp_path, *wrong)
    assert done.code == 2
    assert "Traceback" not in done.err


def test_a_log_file_that_cannot_be_written_ends_with_2(running, tmp_path: Path) -> None:
    done = Done(tmp_path, "--host", running.url, "--log", str(tmp_path / "missing" / "log.txt"))
    assert done.code == 2
    assert "--log" in done.err


def test_pytest_finds_no_test_in_it() -> None:
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q", str(SCRIPT)]
    done = subprocess.run(command, cwd=SCRIPT.parent, capture_output=True, text=True, timeout=300)
    assert done.returncode == pytest.ExitCode.NO_TESTS_COLLECTED, done.stdout

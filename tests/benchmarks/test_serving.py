"""The serving benchmark: a real load on a small real server, and figures that follow from planted stretches."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import pytest

from benchmarks.asking import Ask, check, write_pool
from benchmarks.load import Load, put_load, read_result
from benchmarks.servers import running
from benchmarks.serving import Stretch, Subject, figures, stretch

ROOT = Path(__file__).resolve().parents[2]
SERVER = """
import http.server, json, sys
class Answers(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        self.answer(200, {})
    def do_POST(self):
        sent = self.rfile.read(int(self.headers.get("content-length") or 0))
        known = "user_id=7" in self.path and (not sent or json.loads(sent) == {"session": [3, 4]})
        known = known and self.headers.get("authorization") == ("Bearer a.b" if "guarded" in self.path else None)
        self.answer(200 if known else 404, {"recs": list(range(10)), "source": "session" if sent else "popular"})
    def answer(self, status, content):
        body = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *_):
        pass
http.server.ThreadingHTTPServer.request_queue_size = 128
http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Answers).serve_forever()
"""
GOOD = [Ask(path="/recommendations?user_id=7"), Ask(path="/recommendations?user_id=7", body='{"session":[3,4]}')]
GUARDED = Ask(path="/guarded?user_id=7", body='{"session":[3,4]}', authorization="Bearer a.b")
BAD = [Ask(path="/recommendations?user_id=8")]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory):
    command = [sys.executable, "-c", SERVER, "{port}"]
    log = tmp_path_factory.mktemp("server") / "log.txt"
    with running(command, ready="/readyz", env=dict(os.environ), cwd=ROOT, log=log) as started:
        yield started


def loaded(server, tmp_path: Path, asks: list[Ask], rate: float | None = None) -> Stretch:
    if shutil.which("wrk") is None:
        pytest.skip("WRK MISSING: the load generator is not installed (Debian: apt install wrk)")
    pool = write_pool(asks, tmp_path / "pool.tsv")
    return stretch(Subject(name="toy", server=server, asks=asks), pool, seconds=1, seed=1, rate=rate)


def test_requests_arrive_as_they_were_written(server, tmp_path: Path) -> None:
    met = loaded(server, tmp_path, [*GOOD, GUARDED])
    assert met.load.errors == 0 and met.load.requests > 5
    assert 0 < met.load.p50 <= met.load.p99 <= met.load.max
    assert met.processor_us > 0
    assert server.ready_seconds > 0


def test_refused_requests_are_counted(server, tmp_path: Path) -> None:
    met = loaded(server, tmp_path, BAD)
    assert met.load.errors >= met.load.requests > 0


def test_a_wanted_rate_is_kept(server, tmp_path: Path) -> None:
    rates = []
    while not any(50 < rate < 150 for rate in rates):  # a busy machine may spoil some of the seconds
        assert len(rates) < 10, rates
        rates.append(loaded(server, tmp_path, GOOD, rate=100.0).load.rate)
    assert max(rates) < 150, rates


def test_a_pool_whose_answers_come_from_elsewhere_is_refused(server) -> None:
    assert check(server, [*GOOD[1:], GUARDED], "session") == {"session": 1.0}
    with pytest.raises(RuntimeError, match="instead of 'precomputed'"):
        check(server, GOOD, "precomputed")


def test_a_server_that_dies_is_reported_with_its_log(tmp_path: Path) -> None:
    command = [sys.executable, "-c", "raise SystemExit('no model here')", "{port}"]
    with (
        pytest.raises(RuntimeError, match="no model here"),
        running(command, ready="/", env=dict(os.environ), cwd=ROOT, log=tmp_path / "log.txt"),
    ):
        pass


def test_no_load_generator_is_said_with_the_way_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SystemExit, match="apt install wrk"):
        put_load(1, tmp_path / "pool.tsv", seconds=1, seed=0)


def test_figures_take_the_median_round_and_every_error() -> None:
    def at(rate: float, errors: int = 0) -> Stretch:
        load = Load(requests=int(rate), seconds=1.0, p50=1.0, p99=1e3 / rate, max=9.0, errors=errors)
        return Stretch(load=load, processor_us=1e6 / rate)

    found = figures([at(50), at(500, errors=2), at(100)], at(40, errors=1), {}, [at(200), at(200), at(1)])
    assert found["requests_per_second"] == 100
    assert found["ratio_to_bare"] == found["processor_ratio_to_bare"] == 0.5
    assert found["p99_ms"] == 10
    assert found["errors"] == 3


def test_the_result_line_is_read_in_milliseconds() -> None:
    line = (
        'RESULT {"requests": 10, "microseconds": 2000000, "p50": 1500, "p99": 2500, "max": 9000, '
        '"status_errors": 1, "socket_errors": 2}'
    )
    met = read_result(f"Running 2s test\n{line}\n")
    assert (met.rate, met.p50, met.p99, met.max, met.errors) == (5.0, 1.5, 2.5, 9.0, 3)

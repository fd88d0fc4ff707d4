"""run_mimic_load.py as it is called: against a served bank, against faults, against nobody, without site-packages."""

from __future__ import annotations

import json
import os
import random
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from mimic_load import SCRIPT, mimic_load
from ports import free_port
from web_thread import served

from app.accounts.guard import Guarded
from vitrina.events.panels.columns import NAMED_HEADER, PRODUCTS
from vitrina.features.panel_client import read_client

Serve = Callable[..., Any]


def load(*arguments: str, token: str = "") -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-I", "-S", str(SCRIPT), *arguments]
    environment = {**os.environ, "VITRINA_TOKEN": token}
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)


@pytest.fixture(scope="module")
def bank(serve: Serve, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A served bank whose model says yes to every product that a client does not own."""
    with serve(tmp_path_factory.mktemp("home"), champion=False, bank=True, bank_probability=0.75) as running:
        yield running


@contextmanager
def answering(answer: Callable[[str], tuple[int, bytes]]) -> Iterator[str]:
    """The address of a server that answers by path, or hangs up at status 0."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            status, body = answer(self.path)
            if not status:
                self.close_connection = True
                return
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    with served(server) as url:
        yield url


def products(out: str) -> dict[str, int]:
    """Positive predictions by product, of the summary."""
    return {name: int(count) for count, name in re.findall(r"^  product +(\d+) +[\d.]+%  (.+)$", out, re.MULTILINE)}


@pytest.mark.parametrize("ask", ["random", "predict"])
def test_the_summary_is_what_the_service_counted(bank: Any, ask: str) -> None:
    done = load("-n", "200", "--url", bank.url, "--ask", ask, "--workers", "4")
    assert (done.returncode, done.stderr.splitlines()[-1]) == (0, "200 of 200 requests"), done.stdout + done.stderr
    assert "200 answered with 200" in done.stdout
    assert re.search(r"^  status +200  100.00%  200$", done.stdout, re.MULTILINE)
    assert re.search(r"latency +p50 [\d.]+ ms, p95 [\d.]+ ms, p99 [\d.]+ ms, max [\d.]+ ms", done.stdout)
    assert set(products(done.stdout)) == {product.russian for product in PRODUCTS}
    assert all(0 < count < 200 for count in products(done.stdout).values())
    assert "/metrics  the same counts, of answers and of products" in done.stdout


def test_probabilities_are_asked_for_as_well(bank: Any) -> None:
    done = load("-n", "50", "--url", bank.url, "--ask", "predict_proba", "--workers", "2")
    assert done.returncode == 0, done.stdout + done.stderr
    assert products(done.stdout) == {}
    assert "/metrics  the same counts" in done.stdout


def test_more_in_metrics_is_somebody_elses_and_less_is_a_fault() -> None:
    counts = {"/metrics": 0, "/random": 0}

    def answer(path: str) -> tuple[int, bytes]:
        counts[path] = counts.get(path, 0) + 1
        told = counts["/random"] + skew if counts["/metrics"] > 1 else 0
        text = f'vitrina_http_requests_total{{route="/random",status="200"}} {told}.0\n'
        return 200, text.encode() if path == "/metrics" else b"{}"

    skew = 3
    with answering(answer) as url:
        done = load("-n", "5", "--url", url, "--workers", "1")
        assert done.returncode == 0 and "others asked at the same time (200 +3)" in done.stdout
        skew, counts["/random"], counts["/metrics"] = -2, 0, 0
        done = load("-n", "5", "--url", url, "--workers", "1")
        assert done.returncode == 1 and "counts less than was answered (200 -2)" in done.stdout


def test_refused_requests_are_told_with_their_reason(serve: Serve, tmp_path: Path) -> None:
    with serve(tmp_path, champion=True) as running:
        done = load("-n", "20", "--url", running.url)
    assert done.returncode == 1
    assert re.search(r"fault +20  100.00%  status 503: 'no model of bank_products is published'", done.stdout)
    assert "/metrics  the same counts" in done.stdout


@pytest.mark.parametrize("ask", ["random", "predict"])
def test_a_key_opens_closed_routes(serve: Serve, tmp_path: Path, ask: str) -> None:
    """The service leaves /metrics open; here it is closed as well, as it may be by a proxy."""
    with serve(tmp_path, champion=False, bank=True, require_token="recommendations") as running:
        (metrics,) = (one for one in running.app.router.routes if getattr(one, "path", "") == "/metrics")
        metrics.app = Guarded(metrics.app, running.app.state.desk.guard, "recommendations")
        assert running.client.get("/metrics").status_code == 401
        for token in (running.api_key("recommendations"), f" {running.token()}\n"):
            done = load("-n", "20", "--url", running.url, "--ask", ask, "--workers", "2", token=token)
            assert done.returncode == 0, done.stdout + done.stderr
            assert "20 answered with 200" in done.stdout and "VITRINA_TOKEN" not in done.stdout
            assert "/metrics  the same counts, of answers and of products" in done.stdout
            assert token.strip() not in done.stdout + done.stderr


def test_closed_routes_are_told_with_what_opens_them(serve: Serve, tmp_path: Path) -> None:
    with serve(tmp_path, champion=False, bank=True, require_token="recommendations") as running:
        for token, status in (("", 401), ("planted-token", 401), (running.api_key("events"), 403)):
            done = load("-n", "5", "--url", running.url, token=token)
            assert done.returncode == 1
            assert re.search(rf"^  status +5  100.00%  {status}$", done.stdout, re.MULTILINE), done.stdout
            (remedy,) = (line for line in done.stdout.splitlines() if "VITRINA_TOKEN" in line)
            assert "set VITRINA_TOKEN" in remedy and "vitrina users" in remedy
            assert not token or token not in done.stdout + done.stderr


@pytest.mark.parametrize("token", ["planted\nX-Forged: 1", "planted-ключ"])
def test_a_token_that_no_header_may_hold_is_refused_and_not_shown(token: str) -> None:
    done = load("-n", "1", token=token)
    assert (done.returncode, done.stdout) == (2, "")
    assert "error: VITRINA_TOKEN" in done.stderr
    assert "planted" not in done.stderr and "Traceback" not in done.stderr


def test_help_names_the_token() -> None:
    assert "VITRINA_TOKEN" in load("--help").stdout


def test_a_connection_that_breaks_is_a_fault_and_the_next_request_has_a_new_one() -> None:
    def answer(path: str) -> tuple[int, bytes]:
        asked.append(path)
        return {"/metrics": 404, "/random": 0 if len(asked) % 5 == 0 else 200}.get(path, 200), b"{}"

    asked: list[str] = []
    with answering(answer) as url:
        done = load("-n", "12", "--url", url, "--workers", "1")
    assert done.returncode == 1
    assert re.search(r"status +[23] +\d+\.\d+%  none", done.stdout), done.stdout
    assert "not compared: /metrics does not answer" in done.stdout


def test_a_run_that_is_longer_than_the_service_keeps_a_connection_is_compared_as_well(
    serve: Serve, tmp_path: Path
) -> None:
    with serve(tmp_path, champion=False, keep_alive=1) as running:
        connection = mimic_load().Connection(running.url, 10.0)
        before = mimic_load().counted(connection, "/random")
        time.sleep(1.5)  # that second is over
        told = mimic_load().compared(connection, "/random", before, mimic_load().Tally())
    assert told == ("the same counts, of answers and of products", False)


def test_nobody_listens() -> None:
    for option in ("--url", "--host"):  # the latter as test_recsys.py has it
        done = load(option, address := f"http://127.0.0.1:{free_port()}")
        assert done.returncode == 1
        assert f"Nothing answers on {address}" in done.stderr and "--url URL" in done.stderr


@pytest.mark.parametrize(
    "arguments", [["-n", "0"], ["--workers", "65"], ["--timeout", "0"], ["--url", "ftp://x"], ["--ask", "all"]]
)
def test_bad_input(arguments: list[str]) -> None:
    done = load(*arguments)
    assert done.returncode == 2
    assert "error:" in done.stderr


def test_ctrl_c_ends_it_with_the_summary_so_far(bank: Any) -> None:
    command = [sys.executable, "-I", "-S", str(SCRIPT), "--url", bank.url, "-n", "1000000", "--workers", "2"]
    looking = mimic_load().Connection(bank.url, 10.0)

    def answered() -> int:
        return mimic_load().counted(looking, "/random").statuses["200"]

    before = answered()
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as child:
        bank.until(lambda: answered() > before + 20)
        child.send_signal(signal.SIGINT)
        out, _ = child.communicate(timeout=300)
    assert child.returncode == 130, out
    assert "answered with 200" in out and "/metrics  the same counts" in out


def test_made_up_clients_are_what_a_request_may_hold() -> None:
    script = mimic_load()
    assert {product.column: product.russian for product in PRODUCTS} == script.PRODUCTS
    made = [script.client(random.Random(seed)) for seed in range(300)]
    assert made[:5] == [script.client(random.Random(seed)) for seed in range(5)]
    assert {name for client in made for name in client} <= {*NAMED_HEADER, "history"}
    clients = [read_client(json.loads(json.dumps(client)), default_month=0) for client in made]
    assert {client.month for client in clients} == {2016 * 12 + 4}
    assert 0.4 < sum(len(client.months) > 0 for client in clients) / len(clients) < 0.6
    assert 0.1 < sum(client["income"] is None for client in made) / len(made) < 0.3
    assert any("gender" not in client for client in made)

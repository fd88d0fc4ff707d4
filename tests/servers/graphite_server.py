"""A real carbon-cache and a real graphite-web (Debian's packages) on free ports of 127.0.0.1."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import Self

import pytest
from ports import free_ports
from waiting import wait

MISSING = "NO GRAPHITE: apt install graphite-carbon graphite-web"
CARBON = "/usr/bin/carbon-cache"
SYSTEM_PYTHON = "/usr/bin/python3"
WEB_PACKAGE = Path("/usr/lib/python3/dist-packages/graphite")
CONFIGURATION = Path(__file__).resolve().parents[2] / "monitoring" / "graphite"
"""storage-schemas.conf and storage-aggregation.conf, the same files as in the composed stack."""

# ENABLE_TAGS: with it carbon asks graphite-web over HTTP about every new series. MAX_CREATES_PER_MINUTE: carbon drops
# the points of new series beyond it, and its default of 50 is soon used up. CACHE_QUERY_PORT: graphite-web asks there
# for the points that are not on disk yet.
CARBON_CONF = """\
[cache]
STORAGE_DIR = {folder}
LOCAL_DATA_DIR = {folder}/whisper/
CONF_DIR = {folder}/conf/
LOG_DIR = {folder}/log/
PID_DIR = {folder}/
USER =
ENABLE_TAGS = False
MAX_CREATES_PER_MINUTE = inf
MAX_UPDATES_PER_SECOND = 5000
LINE_RECEIVER_INTERFACE = 127.0.0.1
LINE_RECEIVER_PORT = {line}
PICKLE_RECEIVER_INTERFACE = 127.0.0.1
PICKLE_RECEIVER_PORT = {pickle}
CACHE_QUERY_INTERFACE = 127.0.0.1
CACHE_QUERY_PORT = {query}
ENABLE_LOGROTATION = False
LOG_UPDATES = False
CARBON_METRIC_INTERVAL = 0
"""
WEB_SETTINGS = """\
SECRET_KEY = "only for tests"
TIME_ZONE = "UTC"
CONF_DIR = {conf!r}
STORAGE_DIR = {folder!r}
WHISPER_DIR = {whisper!r}
LOG_DIR = {log!r}
LOG_ROTATION = False
CARBONLINK_HOSTS = ["127.0.0.1:{query}"]
FIND_CACHE_DURATION = 0
TAGDB = None
USE_WORKER_POOL = False
"""
WEB_PROGRAM = """\
import sys, socketserver, wsgiref.simple_server as simple
from graphite.wsgi import application
class Server(socketserver.ThreadingMixIn, simple.WSGIServer):
    daemon_threads = True
simple.make_server("127.0.0.1", int(sys.argv[1]), application, Server).serve_forever()
"""

FINEST = "10s:7d"
"""The first archive of what a service sends, in storage-schemas.conf."""

Point = tuple[int, float]
"""A time in seconds since the epoch, UTC, and a value."""


class GraphiteServer:
    """Both processes over one folder, which goes with them. Skips the test, loudly, when they are not installed.

    `carbon` is the port of the plaintext protocol, `url` the address of graphite-web (left out by `web=False`).
    `finest` is how carbon keeps what a service sends, in the place of the first of its archives.
    """

    def __init__(self, *, web: bool = True, finest: str = FINEST) -> None:
        if not Path(CARBON).is_file() or not WEB_PACKAGE.is_dir():
            pytest.skip(MISSING)
        self.folder = Path(tempfile.mkdtemp(prefix="vitrina-graphite-"))
        self.carbon, self._pickle, self._query, self._http = free_ports(4)
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._marks = 0
        for name in ("conf", "log", "whisper"):
            (self.folder / name).mkdir()
        for path in CONFIGURATION.glob("*.conf"):
            (self.folder / "conf" / path.name).write_text(path.read_text().replace(FINEST, finest))
        ports = {"line": self.carbon, "pickle": self._pickle, "query": self._query}
        (self.folder / "conf" / "carbon.conf").write_text(CARBON_CONF.format(folder=self.folder, **ports))
        self.start_carbon()
        if web:
            self.start_web()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._http}"

    @property
    def pid_of_carbon(self) -> int:
        return self._processes["carbon"].pid

    def start_carbon(self) -> None:
        """Starts carbon-cache, on the same ports every time, and returns when it listens."""
        config = self.folder / "conf" / "carbon.conf"
        self._start("carbon", [SYSTEM_PYTHON, CARBON, f"--config={config}", "--nodaemon", "start"], self.carbon)

    def stop_carbon(self, *, settle: bool = True) -> None:
        """Stops carbon-cache the way a container is stopped.

        It writes about once a second and forgets at its end what it has not written; `settle` waits for that before.
        """
        for _ in range(2 if settle else 0):  # the second mark is written in a later round, so the first one was whole
            self._marks += 1
            self.send([(f"settled.{self._marks}", 1.0, 1_438_560_000)])
            file = self.folder / "whisper" / "settled" / f"{self._marks}.wsp"
            wait(file.is_file, otherwise=lambda: "carbon writes nothing", pause=0.05)
        self._stop("carbon")

    def start_web(self) -> None:
        """Starts graphite-web and returns when it listens."""
        settings = WEB_SETTINGS.format(
            conf=str(self.folder / "conf"),
            folder=str(self.folder),
            whisper=str(self.folder / "whisper"),
            log=str(self.folder / "log"),
            query=self._query,
        )
        (self.folder / "conf" / "graphite_of_tests.py").write_text(settings)
        self._start("web", [SYSTEM_PYTHON, "-W", "ignore", "-c", WEB_PROGRAM, str(self._http)], self._http)

    def render(self, target: str, begin: int, until: int) -> dict[str, list[Point]]:
        """Series by name as graphite-web tells them for begin < time <= until (seconds), without the empty points."""
        asked = {"target": target, "from": str(begin), "until": str(until), "format": "json", "noNullPoints": "true"}
        found = json.loads(self._answer(f"{self.url}/render?{urllib.parse.urlencode(asked)}"))
        return {one["target"]: [(ts, value) for value, ts in one["datapoints"]] for one in found}

    def _answer(self, url: str) -> bytes:
        """graphite-web answers 500 while carbon is creating the file of a new series: that is asked again."""
        for _ in range(100):
            try:
                with urllib.request.urlopen(url, timeout=60) as answer:
                    return bytes(answer.read())
            except urllib.error.HTTPError as error:
                error.close()
                if error.code != 500:
                    raise
            time.sleep(0.1)
        raise AssertionError(f"graphite-web fails at {url}:\n{(self.folder / 'log' / 'exception.log').read_text()}")

    def send(self, points: Iterable[tuple[str, float, int]]) -> None:
        """Hands (name, value, seconds) to carbon over a connection of its own."""
        with socket.create_connection(("127.0.0.1", self.carbon), timeout=60) as connection:
            connection.sendall("".join(f"{name} {value!r} {ts}\n" for name, value, ts in points).encode())

    def close(self) -> None:
        """Stops both and removes their folder."""
        for name in list(self._processes):
            self._stop(name)
        shutil.rmtree(self.folder)

    def _start(self, name: str, command: list[str], port: int) -> None:
        environment = {key: value for key, value in os.environ.items() if not key.startswith(("PYTHON", "VIRTUAL_ENV"))}
        environment |= {
            "GRAPHITE_SETTINGS_MODULE": "graphite_of_tests",
            "PYTHONPATH": str(self.folder / "conf"),
            "PYTHONDONTWRITEBYTECODE": "1",
        }
        log = self.folder / "log" / f"{name}.out"
        with log.open("ab") as told:
            process = subprocess.Popen(command, stdout=told, stderr=told, cwd=self.folder, env=environment)
        self._processes[name] = process

        def listening() -> bool:
            assert process.poll() is None, f"{name} ended with {process.returncode}:\n{log.read_text()}"
            with socket.socket() as probe:
                return probe.connect_ex(("127.0.0.1", port)) == 0

        wait(listening, otherwise=lambda: f"{name} does not listen:\n{log.read_text()}", pause=0.1)

    def _stop(self, name: str) -> None:
        process = self._processes.pop(name)
        process.terminate()
        process.send_signal(signal.SIGCONT)  # a process that a test has halted would not hear of it
        try:
            process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

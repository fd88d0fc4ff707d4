"""A real Prometheus on a free port of 127.0.0.1, for tests: it scrapes given targets and evaluates given rules."""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx
import pytest
import yaml
from seaweed_server import free_port
from waiting import wait

MISSING = "NO PROMETHEUS: apt install prometheus"


@dataclass(frozen=True)
class Series:
    """One answered time series: `points` are (seconds since the epoch, value), one of them for an instant query."""

    labels: dict[str, str]
    points: tuple[tuple[float, float], ...]

    @property
    def value(self) -> float:
        return self.points[-1][1]


@dataclass
class PrometheusServer:
    """`targets` are the addresses (host:port) of each job; `rules` are rule files; intervals are short, as tests need.

    `start` and `stop` keep the data and the port; leaving the `with` block stops the server.
    """

    folder: Path
    targets: Mapping[str, Sequence[str]]
    rules: Sequence[Path] = ()
    alertmanager: str | None = None
    interval: str = "500ms"
    port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Starts it and waits until it answers; skips the test loudly where there is no Prometheus."""
        program = _program("prometheus")
        self.folder.mkdir(parents=True, exist_ok=True)
        config = self.folder / "prometheus.yml"
        config.write_text(yaml.safe_dump(self._config()))
        options = {
            "config.file": config,
            "storage.tsdb.path": self.folder / "data",
            "storage.tsdb.retention.time": "20y",  # tests import old series
            "web.listen-address": f"127.0.0.1:{self.port}",
            "rules.alert.resend-delay": "2s",  # else an alert of the first seconds is lost for a minute
            "log.level": "warn",
        }
        log = self.folder / "prometheus.log"
        with log.open("ab") as told:
            self.process = subprocess.Popen(
                [program, *(f"--{name}={value}" for name, value in options.items())], stdout=told, stderr=told
            )
        try:
            wait(self._ready, 30, log.read_text, pause=0.1)
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Ends the process; its data stays in the folder."""
        if self.process is None:
            return
        self.process.terminate()
        self.process.wait(timeout=30)
        self.process = None

    def query(self, expression: str, at: float | None = None) -> list[Series]:
        """The series of a PromQL expression at one moment (seconds since the epoch; now by default)."""
        return _series(self._ask("query", query=expression, time=time.time() if at is None else at))

    def query_range(self, expression: str, start: float, end: float, step: float) -> list[Series]:
        """The values of a PromQL expression at every `step` seconds of a time span."""
        return _series(self._ask("query_range", query=expression, start=start, end=end, step=step))

    def label_values(self, label: str, selector: str) -> list[str]:
        """The values of a label over the series that a selector finds, sorted."""
        return list(self._ask(f"label/{label}/values", **{"match[]": selector}))

    def alerts(self) -> list[dict[str, Any]]:
        """The pending and firing alerts, as Prometheus' API tells them."""
        return list(self._ask("alerts")["alerts"])

    def until(self, expression: str, seconds: float = 30) -> list[Series]:
        """Waits until an expression has an answer, and returns it."""
        wait(lambda: bool(self.query(expression)), seconds, lambda: f"no data for {expression}", pause=0.2)
        return self.query(expression)

    def backfill(self, openmetrics: str) -> None:
        """Gives the stopped server old samples: OpenMetrics text, timestamps in seconds, ending in `# EOF`."""
        assert self.process is None, "stop the server first"
        told = self.folder / "backfill.txt"
        told.write_text(openmetrics)
        command = ["tsdb", "create-blocks-from", "openmetrics", str(told), str(self.folder / "data")]
        done = subprocess.run([_program("promtool"), *command], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr

    def _config(self) -> dict[str, Any]:
        config: dict[str, Any] = {
            "global": {
                "scrape_interval": self.interval,
                "scrape_timeout": self.interval,
                "evaluation_interval": self.interval,
            },
            "rule_files": [str(path.resolve()) for path in self.rules],
            "scrape_configs": [
                {"job_name": job, "static_configs": [{"targets": list(addresses)}]}
                for job, addresses in self.targets.items()
            ],
        }
        if self.alertmanager is not None:
            config["alerting"] = {"alertmanagers": [{"static_configs": [{"targets": [self.alertmanager]}]}]}
        return config

    def _ready(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, (self.folder / "prometheus.log").read_text()
        try:
            return httpx.get(f"{self.url}/-/ready", timeout=2).status_code == 200
        except httpx.TransportError:
            return False

    def _ask(self, what: str, **parameters: Any) -> Any:
        answer = httpx.get(f"{self.url}/api/v1/{what}", params=parameters, timeout=30)
        told = answer.json()
        assert told["status"] == "success", f"{parameters}: {told['error']}"
        return told["data"]


def _series(data: dict[str, Any]) -> list[Series]:
    if data["resultType"] == "scalar":
        data = {"result": [{"metric": {}, "value": data["result"]}]}
    return [
        Series(
            labels=one["metric"],
            points=tuple((float(ts), float(value)) for ts, value in one.get("values", [one.get("value")])),
        )
        for one in data["result"]
    ]


def _program(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        pytest.skip(MISSING)
    return found

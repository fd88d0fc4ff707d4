"""A real Prometheus on a free port of 127.0.0.1, for tests: it scrapes given targets and evaluates given rules."""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from waiting import wait
from web_process import WebProcess

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
class PrometheusServer(WebProcess):
    """`targets` are the addresses (host:port) of each job, `rules` rule files; intervals are short, as tests need."""

    targets: Mapping[str, Sequence[str]]
    rules: Sequence[Path] = ()
    alertmanager: str | None = None
    interval: str = "500ms"

    def run(self) -> subprocess.Popen[bytes]:
        """The started Prometheus; skips the test loudly where there is none."""
        program = _program("prometheus")
        config = self.folder / "prometheus.yml"
        config.write_text(yaml.safe_dump(self._config()))
        options = {
            "config.file": config,
            "storage.tsdb.path": self.folder / "data",
            "storage.tsdb.retention.time": "20y",  # tests import old series
            "web.listen-address": self.address,
            "rules.alert.resend-delay": "2s",  # else an alert of the first seconds is lost for a minute
            "log.level": "warn",
        }
        with self.log.open("ab") as told:
            return subprocess.Popen(
                [program, *(f"--{name}={value}" for name, value in options.items())], stdout=told, stderr=told
            )

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

    def until(self, expression: str) -> list[Series]:
        """Waits until an expression has an answer, and returns it."""
        found: list[Series] = []

        def answered() -> bool:
            found[:] = self.query(expression)
            return found != []

        wait(answered, otherwise=lambda: f"no data for {expression}", pause=0.2)
        return found

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

    def _ask(self, what: str, **parameters: Any) -> Any:
        answer = httpx.get(f"{self.url}/api/v1/{what}", params=parameters)
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

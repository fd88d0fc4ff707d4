"""A real Alertmanager on a free port of 127.0.0.1, started by the stack's own script, as tests ask and look at it."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from web_process import WebProcess

MISSING = "NO ALERTMANAGER: apt install prometheus-alertmanager"
SCRIPT = Path(__file__).resolve().parents[2] / "monitoring" / "alertmanager" / "start.sh"


@dataclass
class AlertmanagerServer(WebProcess):
    """`environment` are the script's settings. `script` may be a copy beside a changed alertmanager.yml."""

    environment: Mapping[str, str]
    script: Path = SCRIPT

    @property
    def config(self) -> Path:
        return self.folder / "config" / "alertmanager.yml"

    def run(self) -> subprocess.Popen[bytes]:
        """The started script, which may refuse its settings; skips the test loudly where there is no Alertmanager."""
        program = shutil.which("prometheus-alertmanager")
        if program is None:
            pytest.skip(MISSING)
        self.folder.mkdir(parents=True, exist_ok=True)
        options = [f"--web.listen-address={self.address}", f"--storage.path={self.folder / 'data'}"]
        plain = {"PATH": os.environ["PATH"], "ALERTMANAGER": program, "CONFIG_FOLDER": str(self.folder / "config")}
        with self.log.open("ab") as told:
            return subprocess.Popen(
                ["sh", str(self.script), *options], env={**plain, **self.environment}, stdout=told, stderr=told
            )

    def tell(self, *alerts: Mapping[str, Any]) -> None:
        """Sends alerts as Prometheus does; one with an `endsAt` in the past is resolved."""
        answer = httpx.post(f"{self.url}/api/v2/alerts", json=list(alerts))
        assert answer.status_code == 200, answer.text

    def ask(self, what: str) -> Any:
        """A part of its API, as JSON."""
        answer = httpx.get(f"{self.url}/api/v2/{what}")
        assert answer.status_code == 200, answer.text
        return answer.json()

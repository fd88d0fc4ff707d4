"""A real Alertmanager on a free port of 127.0.0.1, started by the stack's own script, as tests ask and look at it."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx
import pytest
from seaweed_server import free_port
from waiting import wait

MISSING = "NO ALERTMANAGER: apt install prometheus-alertmanager"
SCRIPT = Path(__file__).resolve().parents[2] / "monitoring" / "alertmanager" / "start.sh"


@dataclass
class AlertmanagerServer:
    """`environment` are the script's settings. `script` may be a copy beside a changed alertmanager.yml."""

    folder: Path
    environment: Mapping[str, str]
    script: Path = SCRIPT
    port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def config(self) -> Path:
        return self.folder / "config" / "alertmanager.yml"

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Starts it and waits until it answers; skips the test loudly where there is no Alertmanager."""
        self.process = self.run()
        try:
            wait(self._ready, 30, self.said, pause=0.1)
        except BaseException:
            self.stop()
            raise

    def run(self) -> subprocess.Popen[bytes]:
        """The started script, which may refuse its settings."""
        program = shutil.which("prometheus-alertmanager")
        if program is None:
            pytest.skip(MISSING)
        self.folder.mkdir(parents=True, exist_ok=True)
        options = [f"--web.listen-address={self.address}", f"--storage.path={self.folder / 'data'}"]
        plain = {"PATH": os.environ["PATH"], "ALERTMANAGER": program, "CONFIG_FOLDER": str(self.folder / "config")}
        with (self.folder / "log").open("ab") as told:
            return subprocess.Popen(
                ["sh", str(self.script), *options], env={**plain, **self.environment}, stdout=told, stderr=told
            )

    def stop(self) -> None:
        """Ends the process; its data stays in the folder."""
        if self.process is not None:
            self.process.terminate()
            self.process.wait(timeout=30)
            self.process = None

    def said(self) -> str:
        """Its log so far."""
        return (self.folder / "log").read_text()

    def tell(self, *alerts: Mapping[str, Any]) -> None:
        """Sends alerts as Prometheus does; one with an `endsAt` in the past is resolved."""
        answer = httpx.post(f"{self.url}/api/v2/alerts", json=list(alerts), timeout=10)
        assert answer.status_code == 200, answer.text

    def ask(self, what: str) -> Any:
        """A part of its API, as JSON."""
        answer = httpx.get(f"{self.url}/api/v2/{what}", timeout=10)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def _ready(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, self.said()
        try:
            return httpx.get(f"{self.url}/-/ready", timeout=2).status_code == 200
        except httpx.TransportError:
            return False

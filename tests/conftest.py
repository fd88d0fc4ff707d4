"""Fixtures and rules of every test: real data or a loud skip, fixed seeds, fast tests first."""

from __future__ import annotations

import os
import random
import signal
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

# BLAS reads this once, when numpy is loaded; implicit warns when it is not 1.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

# Where tests are started in the background a shell lets them ignore Ctrl-C, and so would every command they start.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

import numpy as np
import pytest
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings
from places import ByPlace
from postgresql_server import PostgresServer
from seaweed_server import S3Server
from waiting import answers_may_take

if TYPE_CHECKING:
    from vitrina.events.baskets.baskets import Baskets
    from vitrina.events.panels.panel import Panel

ROOT = Path(__file__).resolve().parents[1]
SEED = 20_150_803

# Neither the time of one example nor that of drawing them says anything on a busy machine.
hypothesis_settings.register_profile(
    "vitrina", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)
hypothesis_settings.load_profile("vitrina")
answers_may_take(60)

_skipped_for_data: list[str] = []
_closing_words: dict[str, list[str]] = {}


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


@pytest.fixture(scope="session")
def bank_csv(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A generated train_ver2.csv of 800 customers and 17 months."""
    from vitrina.events.synthetic_panels.generator import PanelSpec, generate_panel

    folder = tmp_path_factory.mktemp("bank") / "raw"
    generate_panel(PanelSpec(customers=800, seed=12), folder, as_raw_csv=True)
    return folder / "train_ver2.csv"


@pytest.fixture(scope="session")
def bank_panel(bank_csv: Path, tmp_path_factory: pytest.TempPathFactory) -> Panel:
    """`bank_csv`, read and opened."""
    from vitrina.engine import LocalEngine
    from vitrina.events.panels.panel import Panel
    from vitrina.events.panels.reader import read_panel

    folder = tmp_path_factory.mktemp("panel") / "validated"
    with LocalEngine(memory_limit="500MB", threads=1) as engine:
        read_panel(bank_csv, folder, engine)
        return Panel.open(folder, engine)


@pytest.fixture(scope="session")
def baskets_of() -> Callable[..., Baskets]:
    """Makes `Baskets` of item numbers by basket; `ts` (ms, ascending) is the place unless given, nobody is known."""
    from vitrina.events.baskets.baskets import Baskets

    def build(
        rows: Sequence[Iterable[int]],
        *,
        items: int | None = None,
        ts: Sequence[int] | None = None,
        customer: Sequence[int] | None = None,
    ) -> Baskets:
        lines = [sorted(set(row)) for row in rows]
        flat = np.array([item for line in lines for item in line], np.int32)
        size = int(flat.max(initial=-1)) + 1 if items is None else items
        known = max(customer or [-1], default=-1) + 1
        return Baskets(
            starts=np.concatenate([[0], np.cumsum([len(line) for line in lines])]).astype(np.int64),
            items=flat,
            ts=np.array(range(len(lines)) if ts is None else ts, np.int64),
            customer=np.full(len(lines), -1, np.int32) if customer is None else np.array(customer, np.int32),
            invoices=np.array([f"B{row}" for row in range(len(lines))]),
            codes=tuple(f"{20_000 + item}" for item in range(size)),
            descriptions=tuple(f"THING {item}" for item in range(size)),
            customers=tuple(f"{17_000 + number}" for number in range(known)),
            dated=ts is not None,
        )

    return build


@pytest.fixture(autouse=True)
def _fixed_seeds() -> None:
    """Libraries that draw from the global generators draw the same in every run."""
    random.seed(SEED)
    np.random.seed(SEED)  # noqa: NPY002  third parties (implicit, scipy) read the global state


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Fast tests first; then what mostly waits and takes longest, the composed stack and Airflow, and beside it, where
    there are several processes, what is slow. The sort is stable, so files keep their order."""
    items.sort(key=_turn)


def _turn(item: pytest.Item) -> int:
    if item.get_closest_marker("stack"):
        return 1
    if item.get_closest_marker("slow"):
        return 2 if item.path.parent.name == "pipelines" else 3
    return 0


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> ByPlace:
    return ByPlace(config, log)


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    if report.skipped and "REAL DATA MISSING" in str(report.longrepr):
        _skipped_for_data.append(report.nodeid)
    for name, value in report.user_properties:
        if name == "closing words":
            _closing_words.update(value)  # type: ignore[arg-type]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Also what the reports carry as "closing words", lines by title: they come from other processes, too."""
    for title, lines in _closing_words.items():
        terminalreporter.section(title)
        for line in lines:
            terminalreporter.write_line(line)
    if _skipped_for_data:
        terminalreporter.section("REAL DATA MISSING", sep="!", red=True, bold=True)
        terminalreporter.write_line(
            f"{len(_skipped_for_data)} tests did not run because {_real_data()} holds no extracts. "
            "Set VITRINA_DATA to the folder that has retailrocket/events.csv.gz."
        )

"""One real Airflow for all tests of this folder, with the DAGs of the repository and two planted scenarios."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from airflow_server import Airflow
from postgresql_server import PostgresServer
from seaweed_server import S3Server
from small_recipe import put_small_recipe
from telegram_server import CHAT_ID, TOKEN, Sent, TelegramServer
from waiting import wait

from vitrina.storage.objects import FolderObjects

ROOT = Path(__file__).resolve().parents[2]
HERE = Path(__file__).parent

# `broken` cannot be imported, `planted` lies beside this file; both stand in the list of scenarios as the others do.
PLANTED = f"""
import sys
from vitrina.scenarios import SCENARIOS
sys.path.append({str(HERE)!r})
SCENARIOS |= {{"broken": "no_such_module", "planted": "planted_scenario"}}
"""
# `vitrina` of this environment; an order `register` kills it when the version is made and nobody knows it yet.
COMMAND = f"""#!{sys.executable}
{PLANTED}
import os, signal
from pathlib import Path
from vitrina.storage.objects import FolderObjects
order, put_bytes = Path(os.environ["PLANTED_ORDERS"]) / "register", FolderObjects.put_bytes
def put_or_die(self, key, content):
    if key.endswith("/registered.json") and order.exists():
        order.unlink()
        os.kill(os.getpid(), signal.SIGKILL)
    put_bytes(self, key, content)
FolderObjects.put_bytes = put_or_die
sys.argv[0] = "vitrina"
from vitrina.cli import main
main()
"""


@dataclass(frozen=True, kw_only=True)
class Stack:
    """`orders` is where a test says what should happen to a step; `home` is where all scenarios keep their state,
    `world` the storefront's log, `bank` and `basket` the addresses in S3 of a panel and of sales, which are empty at
    first. `vitrina` runs a verb as the tasks do and gives its JSON."""

    airflow: Airflow
    telegram: TelegramServer
    orders: Path
    home: Path
    world: Path
    command: Path
    bank: str
    basket: str
    environment: dict[str, str]

    def vitrina(self, *arguments: str) -> dict[str, Any]:
        done = subprocess.run(
            [str(self.command), *arguments, "--json"], env=self.environment, check=True, capture_output=True, text=True
        )
        found: dict[str, Any] = json.loads(done.stdout)
        return found


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory, postgres: PostgresServer, s3: S3Server) -> Iterator[Stack]:
    """Airflow with everything around it, healthy."""
    folder = tmp_path_factory.mktemp("pipelines")
    world, home, orders, dags = folder / "world", folder / "home", folder / "orders", folder / "dags"
    orders.mkdir()
    dags.mkdir()
    write_log(world)
    put_small_recipe(FolderObjects(home / "objects"))
    for path in (ROOT / "airflow" / "dags").glob("*.py"):
        text = path.read_text(encoding="utf-8").replace("\nimport os\n", f"\nimport os\n{PLANTED}", 1)
        (dags / path.name).write_text(text, encoding="utf-8")
    command = folder / "vitrina"
    command.write_text(COMMAND)
    command.chmod(0o755)
    telegram = TelegramServer()
    bank, basket = (f"s3://{s3.bucket()}/{name}" for name in ("bank", "basket"))
    of_vitrina = {
        "VITRINA_HOME": str(home),
        "VITRINA_EVENTS_URI": str(world),
        "VITRINA_BANK_EVENTS_URI": bank,
        "VITRINA_BASKET_EVENTS_URI": basket,
        "VITRINA_THREADS": "2",
        "VITRINA_LOG_FORMAT": "json",
        "PLANTED_ORDERS": str(orders),
        **s3.environment,
    }
    airflow = Airflow(
        folder / "airflow",
        database=postgres("airflow"),
        dags=dags,
        environment={
            **of_vitrina,
            "VITRINA_COMMAND": str(command),
            "VITRINA_RETRAIN_CRON": never(),
            "VITRINA_EVENTS_CRON": never(),
            "VITRINA_STEP_RETRIES": "1",
            "VITRINA_STEP_RETRY_SECONDS": "1",
            "VITRINA_REGISTRY_PAGE": "http://mlflow.example.org:5000",
            "VITRINA_TELEGRAM_TOKEN": TOKEN,
            "VITRINA_TELEGRAM_CHAT_ID": CHAT_ID,
            "VITRINA_TELEGRAM_BASE_URL": telegram.base_url,
            "VITRINA_TELEGRAM_RETRY_SECONDS": "2",
        },
    )
    try:
        airflow.start()
        yield Stack(
            airflow=airflow,
            telegram=telegram,
            orders=orders,
            home=home,
            world=world,
            command=command,
            bank=bank,
            basket=basket,
            environment={**os.environ, **of_vitrina},
        )
    finally:
        airflow.stop()
        telegram.stop()


def write_log(folder: Path) -> None:
    """A log by days in which everybody draws from the same popular items, so nothing beats the most popular ones."""
    rng = np.random.default_rng(7)
    events, users, items = 6_000, 300, 80
    start, end = (np.datetime64(day, "ms").astype(int) for day in ("2015-05-03", "2015-07-02"))
    share = 1 / np.arange(1, items + 1)
    moments = np.sort(rng.integers(start, end, events)).astype("datetime64[ms]")
    columns = (
        moments.astype(int),
        rng.integers(1, users + 1, events),
        rng.choice(["view", "addtocart"], events, p=[0.85, 0.15]),
        rng.choice(np.arange(1, items + 1), events, p=share / share.sum()),
    )
    days = moments.astype("datetime64[D]")
    for day in np.unique(days):
        rows = zip(*(column[days == day] for column in columns), strict=True)
        lines = ["timestamp,visitorid,event,itemid,transactionid", *(f"{t},{u},{k},{i}," for t, u, k, i in rows)]
        part = folder / "events" / f"dt={day}" / "part.csv"
        part.parent.mkdir(parents=True)
        part.write_text("\n".join(lines) + "\n")


def never() -> str:
    """A time of the year that is half a year away: no run begins by itself."""
    return f"0 0 1 {(datetime.now(UTC).month + 5) % 12 + 1} *"


@pytest.fixture
def planted(stack: Stack) -> Iterator[Stack]:
    """The stack with `planted` switched on and no orders left over."""
    for order in stack.orders.iterdir():
        order.unlink()
    stack.telegram.mode = "ok"
    stack.airflow.unpause("planted")
    yield stack
    for order in stack.orders.iterdir():
        order.unlink()


@pytest.fixture
def told(stack: Stack) -> Callable[..., Sent]:
    """Waits for the message about a run, the `nth` one if there are to be several; there are never more."""

    def message(run_id: str, nth: int = 1) -> Sent:
        wait(lambda: len(stack.telegram.of(run_id)) >= nth, otherwise=lambda: f"no message about {run_id}")
        assert len(stack.telegram.of(run_id)) == nth
        return stack.telegram.of(run_id)[-1]

    return message

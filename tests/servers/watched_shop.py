"""A small shop with carts, a small bank and what watches them: trainings, service, exporter, Prometheus, Graphite."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx
from graphite_server import GraphiteServer
from mimic_load import mimic_load
from ports import free_port
from prometheus_server import PrometheusServer
from small_recipe import put_small_recipe
from waiting import PATIENCE, wait

from vitrina.events.panels.columns import PRODUCTS
from vitrina.storage.objects import FolderObjects

DAY = 86_400
KNOWN, STRANGERS, SESSIONS, SIMILAR, WRONG = 20, 10, 5, 5, 4
ANYBODY, CLIENTS, LIKELY = 50, 200, 10
"""Requests of each kind in a round; few of the bank's clients are said to take something."""
BANK = ANYBODY + CLIENTS + LIKELY
CARTS, ODD_CARTS, EMPTY_CARTS, NO_TOKEN, GUESSES = 30, 6, 4, 3, 2
BASKET = CARTS + ODD_CARTS + EMPTY_CARTS + NO_TOKEN + GUESSES + 1
"""Carts of two known products and an odd one, of an odd one alone, of none; requests without a token; wrong passwords,
and a right one."""
CART, COMPANIONS = 3, 7
ODD = "no-such-product"
NAME, PASSWORD = "ann", "a password of the tests"
LOG_END = 1_772_409_600  # 2026-03-02, a Monday
VITRINA = str(Path(sys.executable).with_name("vitrina"))
COLUMNS = {product.russian: product.column for product in PRODUCTS}
RULES = Path(__file__).resolve().parents[2] / "monitoring" / "prometheus" / "rules"


@dataclass(frozen=True)
class Seen:
    """What Prometheus knows at a moment: how often it has reached each job, and which of them when it looked last."""

    at: float
    looks: dict[str, float]
    up: list[str]


@dataclass
class WatchedShop:
    """`with WatchedShop(folder) as shop`: a generated log; `train`, `train_bank`, `train_basket`, `export` and `serve`
    when wanted.

    The log ends at `end` (seconds since the epoch, a midnight), which is fixed, so that every run finds the same.
    `predicted` counts what the bank's answers named, by the product's column.
    """

    folder: Path
    events: int = 80_000  # fewer, and neither the gate nor drift has enough visitors to judge on
    users: int = 3_000
    items: int = 500
    days: int = 80
    end: int = LOG_END
    customers: int = 3_000  # of the bank
    months: int = 8
    baskets: int = 3_000
    interval: str = "500ms"
    graphite_seconds: int = 1
    workers: int = 2
    port: int = field(default_factory=free_port)
    exporter_port: int = field(default_factory=free_port)

    def __post_init__(self) -> None:
        self.home = self.folder / "home"
        self.log = self.folder / "events"
        self._stack = ExitStack()
        self._runs = 0
        self.asked_since = self.watched_until = 0.0
        self.bank_requests = 0
        self.predicted: Counter[str] = Counter()
        self.server: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        from vitrina.events.synthetic_shop.generator import WorldSpec, generate_world

        try:
            start = (self.end - self.days * DAY) * 1000
            spec = WorldSpec(
                events=self.events, users=self.users, items=self.items, days=self.days, seed=3, start=start
            )
            generate_world(spec, self.log)
            self.home.mkdir(parents=True)
            put_small_recipe(FolderObjects(self.home / "objects"))
            self.graphite = self._stack.enter_context(GraphiteServer(finest=f"{self.graphite_seconds}s:6h"))
            targets: Mapping[str, Sequence[str]] = {
                "app": [f"127.0.0.1:{self.port}"],
                "pipeline": [f"127.0.0.1:{self.exporter_port}"],
            }
            rules = [RULES / f"{name}.yml" for name in ("service", "pipeline", "bank", "basket", "accounts")]
            self.prometheus = self._stack.enter_context(
                PrometheusServer(self.folder / "prometheus", targets, rules, interval=self.interval)
            )
        except BaseException:
            self._stack.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def visitors(self) -> list[int]:
        """Everybody in the log, the latest first."""
        with (self.log / "events.csv").open() as lines:
            next(lines)
            latest = {int(line.split(",")[1]): int(line.split(",")[0]) for line in lines}
        return sorted(latest, key=lambda visitor: -latest[visitor])

    def train(self, *options: str) -> Any:
        """A whole training by the command line; the result that it prints, or what went wrong."""
        return self._train("storefront", self.log, *self._recorded(), *options)

    def train_bank(self, *options: str) -> Any:
        """The same of the bank, on a generated panel."""
        from vitrina.events.synthetic_panels.generator import PanelSpec, generate_panel

        data = self.folder / "panel"
        if not data.exists():
            generate_panel(PanelSpec(customers=self.customers, months=self.months, seed=1), data, as_raw_csv=True)
        return self._train("bank_products", data, *self._recorded(), *options)

    def train_basket(self, *options: str) -> Any:
        """The same of carts, on generated sales."""
        from vitrina.events.synthetic_baskets.generator import BasketSpec, generate_baskets

        data, months = self.folder / "sales", 6
        if not data.exists():
            start = self.end // DAY - 30 * months
            spec = BasketSpec(baskets=self.baskets, products=300, customers=600, months=months, start=start)
            generate_baskets(spec, data)
        return self._train("basket", data, *self._recorded(), *options)

    def add_account(self) -> None:
        """Adds the account that asks for companions."""
        command = [VITRINA, "users", "add", NAME, "--home", str(self.home)]
        env = {**os.environ, "VITRINA_USER_PASSWORD": PASSWORD}
        subprocess.run(command, check=True, timeout=180, env=env, stdout=subprocess.DEVNULL)

    def _recorded(self) -> tuple[str, str]:
        """The option without which the state database does not hear of a run."""
        self._runs += 1
        return "--run-id", f"run-{self._runs}"

    def _train(self, scenario: str, data: Path, *options: str) -> Any:
        where = ("--data", str(data), "--home", str(self.home))
        command = [VITRINA, "train", scenario, *where, "--json", *options]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=600)
        told = json.loads(done.stdout) if done.stdout.strip() else {}
        return told if done.returncode == 0 else {"failed": done.returncode, "said": done.stderr, **told}

    def as_of(self, days_ago: int) -> str:
        """The option that leaves out the last days."""
        return datetime.fromtimestamp(self.end - days_ago * DAY, UTC).strftime("--as-of=%Y-%m-%d")

    def export(self) -> None:
        """Starts the exporter of the pipeline's metrics, which also sends the business by day to Graphite."""
        self._start(
            *("metrics", "--port", str(self.exporter_port), "--home", str(self.home)),
            *("--disk", f"home={self.home}", "--graphite", f"127.0.0.1:{self.graphite.carbon}"),
        )
        self.prometheus.until("vitrina_state_up == 1")

    def serve(self) -> None:
        """Starts the service and waits until Prometheus has seen every worker serve a model of each scenario."""
        self.server = self._start(
            *("serve", "--port", str(self.port), "--workers", str(self.workers), "--home", str(self.home)),
            VITRINA_GRAPHITE=f"127.0.0.1:{self.graphite.carbon}",
            VITRINA_GRAPHITE_SECONDS=str(self.graphite_seconds),
        )
        server = self.server

        def serving() -> bool:
            assert server.poll() is None, (self.folder / "serve.log").read_text()
            every = f"sum by (scenario) (vitrina_model_info) == {self.workers}"
            return len(self.prometheus.query(every)) == 3

        wait(serving, 400, (self.folder / "serve.log").read_text, pause=0.2)

    def ask(self, client: httpx.Client, user: int | str, k: int = 10, **body: Any) -> httpx.Response:
        """One request for recommendations."""
        return client.post("/recommendations", params={"user_id": user, "k": k}, json=body or None)

    def ask_a_round(self) -> None:
        """One round of requests: known and unknown visitors, sessions, similar items, wrong ones."""
        with httpx.Client(base_url=self.url) as client:
            items = self.ask(client, -1).json()["recs"]
            answers = [self.ask(client, user, k=5) for user in self.visitors[:KNOWN]]
            answers += [self.ask(client, -2 - n) for n in range(STRANGERS - 1)]
            answers += [self.ask(client, -1, session=[items[n % len(items)]]) for n in range(SESSIONS)]
            answers += [client.get("/similar_items", params={"item_id": items[0], "k": 5}) for _ in range(SIMILAR)]
            assert {answer.status_code for answer in answers} == {200}
            wrong = [client.post("/recommendations?user_id=1&k=none") for _ in range(WRONG)]
            assert {answer.status_code for answer in wrong} == {422}
            for _ in range(ANYBODY):
                self.ask_the_bank(client, "GET", "/random")
            clients = [mimic_load().client(random.Random(seed)) for seed in range(CLIENTS)]
            for one in clients:
                self.ask_the_bank(client, "POST", "/predict", one)
            for one in clients[:LIKELY]:
                self.ask_the_bank(client, "POST", "/predict_proba", one)
            self.ask_about_carts(client)

    def ask_about_carts(self, client: httpx.Client) -> None:
        """Carts with known, unknown and no products, with a token and without; right and wrong passwords."""
        bearer = self.sign_in(client)
        codes = self.companions(client, bearer, [ODD], n=20)
        for n in range(CARTS):
            self.companions(client, bearer, [codes[n % 20], codes[(n + 1) % 20], ODD])
        for n in range(ODD_CARTS + EMPTY_CARTS - 1):
            self.companions(client, bearer, [ODD] if n < ODD_CARTS - 1 else [])
        refused = [client.post("/send_data", json={"product_list": [ODD]}) for _ in range(NO_TOKEN)]
        refused += [client.post("/token", data={"username": "bob", "password": "wrong"}) for _ in range(GUESSES)]
        assert {answer.status_code for answer in refused} == {401}

    def sign_in(self, client: httpx.Client) -> dict[str, str]:
        """The header of the account."""
        answer = client.post("/token", data={"username": NAME, "password": PASSWORD})
        assert answer.status_code == 200, answer.text
        return {"Authorization": f"Bearer {answer.json()['access_token']}"}

    def companions(
        self, client: httpx.Client, bearer: dict[str, str], cart: Sequence[str], n: int = COMPANIONS
    ) -> list[str]:
        """Codes of what goes with a cart."""
        answer = client.post("/send_data", json={"product_list": list(cart), "n": n}, headers=bearer)
        assert answer.status_code == 200, answer.text
        return [code for code, _, _ in answer.json()["result"]["recommendation"]]

    def ask_the_bank(self, client: httpx.Client, method: str, path: str, document: Any = None) -> None:
        """One request for a client's products, which is noted."""
        answer = client.request(method, path, json=document)
        assert answer.status_code == 200, answer.text
        self.bank_requests += 1
        if path != "/predict_proba":
            self.predicted.update(COLUMNS[name] for name, value in answer.json().items() if value)

    def scraped(self, scrapes: int = 3) -> float:
        """Waits until Prometheus has looked again a few times at both, and has seen both when it looked last; the
        moment of which that is true. A busy machine may be too late for some of its looks."""
        seen = self._seen()
        since = self._seen()

        def again() -> bool:
            nonlocal seen
            seen = self._seen()
            return len(seen.up) == 2 and all(seen.looks[job] >= since.looks.get(job, 0) + scrapes for job in seen.up)

        wait(again, otherwise=lambda: f"{since}, then {seen}", pause=0.2)
        return seen.at

    def requests_in_graphite(self) -> float:
        """How many requests of the bank's clients it has been told of."""
        points = self.graphite.render("bank-rs.requests", int(self.asked_since), int(time.time()) + 2)
        return max((value for found in points.values() for _, value in found), default=0.0)

    def _seen(self) -> Seen:
        at = time.time()
        looks, up = (self.prometheus.query(text, at) for text in ("sum_over_time(up[1h])", "up == 1"))
        by_job = {one.labels["job"]: one.value for one in looks}
        return Seen(at, by_job, sorted(one.labels["job"] for one in up))

    def _start(self, *arguments: str, **environment: str) -> subprocess.Popen[bytes]:
        log = self.folder / f"{arguments[0]}.log"
        with log.open("ab") as told:
            process = subprocess.Popen(
                [VITRINA, *arguments], stdout=told, stderr=told, env={**os.environ, **environment}
            )

        def stop() -> None:
            process.send_signal(signal.SIGTERM)
            process.wait(timeout=PATIENCE)

        self._stack.callback(stop)
        return process

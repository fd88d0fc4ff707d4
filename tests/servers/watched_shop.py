"""A small shop and everything that watches it: trainings, the service, the exporter, Prometheus, Graphite."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx
from graphite_server import GraphiteServer
from ports import free_port
from prometheus_server import PrometheusServer
from waiting import wait

DAY = 86_400
KNOWN, STRANGERS, SESSIONS, SIMILAR, WRONG = 20, 10, 5, 5, 4
"""Requests of each kind in a round."""
LOG_END = 1_772_409_600  # 2026-03-02, a Monday
VITRINA = str(Path(sys.executable).with_name("vitrina"))
RULES = Path(__file__).resolve().parents[2] / "monitoring" / "prometheus" / "rules"


@dataclass
class WatchedShop:
    """`with WatchedShop(folder) as shop`: a generated log; `train`, `export` and `serve` when they are wanted.

    The log ends at `end` (seconds since the epoch, a midnight), which is fixed, so that every run finds the same.
    """

    folder: Path
    events: int = 80_000  # fewer, and neither the gate nor drift has enough visitors to judge on
    users: int = 3_000
    items: int = 500
    days: int = 80
    end: int = LOG_END
    interval: str = "500ms"
    workers: int = 2
    port: int = field(default_factory=free_port)
    exporter_port: int = field(default_factory=free_port)

    def __post_init__(self) -> None:
        self.home = self.folder / "home"
        self.log = self.folder / "events"
        self._stack = ExitStack()
        self._runs = 0
        self.watched_until = 0.0
        self.server: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        from vitrina.events.synthetic import WorldSpec, generate_world

        try:
            start = (self.end - self.days * DAY) * 1000
            spec = WorldSpec(
                events=self.events, users=self.users, items=self.items, days=self.days, seed=3, start=start
            )
            generate_world(spec, self.log)
            self.home.mkdir(parents=True)
            self._small_recipe()
            self.graphite = self._stack.enter_context(GraphiteServer())
            targets: Mapping[str, Sequence[str]] = {
                "app": [f"127.0.0.1:{self.port}"],
                "pipeline": [f"127.0.0.1:{self.exporter_port}"],
            }
            rules = [RULES / "service.yml", RULES / "pipeline.yml"]  # no Alertmanager is watched here
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
        self._runs += 1
        recorded = ("--run-id", f"run-{self._runs}")  # else the state database does not hear of it
        where = ("--data", str(self.log), "--home", str(self.home))
        command = [VITRINA, "train", "storefront", *where, *recorded, "--json", *options]
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
        self.prometheus.until("vitrina_state_up == 1", 120)

    def serve(self) -> None:
        """Starts the service and waits until Prometheus has seen every worker serve a model."""
        self.server = self._start(
            *("serve", "--port", str(self.port), "--workers", str(self.workers), "--home", str(self.home))
        )
        server = self.server

        def serving() -> bool:
            assert server.poll() is None, (self.folder / "serve.log").read_text()
            return bool(self.prometheus.query(f"sum(vitrina_model_info) == {self.workers}"))

        wait(serving, 240, (self.folder / "serve.log").read_text, pause=0.2)

    def ask(self, client: httpx.Client, user: int | str, k: int = 10, **body: Any) -> httpx.Response:
        """One request for recommendations."""
        return client.post("/recommendations", params={"user_id": user, "k": k}, json=body or None)

    def ask_a_round(self) -> None:
        """One round of requests: known and unknown visitors, sessions, similar items, wrong ones."""
        with httpx.Client(base_url=self.url, timeout=30) as client:
            items = self.ask(client, -1).json()["recs"]
            answers = [self.ask(client, user, k=5) for user in self.visitors[:KNOWN]]
            answers += [self.ask(client, -2 - n) for n in range(STRANGERS - 1)]
            answers += [self.ask(client, -1, session=[items[n % len(items)]]) for n in range(SESSIONS)]
            answers += [client.get("/similar_items", params={"item_id": items[0], "k": 5}) for _ in range(SIMILAR)]
            assert {answer.status_code for answer in answers} == {200}
            wrong = [client.post("/recommendations?user_id=1&k=none") for _ in range(WRONG)]
            assert {answer.status_code for answer in wrong} == {422}

    def scraped(self, scrapes: int = 3) -> None:
        """Waits until Prometheus has looked again a few times at both."""
        for job in ("app", "pipeline"):
            up = f'count_over_time(up{{job="{job}"}}[1h])'
            before = self.prometheus.until(up)[0].value
            wait(lambda up=up, before=before: self.prometheus.query(up)[0].value >= before + scrapes, 30, pause=0.2)

    def _start(self, *arguments: str) -> subprocess.Popen[bytes]:
        log = self.folder / f"{arguments[0]}.log"
        with log.open("ab") as told:
            process = subprocess.Popen([VITRINA, *arguments], stdout=told, stderr=told)

        def stop() -> None:
            process.send_signal(signal.SIGTERM)
            process.wait(timeout=30)

        self._stack.callback(stop)
        return process

    def _small_recipe(self) -> None:
        """A recipe that trains quickly, where the steps look for a tuned one."""
        from vitrina.candidates.als import ALS
        from vitrina.ranking.catboost_ranker import CatBoostRanker
        from vitrina.recommend.sources import Sources
        from vitrina.recommend.two_stage import TwoStage
        from vitrina.storage.objects import FolderObjects

        small = TwoStage(
            sources=Sources(als=ALS(factors=8, iterations=3)),
            ranker=CatBoostRanker(losses=("Logloss",), iterations=15, depth=3),
            groups=300,
        )
        FolderObjects(self.home / "objects").put_bytes("storefront/recipe.json", json.dumps(small.as_json()).encode())

"""docker-compose.yaml as tests start it and look at it from outside: over HTTP, and through `docker compose`."""

from __future__ import annotations

import json
import secrets
import shutil
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import httpx
from airflow_api import AirflowApi
from container_engine import ROOT, Engine
from ports import free_port

FILES = ["docker-compose.yaml", "tests/stack/compose.test.yaml"]
PORTS = ("VITRINA_PORT", "AIRFLOW_PORT", "MLFLOW_PORT", "PROMETHEUS_PORT", "GRAFANA_PORT")


@dataclass
class Stack:
    """A project of its own in the engine; `settings` is its .env."""

    engine: Engine
    folder: Path
    tag: str
    settings: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.project = f"vitrina-test-{secrets.token_hex(3)}"

    @property
    def env_file(self) -> Path:
        return self.folder / ".env"

    def configure(self, **given: str) -> None:
        """Writes .env as `make up` does: random secrets; then the ports and what is given."""
        shutil.copy(ROOT / ".env.example", self.folder)
        self.engine.run(["sh", "-c", f"cd '{self.folder}' && sh '{ROOT}/stack/write_env.sh'"])
        ports = {name: str(free_port()) for name in PORTS}
        own = {
            "VITRINA_BIND": "0.0.0.0" if self.engine.private else "127.0.0.1",
            "VITRINA_NETWORK": f"10.{100 + secrets.randbelow(100)}.{secrets.randbelow(256)}",  # another stack may be up
            "VITRINA_TAG": self.tag,
        }
        with self.env_file.open("a") as file:
            for name, value in {**ports, **own, **given}.items():
                file.write(f"{name}={value}\n")
        for line in self.env_file.read_text().splitlines():
            name, found, value = line.partition("=")
            if found and not line.startswith("#"):
                self.settings[name] = value
        for name in PORTS:
            self.engine.open_port(int(self.settings[name]))

    def run(self, *command: str, seconds: float = 600, **environment: str) -> str:
        """A command in which `docker compose` means this stack; what it printed."""
        project = {
            "COMPOSE_PROJECT_NAME": self.project,
            "COMPOSE_FILE": ":".join(FILES),
            "COMPOSE_ENV_FILES": str(self.env_file),
            "COMPOSE_PROFILES": "registry" if self.engine.real_images else "",
        }
        return self.engine.run(list(command), seconds, **project, **environment)

    def compose(self, *arguments: str, seconds: float = 600) -> str:
        """`docker compose ARGUMENTS` for this stack; what it printed."""
        return self.run("docker", "compose", *arguments, seconds=seconds)

    def up(self, *arguments: str) -> None:
        """As `make up`, but with the images that are there."""
        self.compose("up", "--detach", "--no-build", "--wait", "--wait-timeout", "900", *arguments, seconds=1000)

    def down(self) -> None:
        """Ends it, and removes what it kept."""
        self.airflow.close()
        self.compose("down", "--volumes", "--remove-orphans")

    def containers(self, *arguments: str) -> list[dict[str, Any]]:
        """What `docker compose ps` knows of each container."""
        printed = self.compose("ps", "--all", "--format", "json", *arguments)
        return [json.loads(line) for line in printed.splitlines() if line.startswith("{")]

    def started_at(self, service: str) -> dict[str, str]:
        """Container -> when it was started."""
        names = [one["Name"] for one in self.containers(service)]
        return {
            name: self.engine.run(["docker", "inspect", "--format", "{{.State.StartedAt}}", name]).strip()
            for name in sorted(names)
        }

    def said(self, lines: int = 40) -> str:
        """The ends of all logs."""
        return self.compose("logs", "--no-color", "--tail", str(lines))

    def url(self, port: str) -> str:
        return f"http://127.0.0.1:{self.settings[port]}"

    def recommend(self, client: httpx.Client, user: int = 1, k: int = 5) -> httpx.Response:
        return client.post(f"{self.url('VITRINA_PORT')}/recommendations?user_id={user}&k={k}", timeout=120)

    @cached_property
    def airflow(self) -> AirflowApi:
        """Its Airflow, asked as the administrator."""
        return AirflowApi(self.url("AIRFLOW_PORT"), user="admin", password=self.settings["AIRFLOW_ADMIN_PASSWORD"])

    def train(self, scenario: str = "storefront", *, seconds: float = 1200, **params: Any) -> str:
        """Trains and waits for the success; the run's id."""
        return self.finish_training(self.begin_training(scenario, **params), scenario, seconds=seconds)

    def begin_training(self, scenario: str = "storefront", **params: Any) -> str:
        """Triggers the scenario's DAG as its page does; the run's id."""
        for dag in (scenario, "telegram"):
            self.airflow.unpause(dag)
        return self.airflow.trigger(scenario, **params)

    def finish_training(self, run: str, scenario: str = "storefront", *, seconds: float = 1200) -> str:
        """Waits for the run's success; its id."""
        self.airflow.finish(scenario, run, seconds)
        states = self.airflow.tasks(scenario, run)
        assert set(states.values()) == {"success"}, f"{states}\n{self._why(scenario, run, states)}"
        return run

    def vitrina(self, *arguments: str) -> Any:
        """The JSON answer of `vitrina ARGUMENTS` where training runs."""
        command = ("exec", "-T", "airflow-scheduler", "/opt/vitrina/bin/vitrina")
        return json.loads(self.compose(*command, *arguments, "--json").splitlines()[-1])

    def champion(self, model: str = "ranking_model") -> str | None:
        """The champion's version, as MLflow says."""
        query = {"name": model, "alias": "champion"}
        address = f"{self.url('MLFLOW_PORT')}/api/2.0/mlflow/registered-models/alias"
        answer = httpx.get(address, params=query)
        return str(answer.json()["model_version"]["version"]) if answer.is_success else None

    def prometheus(self, query: str) -> list[dict[str, Any]]:
        """The result of an instant query."""
        found: list[dict[str, Any]] = self.prometheus_api("query", query=query)["result"]
        return found

    def prometheus_api(self, what: str, **parameters: str) -> Any:
        """A part of Prometheus' API, as JSON."""
        answer = httpx.get(f"{self.url('PROMETHEUS_PORT')}/api/v1/{what}", params=parameters)
        return answer.json()["data"]

    def graphite(self, target: str, begin: str) -> dict[str, list[tuple[float, int]]]:
        """Series by name as graphite-web tells them from a day (YYYYMMDD) on: (value, seconds), no empty points."""
        query = f"target={target}&from=00:00_{begin}&format=json&noNullPoints=true"
        program = (
            f"import urllib.request as u; print(u.urlopen('http://127.0.0.1:8080/render?{query}').read().decode())"
        )
        printed = self.compose("exec", "-T", "graphite", "/opt/graphite/bin/python3", "-c", program)
        return {one["target"]: [(value, ts) for value, ts in one["datapoints"]] for one in json.loads(printed)}

    def messages(self, about: str = "") -> list[str]:
        """What has arrived at Telegram, or those texts of it that mention something."""
        lines = self.compose("logs", "--no-log-prefix", "telegram").splitlines()
        texts = [json.loads(line)["text"] for line in lines if line.startswith("{")]
        return [text for text in texts if about in text]

    @contextmanager
    def asked_all_the_time(self, pause: float = 0.02) -> Iterator[Counter[str]]:
        """Asks through the proxy in the background; counts answers by version, and whatever is no answer by name."""
        seen: Counter[str] = Counter()
        stop = threading.Event()

        def ask() -> None:
            with httpx.Client() as client:
                user = 0
                while not stop.is_set():
                    user = user % 2000 + 1
                    try:
                        answer = self.recommend(client, user)
                        good = answer.status_code == 200 and len(answer.json()["recs"]) == 5
                        what = answer.json()["model_version"] if good else f"{answer.status_code} {answer.text}"
                        seen[what] += 1
                    except httpx.TransportError as error:
                        seen[repr(error)] += 1
                    stop.wait(pause)

        thread = threading.Thread(target=ask, daemon=True)
        thread.start()
        try:
            yield seen
        finally:
            stop.set()
            thread.join(180)

    def _why(self, scenario: str, run: str, states: dict[str, str | None]) -> str:
        failed = [task for task, state in states.items() if state == "failed"]
        return "\n".join(f"--- {task}\n{self.airflow.log(scenario, run, task)[-4000:]}" for task in failed)

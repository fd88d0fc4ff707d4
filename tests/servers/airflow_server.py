"""A real Airflow for tests: its own environment, api-server, scheduler and dag-processor as child processes.

pytest runs in Vitrina's environment and imports nothing of Airflow: it asks over REST, as a user does.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any

import httpx

ROOT = Path(__file__).resolve().parents[2]
ENVIRONMENT = ROOT / ".venv-airflow"
REQUIREMENTS = ROOT / "requirements" / "airflow.txt"
USER, PASSWORD = "admin", "not-a-secret"
ENDED = ("success", "failed")
PARTS = {"api-server": ("--workers", "1"), "scheduler": (), "dag-processor": ()}


def airflow_environment() -> Path:
    """Folder of Airflow's environment beside the repository's own, made when it is missing or of older versions."""
    stamp = ENVIRONMENT / "made-from"
    wanted = hashlib.sha256(REQUIREMENTS.read_bytes() + sys.version.encode()).hexdigest()
    if not stamp.exists() or stamp.read_text() != wanted:
        shutil.rmtree(ENVIRONMENT, ignore_errors=True)
        subprocess.run([sys.executable, "-m", "venv", str(ENVIRONMENT)], check=True)
        install = [str(ENVIRONMENT / "bin" / "python"), "-m", "pip", "install", "-q"]
        subprocess.run([*install, "-r", str(REQUIREMENTS)], check=True)
        subprocess.run([*install, "--no-deps", "-e", str(ROOT)], check=True)
        stamp.write_text(wanted)
    return ENVIRONMENT


class Airflow:
    """Airflow with LocalExecutor; DAGs begin paused. Its files lie in `folder`, the logs of its parts, too."""

    def __init__(self, folder: Path, *, database: str, dags: Path, environment: Mapping[str, str]) -> None:
        self.folder = folder
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = int(free.getsockname()[1])
        self.url = f"http://127.0.0.1:{self.port}"
        self._bin = airflow_environment() / "bin"
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(("AIRFLOW", "VITRINA"))}
        self._environment = inherited | self._settings(database, dags) | dict(environment)
        self._parts: dict[str, subprocess.Popen[bytes]] = {}
        self._client: httpx.Client | None = None

    def start(self) -> None:
        """Makes the database's tables and a user, starts the parts and returns when all of them are healthy."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self.command("db", "migrate")
        names = ("--firstname", "A", "--lastname", "B", "--email", "admin@example.org")
        self.command("users", "create", "--role", "Admin", "--username", USER, "--password", PASSWORD, *names)
        for part, options in PARTS.items():
            with (self.folder / f"{part}.log").open("ab") as log:
                self._parts[part] = subprocess.Popen(
                    [str(self._bin / "airflow"), part, *options],
                    env=self._environment,
                    cwd=self.folder,
                    stdout=log,
                    stderr=log,
                    start_new_session=True,
                )
        wait(self._healthy, 120, self.said)

    def stop(self) -> None:
        """Ends every part and whatever it started."""
        if self._client is not None:
            self._client.close()
        for process in self._parts.values():
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGTERM)
        for process in self._parts.values():
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()

    def command(self, *arguments: str, without: Collection[str] = ()) -> str:
        """Runs `airflow ARGUMENTS`, without some variables of the environment; gives what it printed."""
        return self._printed(str(self._bin / "airflow"), *arguments, without=without)

    def python(self, code: str) -> str:
        """Runs Python code in Airflow's environment; gives what it printed."""
        return self._printed(str(self._bin / "python"), "-c", code)

    def _printed(self, *command: str, without: Collection[str] = ()) -> str:
        environment = {name: value for name, value in self._environment.items() if name not in without}
        done = subprocess.run(
            command, env=environment, cwd=self.folder, capture_output=True, text=True, timeout=180, check=False
        )
        assert done.returncode == 0, f"{command}: {done.stdout}\n{done.stderr}"
        return done.stdout

    def ask(self, method: str, path: str, **content: Any) -> Any:
        """One call of Airflow's public API; the answer's JSON."""
        if self._client is None:
            token = httpx.post(f"{self.url}/auth/token", json={"username": USER, "password": PASSWORD}, timeout=30)
            assert token.status_code == 201, token.text
            headers = {"Authorization": f"Bearer {token.json()['access_token']}"}
            self._client = httpx.Client(base_url=f"{self.url}/api/v2", headers=headers, timeout=30)
        answer = self._client.request(method, path, **content)
        assert answer.is_success, f"{method} {path}: {answer.status_code} {answer.text}"
        return answer.json() if answer.content else None

    def unpause(self, dag: str) -> None:
        """Waits until the DAG is known and lets it run."""
        wait(lambda: self._knows(dag), 60, lambda: f"{dag} is not there\n{self.said()}")
        self.ask("PATCH", f"/dags/{dag}", json={"is_paused": False})

    def trigger(self, dag: str, *, logical_date: str | None = None, **params: Any) -> str:
        """Starts a run as the page's button does, by default without a logical date; gives its id."""
        body = {"logical_date": logical_date, "conf": params}
        return str(self.ask("POST", f"/dags/{dag}/dagRuns", json=body)["dag_run_id"])

    def run(self, dag: str, run_id: str) -> dict[str, Any]:
        """The run as the API describes it."""
        found: dict[str, Any] = self.ask("GET", f"/dags/{dag}/dagRuns/{run_id}")
        return found

    def runs(self, dag: str) -> list[dict[str, Any]]:
        """All runs, the oldest first."""
        found: list[dict[str, Any]] = self.ask("GET", f"/dags/{dag}/dagRuns", params={"order_by": "run_after"})[
            "dag_runs"
        ]
        return found

    def finish(self, dag: str, run_id: str, seconds: float = 180) -> str:
        """Waits for the run's end; gives its state."""
        wait(
            lambda: self.run(dag, run_id)["state"] in ENDED,
            seconds,
            lambda: f"{dag} {run_id}: {self.tasks(dag, run_id)}\n{self.said()}",
        )
        return str(self.run(dag, run_id)["state"])

    def tasks(self, dag: str, run_id: str) -> dict[str, str | None]:
        """Task -> state."""
        found = self.ask("GET", f"/dags/{dag}/dagRuns/{run_id}/taskInstances")["task_instances"]
        return {one["task_id"]: one["state"] for one in found}

    def tries(self, dag: str, run_id: str, task: str) -> int:
        """How many tries a task has had."""
        return int(self.ask("GET", f"/dags/{dag}/dagRuns/{run_id}/taskInstances/{task}")["try_number"])

    def result(self, dag: str, run_id: str, task: str) -> Any:
        """What a task returned."""
        path = f"/dags/{dag}/dagRuns/{run_id}/taskInstances/{task}/xcomEntries/return_value"
        return self.ask("GET", path, params={"deserialize": True})["value"]

    def log(self, dag: str, run_id: str, task: str, number: int = 1) -> str:
        """The log of one try of a task, a line per event with all that it carries, its error included."""
        path = f"/dags/{dag}/dagRuns/{run_id}/taskInstances/{task}/logs/{number}"
        found = self.ask("GET", path, params={"full_content": True}, headers={"Accept": "application/json"})
        return "\n".join(str(one) for one in found["content"])

    def clear(self, dag: str, run_id: str, task: str) -> None:
        """Clears a task of a run and what follows it, as the page's button does."""
        body = {"dry_run": False, "dag_run_id": run_id, "task_ids": [task], "only_failed": False}
        self.ask("POST", f"/dags/{dag}/clearTaskInstances", json=body | {"include_downstream": True})

    def said(self) -> str:
        """The end of each part's own log."""
        return "\n".join(f"--- {path.name}\n{path.read_text()[-3000:]}" for path in sorted(self.folder.glob("*.log")))

    def _knows(self, dag: str) -> bool:
        return dag in [one["dag_id"] for one in self.ask("GET", "/dags", params={"limit": 100})["dags"]]

    def _healthy(self) -> bool:
        for part, process in self._parts.items():
            assert process.poll() is None, f"{part} ended: {self.said()}"
        try:
            health = httpx.get(f"{self.url}/api/v2/monitor/health", timeout=5).json()
        except httpx.TransportError:
            return False
        return all(health[part]["status"] == "healthy" for part in ("metadatabase", "scheduler", "dag_processor"))

    def _settings(self, database: str, dags: Path) -> dict[str, str]:
        options = {
            "CORE__DAGS_FOLDER": str(dags),
            "CORE__PLUGINS_FOLDER": str(ROOT / "airflow" / "plugins"),
            "CORE__EXECUTOR": "LocalExecutor",
            "CORE__PARALLELISM": "2",
            "CORE__LOAD_EXAMPLES": "False",
            "CORE__DAGS_ARE_PAUSED_AT_CREATION": "True",
            "CORE__AUTH_MANAGER": "airflow.providers.fab.auth_manager.fab_auth_manager.FabAuthManager",
            "CORE__EXECUTION_API_SERVER_URL": f"{self.url}/execution/",
            "CORE__FERNET_KEY": "",
            "API_AUTH__JWT_SECRET": "a-signing-key-of-tests-that-is-long-enough-for-sha-512-and-more-than-64-bytes",
            "API__SECRET_KEY": "another-key-of-tests",
            "API__HOST": "127.0.0.1",
            "API__PORT": str(self.port),
            "API__BASE_URL": self.url,
            "DATABASE__SQL_ALCHEMY_CONN": database,
            "DAG_PROCESSOR__PARSING_PROCESSES": "1",
            "DAG_PROCESSOR__REFRESH_INTERVAL": "10",
            "SCHEDULER__SCHEDULER_HEARTBEAT_SEC": "1",
            "SCHEDULER__ENABLE_HEALTH_CHECK": "False",
        }
        named = {f"AIRFLOW__{name}": value for name, value in options.items()}
        return named | {"AIRFLOW_HOME": str(self.folder), "PYTHONDONTWRITEBYTECODE": "1"}


def wait(reached: Callable[[], bool], seconds: float, otherwise: Callable[[], str]) -> None:
    """Returns when something has come true; fails with the text of `otherwise` when it does not in time."""
    deadline = time.monotonic() + seconds
    while not reached():
        assert time.monotonic() < deadline, otherwise()
        time.sleep(0.5)

"""A real Airflow for tests: its own environment, api-server, scheduler and dag-processor as child processes.

pytest runs in Vitrina's environment and imports nothing of Airflow: it asks over REST, as a user does.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Collection, Mapping
from pathlib import Path

import httpx
from airflow_api import AirflowApi
from ports import free_port
from waiting import wait

ROOT = Path(__file__).resolve().parents[2]
ENVIRONMENT = ROOT / ".venv-airflow"
REQUIREMENTS = ROOT / "requirements" / "airflow.txt"
USER, PASSWORD = "admin", "not-a-secret"
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


class Airflow(AirflowApi):
    """Airflow with LocalExecutor; DAGs begin paused. Its files lie in `folder`, the logs of its parts, too."""

    def __init__(self, folder: Path, *, database: str, dags: Path, environment: Mapping[str, str]) -> None:
        self.folder = folder
        self.port = free_port()
        super().__init__(f"http://127.0.0.1:{self.port}", user=USER, password=PASSWORD)
        self._bin = airflow_environment() / "bin"
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(("AIRFLOW", "VITRINA"))}
        self._environment = inherited | self._settings(database, dags) | dict(environment)
        self._parts: dict[str, subprocess.Popen[bytes]] = {}

    def start(self) -> None:
        """Makes the tables, the pool and a user, starts the parts and returns when all of them are healthy."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self.command("db", "migrate")
        names = ("--firstname", "A", "--lastname", "B", "--email", "admin@example.org")
        self.command("pools", "set", "training", "1", "steps that train")
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
        wait(self._healthy, 300, self.said)

    def stop(self) -> None:
        """Ends every part and whatever it started."""
        self.close()
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
            command, env=environment, cwd=self.folder, capture_output=True, text=True, timeout=400, check=False
        )
        assert done.returncode == 0, f"{command}: {done.stdout}\n{done.stderr}"
        return done.stdout

    def said(self) -> str:
        """The end of each part's own log."""
        return "\n".join(f"--- {path.name}\n{path.read_text()[-3000:]}" for path in sorted(self.folder.glob("*.log")))

    def _healthy(self) -> bool:
        for part, process in self._parts.items():
            assert process.poll() is None, f"{part} ended: {self.said()}"
        try:
            health = httpx.get(f"{self.url}/api/v2/monitor/health").json()
        except (httpx.TransportError, ValueError):
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

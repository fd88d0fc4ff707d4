"""Airflow's public API as tests ask it: over REST, as a user does."""

from __future__ import annotations

from typing import Any

import httpx
from waiting import wait

ENDED = ("success", "failed")


class AirflowApi:
    """The Airflow at `url`, for a user of it; whoever knows its logs overrides `said`."""

    def __init__(self, url: str, *, user: str, password: str) -> None:
        self.url = url
        self._user = {"username": user, "password": password}
        self._client: httpx.Client | None = None

    def close(self) -> None:
        """Closes the connection, when there is one."""
        if self._client is not None:
            self._client.close()

    def ask(self, method: str, path: str, **content: Any) -> Any:
        """One call of Airflow's public API; the answer's JSON."""
        if self._client is None:
            token = httpx.post(f"{self.url}/auth/token", json=self._user, timeout=60)
            assert token.status_code == 201, token.text
            headers = {"Authorization": f"Bearer {token.json()['access_token']}"}
            self._client = httpx.Client(base_url=f"{self.url}/api/v2", headers=headers, timeout=60)
        answer = self._client.request(method, path, **content)
        assert answer.is_success, f"{method} {path}: {answer.status_code} {answer.text}"
        return answer.json() if answer.content else None

    def unpause(self, dag: str) -> None:
        """Waits until the DAG is known and lets it run."""
        wait(lambda: self._knows(dag), otherwise=lambda: f"{dag} is not there\n{self.said()}")
        self.ask("PATCH", f"/dags/{dag}", json={"is_paused": False})

    def pause(self, dag: str) -> None:
        """The scheduler leaves the DAG's tasks alone from now on."""
        self.ask("PATCH", f"/dags/{dag}", json={"is_paused": True})

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

    def finish(self, dag: str, run_id: str, seconds: float = 400) -> str:
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
        """What explains a failure."""
        return ""

    def _knows(self, dag: str) -> bool:
        return dag in [one["dag_id"] for one in self.ask("GET", "/dags", params={"limit": 100})["dags"]]

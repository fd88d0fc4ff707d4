"""Facts of the machine that the DAGs need, read from the environment when a DAG file is parsed or a task starts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Self

# Airflow's own configuration (database password, signing key) and the bot's token are no business of the model's code.
_NOT_FOR_VITRINA = ("AIRFLOW", "_AIRFLOW", "VITRINA_TELEGRAM_TOKEN")


@dataclass(frozen=True, kw_only=True)
class Settings:
    """`command` is the `vitrina` executable; `environment` is what its processes see."""

    command: str
    environment: Mapping[str, str] = field(repr=False)
    retrain_cron: str
    events_cron: str
    retries: int
    retry_delay: timedelta
    registry_page: str | None
    airflow_page: str
    telegram_token: str | None = field(repr=False)
    telegram_chat_id: str | None
    telegram_base_url: str
    telegram_retry_delay: timedelta

    @classmethod
    def read(cls, environment: Mapping[str, str]) -> Self:
        """`ValueError` for a number that is none; an empty variable counts as unset."""
        given = {name: value for name, value in environment.items() if value}
        registry = given.get("VITRINA_REGISTRY_URI", "")
        page = given.get("VITRINA_REGISTRY_PAGE", registry)
        return cls(
            command=given.get("VITRINA_COMMAND", "vitrina"),
            environment=_for_vitrina(given),
            retrain_cron=given.get("VITRINA_RETRAIN_CRON", "0 3 * * *"),
            events_cron=given.get("VITRINA_EVENTS_CRON", "*/15 * * * *"),
            retries=int(given.get("VITRINA_STEP_RETRIES", "2")),
            retry_delay=timedelta(seconds=float(given.get("VITRINA_STEP_RETRY_SECONDS", "60"))),
            registry_page=page.rstrip("/") if page.startswith(("http://", "https://")) else None,
            airflow_page=given.get("AIRFLOW__API__BASE_URL", "http://localhost:8080").rstrip("/"),
            telegram_token=given.get("VITRINA_TELEGRAM_TOKEN"),
            telegram_chat_id=given.get("VITRINA_TELEGRAM_CHAT_ID"),
            telegram_base_url=given.get("VITRINA_TELEGRAM_BASE_URL", "https://api.telegram.org").rstrip("/"),
            telegram_retry_delay=timedelta(seconds=float(given.get("VITRINA_TELEGRAM_RETRY_SECONDS", "10"))),
        )

    def registered_model(self, prefix: str) -> str | None:
        """The registered model that the environment names for the scenario whose settings begin with `prefix`."""
        return self.environment.get(f"{prefix}REGISTERED_MODEL")

    @property
    def tells(self) -> bool:
        """Whether messages can be sent at all."""
        return self.telegram_token is not None and self.telegram_chat_id is not None


def _for_vitrina(given: Mapping[str, str]) -> dict[str, str]:
    kept = {name: value for name, value in given.items() if not name.startswith(_NOT_FOR_VITRINA)}
    # lines reach the task's log when they are written; BLAS threads beside those of ALS only get in the way
    return {"OPENBLAS_NUM_THREADS": "1", **kept, "PYTHONUNBUFFERED": "1"}

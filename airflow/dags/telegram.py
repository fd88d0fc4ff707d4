"""The queue of messages: one run per message, kept by Airflow and tried again until Telegram has taken it."""

from __future__ import annotations

import os
from datetime import timedelta

from airflow.sdk import DAG, Param, get_current_context, task
from steps.sending import WhenTelegramSays, deliver
from steps.settings import Settings

ABOUT = """
### Messages to Telegram

Each run is one message; other DAGs put it here. A message that Telegram refuses (a wrong token or chat) fails at once:
correct the setting and *Clear* the task. Everything else is tried again, for about two days.
"""

SETTINGS = Settings.read(os.environ)

with DAG(
    "telegram",
    schedule=None,
    catchup=False,
    max_active_runs=16,
    is_paused_upon_creation=False,
    params={"text": Param("", type="string", title="Text", description="The message, in Telegram's HTML.")},
    tags=["vitrina"],
    doc_md=ABOUT,
):

    @task(
        task_id="send",
        retries=300,
        retry_delay=SETTINGS.telegram_retry_delay,
        retry_exponential_backoff=2.0,
        max_retry_delay=timedelta(minutes=10),
        retry_policy=WhenTelegramSays(),
        execution_timeout=timedelta(minutes=5),
        # messages wait side by side, but Telegram never holds more than one place where a training could run
        max_active_tis_per_dag=1,
    )
    def send_message() -> int:
        text = get_current_context()["params"]["text"]
        return deliver(text, Settings.read(os.environ))

    send_message()

"""The task of the DAG `telegram`: a message flows in and is tried again until Telegram has taken it."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from airflow.sdk.definitions.retry_policy import RetryDecision, RetryPolicy
from airflow.sdk.exceptions import AirflowFailException
from airflow.sdk.log import mask_secret

from steps.messages import RefusedError, send

if TYPE_CHECKING:
    from airflow.sdk import Context

    from steps.settings import Settings


def deliver(text: str, settings: Settings) -> int:
    """Sends the text and gives the message's number; `AirflowFailException` when trying again is of no use."""
    if settings.telegram_token is None or settings.telegram_chat_id is None:
        raise AirflowFailException("VITRINA_TELEGRAM_TOKEN and VITRINA_TELEGRAM_CHAT_ID are not both set")
    mask_secret(settings.telegram_token)
    try:
        return send(
            text,
            token=settings.telegram_token,
            chat_id=settings.telegram_chat_id,
            base_url=settings.telegram_base_url,
        )
    except RefusedError as error:
        raise AirflowFailException(str(error)) from error


class WhenTelegramSays(RetryPolicy):
    """The next try when Telegram's answer 429 says so; else the task's own growing delay."""

    def evaluate(
        self, exception: BaseException, try_number: int, max_tries: int, context: Context | None = None
    ) -> RetryDecision:
        """A second is added to what Telegram asks for, since clocks differ."""
        from telegram.error import RetryAfter

        if not isinstance(exception, RetryAfter):
            return RetryDecision.default()
        asked = exception.retry_after
        delay = asked if isinstance(asked, timedelta) else timedelta(seconds=asked)
        return RetryDecision.retry(delay + timedelta(seconds=1), f"Telegram asks to wait {delay}")

"""Messages over real HTTP: each arrives once, and Telegram's moods touch no training."""

from __future__ import annotations

import re
import time

import pytest
from telegram_server import TOKEN
from waiting import wait

pytestmark = [pytest.mark.slow, pytest.mark.e2e, pytest.mark.timeout(1800)]


def test_telegram_may_be_down_during_a_run_and_hears_of_it_once_afterwards(planted, told) -> None:
    planted.telegram.stop()
    try:
        run_id = planted.airflow.trigger("planted")
        assert planted.airflow.finish("planted", run_id) == "success"
        assert planted.airflow.tasks("planted", run_id)["report"] == "success"
        assert planted.telegram.of(run_id) == []
    finally:
        planted.telegram.start()
    assert f"/runs/{run_id}" in told(run_id).text


def test_a_slow_telegram_delays_no_run_and_hears_it_once(planted, told) -> None:
    planted.telegram.mode, planted.telegram.delay = "slow", 30.0
    run_id = planted.airflow.trigger("planted")
    taken = told(run_id).at  # and not answered for a while
    another = planted.airflow.trigger("planted")
    assert planted.airflow.finish("planted", another) == "success"
    planted.telegram.mode = "ok"
    told(another)
    wait(lambda: settled(planted), otherwise=lambda: str(planted.airflow.runs("telegram")))
    assert time.monotonic() - taken >= planted.telegram.delay
    assert len(planted.telegram.of(run_id)) == len(planted.telegram.of(another)) == 1


def test_busy_telegram_is_asked_again_when_it_said(planted) -> None:
    telegram = planted.telegram
    telegram.mode, telegram.retry_after = "busy", 8
    begun = len(telegram.asked)
    planted.airflow.trigger("telegram", text="one that waits")
    wait(lambda: len(telegram.asked) >= begun + 2, otherwise=lambda: str(telegram.asked))  # getMe, sendMessage
    refused = telegram.asked[begun + 1][0]
    telegram.mode = "ok"
    wait(lambda: len(telegram.of("one that waits")) == 1, otherwise=lambda: str(planted.airflow.runs("telegram")))
    assert telegram.of("one that waits")[0].at - refused >= telegram.retry_after


def test_a_refused_message_fails_at_once_and_never_shows_the_token(planted) -> None:
    planted.telegram.mode = "refuse"
    run_id = planted.airflow.trigger("telegram", text="to nobody")
    assert planted.airflow.finish("telegram", run_id) == "failed"
    assert planted.airflow.tries("telegram", run_id, "send") == 1
    log = planted.airflow.log("telegram", run_id, "send")
    assert "Telegram refuses the message: Chat not found" in log
    assert TOKEN not in log
    assert TOKEN not in planted.airflow.said()


def test_without_a_token_the_log_says_that_nothing_is_sent_and_nothing_fails(planted) -> None:
    planted.airflow.pause("planted")  # or the scheduler takes the run for one of its own
    said = planted.airflow.command("dags", "test", "planted", without=["VITRINA_TELEGRAM_TOKEN"])
    assert "No message is sent: VITRINA_TELEGRAM_TOKEN" in said, said
    assert "state=success" in said, said
    run_id = re.findall(r"run_id=(manual__\S+?),? ", said)[-1]
    assert planted.airflow.runs("planted")[-1]["dag_run_id"] == run_id
    assert planted.telegram.of(run_id) == []


def settled(planted) -> bool:
    """Whether every message has been answered."""
    return all(one["state"] in ("success", "failed") for one in planted.airflow.runs("telegram"))

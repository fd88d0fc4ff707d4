"""How long tests wait."""

from __future__ import annotations

import time

import httpx
import pytest
from waiting import wait


def test_what_holds_is_not_waited_for() -> None:
    begun = time.monotonic()
    wait(lambda: True, pause=60)
    assert time.monotonic() - begun < 30


def test_what_never_holds_is_told() -> None:
    with pytest.raises(AssertionError, match="it did not happen within 0 s"):
        wait(lambda: False, 0)
    with pytest.raises(AssertionError, match="the end of the log"):
        wait(lambda: False, 0.05, lambda: "the end of the log", pause=0.01)


def test_an_answer_may_take_a_minute_where_nothing_else_is_said() -> None:
    told: list[dict[str, float]] = []

    def answer(request: httpx.Request) -> httpx.Response:
        told.append(request.extensions["timeout"])
        return httpx.Response(200)

    with httpx.Client(transport=httpx.MockTransport(answer)) as client:
        client.get("http://here")
    assert told == [dict.fromkeys(("connect", "read", "write", "pool"), 60.0)]

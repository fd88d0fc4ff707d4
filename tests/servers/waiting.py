"""Waiting for what other processes do: long enough for a machine that is ten times slower for a while."""

from __future__ import annotations

import inspect
import time
from collections.abc import Callable
from typing import Final

import httpx

PATIENCE: Final = 180.0
"""Seconds. To wait longer for what holds at once costs nothing."""


def wait(
    reached: Callable[[], bool],
    seconds: float = PATIENCE,
    otherwise: Callable[[], str] | None = None,
    *,
    pause: float = 0.5,
) -> None:
    """Returns when something has come true; fails, with the text of `otherwise`, when it does not in time."""
    deadline = time.monotonic() + seconds
    while not reached():
        assert time.monotonic() < deadline, otherwise() if otherwise else f"it did not happen within {seconds:.0f} s"
        time.sleep(pause)


def answers_may_take(seconds: float) -> None:
    """What httpx waits for an answer when nothing else is said; by itself it gives up after five seconds."""
    usual = inspect.signature(httpx.Client).parameters["timeout"].default
    usual.connect = usual.read = usual.write = usual.pool = seconds

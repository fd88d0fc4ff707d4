"""Waiting for what other processes do."""

from __future__ import annotations

import time
from collections.abc import Callable


def wait(
    reached: Callable[[], bool], seconds: float = 60, otherwise: Callable[[], str] | None = None, *, pause: float = 0.5
) -> None:
    """Returns when something has come true; fails, with the text of `otherwise`, when it does not in time."""
    deadline = time.monotonic() + seconds
    while not reached():
        assert time.monotonic() < deadline, otherwise() if otherwise else f"it did not happen within {seconds:.0f} s"
        time.sleep(pause)

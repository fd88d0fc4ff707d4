"""Time splits: history strictly before a cut-off, labels in the window from it on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import ibis.expr.types as ir

from vitrina.errors import ConfigError
from vitrina.events.schema import DAY_MS

WINDOW_DAYS = 14


@dataclass(frozen=True, order=True)
class Window:
    """Times start <= ts < end, ms UTC. Its `start` is the cut-off: what is known then is before it."""

    start: int
    end: int

    def __post_init__(self) -> None:
        if self.end <= self.start:
            raise ConfigError(f"a window must end after its start, not {self.start} .. {self.end}")

    @property
    def as_of(self) -> int:
        """The last millisecond before the window."""
        return self.start - 1

    @property
    def days(self) -> float:
        return (self.end - self.start) / DAY_MS

    def labels(self, events: ir.Table) -> ir.Table:
        """The events inside."""
        return events.filter((events.ts >= self.start) & (events.ts < self.end))

    def history(self, events: ir.Table, *, days: float | None = None) -> ir.Table:
        """The events before it, all or those of the last `days`."""
        before = events.filter(events.ts < self.start)
        return before if days is None else before.filter(before.ts >= self.start - round(days * DAY_MS))


def rolling_windows(end: int, count: int, *, days: float = WINDOW_DAYS) -> tuple[Window, ...]:
    """`count` adjacent windows of `days` each, oldest first, the last one ending at `end` (ms, exclusive)."""
    if count < 1 or days <= 0:
        raise ConfigError(f"at least one window of more than 0 days is needed, not {count} of {days}")
    length = round(days * DAY_MS)
    return tuple(Window(end - back * length, end - (back - 1) * length) for back in range(count, 0, -1))


def most_windows(
    first_ts: int, last_ts: int, *, days: float = WINDOW_DAYS, history_days: float = 28, most: int = 5
) -> int:
    """How many windows fit at the end of a log such that the oldest has `history_days` before it: 0 .. most."""
    span = (last_ts + 1 - first_ts) - round(history_days * DAY_MS)
    return max(0, min(most, span // round(days * DAY_MS)))


def log_windows(
    first_ts: int, last_ts: int, *, days: float = WINDOW_DAYS, history_days: float = 28, most: int = 5
) -> tuple[Window, ...]:
    """The rolling windows that a log affords, oldest first. A log too short for one gets one over its last fifth."""
    count = most_windows(first_ts, last_ts, days=days, history_days=history_days, most=most)
    if count:
        return rolling_windows(last_ts + 1, count, days=days)
    return (Window(last_ts + 1 - max((last_ts + 1 - first_ts) // 5, 1), last_ts + 1),)


def enough_windows(users_per_window: Sequence[int], wanted: int) -> int:
    """How many of the latest windows hold `wanted` evaluated users together; all of them when they hold fewer.

    `users_per_window` is oldest first, as `rolling_windows` gives them.
    """
    total = 0
    for count, users in enumerate(reversed(users_per_window), start=1):
        total += users
        if total >= wanted:
            return count
    return len(users_per_window)

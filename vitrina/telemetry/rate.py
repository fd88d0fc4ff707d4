"""A bound on how often something is done."""

from __future__ import annotations


class Rate:
    """At most so many a second; after a quiet second that many at once. `now` in seconds of any clock."""

    def __init__(self, per_second: float) -> None:
        self._rate = self._left = per_second
        self._last: float | None = None

    def allows(self, now: float) -> bool:
        """Whether one more may be; it counts then."""
        passed = 0.0 if self._last is None else max(0.0, now - self._last)
        self._left = min(self._rate, self._left + passed * self._rate)
        self._last = now
        if self._left < 1.0:
            return False
        self._left -= 1.0
        return True

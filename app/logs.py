"""What a request leaves in the log: its id in every line, and a line of its own when its answer is no good one."""

from __future__ import annotations

import itertools
import logging
import re
import secrets
from collections.abc import Callable, Iterable
from time import monotonic

from starlette.types import Scope

from vitrina.telemetry.rate import Rate

LINES_PER_SECOND = 10.0  # of refused and slow requests, per worker; after a quiet second that many at once
_ID = re.compile(rb"[A-Za-z0-9._-]{1,64}")  # the rule of the proxy (monitoring/proxy/nginx.conf)
log = logging.getLogger("app.requests")


class RequestIds:
    """The caller's id when it is one, else random bits of this process and a count: unique, and cheap to make."""

    def __init__(self) -> None:
        self._prefix = secrets.token_hex(8).encode()
        self._count = itertools.count(1)

    def of(self, headers: Iterable[tuple[bytes, bytes]]) -> tuple[bytes, bool]:
        """The id, and whether the caller has sent one, be it a good one or not."""
        for name, value in headers:
            if name == b"x-request-id":
                return (value if _ID.fullmatch(value) else self._made()), True
        return self._made(), False

    def _made(self) -> bytes:
        return b"%s-%x" % (self._prefix, next(self._count))


class RequestLog:
    """A line for each failed answer (5xx); for refused (4xx) and slow ones while the rate allows, then their number.

    `every` writes one for the good answers as well. The query is left out: it holds who asks.
    """

    def __init__(
        self,
        *,
        slow_seconds: float,
        every: bool = False,
        rate: float = LINES_PER_SECOND,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self.slow_seconds = slow_seconds
        self.every = every
        self._rate = Rate(rate)
        self._clock = clock
        self._unsaid = 0

    def __call__(self, scope: Scope, status: int, seconds: float, error: Exception | None = None) -> None:
        """Writes the line, or counts it. `error` is what nobody caught; why it was refused is `scope["reason"]`."""
        failed, slow = status >= 500, seconds > self.slow_seconds
        level = logging.ERROR if failed else logging.WARNING if slow or status >= 400 else logging.INFO
        if level == logging.WARNING and not self.every and not self._rate.allows(self._clock()):
            self._unsaid += 1
            return
        method, path = scope["method"], scope["path"]
        fields = {"method": method, "path": path, "status": status, "seconds": round(seconds, 6)}
        if "reason" in scope:
            fields["reason"] = scope["reason"]
        if slow:
            fields["slow"] = True
        if self._unsaid:
            fields["unsaid"], self._unsaid = self._unsaid, 0
        log.log(level, "%s %s %d", method, path, status, exc_info=error, extra={"fields": fields, "always": True})

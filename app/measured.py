"""The edge of the app: every request gets its id, is counted and timed, and never ends without an answer."""

from __future__ import annotations

from collections.abc import Awaitable
from time import perf_counter

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.errors import fault
from app.logs import RequestIds, RequestLog
from app.traces import RequestSpans
from vitrina.telemetry.logs import REQUEST
from vitrina.telemetry.metrics import ServiceMetrics


class Measured:
    """A plain ASGI wrapper. The route label is a known path or `other`, so callers cannot make new label values."""

    def __init__(
        self, app: ASGIApp, *, metrics: ServiceMetrics, paths: frozenset[str], log: RequestLog, spans: RequestSpans
    ) -> None:
        self._app = app
        self._metrics = metrics
        self._other = ("other", metrics.requests("other"))
        self._routes = {path: (path, metrics.requests(path)) for path in paths}
        self._routes |= {f"{path}/": route for path, route in self._routes.items() if path != "/"}
        self._log = log
        self._told_from = -1.0 if log.every else log.slow_seconds
        self._spans = spans
        self._id_of = RequestIds().of

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        start = perf_counter()
        request_id, sent = self._id_of(scope["headers"])
        REQUEST.set(request_id)  # of this task alone: the server makes one for each request
        route, count = self._routes.get(scope["path"], self._other)
        span = self._spans.begin(scope, route, request_id.decode()) if self._spans.sent else None
        status = 0
        error: Exception | None = None

        def watched(message: Message) -> Awaitable[None]:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                if sent or status >= 400:  # on every answer it would cost more than the counting
                    message["headers"] = [*message.get("headers", ()), (b"x-request-id", request_id)]
            return send(message)  # not awaited here: a coroutine in between would cost as much as the counting

        try:
            await self._app(scope, receive, watched)
        except Exception as raised:
            error = raised
            self._metrics.error("Internal Server Error")
            if status:  # half an answer is out; only closing the connection can tell
                raise
            await fault()(scope, receive, watched)
        finally:
            seconds = perf_counter() - start
            status = 500 if error or not status else status
            count(status, seconds)
            if status >= 400 or seconds > self._told_from:
                self._log(scope, status, seconds, error)
            if span is not None:
                span.end(status, error)

"""Counts and times every request at the edge of the app."""

from __future__ import annotations

from time import perf_counter

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from vitrina.telemetry.metrics import ServiceMetrics


class Measured:
    """A plain ASGI wrapper. The route label is a known path or `other`, so callers cannot make new label values."""

    def __init__(self, app: ASGIApp, *, metrics: ServiceMetrics, paths: frozenset[str]) -> None:
        self._app = app
        self._metrics = metrics
        self._labels = {path: path for path in paths} | {f"{path}/": path for path in paths if path != "/"}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        start = perf_counter()
        status = 500

        async def watched(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, watched)
        finally:
            self._metrics.request(self._labels.get(scope["path"], "other"), status, perf_counter() - start)

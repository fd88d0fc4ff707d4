"""The span of a request: it goes on from the caller's, and says by what the answer was made."""

from __future__ import annotations

from collections.abc import Mapping
from time import time_ns
from typing import TYPE_CHECKING

from starlette.types import Scope

from vitrina.telemetry.logs import REQUEST
from vitrina.telemetry.traces import open_tracing

if TYPE_CHECKING:
    from opentelemetry.trace import Span

    from vitrina.telemetry.spans import Attributes, Tracing

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"})
CARRIED = {b"traceparent": "traceparent", b"tracestate": "tracestate"}


class RequestSpan:
    """Lies in `scope["span"]` while a sampled request is handled."""

    def __init__(self, tracing: Tracing, span: Span) -> None:
        self._tracing = tracing
        self._span = span

    def answered(self, what: str, since: int, attributes: Attributes) -> None:
        """A part of the answer is ready, begun at `since` (`time_ns`); the attributes are the request's, too."""
        self._tracing.child(self._span, what, since=since, until=time_ns(), attributes=attributes)
        self._span.set_attributes(dict(attributes))

    def end(self, status: int, error: Exception | None) -> None:
        self._span.set_attribute("http.response.status_code", status)
        if error is not None:
            self._tracing.failed(self._span, error)
        elif status >= 500:
            self._tracing.refused(self._span, str(status))
        self._span.end()


class RequestSpans:
    """Opened and closed with the app, so that each worker has its own."""

    def __init__(self, environment: Mapping[str, str], version: str) -> None:
        self._environment = environment
        self._version = version
        self._tracing: Tracing | None = None
        self.sent = False

    def open(self) -> None:
        self._tracing = open_tracing(self._environment, service="vitrina-app", version=self._version)
        self.sent = self._tracing is not None

    def close(self) -> None:
        if self._tracing is not None:
            self._tracing.close()

    def begin(self, scope: Scope, route: str, request_id: str) -> RequestSpan | None:
        """The span of a request, and its trace in each log line; None when the sampler leaves it out."""
        if self._tracing is None:
            return None
        from opentelemetry.trace import SpanKind

        method = scope["method"] if scope["method"] in METHODS else "_OTHER"
        attributes = {"http.request.method": method, "vitrina.request_id": request_id}
        if route != "other":
            attributes["http.route"] = route
        carrier = {CARRIED[name]: value.decode("latin-1") for name, value in scope["headers"] if name in CARRIED}
        name = method if route == "other" else f"{method} {route}"
        span = self._tracing.start(name, carrier=carrier, kind=SpanKind.SERVER, attributes=attributes)
        if not span.is_recording():
            return None
        REQUEST.set({"request_id": request_id, "trace_id": f"{span.get_span_context().trace_id:032x}"})
        scope["span"] = found = RequestSpan(self._tracing, span)
        return found

"""Spans by OpenTelemetry: made here, sent in the background over OTLP as http/protobuf.

The queue is bounded, so a collector that is slow or away costs spans and never a request; that is said once. Address,
headers, sampling and queue follow the standard variables (OTEL_EXPORTER_OTLP_*, OTEL_TRACES_SAMPLER*, OTEL_BSP_*).
"""

from __future__ import annotations

import hashlib
import logging
import os
import secrets
import socket
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.id_generator import IdGenerator, RandomIdGenerator
from opentelemetry.trace import Span, SpanKind, Status, StatusCode, set_span_in_context
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from opentelemetry.util.types import AttributeValue

from vitrina.telemetry.redaction import Redaction, secrets_in

Attributes = Mapping[str, AttributeValue]
CLOSE_SECONDS = 2.0
log = logging.getLogger(__name__)


class Tracing:
    """The spans of one process; `close` sends what is left."""

    def __init__(self, environment: Mapping[str, str], *, service: str, version: str, run_id: str | None) -> None:
        own: dict[str, AttributeValue] = {
            "service.version": version,
            "host.name": socket.gethostname(),
            "process.pid": os.getpid(),
        }
        named = environment.get("OTEL_SERVICE_NAME") or "service.name=" in environment.get(
            "OTEL_RESOURCE_ATTRIBUTES", ""
        )
        for chatty in ("opentelemetry.exporter", "opentelemetry.sdk"):
            logging.getLogger(chatty).setLevel(logging.CRITICAL)  # each lost batch; `Told` says it once
        self._provider = TracerProvider(
            resource=Resource.create(own if named else {"service.name": service, **own}),
            id_generator=RandomIdGenerator() if run_id is None else OneTrace(run_id),
            shutdown_on_exit=False,
        )
        self._told = Told(OTLPSpanExporter())
        self._provider.add_span_processor(BatchSpanProcessor(self._told))
        self._tracer = self._provider.get_tracer("vitrina", version)
        self._redaction = Redaction(secrets_in(environment))
        self._carried = TraceContextTextMapPropagator()
        self._open: list[Span] = []  # that `span` stands in; one thread uses it

    def start(
        self, name: str, *, carrier: Mapping[str, str], kind: SpanKind = SpanKind.INTERNAL, attributes: Attributes
    ) -> Span:
        """A span that goes on from the W3C `traceparent` of the carrier, when it has a sound one."""
        context = self._carried.extract(carrier, context=Context())
        return self._tracer.start_span(name, context, kind=kind, attributes=attributes)

    def child(self, parent: Span, name: str, *, since: int, until: int, attributes: Attributes) -> None:
        """A finished span under another; times in nanoseconds since the epoch."""
        context = set_span_in_context(parent, Context())
        self._tracer.start_span(name, context, attributes=attributes, start_time=since).end(until)

    @contextmanager
    def span(self, name: str, *, carrier: Mapping[str, str], attributes: Attributes) -> Iterator[Span]:
        """A span around a block; under the one that is open, else from the carrier. An error of the block marks it."""
        parent = self._open[-1] if self._open else None
        if parent is None:
            span = self.start(name, carrier=carrier, attributes=attributes)
        else:
            span = self._tracer.start_span(name, set_span_in_context(parent, Context()), attributes=attributes)
        self._open.append(span)
        try:
            yield span
        except BaseException as error:
            self.failed(span, error)
            raise
        finally:
            self._open.pop()
            span.end()

    def failed(self, span: Span, error: BaseException) -> None:
        """Marks a span with the error, without secrets."""
        kind = type(error).__name__
        self.refused(span, kind, self._redaction(f"{kind}: {error}"))

    def refused(self, span: Span, kind: str, text: str | None = None) -> None:
        """Marks a span with an error that is known by its kind alone."""
        span.set_attribute("error.type", kind)
        span.set_status(Status(StatusCode.ERROR, text))

    def close(self, seconds: float = CLOSE_SECONDS) -> None:
        """Sends what is left, for as long as that; what a collector does not take by then is lost."""
        ending = threading.Thread(target=self._provider.shutdown, daemon=True)
        ending.start()
        ending.join(seconds)
        if ending.is_alive():
            self._told.tell(failing=True)


class OneTrace(IdGenerator):
    """All roots in one trace, whose id follows from the run: a run's steps are processes that know only its name."""

    def __init__(self, run_id: str) -> None:
        self._trace = int.from_bytes(hashlib.sha256(run_id.encode()).digest()[:16], "big") or 1

    def generate_trace_id(self) -> int:
        return self._trace

    def generate_span_id(self) -> int:
        return secrets.randbits(64) or 1


class Told(SpanExporter):
    """Says once when the collector stops taking spans, and once when it takes them again."""

    def __init__(self, exporter: OTLPSpanExporter) -> None:
        self._exporter = exporter
        self._failing = False
        self._lock = threading.Lock()

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        try:
            result = self._exporter.export(spans)
        except Exception as error:
            result = SpanExportResult.FAILURE
            log.debug("Spans are lost: %s", error)
        self.tell(failing=result is not SpanExportResult.SUCCESS)
        return result

    def tell(self, *, failing: bool) -> None:
        with self._lock:
            changed, self._failing = failing != self._failing, failing
        if changed and failing:
            log.warning("The collector of traces does not take them; they are dropped until it does")
        elif changed:
            log.info("The collector of traces takes them again")

    def shutdown(self) -> None:
        self._exporter.shutdown()

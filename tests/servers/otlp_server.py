"""A collector of traces for tests: it takes OTLP over HTTP as a real one does, and keeps the spans."""

from __future__ import annotations

import gzip
import threading
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from waiting import wait


@dataclass(frozen=True, kw_only=True)
class Received:
    """One span; ids as hexadecimal text, `parent` empty for a root, times in nanoseconds since the epoch."""

    name: str
    trace: str
    span: str
    parent: str
    kind: int
    begin: int
    end: int
    failed: bool
    why: str
    attributes: dict[str, Any]
    resource: dict[str, Any]
    headers: dict[str, str]


class OtlpServer:
    """`status` is what it answers."""

    def __init__(self) -> None:
        self.status = 200
        self.asked = 0
        self.spans: list[Received] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def named(self, name: str, count: int = 1) -> list[Received]:
        """The spans of that name, once there are so many."""

        def found() -> list[Received]:
            return [one for one in self.spans if one.name == name]

        wait(lambda: len(found()) >= count, otherwise=lambda: f"{name}: {[one.name for one in self.spans]}", pause=0.05)
        assert len(found()) == count
        return found()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                if self.headers.get("content-encoding") == "gzip":
                    body = gzip.decompress(body)
                server.asked += 1
                right = self.path == "/v1/traces" and self.headers["content-type"] == "application/x-protobuf"
                status = server.status if right else 404
                if status == 200:
                    headers = {name.lower(): value for name, value in self.headers.items()}
                    server.spans += received(ExportTraceServiceRequest.FromString(body), headers)
                answer = ExportTraceServiceResponse().SerializeToString()
                self.send_response(status)
                self.send_header("content-type", "application/x-protobuf")
                self.send_header("content-length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *_: object) -> None:
                pass

        return Handler


def received(request: ExportTraceServiceRequest, headers: dict[str, str]) -> list[Received]:
    """The spans of one request."""
    return [
        Received(
            name=span.name,
            trace=span.trace_id.hex(),
            span=span.span_id.hex(),
            parent=span.parent_span_id.hex(),
            kind=span.kind,
            begin=span.start_time_unix_nano,
            end=span.end_time_unix_nano,
            failed=span.status.code == span.status.STATUS_CODE_ERROR,
            why=span.status.message,
            attributes=values(span.attributes),
            resource=values(resource.resource.attributes),
            headers=headers,
        )
        for resource in request.resource_spans
        for scope in resource.scope_spans
        for span in scope.spans
    ]


def values(pairs: Any) -> dict[str, Any]:
    return {pair.key: getattr(pair.value, str(pair.value.WhichOneof("value"))) for pair in pairs}

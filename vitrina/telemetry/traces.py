"""Whether spans are sent, by OpenTelemetry's standard variables; nothing of it is imported as long as they are not."""

from __future__ import annotations

import importlib.util
import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from vitrina.telemetry.spans import Tracing

ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
PROTOCOLS = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
log = logging.getLogger(__name__)


def open_tracing(
    environment: Mapping[str, str], *, service: str, version: str, run_id: str | None = None
) -> Tracing | None:
    """What makes and sends the spans of this process; None without an endpoint, or when traces are switched off.

    `service` is the default of OTEL_SERVICE_NAME. All processes of one `run_id` write into one trace.
    """
    if not _wanted(environment):
        return None
    if importlib.util.find_spec("opentelemetry.exporter.otlp.proto.http") is None:
        log.warning("No traces: an endpoint is set, but the packages are missing. Install vitrina[traces]")
        return None
    protocol = next(filter(None, map(environment.get, PROTOCOLS)), "http/protobuf")
    if protocol != "http/protobuf":
        log.warning("Traces are sent as http/protobuf, not as %s: name the collector's HTTP port (4318)", protocol)
    from vitrina.telemetry.spans import Tracing

    return Tracing(environment, service=service, version=version, run_id=run_id)


def _wanted(environment: Mapping[str, str]) -> bool:
    off = environment.get("OTEL_SDK_DISABLED", "").strip().lower() == "true"
    exporters = environment.get("OTEL_TRACES_EXPORTER") or "otlp"
    return any(map(environment.get, ENDPOINTS)) and not off and "otlp" in exporters

"""The exporter's side of the pipeline metrics: it reads the state database, the disks and the sender at each scrape."""

from __future__ import annotations

import logging
import shutil
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from prometheus_client import CollectorRegistry, start_http_server
from prometheus_client.registry import Collector

from vitrina.errors import ConfigError, StateError
from vitrina.storage.state import Overview, State
from vitrina.telemetry import pipeline_names as names
from vitrina.telemetry.day_series import DaySeries
from vitrina.telemetry.graphite import GraphiteSender
from vitrina.telemetry.names import GRAPHITE_DROPPED, GRAPHITE_SENT
from vitrina.telemetry.pipeline_metrics import Families, Rising, Samples, complete_days, families, pipeline_samples

LOOK_SECONDS = 15.0
log = logging.getLogger(__name__)


class StateReader:
    """Reads overviews from a state database that may go and come: it is opened again after every error."""

    def __init__(self, open_state: Callable[[], State]) -> None:
        self._open = open_state
        self._state: State | None = None
        self._away = False

    def __call__(self) -> Overview | None:
        """What the database holds now; None while it cannot be read. The log tells when that changes."""
        try:
            state = self._state or self._open()
            found = state.overview()
        except StateError as error:
            self._state = None
            if not self._away:
                log.warning("the pipeline's metrics are away: %s", error)
            self._away = True
            return None
        self._state = state
        if self._away:
            log.info("the state database is read again")
        self._away = False
        return found


class PipelineCollector(Collector):
    """Collects at each scrape. `last_steps` names the step that ends a training of each scenario, `volumes` folders on
    the disks to watch, `sender` is the exporter's own way to Graphite."""

    def __init__(
        self,
        read: Callable[[], Overview | None],
        *,
        last_steps: Mapping[str, str],
        volumes: Mapping[str, Path],
        sender: GraphiteSender | None = None,
    ) -> None:
        self._read = read
        self._last_steps = dict(last_steps)
        self._volumes = dict(volumes)
        self._sender = sender
        self._rising = Rising()
        self._one_at_a_time = threading.Lock()

    def collect(self) -> Families:
        """Everything that can be read now; without the state database `vitrina_state_up` is 0 and its values are
        missing."""
        with self._one_at_a_time:
            overview = self._read()
            samples: Samples = {(names.STATE_UP, ()): float(overview is not None)}
            if overview is not None:
                samples |= self._rising(pipeline_samples(overview, self._last_steps))
            for volume, folder in self._volumes.items():
                samples |= disk_samples(volume, folder)
            if self._sender is not None:
                samples[GRAPHITE_SENT, ()] = self._sender.sent
                samples |= {(GRAPHITE_DROPPED, (why,)): count for why, count in self._sender.dropped.items()}
            return list(families(samples))


def disk_samples(volume: str, folder: Path) -> Samples:
    """Size of the disk that a folder lies on and what its users may still write, in bytes; nothing when it is gone."""
    try:
        disk = shutil.disk_usage(folder)
    except OSError as error:
        log.warning("volume %s cannot be watched: %s", volume, error)
        return {}
    return {(names.DISK_FREE, (volume,)): disk.free, (names.DISK_SIZE, (volume,)): disk.total}


@contextmanager
def serving(collector: Collector, host: str, port: int) -> Iterator[None]:
    """Answers GET /metrics while the block runs; ConfigError when the address cannot be listened on."""
    registry = CollectorRegistry()
    registry.register(collector)
    try:
        server, thread = start_http_server(port, host, registry)
    except OSError as error:
        raise ConfigError(f"{host}:{port} cannot be listened on ({error.strerror}). Choose another: --port") from error
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@contextmanager
def forwarding(
    read: Callable[[], Overview | None], sender: GraphiteSender, *, pause: float = LOOK_SECONDS
) -> Iterator[None]:
    """Sends the business by day to Graphite while the block runs, whenever a step has told of it anew; closes the
    sender at the end. It looks every `pause` seconds, in a thread of its own: a database that hangs delays nobody."""
    series, stop = DaySeries(sender), threading.Event()

    def look() -> None:
        while True:
            overview = read()
            for scenario, days in (complete_days(overview) if overview else {}).items():
                series.forward(scenario, days, now=time.monotonic())
            if stop.wait(pause):
                return

    threading.Thread(target=look, name="vitrina-days", daemon=True).start()
    try:
        yield
    finally:
        stop.set()
        sender.close()

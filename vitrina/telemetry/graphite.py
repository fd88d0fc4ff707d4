"""Values for Graphite: (name, value, seconds) in, lines of carbon's plaintext protocol over TCP out.

The caller of `send` never waits and never sees an error: the values go into a bounded queue, one daemon thread takes
them from there in batches. What cannot be delivered is dropped and counted.
"""

from __future__ import annotations

import logging
import math
import os
import re
import socket
import threading
import weakref
from collections import deque
from collections.abc import Callable
from typing import Final

from vitrina.errors import ConfigError

log = logging.getLogger(__name__)

DROPPED: Final = ("full", "name", "value", "time", "closed")
"""Why a value may be dropped: pushed out of a full queue; no name of a series; no finite number; no time; no more time
to deliver it before the end."""

LONGEST_NAME: Final = 400
BATCH: Final = 500
LINGER_SECONDS: Final = 0.1
FIRST_DELAY: Final = 0.5
LONGEST_DELAY: Final = 30.0

# Nodes of letters, digits, "_" and "-": carbon makes folders of them, and a space or a line break would begin another
# field or another line.
_SERIES = re.compile(r"[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)*")

_senders: weakref.WeakSet[GraphiteSender] = weakref.WeakSet()


class GraphiteSender:
    """Sends values to the carbon at `host`:`port`; connects at the first one, so it may be made before a fork.

    * What arrives: the protocol has no acknowledgement. A value is `sent` when the connection has taken it; what carbon
      had not read, or had not yet written (it does so about once a second), when it or the network went away is lost.
      A batch that the connection refused is sent again, so carbon may see a value twice, with the same time, which
      changes nothing.
    * While Graphite is away the newest `capacity` values are kept, older ones dropped as "full"; the next attempts come
      after 0.5, 1, 2, ... 30 seconds. A carbon that reads nothing for `timeout` seconds counts as away.
    * A forked child has an empty queue and counts from zero: what waited is the parent's to deliver.

    `clock` gives seconds since the epoch for values that come without a time; without it those are dropped as "time".
    """

    def __init__(
        self,
        host: str,
        port: int,
        *,
        capacity: int = 10_000,
        timeout: float = 5.0,
        clock: Callable[[], float] | None = None,
    ) -> None:
        if not host or not 0 < port < 65_536:
            raise ConfigError(f"Graphite's address is HOST:PORT with a port of 1 .. 65535, not {host!r}:{port}")
        if capacity < 1 or timeout <= 0:
            raise ConfigError(f"the queue holds at least one value and the timeout is > 0, not {capacity}, {timeout}")
        self._address = (host, port)
        self._capacity = capacity
        self._soon = (capacity + 1) // 2
        self._timeout = timeout
        self._clock = clock
        self._begin()
        _senders.add(self)

    @classmethod
    def at(cls, address: str) -> GraphiteSender:
        """The sender to HOST:PORT; ConfigError when that is none."""
        host, _, port = address.rpartition(":")
        if not host or not port.isdecimal():
            raise ConfigError(f"Graphite's address is HOST:PORT, for instance graphite:2003, not {address!r}")
        return cls(host, int(port))

    def _begin(self) -> None:
        self._lock = threading.Lock()
        self._queue: deque[tuple[str, float, int]] = deque()
        self._hand: list[tuple[str, float, int]] = []
        self._sent = 0
        self._drops = dict.fromkeys(DROPPED, 0)
        self._filled = threading.Event()
        self._hurry = threading.Event()
        self._closing = threading.Event()
        self._thread: threading.Thread | None = None
        self._connection: socket.socket | None = None

    @property
    def sent(self) -> int:
        """Values that a connection to carbon has taken."""
        return self._sent

    @property
    def dropped(self) -> dict[str, int]:
        """Values that never will be, by reason (every one of `DROPPED`)."""
        with self._lock:
            return dict(self._drops)

    @property
    def waiting(self) -> int:
        """Values that are still to be delivered; at most the capacity and one batch of 500."""
        with self._lock:
            return len(self._queue) + len(self._hand)

    def send(self, name: str, value: float, ts: int | None = None) -> None:
        """Queues one value of the series `name` (nodes of A-Z a-z 0-9 _ - joined by dots) at `ts` seconds, UTC.

        Returns within microseconds, whatever Graphite does; what cannot be sent is counted in `dropped`.
        """
        reason, point = self._point(name, value, ts)
        with self._lock:
            if self._closing.is_set():
                reason = reason or "closed"
            if reason is not None:
                self._drops[reason] += 1
                return
            if len(self._queue) >= self._capacity:
                self._queue.popleft()
                self._drops["full"] += 1
            self._queue.append(point)
            if self._thread is None:
                self._start()
            queued = len(self._queue)
        if queued == 1:
            self._filled.set()
        if queued == self._soon:
            self._hurry.set()

    def _point(self, name: str, value: float, ts: int | None) -> tuple[str | None, tuple[str, float, int]]:
        """A reason to drop the value, or None, and the point in the types that are sent."""
        if not isinstance(name, str) or len(name) > LONGEST_NAME or _SERIES.fullmatch(name) is None:
            return "name", ("", 0.0, 0)
        try:
            number = float(value)
        except (TypeError, ValueError, OverflowError):
            return "value", ("", 0.0, 0)
        if not math.isfinite(number):
            return "value", ("", 0.0, 0)
        if ts is None and self._clock is not None:
            ts = int(self._clock())
        if not isinstance(ts, int) or ts < 0:  # carbon takes -1 for its own present
            return "time", ("", 0.0, 0)
        return None, (name, number, ts)

    def forked(self) -> None:
        """Makes the sender new in a forked child, where its parent's thread and locks are not; Python calls it."""
        connection = self._connection
        self._begin()
        if connection is not None:
            connection.close()  # the child's hold on it; the parent's stays open

    def close(self, seconds: float = 5.0) -> None:
        """Delivers what waits, for at most `seconds`, and ends; the rest is dropped as "closed". Safe to call twice.

        When Graphite is away, one attempt more is made.
        """
        self._closing.set()
        self._hurry.set()
        self._filled.set()
        thread = self._thread
        if thread is not None:
            thread.join(seconds)
        with self._lock:
            self._drops["closed"] += len(self._queue) + len(self._hand)
            self._queue.clear()
            self._hand = []
            connection = self._connection
        if thread is not None and thread.is_alive() and connection is not None:
            _shut(connection)  # wakes the thread, if carbon lets it wait

    def _start(self) -> None:
        """Called under the lock."""
        thread = threading.Thread(target=self._run, name="vitrina-graphite", daemon=True)
        try:
            thread.start()
        except RuntimeError as error:  # no thread is left, or the interpreter ends: the next value tries again
            log.debug("Values for Graphite wait, since no thread can be started: %s", error)
        else:
            self._thread = thread

    def _run(self) -> None:
        delay = 0.0
        while self._filled.wait():
            self._hurry.wait(LINGER_SECONDS)  # lets a batch come together
            self._hurry.clear()
            self._filled.clear()
            while self._take():
                try:
                    self._deliver()
                except (OSError, UnicodeError) as error:  # UnicodeError: a host that cannot be a host name
                    self._disconnect()
                    if self._closing.is_set():
                        return
                    if not delay:
                        log.warning("Graphite at %s:%d is away, values wait: %s", *self._address, error)
                    delay = min(2 * delay or FIRST_DELAY, LONGEST_DELAY)
                    self._closing.wait(delay)
                    continue
                if delay:
                    log.warning("Graphite at %s:%d is back", *self._address)
                    delay = 0.0
            if self._closing.is_set():
                self._disconnect()
                return

    def _take(self) -> bool:
        """Takes a batch into the hand, unless the last one is still there."""
        with self._lock:
            while self._queue and len(self._hand) < BATCH:
                self._hand.append(self._queue.popleft())
            return bool(self._hand)

    def _deliver(self) -> None:
        connection = self._connection
        if connection is not None and _left(connection):
            self._disconnect()
            connection = None
        if connection is None:
            connection = socket.create_connection(self._address, timeout=self._timeout)
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            self._connection = connection
        hand = self._hand  # only now: `close` may have given it up meanwhile
        connection.sendall("".join(f"{name} {value!r} {ts}\n" for name, value, ts in hand).encode("ascii"))
        with self._lock:
            if self._hand is hand:  # else `close` has given it up
                self._sent += len(hand)
                self._hand = []

    def _disconnect(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def _left(connection: socket.socket) -> bool:
    """Whether the other side has hung up: its first lost batch would else be taken without an error."""
    timeout = connection.gettimeout()
    connection.setblocking(False)
    try:
        return connection.recv(1, socket.MSG_PEEK) == b""
    except BlockingIOError:
        return False
    finally:
        connection.settimeout(timeout)


def _shut(connection: socket.socket) -> None:
    try:
        connection.shutdown(socket.SHUT_RDWR)
    except OSError as error:
        log.debug("The connection to Graphite was closed already: %s", error)


def _in_child() -> None:
    for sender in list(_senders):
        sender.forked()


os.register_at_fork(after_in_child=_in_child)

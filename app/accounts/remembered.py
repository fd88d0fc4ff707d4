"""What a database said a moment ago: a key flows in, its row flows out, with few questions and little waiting.

A row is asked for again after `fresh_seconds`. When the database is away or slow, what it said last is used until it is
`stale_seconds` old, so that a failing database does not shut out those whom the service knows.
"""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Callable
from time import monotonic
from typing import Generic, TypeVar

from anyio import CapacityLimiter, to_thread

from app.accounts.credentials import later
from vitrina.accounts.sign_ins import network_of
from vitrina.errors import StateError

K = TypeVar("K")
V = TypeVar("V")
MOST_REMEMBERED = 10_000
PATIENCE_SECONDS = 0.5  # with the database, while there is something to use instead
PAUSE_SECONDS = 1.0  # between questions to a database that is away
WAITING_AT_MOST = 200  # keys that are not known
FROM_ONE_NETWORK = 20
log = logging.getLogger(__name__)


class Remembered(Generic[K, V]):
    """`read` is called in a thread, once for all who ask for the same key meanwhile. What is not there is not
    remembered. `at_once` of the rows that are known are asked for at a time, and as many others: made-up keys hold up
    nobody who is known, and keep nobody in who was deleted."""

    def __init__(
        self,
        read: Callable[[K], V | None],
        *,
        fresh_seconds: float,
        stale_seconds: float,
        at_once: int,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self._read = read
        self._fresh = fresh_seconds
        self._stale = stale_seconds
        self._for_known = CapacityLimiter(at_once)
        self._for_others = CapacityLimiter(at_once)
        self._clock = clock
        self._rows: OrderedDict[K, tuple[V, float]] = OrderedDict()
        self._under_way: dict[K, asyncio.Task[V | None]] = {}
        self._others: dict[K, str | None] = {}  # of those under way the ones that are not known, and their networks
        self._away_until = float("-inf")

    async def get(self, key: K, *, younger_than: float | None = None, address: str | None = None) -> V | None:
        """The row, or None when there is none. `address` is where the key comes from when anybody may have made it up.
        `StateError` when the database is away and nothing recent is known; 429 when the key is not known and too many
        such ones wait."""
        row, age = self._known(key)
        if row is not None and age < (self._fresh if younger_than is None else younger_than):
            return row
        if row is None or age >= self._stale:
            return await asyncio.shield(self._question(key, address))
        if self._clock() < self._away_until:
            return row
        try:
            return await asyncio.wait_for(asyncio.shield(self._question(key, address)), PATIENCE_SECONDS)
        except (StateError, TimeoutError) as error:
            self._away_until = self._clock() + PAUSE_SECONDS
            log.warning("accounts are taken from memory: %s", error or "the state database is slow")
            return row

    def _known(self, key: K) -> tuple[V | None, float]:
        found = self._rows.get(key)
        return (None, 0.0) if found is None else (found[0], self._clock() - found[1])

    def _question(self, key: K, address: str | None) -> asyncio.Task[V | None]:
        task = self._under_way.get(key)
        if task is None:
            known = key in self._rows
            if not known:
                self._let_wait(key, None if address is None else network_of(address))
            asked = self._ask(key, self._for_known if known else self._for_others)
            task = self._under_way[key] = asyncio.create_task(asked)
            task.add_done_callback(lambda done: done.cancelled() or done.exception())  # nobody may be waiting any more
        return task

    def _let_wait(self, key: K, network: str | None) -> None:
        """Keeps a place in the queue; 429 when it is full, or the network has all that one may have."""
        full = len(self._others) >= WAITING_AT_MOST
        if full or (network is not None and list(self._others.values()).count(network) >= FROM_ONE_NETWORK):
            raise later("too many tokens and keys that are new here wait to be looked up", 1)
        self._others[key] = network

    async def _ask(self, key: K, limiter: CapacityLimiter) -> V | None:
        asked = self._clock()
        try:
            row = await to_thread.run_sync(self._read, key, limiter=limiter)
        finally:
            del self._under_way[key]
            self._others.pop(key, None)
        self._rows.pop(key, None)
        if row is not None:
            self._rows[key] = (row, asked)
            if len(self._rows) > MOST_REMEMBERED:
                self._rows.popitem(last=False)
        return row

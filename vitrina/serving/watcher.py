"""Follows the champion of one scenario: fetch, load, warm up, then swap by one assignment.

A thread of each worker looks every few seconds. Whatever goes wrong is counted and logged, and the present state stays:
a registry that is down, a damaged or older-schema model. A model is copied to this host by one of its workers; a start
while everything else is down serves the last good copy, which all of them share: it stays until it is known to be
damaged, or the registry gives it anew.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Generic, Protocol

from vitrina.errors import DamagedError, VitrinaError
from vitrina.serving.copies import Copies
from vitrina.serving.refusals import Refusals, is_passing
from vitrina.serving.served import Served, State
from vitrina.telemetry.metrics import ModelMetrics

FIRST_LOOK_SECONDS = 3.0
log = logging.getLogger(__name__)


class PublishedVersion(Protocol):
    """The part of a registry's `ModelVersion` that the watcher needs."""

    @property
    def version(self) -> str: ...
    @property
    def run_id(self) -> str: ...


class ChampionSource(Protocol):
    """What `vitrina.registry.reader.ChampionReader` offers."""

    def champion(self) -> PublishedVersion | None: ...
    def fetch(self, version: str, folder: Path) -> None: ...


class Maker(Protocol[State]):
    """What differs between scenarios: how a model folder becomes a state, and what is followed beside the model."""

    def make(self, folder: Path, *, version: str, copy: str, now: int, offline: bool) -> State:
        """Loads, checks and warms up. `offline`: with what this host has, without asking a store that may be down."""
        ...

    def follow(self, state: State) -> State:
        """The state with what is newly published beside its model, or the very same one."""
        ...


class Watcher(Generic[State]):
    """Keeps `served` at the champion. `clock` gives milliseconds since the epoch; `scenario` is for the log."""

    def __init__(
        self,
        *,
        scenario: str,
        served: Served[State],
        source: ChampionSource,
        maker: Maker[State],
        copies: Copies,
        metrics: ModelMetrics,
        clock: Callable[[], int],
        every: float = 2.0,
    ) -> None:
        self._scenario = scenario
        self._served = served
        self._source = source
        self._maker = maker
        self._copies = copies
        self._metrics = metrics
        self._clock = clock
        self._every = every
        self._refused = Refusals()
        self._marked: str | None = None
        self._answers = False
        self._looked = threading.Event()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Loads the last good copy, then follows the registry in a thread. Returns after the first look, or after
        `FIRST_LOOK_SECONDS` of it when there is a copy to serve meanwhile."""
        self._safely(self._serve_last_good)
        if self._served.state is None:
            self._look()
        self._thread = threading.Thread(target=self._run, name=f"vitrina-watcher-{self._scenario}", daemon=True)
        self._thread.start()
        self._looked.wait(FIRST_LOOK_SECONDS)

    def stop(self) -> None:
        """Ends the thread; waits for a look that is under way."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join(timeout=30)

    def look(self) -> None:
        """One look at what is published; swaps when something new is there and good. While nothing is served, a good
        copy will do."""
        self._refused.look()
        champion = self._champion()
        if champion is not None:
            version = str(champion.version)
            copy = copy_name(version, champion.run_id)
            state = self._served.state
            if (state is None or state.copy != copy) and copy not in self._refused:
                self._swap(copy, lambda to: self._source.fetch(version, to))
        if self._answers:
            self._served.confirmed = True
        if self._served.state is None:
            self._serve_last_good()
        state = self._served.state
        if state is not None:
            followed = self._maker.follow(state)
            if followed is not state:
                self._assign(followed)
            if champion is not None:
                self._mark(state.copy, champion=copy)

    def _look(self) -> None:
        self._safely(self.look)
        self._looked.set()

    def _run(self) -> None:
        while not self._stop.is_set():
            self._look()
            self._stop.wait(self._every)

    def _safely(self, look: Callable[[], None]) -> None:
        try:
            look()
        except Exception:
            log.exception("A look at the registry failed; the present model stays (%s)", self._scenario)
            self._metrics.swap("watcher", "failed")

    def _champion(self) -> PublishedVersion | None:
        self._answers = False
        try:
            champion = self._source.champion()
        except (VitrinaError, OSError) as error:
            log.warning("The registry does not answer (%s); the present model stays (%s)", error, self._scenario)
            self._metrics.registry_up(False)
            return None
        self._metrics.registry_up(True)
        self._answers = True
        return champion

    def _mark(self, copy: str, *, champion: str) -> None:
        """Marks the served champion as good, at every look until that succeeds; not a copy that stands in for it."""
        if copy == champion != self._marked:
            self._copies.mark_good(copy)
            self._marked = copy

    def _serve_last_good(self) -> None:
        for copy in self._copies.good():
            if copy not in self._refused and self._swap(copy):
                return

    def _swap(self, copy: str, fetch: Callable[[Path], None] | None = None, *, again: bool = True) -> bool:
        """Whether a copy was put to work: the champion's with `fetch`, without it one that stands in, offline. While
        that lasts no other worker removes it; one that went all the same is not refused but fetched `again`."""
        version, offline = version_of(copy), fetch is None
        with ExitStack() as use:
            here = offline
            try:
                here = here or self._copies.folder(copy).is_dir()
                folder = use.enter_context(self._copies.used(copy, fetch))
                here = True
                state = self._maker.make(folder, version=version, copy=copy, now=self._clock(), offline=offline)
            except Exception as error:
                use.close()
                if here and isinstance(error, DamagedError | FileNotFoundError) and self._copies.is_gone(copy):
                    log.warning("The copy of model %s went while it was being loaded (%s)", version, self._scenario)
                    return not offline and again and self._swap(copy, fetch, again=False)
                self._refuse(copy, error, offline=offline, here=here)
                return False
            self._assign(state)
            self._metrics.swap("model", "done")
            if not offline:
                self._mark(copy, champion=copy)
        return True

    def _refuse(self, copy: str, error: Exception, *, offline: bool, here: bool) -> None:
        expected = isinstance(error, VitrinaError | OSError)
        said = "Model %s is refused, the present one stays: %s (%s)"
        log.error(said, version_of(copy), error, self._scenario, exc_info=not expected)
        self._refused.add(copy, error, here=here)
        self._metrics.swap("model", "refused")
        if isinstance(error, DamagedError) or not (offline or is_passing(error)):
            self._copies.discard(copy)

    def _assign(self, state: State) -> None:
        before = self._served.state
        self._served.state = state
        before_version = None if before is None else before.version
        self._metrics.serving(state.version, before=before_version, now=self._clock(), **state.times)
        log.info("Serving %s (%s)", state, self._scenario)


def copy_name(version: str, run_id: str) -> str:
    """Name of a version's local copy; the run is in it, because a registry that was set up anew counts from 1 again."""
    return f"{version}-{run_id[:12]}"


def version_of(copy: str) -> str:
    return copy.rpartition("-")[0]

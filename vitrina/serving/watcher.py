"""Follows the champion and the lists: fetch, load, warm up, then swap by one assignment.

A thread of each worker looks every few seconds. Whatever goes wrong is counted and logged, and the present state stays:
a registry that is down, a damaged or older-schema model, lists made for other items.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Protocol

from vitrina.errors import VitrinaError
from vitrina.serving.copies import Copies
from vitrina.serving.lists import Lists, find_lists
from vitrina.serving.state import LoadedModel, Served, ServingState, build_state, items_fingerprint
from vitrina.telemetry.metrics import ServiceMetrics

RETRY_AFTER_LOOKS = 15
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


class Watcher:
    """Keeps `served` at the champion. `clock` gives milliseconds since the epoch; `load` reads a model folder."""

    def __init__(
        self,
        *,
        served: Served,
        source: ChampionSource,
        load: Callable[[Path], LoadedModel],
        copies: Copies,
        lists_root: Path,
        metrics: ServiceMetrics,
        clock: Callable[[], int],
        every: float = 2.0,
    ) -> None:
        self._served = served
        self._source = source
        self._load = load
        self._copies = copies
        self._lists_root = lists_root
        self._metrics = metrics
        self._clock = clock
        self._every = every
        self._fingerprint = ("", "")  # a copy and the fingerprint of its items
        self._refused: dict[tuple[str, str], int] = {}  # (what, name) -> looks until it is tried again
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Serves the last good copy at once, or looks at the registry when there is none; then follows in a thread."""
        self._serve_last_good()
        if self._served.state is None:
            self.look()
        self._thread = threading.Thread(target=self._run, name="vitrina-watcher", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Ends the thread; waits for a look that is under way."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join(timeout=30)

    def look(self) -> None:
        """One look at the registry and the lists; swaps when something new is there and good."""
        self._refused = {key: left - 1 for key, left in self._refused.items() if left > 1}
        champion = self._champion()
        if champion is not None:
            version = str(champion.version)
            copy = copy_name(version, champion.run_id)
            state = self._served.state
            if (state is None or state.copy != copy) and ("model", copy) not in self._refused:
                self._swap_model(copy, lambda: self._copies.get(copy, lambda to: self._source.fetch(version, to)))
        self._follow_lists()

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                self.look()
            except Exception:
                log.exception("A look at the registry failed; the present model stays")
                self._metrics.swap("watcher", "failed")
            self._stop.wait(self._every)

    def _champion(self) -> PublishedVersion | None:
        try:
            champion = self._source.champion()
        except (VitrinaError, OSError) as error:
            log.warning("The registry does not answer (%s); the present model stays", error)
            self._metrics.registry_up(False)
            return None
        self._metrics.registry_up(True)
        return champion

    def _serve_last_good(self) -> None:
        for copy in self._copies.good():
            if self._swap_model(copy, partial(self._copies.folder, copy)):
                return

    def _swap_model(self, copy: str, folder: Callable[[], Path]) -> bool:
        version = version_of(copy)
        try:
            model = self._load(folder())
            lists = self._lists_for(version, copy, model)
            state = build_state(version=version, copy=copy, model=model, lists=lists, now=self._clock())
        except Exception as error:
            expected = isinstance(error, VitrinaError | OSError)
            log.error("Model %s is refused, the present one stays: %s", version, error, exc_info=not expected)
            self._refuse("model", copy)
            self._copies.discard(copy)
            return False
        self._assign(state, "model")
        self._copies.mark_good(copy)
        return True

    def _follow_lists(self) -> None:
        state = self._served.state
        if state is None:
            return
        lists = self._lists_for(state.version, state.copy, state.model, present=state.lists)
        if lists is not state.lists:
            self._assign(replace(state, lists=lists), "lists")

    def _lists_for(self, version: str, copy: str, model: LoadedModel, present: Lists | None = None) -> Lists | None:
        """The lists to serve beside a model: `present` when they are still right or the new ones are broken."""
        if self._fingerprint[0] != copy:
            self._fingerprint = (copy, items_fingerprint(model.recommender.items))
        try:
            folder = find_lists(self._lists_root, model_version=version, items_fingerprint=self._fingerprint[1])
            if folder is None or (present is not None and folder == present.folder):
                return present
            if ("lists", folder.name) in self._refused:
                return present
        except (VitrinaError, OSError) as error:
            log.error("The published lists are not readable, the present ones stay: %s", error)
            self._metrics.swap("lists", "refused")
            return present
        try:
            lists = Lists.open(folder)
            lists.check_items(len(model.recommender.items))
            return lists
        except (VitrinaError, OSError) as error:
            log.error("Lists %s are refused, the present ones stay: %s", folder.name, error)
            self._refuse("lists", folder.name)
            return present

    def _refuse(self, what: str, version: str) -> None:
        self._refused[(what, version)] = RETRY_AFTER_LOOKS
        self._metrics.swap(what, "refused")

    def _assign(self, state: ServingState, what: str) -> None:
        before = self._served.state
        self._served.state = state
        self._metrics.swap(what, "done")
        self._metrics.serving(
            state.version,
            before=None if before is None else before.version,
            as_of=state.model.as_of,
            lists_as_of=None if state.lists is None else state.lists.as_of,
            now=self._clock(),
        )
        log.info("Serving model %s with lists %s", state.version, state.lists.version if state.lists else "none")


def copy_name(version: str, run_id: str) -> str:
    """Name of a version's local copy; the run is in it, because a registry that was set up anew counts from 1 again."""
    return f"{version}-{run_id[:12]}"


def version_of(copy: str) -> str:
    return copy.rpartition("-")[0]

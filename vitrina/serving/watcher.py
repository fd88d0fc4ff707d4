"""Follows the champion and the lists: fetch, load, warm up, then swap by one assignment.

A thread of each worker looks every few seconds. Whatever goes wrong is counted and logged, and the present state stays:
a registry or an object store that is down, a damaged or older-schema model, lists made for other items. Both models and
lists are copied to this host by one of its workers; a start while everything else is down serves the last good copies.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Protocol

from vitrina.errors import ConfigError, ModelFormatError, StoreError, VitrinaError
from vitrina.serving.copies import Copies
from vitrina.serving.lists import LISTS_FILE, SCHEMA_VERSION, Lists, Published, find_lists
from vitrina.serving.state import LoadedModel, Served, ServingState, build_state, items_fingerprint
from vitrina.storage.objects import Objects
from vitrina.storage.sealed import read_seal, seal_of
from vitrina.telemetry.metrics import ScenarioMetrics

RETRY_AFTER_LOOKS = 15
ListsFor = Callable[[str, str, LoadedModel], Lists | None]
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
    """Keeps `served` at the champion. `clock` gives milliseconds since the epoch; `load` reads a model folder.

    Lists are published in `objects` under `lists_key`.
    """

    def __init__(
        self,
        *,
        served: Served,
        source: ChampionSource,
        load: Callable[[Path], LoadedModel],
        copies: Copies,
        objects: Objects,
        lists_key: str,
        lists_copies: Copies,
        metrics: ScenarioMetrics,
        clock: Callable[[], int],
        every: float = 2.0,
    ) -> None:
        self._served = served
        self._source = source
        self._load = load
        self._copies = copies
        self._objects = objects
        self._lists_key = lists_key
        self._lists_copies = lists_copies
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
            if self._swap_model(copy, partial(self._copies.folder, copy), self._kept_lists):
                return

    def _swap_model(self, copy: str, folder: Callable[[], Path], lists_for: ListsFor | None = None) -> bool:
        version = version_of(copy)
        try:
            model = self._load(folder())
            lists = (lists_for or self._lists_for)(version, self._fingerprint_of(copy, model), model)
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
        fingerprint = self._fingerprint_of(state.copy, state.model)
        lists = self._lists_for(state.version, fingerprint, state.model, present=state.lists)
        if lists is not state.lists:
            self._assign(replace(state, lists=lists), "lists")

    def _fingerprint_of(self, copy: str, model: LoadedModel) -> str:
        if self._fingerprint[0] != copy:
            self._fingerprint = (copy, items_fingerprint(model.recommender.items))
        return self._fingerprint[1]

    def _lists_for(
        self, version: str, fingerprint: str, model: LoadedModel, present: Lists | None = None
    ) -> Lists | None:
        """The lists to serve beside a model: `present` when they are still right or the new ones are broken, those kept
        on this host when the store does not answer."""
        try:
            found = find_lists(self._objects, self._lists_key, model_version=version, items_fingerprint=fingerprint)
            self._metrics.objects_up(True)
        except (StoreError, ConfigError, OSError) as error:
            log.warning("The object store does not answer (%s); the present lists stay", error)
            self._metrics.objects_up(False)
            return present or self._kept_lists(version, fingerprint, model)
        except VitrinaError as error:
            log.error("The published lists are not readable, the present ones stay: %s", error)
            self._metrics.swap("lists", "refused")
            return present
        if found is None or (present is not None and found.copy == present.folder.name):
            return present
        if ("lists", found.copy) in self._refused:
            return present
        try:
            lists = self._opened(self._lists_copies.get(found.copy, partial(self._fetch_lists, found)), model)
        except StoreError as error:
            log.warning("Lists %s cannot be fetched, the present ones stay: %s", found.version, error)
            self._metrics.objects_up(False)
            return present
        except (VitrinaError, OSError) as error:
            log.error("Lists %s are refused, the present ones stay: %s", found.version, error)
            self._refuse("lists", found.copy)
            self._lists_copies.discard(found.copy)
            return present
        self._lists_copies.mark_good(found.copy)
        return lists

    def _fetch_lists(self, found: Published, folder: Path) -> None:
        self._objects.get_folder(f"{self._lists_key}/{found.version}", folder)
        if seal_of(read_seal(folder / LISTS_FILE, schema_version=SCHEMA_VERSION)) != found.seal:
            raise ModelFormatError(f"lists {found.version}: are being published again. They are fetched later")

    def _kept_lists(self, version: str, fingerprint: str, model: LoadedModel) -> Lists | None:
        """The last good lists of this host that fit a model, those that it made itself before others."""
        kept = []
        for copy in self._lists_copies.good():
            try:
                lists = self._opened(self._lists_copies.folder(copy), model)
            except (VitrinaError, OSError) as error:
                log.error("The kept lists %s are refused: %s", copy, error)
                continue
            if lists.items_fingerprint == fingerprint:
                kept.append(lists)
        return next((one for one in kept if one.model_version == version), next(iter(kept), None))

    @staticmethod
    def _opened(folder: Path, model: LoadedModel) -> Lists:
        lists = Lists.open(folder)
        lists.check_items(len(model.recommender.items))
        return lists

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

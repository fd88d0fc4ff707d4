"""Follows the lists that are published beside a model: find, fetch, check, keep.

Whatever goes wrong is counted and logged, and the present lists stay: an object store that is down, damaged lists,
lists made for other items. Lists are copied to this host by one of its workers, and the last good ones outlive the
store.
"""

from __future__ import annotations

import logging
from contextlib import ExitStack
from functools import partial
from pathlib import Path

from vitrina.errors import ConfigError, ModelFormatError, StoreError, VitrinaError
from vitrina.events.ids import IdMap
from vitrina.serving.copies import Copies
from vitrina.serving.lists import LISTS_FILE, SCHEMA_VERSION, Lists, Published, find_lists
from vitrina.serving.refusals import Refusals, is_passing
from vitrina.serving.state import items_fingerprint
from vitrina.storage.objects import Objects
from vitrina.storage.sealed import read_seal, seal_of
from vitrina.telemetry.metrics import ScenarioMetrics

log = logging.getLogger(__name__)


class ListsFollower:
    """Lists are published in `objects` under `key`; `copies` keeps those of this host."""

    def __init__(self, *, objects: Objects, key: str, copies: Copies, metrics: ScenarioMetrics) -> None:
        self._objects = objects
        self._key = key
        self._copies = copies
        self._metrics = metrics
        self._refused = Refusals()
        self._unmarked: str | None = None
        self._fingerprint: tuple[IdMap | None, str] = (None, "")

    def newest(self, version: str, items: IdMap, present: Lists | None = None) -> Lists | None:
        """The lists to serve beside a model: `present` when they are still right or the new ones are broken, those kept
        on this host when the store does not answer."""
        self._refused.look()
        if present is not None and present.folder.name == self._unmarked:
            self._mark(self._unmarked)
        fingerprint = self._fingerprint_of(items)
        try:
            found = find_lists(self._objects, self._key, model_version=version, items_fingerprint=fingerprint)
            self._metrics.objects_up(True)
        except (StoreError, ConfigError, OSError) as error:
            log.warning("The object store does not answer (%s); the present lists stay", error)
            self._metrics.objects_up(False)
            return present or self.kept(version, items)
        except VitrinaError as error:
            log.error("The published lists are not readable, the present ones stay: %s", error)
            self._metrics.swap("lists", "refused")
            return present
        if found is None or (present is not None and found.copy == present.folder.name) or found.copy in self._refused:
            return present
        with ExitStack() as use:
            here = False
            try:
                here = self._copies.folder(found.copy).is_dir()
                folder = use.enter_context(self._copies.used(found.copy, partial(self._fetch, found)))
                here = True
                lists = _opened(folder, items)
            except StoreError as error:
                log.warning("Lists %s cannot be fetched, the present ones stay: %s", found.version, error)
                self._metrics.objects_up(False)
                return present
            except (VitrinaError, OSError) as error:
                use.close()
                log.error("Lists %s are refused, the present ones stay: %s", found.version, error)
                self._refused.add(found.copy, error, here=here)
                self._metrics.swap("lists", "refused")
                if not is_passing(error):
                    self._copies.discard(found.copy)
                return present
            self._mark(found.copy)
        return lists

    def kept(self, version: str, items: IdMap) -> Lists | None:
        """The last good lists of this host that fit a model, those that it made itself before others."""
        fitting = []
        for copy in self._copies.good():
            try:
                with self._copies.used(copy) as folder:
                    lists = _opened(folder, items)
            except (VitrinaError, OSError) as error:
                log.error("The kept lists %s are refused: %s", copy, error)
                continue
            if lists.items_fingerprint == self._fingerprint_of(items):
                fitting.append(lists)
        return next((one for one in fitting if one.model_version == version), next(iter(fitting), None))

    def _mark(self, copy: str) -> None:
        """Remembers good lists. What stands in the way of that, as a full disk, is no reason to go without them: they
        are marked at a later look."""
        self._unmarked = copy
        try:
            self._copies.mark_good(copy)
            self._unmarked = None
        except OSError as error:
            log.warning("Lists %s are served, but cannot be marked as the last good ones yet: %s", copy, error)

    def _fetch(self, found: Published, folder: Path) -> None:
        self._objects.get_folder(f"{self._key}/{found.version}", folder)
        if seal_of(read_seal(folder / LISTS_FILE, schema_version=SCHEMA_VERSION)) != found.seal:
            raise ModelFormatError(f"lists {found.version}: are being published again. They are fetched later")

    def _fingerprint_of(self, items: IdMap) -> str:
        if self._fingerprint[0] is not items:
            self._fingerprint = (items, items_fingerprint(items))
        return self._fingerprint[1]


def _opened(folder: Path, items: IdMap) -> Lists:
    lists = Lists.open(folder)
    lists.check_items(len(items))
    return lists

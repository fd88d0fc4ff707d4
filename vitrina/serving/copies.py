"""Local copies of what is published (models, lists), shared by the workers of a host.

<root>/<kind>/<copy>/         as fetched, checked by whoever loads it; kind is "models" or "lists"
<root>/last_good_<kind>.json  the copies that were last put to work
<root>/<kind>.lock            held while one worker fetches, marks or removes

A copy in use has a shared lock on its folder, and only what nobody has a lock on is removed. A kill releases both.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from vitrina.errors import RegistryError
from vitrina.storage.building import building, write_whole

KEPT = 2
_NAME = re.compile(r"[A-Za-z0-9_\-][A-Za-z0-9_.\-]*")


class Copies:
    """Folders of one kind under `root`. Methods may be called by several processes at once."""

    def __init__(self, root: Path, kind: str = "models") -> None:
        self.root = Path(root)
        self._kind = kind
        self._folders = self.root / kind
        self._last_good = self.root / f"last_good_{kind}.json"
        self._folders.mkdir(parents=True, exist_ok=True)

    def folder(self, copy: str) -> Path:
        """Where a copy stands, fetched or not. `RegistryError` for a name that cannot be a folder's."""
        if not _NAME.fullmatch(copy):
            raise RegistryError(
                f"{self._kind}: version {copy!r} cannot name a folder. Use letters, digits, '_', '-' and '.'"
            )
        return self._folders / copy

    @contextmanager
    def used(self, copy: str, fetch: Callable[[Path], None] | None = None) -> Iterator[Path]:
        """The folder of a copy, which no worker removes in the block; the first worker of the host fetches it, the
        others wait for that. `FileNotFoundError` when it is not here and there is no `fetch`."""
        folder = self.folder(copy)
        if fetch is None:
            handle = _opened(folder)  # whatever another worker fetches at this moment
        else:
            with self._locked():
                if not folder.is_dir():
                    with building(folder) as staged:
                        fetch(staged)
                handle = _opened(folder)
        try:
            yield folder
        finally:
            os.close(handle)

    def is_gone(self, copy: str) -> bool:
        """Whether it is not here; waits for a worker that fetches or removes."""
        folder = self.folder(copy)
        with self._locked():
            return not folder.is_dir()

    def discard(self, copy: str) -> None:
        """Removes a copy that cannot be used, so that it is fetched again; not while another worker uses it, who will
        find out by itself."""
        folder = self.folder(copy)
        with self._locked():
            _remove_unused(folder)

    def mark_good(self, copy: str) -> None:
        """Remembers what is served, and removes all copies but this one, the one marked before it and those in use,
        which a later call removes."""
        with self._locked():
            good = [copy, *(old for old in self.good() if old != copy)][:KEPT]
            write_whole(self._last_good, json.dumps({"copies": good}).encode())
            for path in self._folders.iterdir():
                if path.name not in good:
                    _remove_unused(path)

    def good(self) -> list[str]:
        """Copies that were put to work and are still here, the last one first."""
        try:
            copies = json.loads(self._last_good.read_bytes())["copies"]
        except FileNotFoundError:
            return []
        except (ValueError, KeyError, TypeError):
            return []  # a damaged note is no reason to stay down: the registry is asked instead
        return [str(copy) for copy in copies if (self._folders / str(copy)).is_dir()]

    @contextmanager
    def _locked(self) -> Iterator[None]:
        with (self.root / f"{self._kind}.lock").open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield


def _opened(folder: Path) -> int:
    """A handle with the shared lock; `FileNotFoundError` when the folder went before that was had."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_SH)
        if not os.path.samestat(os.fstat(handle), folder.stat()):
            raise FileNotFoundError(errno.ENOENT, "the copy was removed a moment ago", str(folder))
    except BaseException:
        os.close(handle)
        raise
    return handle


def _remove_unused(folder: Path) -> None:
    try:
        handle = os.open(folder, os.O_RDONLY)
    except (FileNotFoundError, PermissionError):
        return  # it went by itself, or belongs to somebody else
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        shutil.rmtree(folder, ignore_errors=True)
    except BlockingIOError:
        return  # it is in use
    finally:
        os.close(handle)

"""Local copies of what is published (models, lists), shared by the workers of a host.

<root>/<kind>/<copy>/         as fetched, checked by whoever loads it; kind is "models" or "lists"
<root>/last_good_<kind>.json  the copies that were last put to work
<root>/<kind>.lock            held while one worker fetches, marks or removes
"""

from __future__ import annotations

import fcntl
import json
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

    def get(self, copy: str, fetch: Callable[[Path], None]) -> Path:
        """The folder of a copy; the first worker of the host fetches it, the others wait for that."""
        folder = self.folder(copy)
        with self._locked():
            if not folder.is_dir():
                with building(folder) as staged:
                    fetch(staged)
        return folder

    def discard(self, copy: str) -> None:
        """Removes a copy that cannot be used, so that the next `get` fetches again."""
        with self._locked():
            shutil.rmtree(self.folder(copy), ignore_errors=True)

    def mark_good(self, copy: str) -> None:
        """Remembers what is served, and removes all copies but this one and the one marked before it."""
        with self._locked():
            good = [copy, *(old for old in self.good() if old != copy)][:KEPT]
            write_whole(self._last_good, json.dumps({"copies": good}).encode())
            for path in self._folders.iterdir():
                if path.name not in good:
                    shutil.rmtree(path, ignore_errors=True)

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

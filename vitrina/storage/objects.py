"""Objects by key: whole folders and single files that pipeline steps and the service hand to each other.

`Objects` is what every store offers, `FolderObjects` the embedded one in a local folder, `S3Objects` (s3_objects.py)
the shared one. A key is made of '/'-separated names, such as `storefront/lists/1431648000000`, and names either a
folder or a file.
"""

from __future__ import annotations

import os
import re
import shutil
import uuid
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Protocol

from vitrina.errors import ConfigError, DataError
from vitrina.storage.building import building, claimed, clear_dead, locked, write_whole

_NAME = re.compile(r"[A-Za-z0-9_\-][A-Za-z0-9_.=@+#\-]*")
REMEDY = "Run the step that writes it first"


class Objects(Protocol):
    """A store of folders and files. Readers see an object whole, the old one or the new one, never a mixture."""

    def put_folder(self, key: str, folder: Path) -> None:
        """Stores a copy of `folder` at `key`, replacing what is there."""

    def writing(self, key: str) -> AbstractContextManager[Path]:
        """Gives an empty local folder to write into; `key` stands for it when the block succeeds."""

    def local(self, key: str) -> Path:
        """The content of the folder at `key` as a local folder, only to be read; it stays whole until the key is
        replaced twice. Raises DataError when there is none."""

    def get_folder(self, key: str, folder: Path) -> None:
        """Copies the folder at `key` to `folder`, replacing it. Raises DataError when there is none."""

    def publish(self, key: str, target: str) -> None:
        """Makes `key` stand for the folder at `target` from now on, in one step. Raises DataError without a target."""

    def put_bytes(self, key: str, content: bytes) -> None:
        """Stores one file at `key`, replacing what is there."""

    def get_bytes(self, key: str) -> bytes:
        """The file at `key`. Raises DataError when there is none."""

    def exists(self, key: str) -> bool:
        """Whether a folder, a file or a published name stands at `key`."""

    def list(self, prefix: str = "") -> list[str]:
        """The sorted keys below `prefix` (whole names: `a/b` lists `a/b/c`, not `a/bc`); all keys without one."""

    def delete(self, key: str) -> None:
        """Removes what stands at `key`; nothing happens when there is none."""

    def uri(self, key: str) -> str:
        """The address of `key`, for people and other programs."""


def check_key(key: str) -> str:
    """The key itself; ConfigError unless it is '/'-separated names of letters, digits and `_-.=@+#`, not dot-first."""
    if len(key) > 200 or not all(_NAME.fullmatch(name) for name in key.split("/")):
        raise ConfigError(
            f"object key {key!r}: not usable. Use names of letters, digits, '_', '-', '.', '=', '@', '+' and '#', "
            "separated by '/', none empty or starting with '.', 200 characters in all"
        )
    return key


class FolderObjects:
    """Objects in a local folder.

    A folder's content stands in `<root>/.folders/<key with '~' for '/'>/<token>`, and `<root>/<key>` is a link to it
    that is switched in one step; the content before stays until the next switch, for readers that are still inside.
    A published name is a link to the link.
    """

    def __init__(self, root: Path) -> None:
        self.root = Path(root).absolute()

    def uri(self, key: str) -> str:
        return (self.root / check_key(key)).as_uri()

    def put_folder(self, key: str, folder: Path) -> None:
        if not Path(folder).is_dir():
            raise DataError("there is no such folder", where=str(folder), remedy="Write it before it is stored")
        with self.writing(key) as staged:
            shutil.copytree(folder, staged, dirs_exist_ok=True)

    @contextmanager
    def writing(self, key: str) -> Iterator[Path]:
        """Yields an empty folder to write into; `key` is switched to it, without a copy, when the block succeeds."""
        link = self._place(key)
        contents = self.root / ".folders" / key.replace("/", "~")
        contents.mkdir(parents=True, exist_ok=True)
        self._refuse_other_kind(key, link, folder=True)
        with claimed(contents, ".") as staged:
            yield staged
            content = contents / uuid.uuid4().hex[:12]
            with locked(contents):
                clear_dead(contents, ".", own=staged)
                staged.rename(content)
                before = link.resolve() if link.is_symlink() else None
                self._switch(key, link, content)
                for old in contents.iterdir():
                    if not old.name.startswith(".") and old not in (content, before):
                        shutil.rmtree(old)

    def get_folder(self, key: str, folder: Path) -> None:
        while True:
            content = self.local(key)
            try:
                with building(folder) as staged:
                    shutil.copytree(content, staged, dirs_exist_ok=True)
                return
            except OSError:
                if self.local(key) == content:
                    raise
                # replaced twice during the copy: copy what stands there now

    def local(self, key: str) -> Path:
        """The present content of the folder at `key`, to be read in place; whole until the key is replaced twice."""
        link = self._place(key)
        if not link.is_symlink() or not link.exists():
            raise DataError("there is no such folder object", where=key, remedy=REMEDY)
        return link.resolve()

    def publish(self, key: str, target: str) -> None:
        self.local(target)
        link, aim = self._place(key), self._place(target)
        if not aim.readlink().is_relative_to(os.path.relpath(self.root / ".folders", aim.parent)):
            raise ConfigError(
                f"object key {target!r}: is a published name itself. Publish the folder that it stands for"
            )
        if link != aim:
            self._refuse_other_kind(key, link, folder=True)
            self._switch(key, link, aim)

    def put_bytes(self, key: str, content: bytes) -> None:
        path = self._place(key)
        self._refuse_other_kind(key, path, folder=False)
        write_whole(path, content)

    def get_bytes(self, key: str) -> bytes:
        path = self._place(key)
        if path.is_symlink() or not path.is_file():
            raise DataError("there is no such file object", where=key, remedy=REMEDY)
        return path.read_bytes()

    def exists(self, key: str) -> bool:
        path = self._place(key)
        return path.exists() and (path.is_symlink() or path.is_file())

    def list(self, prefix: str = "") -> list[str]:
        start = self._place(prefix) if prefix else self.root
        if start.is_symlink() or not start.is_dir():
            return []
        return sorted(path.relative_to(self.root).as_posix() for path in _objects_under(start))

    def delete(self, key: str) -> None:
        path = self._place(key)
        if path.is_symlink() or path.is_file():
            path.unlink()
            shutil.rmtree(self.root / ".folders" / key.replace("/", "~"), ignore_errors=True)

    def _place(self, key: str) -> Path:
        path = self.root / check_key(key)
        for above in path.parents:
            if above == self.root:
                return path
            if above.is_symlink() or above.is_file():
                raise ConfigError(
                    f"object key {key!r}: {above.relative_to(self.root)} is an object itself. Use another key"
                )
        raise AssertionError("a checked key stands below the root")

    def _refuse_other_kind(self, key: str, path: Path, *, folder: bool) -> None:
        holds_folder = path.is_symlink()
        if (path.is_file() and not holds_folder) if folder else holds_folder:
            raise ConfigError(
                f"object key {key!r}: holds a {'file' if folder else 'folder'}. Use another key, or delete it first"
            )
        if path.is_dir() and not path.is_symlink():
            raise ConfigError(f"object key {key!r}: other keys stand below it. Use another key")

    def _switch(self, key: str, link: Path, aim: Path) -> None:
        self._refuse_other_kind(key, link, folder=True)
        link.parent.mkdir(parents=True, exist_ok=True)
        staged = link.with_name(f".{link.name}.{uuid.uuid4().hex[:12]}.new")
        staged.symlink_to(os.path.relpath(aim, link.parent))
        staged.replace(link)


def _objects_under(folder: Path) -> Iterator[Path]:
    for path in folder.iterdir():
        if path.name.startswith("."):
            continue
        if path.is_dir() and not path.is_symlink():
            yield from _objects_under(path)
        elif path.exists():
            yield path

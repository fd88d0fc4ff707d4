"""The files of raw data where they lie, in a local folder or in S3: a listing with marks, checked copies, uploads."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from vitrina.errors import DataError
from vitrina.events.sources import first_byte
from vitrina.storage.building import locked
from vitrina.storage.manifest import FileMark
from vitrina.storage.opening import local_path, needed, split_s3
from vitrina.storage.s3_bucket import Bucket, S3Access, side_by_side

if TYPE_CHECKING:
    from vitrina.engine import LocalEngine

SHA256 = "vitrina-sha256"
Progress = Callable[[str, int, int], None]
"""Hears what is being done, how much of it is done, and of how much."""


@dataclass(frozen=True, kw_only=True)
class RawFile:
    """A file by its name below the root, its `size` in bytes. `mark` changes with the content (an ETag or the time of
    change)."""

    name: str
    size: int
    mark: str


class RawFiles(Protocol):
    """A place where raw data lies."""

    def files(self) -> list[RawFile]:
        """What lies there and is no hidden file, sorted by name."""

    def fetch(self, files: Sequence[RawFile], folder: Path) -> None:
        """Puts files into a folder by their names. `DataError` for one that is damaged on the way or in its place."""

    def upload(self, source: Path, name: str) -> bool:
        """Puts a file there under a name; False when it lies there already, as it is."""


class RawData(Protocol):
    """Raw data of one kind in its place, as `vitrina upload` and `vitrina events` see it."""

    def listing(self) -> dict[str, object]:
        """What lies there, without fetching it. `fingerprint` changes when anything does; None: nothing is there."""

    def put(self, source: Path, columns: str | None, engine: LocalEngine, progress: Progress) -> dict[str, object]:
        """Puts the caller's data there and tells what lies there then; what is there already is not sent again."""


def open_raw_files(
    place: str, *, below: Sequence[str] = (), access: S3Access | None = None, cache: Path | None = None
) -> RawFiles:
    """Raw data at an `s3://` address or in a folder; `cache` keeps what is fetched from S3 until it changes there.

    Of a folder, the files in it are listed and those that a glob of `below` finds; of S3, all of them.
    """
    if place.startswith("s3://"):
        bucket, prefix = split_s3(place)
        return S3RawFiles(Bucket(needed(access, place), bucket, prefix), cache)
    return FolderRawFiles(local_path(place), below)


def require_there(place: str) -> None:
    """`DataError` when a path names nothing; an `s3://` address is not looked at, as there are no folders."""
    if not place.startswith("s3://") and not local_path(place).exists():
        raise DataError("there is no such file or folder", where=place, remedy="Check --data.")


def fingerprint_of(files: Sequence[RawFile]) -> str | None:
    """Changes whenever one of the files does; None when there are none."""
    marks = "\n".join(f"{file.name} {file.size} {file.mark}" for file in files)
    return hashlib.sha256(marks.encode()).hexdigest() if files else None


class FolderRawFiles:
    """Raw data in a local folder."""

    def __init__(self, root: Path, below: Sequence[str] = ()) -> None:
        self.root = root
        self._below = below

    def files(self) -> list[RawFile]:
        if not self.root.is_dir():
            return []
        listed = []
        for path in (*self.root.iterdir(), *(path for glob in self._below for path in self.root.glob(glob))):
            if path.is_file():
                facts = path.stat()
                name = path.relative_to(self.root).as_posix()
                listed.append(RawFile(name=name, size=facts.st_size, mark=str(facts.st_mtime_ns)))
        return _shown(listed)

    def fetch(self, files: Sequence[RawFile], folder: Path) -> None:
        for file in files:
            target = folder / file.name
            target.parent.mkdir(parents=True, exist_ok=True)
            first_byte(self.root / file.name)
            shutil.copy(self.root / file.name, target)

    def upload(self, source: Path, name: str) -> bool:
        target = self.root / name
        if target.is_file() and FileMark.of(source).is_that_of(target):
            return False
        target.parent.mkdir(parents=True, exist_ok=True)
        staged = target.with_name(f".{target.name}.new")
        shutil.copy(source, staged)
        staged.replace(target)
        return True


class S3RawFiles:
    """Raw data in a bucket; `cache` keeps fetched files, so that a fetch that was interrupted goes on."""

    def __init__(self, bucket: Bucket, cache: Path | None) -> None:
        self._bucket = bucket
        place = f"{bucket.access.endpoint or 'aws'} {bucket.bucket} {bucket.prefix}"
        self._cache = cache and Path(cache) / "events" / hashlib.sha256(place.encode()).hexdigest()[:12]

    def files(self) -> list[RawFile]:
        stored, _ = self._bucket.stored()
        return _shown([RawFile(name=one.key, size=one.size, mark=one.etag) for one in stored])

    def fetch(self, files: Sequence[RawFile], folder: Path) -> None:
        cache = self._cache or folder / ".fetched"
        cache.mkdir(parents=True, exist_ok=True)
        kept = {file.name: cache / hashlib.sha256(f"{file.name} {file.mark}".encode()).hexdigest() for file in files}
        by_name = {file.name: file for file in files}
        with locked(cache):
            side_by_side(lambda name: self._fetch(by_name[name], kept[name]), kept)
            for name, path in kept.items():
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                _link(path, folder / name)
            for old in set(cache.iterdir()) - set(kept.values()):
                old.unlink()
        if self._cache is None:
            shutil.rmtree(cache)

    def upload(self, source: Path, name: str) -> bool:
        mark = FileMark.of(source)
        there, _ = self._bucket.stored(name, most=1)
        same = there and there[0].key == name and there[0].size == mark.size
        if same and self._bucket.metadata(name).get(SHA256) == mark.sha256:
            return False
        self._bucket.upload(source, name, {SHA256: mark.sha256})
        return True

    def _fetch(self, file: RawFile, target: Path) -> None:
        if target.is_file():
            return
        partial = target.with_suffix(".partial")
        sha256 = self._bucket.metadata(file.name).get(SHA256)
        for _ in range(2):
            self._bucket.download(file.name, partial, file.size)
            found = FileMark.of(partial)
            if found == FileMark(size=file.size, sha256=sha256 or found.sha256):
                partial.replace(target)
                return
            partial.unlink()
        raise DataError(
            "the file is not what was uploaded: it is damaged, or was replaced meanwhile",
            where=self._bucket.uri(file.name),
            remedy="Run the step again, and if that does not help, upload it again",
        )


def _shown(listed: list[RawFile]) -> list[RawFile]:
    seen = [one for one in listed if not any(part.startswith(".") or not part for part in one.name.split("/"))]
    return sorted(seen, key=lambda one: one.name)


def _link(source: Path, target: Path) -> None:
    try:
        os.link(source, target)
    except OSError:  # another file system
        shutil.copy(source, target)

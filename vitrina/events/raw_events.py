"""Raw events by day, in a local folder or in S3: which files lie there, and copies of those of the days that are asked.

<root>/events/dt=YYYY-MM-DD/<name>     parquet, csv, csv.gz, ...: the caller's own columns
<root>/item_properties*.csv, category_tree.csv, columns.yaml     optional, in any accepted compression
"""

from __future__ import annotations

import hashlib
import os
import shutil
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Protocol

from vitrina.errors import DataError
from vitrina.events.schema import DAY_MS
from vitrina.events.sources import EVENTS
from vitrina.storage.building import locked
from vitrina.storage.manifest import FileMark
from vitrina.storage.opening import local_path, needed, split_s3
from vitrina.storage.s3_bucket import Bucket, S3Access, side_by_side

COLUMNS_FILE = "columns.yaml"
BESIDE = ("item_properties", "category_tree", COLUMNS_FILE)
SHA256 = "vitrina-sha256"


@dataclass(frozen=True, kw_only=True)
class RawFile:
    """A file by its name below the root; `day` (ISO) of events, None of the tables beside them. `mark` changes with the
    content (an ETag or the time of change)."""

    name: str
    size: int
    mark: str
    day: str | None


class RawEvents(Protocol):
    """A place where raw events lie."""

    def files(self) -> list[RawFile]:
        """Everything that lies there, sorted by name. `DataError` for a folder of events that is no day."""

    def fetch(self, files: list[RawFile], folder: Path) -> None:
        """Puts files into a folder by their names. `DataError` for one that is damaged on the way or in its place."""

    def upload(self, source: Path, name: str) -> bool:
        """Puts a file there under a name; False when it lies there already, as it is."""


@dataclass(frozen=True, kw_only=True)
class Listing:
    """What lies in a place of raw events. `fingerprint` changes whenever any file does."""

    days: tuple[str, ...]
    fingerprint: str

    @classmethod
    def of(cls, files: list[RawFile]) -> Listing:
        marks = "\n".join(f"{file.name} {file.size} {file.mark}" for file in files)
        days = sorted({file.day for file in files if file.day})
        return cls(days=tuple(days), fingerprint=hashlib.sha256(marks.encode()).hexdigest())

    def as_json(self) -> dict[str, object]:
        return {"newest_day": self.days[-1] if self.days else None, "fingerprint": self.fingerprint}


def open_raw_events(place: str, *, access: S3Access | None = None, cache: Path | None = None) -> RawEvents:
    """Raw events at an `s3://` address or in a folder; `cache` keeps what is fetched from S3 until it changes there."""
    if place.startswith("s3://"):
        bucket, prefix = split_s3(place)
        return S3RawEvents(Bucket(needed(access, place), bucket, prefix), cache)
    return FolderRawEvents(local_path(place))


def lies_by_days(place: str) -> bool:
    """Whether `--data` names raw events by day: in S3 always, of folders those with days in them."""
    return place.startswith("s3://") or any((local_path(place) / EVENTS).glob("dt=*"))


def before(files: list[RawFile], as_of: int | None) -> list[RawFile]:
    """The files that can hold events before `as_of` (ms), and those beside the events."""
    if as_of is None:
        return files
    end = datetime.fromtimestamp((as_of - 1) / 1000, UTC).date().isoformat()
    return [file for file in files if file.day is None or file.day <= end]


def day_of(ts: int) -> str:
    """The UTC day of a time in ms."""
    return datetime.fromtimestamp(ts // DAY_MS * (DAY_MS // 1000), UTC).date().isoformat()


class FolderRawEvents:
    """Raw events in a local folder."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def files(self) -> list[RawFile]:
        if not self.root.is_dir():
            return []
        listed = []
        for path in (*self.root.iterdir(), *(self.root / EVENTS).glob("*/*")):
            if path.is_file():
                facts = path.stat()
                name = path.relative_to(self.root).as_posix()
                listed.append(_raw_file(name, facts.st_size, str(facts.st_mtime_ns), self.root))
        return sorted((one for one in listed if one), key=lambda one: one.name)

    def fetch(self, files: list[RawFile], folder: Path) -> None:
        for file in files:
            target = folder / file.name
            target.parent.mkdir(parents=True, exist_ok=True)
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


class S3RawEvents:
    """Raw events in a bucket; `cache` keeps fetched files, so that a fetch that was interrupted goes on."""

    def __init__(self, bucket: Bucket, cache: Path | None) -> None:
        self._bucket = bucket
        place = f"{bucket.access.endpoint or 'aws'} {bucket.bucket} {bucket.prefix}"
        self._cache = cache and Path(cache) / "events" / hashlib.sha256(place.encode()).hexdigest()[:12]

    def files(self) -> list[RawFile]:
        stored, _ = self._bucket.stored()
        listed = [_raw_file(one.key, one.size, one.etag, self._bucket.uri("")) for one in stored]
        return [one for one in listed if one]

    def fetch(self, files: list[RawFile], folder: Path) -> None:
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
            remedy="Run the step again, and if that does not help, upload the day again",
        )


def _raw_file(name: str, size: int, mark: str, root: object) -> RawFile | None:
    """A listed file, None for one that is no part of the layout."""
    parts = name.split("/")
    if any(part.startswith(".") for part in parts) or not parts[-1]:
        return None
    if len(parts) == 1:
        return RawFile(name=name, size=size, mark=mark, day=None) if name.startswith(BESIDE) else None
    if parts[0] != EVENTS or len(parts) != 3:
        return None
    label, _, day = parts[1].partition("=")
    try:
        if label != "dt" or date.fromisoformat(day).isoformat() != day:
            raise ValueError
    except ValueError as error:
        raise DataError(
            f"{parts[1]!r} names no day", where=f"{root}".rstrip("/") + f"/{EVENTS}", remedy="Name it dt=YYYY-MM-DD"
        ) from error
    return RawFile(name=name, size=size, mark=mark, day=day)


def _link(source: Path, target: Path) -> None:
    try:
        os.link(source, target)
    except OSError:  # another file system
        shutil.copy(source, target)

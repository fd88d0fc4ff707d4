"""One file of raw data where it lies, in a local folder or in S3: which file is read, a copy of it, an upload of it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Self

from vitrina.errors import DataError
from vitrina.events.raw_files import Progress, RawFile, RawFiles, fingerprint_of, open_raw_files, require_there
from vitrina.storage.opening import local_path
from vitrina.storage.s3_bucket import S3Access

if TYPE_CHECKING:
    from vitrina.engine import LocalEngine


class OneFile(RawFile):
    """The file that is read."""

    def as_json(self) -> dict[str, object]:
        """What is told of it; `fingerprint` changes whenever it does."""
        return {"file": self.name, "bytes": self.size, "fingerprint": fingerprint_of([self])}


@dataclass(frozen=True, kw_only=True)
class RawOneFile(ABC):
    """A place where one file of raw data lies; `place` is its address, `name` the file that it names, None when it is a
    folder. What data that is, its subclass knows."""

    place: str
    raw: RawFiles
    name: str | None = None

    absent: ClassVar[str]
    """What is wrong with a place that has no such file."""

    @staticmethod
    @abstractmethod
    def stem(name: str) -> str:
        """The name without the ending of a file that may hold such data; empty for another."""

    @staticmethod
    @abstractmethod
    def among(names: Iterable[str], where: str) -> str | None:
        """The file of a folder that is read, None when there is none; `DataError` when it cannot be told which."""

    @abstractmethod
    def put(self, source: Path, columns: str | None, engine: LocalEngine, progress: Progress) -> dict[str, object]:
        """As `RawData.put`."""

    @classmethod
    def open(cls, place: str, *, access: S3Access | None = None, cache: Path | None = None) -> Self:
        """A folder or what is below an `s3://` prefix, or the file at such an address; `cache` keeps what is fetched
        from S3 until it changes there."""
        folder, _, name = place.rpartition("/")
        if place.startswith("s3://"):
            file = bool(cls.stem(name)) and folder != "s3:/"
        else:
            path = local_path(place)
            file = path.is_file() or (not path.exists() and cls.stem(path.name) != "")
            folder, name = (str(path.parent), path.name) if file else (place, "")
        if not file:
            return cls(place=place, raw=open_raw_files(place, access=access, cache=cache))
        return cls(place=place, raw=open_raw_files(folder, access=access, cache=cache), name=name)

    def file(self) -> OneFile | None:
        """The file that is read, None when there is none; `DataError` when it cannot be told which."""
        there = {file.name: file for file in self.raw.files() if "/" not in file.name}
        chosen = self.among(there, self.place) if self.name is None else self.name
        return OneFile(**asdict(there[chosen])) if chosen in there else None

    def fetch(self, folder: Path) -> OneFile:
        """Puts the file into a folder by its name. `DataError` when there is none, or it is damaged."""
        found = self.file()
        if found is None:
            require_there(self.place)
            raise DataError(
                self.absent, where=self.place, remedy="Check --data, or put it there: vitrina upload --help"
            )
        self.raw.fetch([found], folder)
        return found

    def listing(self) -> dict[str, object]:
        """What is told of the file without fetching it; the `fingerprint` is None when there is none."""
        found = self.file()
        return found.as_json() if found else {"file": None, "bytes": None, "fingerprint": None}

    def send(self, path: Path, named: str) -> dict[str, object]:
        """Puts a file there as it is, under the place's own name for it or `named`; `sent` is 0 when it lies there
        already. `DataError` when another file that lies there would be read instead of it."""
        name = self.name or named
        there = {file.name for file in self.raw.files() if "/" not in file.name}
        read = self.name or self.among(there | {name}, self.place)
        if read != name:
            raise DataError(
                f"{read} lies there, and is read before {name}",
                where=self.place,
                remedy="Remove it there, or upload to another place.",
            )
        sent = self.raw.upload(path, name)
        return {"files": 1, "sent": int(sent), **self.listing()}

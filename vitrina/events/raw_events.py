"""Raw events by day, in a local folder or in S3: which files lie there, and copies of those of the days that are asked.

<root>/events/dt=YYYY-MM-DD/<name>     parquet, csv, csv.gz, ...: the caller's own columns
<root>/item_properties*.csv, category_tree.csv, columns.yaml     optional, in any accepted compression
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from vitrina.errors import DataError
from vitrina.events.raw_files import Progress, RawFile, RawFiles, fingerprint_of, open_raw_files
from vitrina.events.schema import DAY_MS
from vitrina.events.sources import EVENTS
from vitrina.storage.opening import local_path
from vitrina.storage.s3_bucket import S3Access

if TYPE_CHECKING:
    from vitrina.engine import LocalEngine

COLUMNS_FILE = "columns.yaml"
BESIDE = ("item_properties", "category_tree", COLUMNS_FILE)


@dataclass(frozen=True, kw_only=True)
class EventFile(RawFile):
    """`day` (ISO) of events, None of the tables beside them."""

    day: str | None


@dataclass(frozen=True, kw_only=True)
class RawEvents:
    """A place where raw events lie; `place` is its address."""

    place: str
    raw: RawFiles

    def files(self) -> list[EventFile]:
        """Everything of the layout, sorted by name. `DataError` for a folder of events that is no day."""
        listed = (_event_file(file, self.place) for file in self.raw.files())
        return [one for one in listed if one]

    def fetch(self, files: Sequence[RawFile], folder: Path) -> None:
        """As `RawFiles.fetch`."""
        self.raw.fetch(files, folder)

    def upload(self, source: Path, name: str) -> bool:
        """As `RawFiles.upload`."""
        return self.raw.upload(source, name)

    def listing(self) -> dict[str, object]:
        """The days that lie there; the `fingerprint` is None when there are none."""
        found = Listing.of(self.files())
        return {"days": list(found.days), **found.as_json()}

    def put(self, source: Path, columns: str | None, engine: LocalEngine, progress: Progress) -> dict[str, object]:
        """What `vitrina upload` does: see `upload`."""
        from vitrina.events.upload import upload

        return upload(source, columns, self, engine, progress)


@dataclass(frozen=True, kw_only=True)
class Listing:
    """What lies in a place of raw events. `fingerprint` changes whenever any file does; None: there are none."""

    days: tuple[str, ...]
    fingerprint: str | None

    @classmethod
    def of(cls, files: list[EventFile]) -> Listing:
        days = sorted({file.day for file in files if file.day})
        return cls(days=tuple(days), fingerprint=fingerprint_of(files) if days else None)

    def as_json(self) -> dict[str, object]:
        return {"newest_day": self.days[-1] if self.days else None, "fingerprint": self.fingerprint}


def open_raw_events(place: str, *, access: S3Access | None = None, cache: Path | None = None) -> RawEvents:
    """Raw events at an `s3://` address or in a folder; `cache` keeps what is fetched from S3 until it changes there."""
    return RawEvents(place=place, raw=open_raw_files(place, below=(f"{EVENTS}/*/*",), access=access, cache=cache))


def lies_by_days(place: str) -> bool:
    """Whether `--data` names raw events by day: in S3 always, of folders those with days in them."""
    return place.startswith("s3://") or any((local_path(place) / EVENTS).glob("dt=*"))


def before(files: list[EventFile], as_of: int | None) -> list[EventFile]:
    """The files that can hold events before `as_of` (ms), and those beside the events."""
    if as_of is None:
        return files
    end = datetime.fromtimestamp((as_of - 1) / 1000, UTC).date().isoformat()
    return [file for file in files if file.day is None or file.day <= end]


def day_of(ts: int) -> str:
    """The UTC day of a time in ms."""
    return datetime.fromtimestamp(ts // DAY_MS * (DAY_MS // 1000), UTC).date().isoformat()


def _event_file(file: RawFile, place: str) -> EventFile | None:
    """A file of the layout, None for one that is no part of it."""
    parts = file.name.split("/")
    if len(parts) == 1:
        return EventFile(**asdict(file), day=None) if file.name.startswith(BESIDE) else None
    if parts[0] != EVENTS or len(parts) != 3:
        return None
    label, _, day = parts[1].partition("=")
    try:
        if label != "dt" or date.fromisoformat(day).isoformat() != day:
            raise ValueError
    except ValueError as error:
        where = place.rstrip("/") + f"/{EVENTS}"
        raise DataError(f"{parts[1]!r} names no day", where=where, remedy="Name it dt=YYYY-MM-DD") from error
    return EventFile(**asdict(file), day=day)

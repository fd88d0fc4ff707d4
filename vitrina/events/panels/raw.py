"""A bank's panel where it lies, in a local folder or in S3: which file is read, and a copy of it.

<root>/train_ver2.csv, <root>/panel.csv or <root>/acquisitions.csv     also .parquet or .jsonl, also packed (.gz, .zip)
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from vitrina.errors import ConfigError, DataError
from vitrina.events.raw_file import RawOneFile
from vitrina.events.raw_files import Progress
from vitrina.events.sources import names_by_stem, stem_of
from vitrina.storage.s3_bucket import S3Access

if TYPE_CHECKING:
    from vitrina.engine import LocalEngine

STEMS = ("train_ver2", "panel", "acquisitions")
"""What a folder is searched for, in this order."""
NAME_IT = "Name it train_ver2.csv (or .csv.gz, .zip, .parquet), or give the path of the file itself."


@dataclass(frozen=True, kw_only=True)
class RawPanel(RawOneFile):
    """A place where a panel lies."""

    absent = "there is no panel (train_ver2.csv, panel.csv, acquisitions.csv; also packed)"

    @staticmethod
    def stem(name: str) -> str:
        return stem_of(name)

    @staticmethod
    def among(names: Iterable[str], where: str) -> str | None:
        return panel_among(names, where)

    def put(self, source: Path, columns: str | None, engine: LocalEngine, progress: Progress) -> dict[str, object]:
        """What `vitrina upload` does: see `upload_panel`."""
        from vitrina.events.panels.upload import upload_panel

        if columns is not None:
            raise ConfigError("a panel's columns are known by both of their names. Leave --columns out")
        return upload_panel(source, self, engine, progress)


def open_raw_panel(place: str, *, access: S3Access | None = None, cache: Path | None = None) -> RawPanel:
    """A panel in a folder or below an `s3://` prefix, or the file at such an address; `cache` keeps what is fetched
    from S3 until it changes there."""
    return RawPanel.open(place, access=access, cache=cache)


def panel_among(names: Iterable[str], where: str) -> str | None:
    """The file of a folder that holds the panel: one of STEMS, or the only one. None when there is no data file;
    `DataError` when there are several and none has such a name."""
    by_stem = names_by_stem(names, where)
    known = [by_stem[stem] for stem in STEMS if stem in by_stem]
    if known or not by_stem:
        return known[0] if known else None
    if len(by_stem) > 1:
        raise DataError(
            f"no panel is here (found: {', '.join(sorted(by_stem.values()))})",
            where=where,
            remedy=NAME_IT,
        )
    return next(iter(by_stem.values()))

"""Sales where they lie, in a local folder or in S3: which file is read, a copy of it, an upload of it.

<root>/baskets.xlsx, <root>/sales.csv.gz, <root>/OnlineRetail.csv or the only file there, in any form that is read
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from vitrina.events.baskets.columns import BasketColumns
from vitrina.events.baskets.files import STEMS, sales_among, sales_file, sales_tables, stem_of_sales
from vitrina.events.raw_file import RawOneFile
from vitrina.events.raw_files import Progress
from vitrina.storage.s3_bucket import S3Access

if TYPE_CHECKING:
    from vitrina.engine import LocalEngine


@dataclass(frozen=True, kw_only=True)
class RawBaskets(RawOneFile):
    """A place where a file of sales lies."""

    absent = "there are no sales (baskets.csv, sales.xlsx or one other .csv, .xlsx, .parquet, .jsonl; also packed)"

    @staticmethod
    def stem(name: str) -> str:
        return stem_of_sales(name)

    @staticmethod
    def among(names: Iterable[str], where: str) -> str | None:
        return sales_among(names, where)

    def put(self, source: Path, columns: str | None, engine: LocalEngine, progress: Progress) -> dict[str, object]:
        """Sends the file at `source` (as `read_baskets` takes it) as it is, when it has the columns. `DataError` when
        it has not, or another file that lies there would be read instead of it."""
        known = BasketColumns.parse(columns)
        path = sales_file(source)
        progress("look at the columns", 0, 2)
        with tempfile.TemporaryDirectory(prefix="vitrina-upload-") as scratch:
            sales_tables(path, known, Path(scratch), engine)
        progress("send", 1, 2)
        stem = stem_of_sales(path.name)
        return self.send(path, path.name if stem in STEMS else STEMS[0] + path.name[len(stem) :])


def open_raw_baskets(place: str, *, access: S3Access | None = None, cache: Path | None = None) -> RawBaskets:
    """Sales in a folder or below an `s3://` prefix, or the file at such an address; `cache` keeps what is fetched from
    S3 until it changes there."""
    return RawBaskets.open(place, access=access, cache=cache)

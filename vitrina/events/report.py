"""What reading a log found: written as report.json into the validated folder."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

from vitrina.errors import DataError
from vitrina.events.schema import REPORT_FILE


@dataclass(frozen=True, kw_only=True)
class BadRow:
    """One rejected row: `row` counts the header line as row 1."""

    file: str
    row: int
    reason: str
    value: str | None


@dataclass(frozen=True, kw_only=True)
class Report:
    """Counts are rows unless the name says otherwise; `first_ts` and `last_ts` are ms UTC of the events kept.

    `rejected`: bad rows by reason, `ignored`: rows of ignored event names, `bots`: visitors left out for their rate,
    `properties`: rows of each property table kept, `missing`: what the log does not have and what is lost by it.
    """

    source: str
    files: tuple[str, ...]
    columns: str
    weights: tuple[float, ...]
    rows_in: int
    rows_out: int
    rejected: Mapping[str, int]
    examples: tuple[BadRow, ...]
    ignored: int
    duplicates: int
    bots: int
    bot_events: int
    users: int
    items: int
    user_id_kind: str
    item_id_kind: str
    time_unit: str
    first_ts: int
    last_ts: int
    kinds: Mapping[str, int]
    properties: Mapping[str, int]
    missing: tuple[str, ...]
    notes: tuple[str, ...]

    def write(self, folder: Path) -> None:
        """Writes report.json."""
        write_report(asdict(self), folder)

    @classmethod
    def read(cls, folder: Path) -> Self:
        """The report of a validated folder; `DataError` when there is none."""
        with report_content(folder) as content:
            content["examples"] = tuple(BadRow(**one) for one in content["examples"])
            content |= {name: tuple(content[name]) for name in ("files", "weights", "missing", "notes")}
            return cls(**content)

    def summary(self) -> str:
        """A few lines for people."""
        span = f"{_day(self.first_ts)} .. {_day(self.last_ts)} UTC"
        kinds = ", ".join(f"{count:,} {name}" for name, count in self.kinds.items())
        lines = [
            f"{self.source}: {self.rows_out:,} of {self.rows_in:,} rows kept ({kinds}), {span}",
            f"{self.users:,} visitors ({self.user_id_kind} ids), {self.items:,} items ({self.item_id_kind} ids)",
        ]
        if self.duplicates:
            lines.append(f"{self.duplicates:,} exact duplicates dropped")
        if self.ignored:
            lines.append(f"{self.ignored:,} rows of ignored event names dropped")
        if self.bots:
            lines.append(f"{self.bots:,} visitors of an impossible rate left out with their {self.bot_events:,} events")
        lines += [f"{count:,} rows rejected: {reason}" for reason, count in self.rejected.items()]
        lines += [f"  {bad.file}, row {bad.row}: {bad.reason} ({bad.value!r})" for bad in self.examples]
        lines += [f"{count:,} rows of {name}" for name, count in self.properties.items()]
        return "\n".join([*lines, *self.missing, *self.notes])


def write_report(content: Mapping[str, Any], folder: Path) -> None:
    """Writes the report.json of a folder."""
    text = json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False)
    (folder / REPORT_FILE).write_text(text + "\n", encoding="utf-8")


@contextmanager
def report_content(folder: Path) -> Iterator[dict[str, Any]]:
    """What a folder's report.json holds; `DataError` when it cannot be read, or not be used as the block does."""
    path = folder / REPORT_FILE
    try:
        yield json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(f"no report can be read ({error})", where=str(path), remedy="Read the log again.") from error


def _day(ts: int) -> str:
    return datetime.fromtimestamp(ts / 1000, tz=UTC).strftime("%Y-%m-%d %H:%M")

"""What reading a sales file found: written as report.json into the validated folder of baskets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

from vitrina.events.report import BadRow, report_content, write_report


@dataclass(frozen=True, kw_only=True)
class BasketReport:
    """`rows_in` are the file's lines, `rows_out` those that are a product in a basket.

    `columns`: what the file calls each; `rejected`: lines that cannot be read, by fault; `dropped`: lines that are no
    sale of a product or say it again, by reason; `baskets_of_two` have two products or more. `first_ts`, `last_ts`: ms
    UTC, of a log that is not `dated` the places of its baskets. `missing`: what the file does not have and what is lost
    by it.
    """

    source: str
    files: tuple[str, ...]
    columns: Mapping[str, str]
    rows_in: int
    rows_out: int
    rejected: Mapping[str, int]
    examples: tuple[BadRow, ...]
    dropped: Mapping[str, int]
    baskets: int
    baskets_of_two: int
    items: int
    customers: int
    baskets_of_nobody: int
    dated: bool
    first_ts: int
    last_ts: int
    missing: tuple[str, ...]
    notes: tuple[str, ...]

    def write(self, folder: Path) -> None:
        """Writes report.json."""
        write_report(asdict(self), folder)

    @classmethod
    def read(cls, folder: Path) -> Self:
        """The report of a validated folder; `DataError` when there is none."""
        with report_content(folder) as content:
            lists: dict[str, Any] = {name: tuple(content[name]) for name in ("files", "missing", "notes")}
            examples = tuple(BadRow(**one) for one in content["examples"])
            return cls(**{**content, **lists, "examples": examples})

    def summary(self) -> str:
        """A few lines for people."""
        span = f"{_day(self.first_ts)} .. {_day(self.last_ts)} UTC" if self.dated else "in the order of the file"
        who = f"{self.customers:,} customers ({self.baskets_of_nobody:,} baskets without one)"
        sizes = f"{self.baskets:,} baskets ({self.baskets_of_two:,} of two products or more)"
        lines = [
            f"{self.source}: {self.rows_out:,} of {self.rows_in:,} lines kept, {span}",
            f"{sizes}, {self.items:,} products, {who}",
        ]
        lines += [f"{count:,} lines dropped: {reason}" for reason, count in self.dropped.items()]
        lines += [f"{count:,} lines rejected: {reason}" for reason, count in self.rejected.items()]
        lines += [f"  {bad.file}, row {bad.row}: {bad.reason} ({bad.value!r})" for bad in self.examples]
        return "\n".join([*lines, *self.missing, *self.notes])


def _day(ts: int) -> str:
    return datetime.fromtimestamp(ts / 1000, tz=UTC).strftime("%Y-%m-%d")

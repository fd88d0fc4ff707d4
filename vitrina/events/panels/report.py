"""What reading a bank's panel found: written as report.json into its validated folder."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self

from vitrina.events.panels.columns import month_text
from vitrina.events.report import report_content, write_report

PANEL, ACQUISITIONS = "panel", "acquisitions"


@dataclass(frozen=True, kw_only=True)
class PanelReport:
    """`form` is what the file held: `panel` (a row per customer and month) or `acquisitions` (a row per product taken).

    `months`: rows by month ("2015-01"), ascending; `empty`: rows without a value, by profile column; `unknown` and
    `owned`: rows where the product is not known, and where it is owned, by the product's request name; `missing`: what
    the file does not have and what is lost by it.
    """

    source: str
    file: str
    form: str
    rows_in: int
    rows_out: int
    customers: int
    first_month: int
    last_month: int
    months: Mapping[str, int]
    empty: Mapping[str, int]
    unknown: Mapping[str, int]
    owned: Mapping[str, int]
    missing: tuple[str, ...]
    notes: tuple[str, ...]

    def write(self, folder: Path) -> None:
        """Writes report.json."""
        write_report(asdict(self), folder)

    @classmethod
    def read(cls, folder: Path) -> Self:
        """The report of a validated folder; `DataError` when there is none."""
        with report_content(folder) as content:
            return cls(**{**content, **{name: tuple(content[name]) for name in ("missing", "notes")}})

    def summary(self) -> str:
        """A few lines for people."""
        span = f"{month_text(self.first_month)} .. {month_text(self.last_month)}"
        lines = [
            f"{self.source}: {self.rows_in:,} rows of {self.file} ({self.form})",
            f"{self.rows_out:,} rows of {self.customers:,} customers in {len(self.months)} months, {span}",
        ]
        lines += [f"{column}: empty in {count:,} rows" for column, count in self.empty.items() if count]
        lines += [f"{product}: not known in {count:,} rows" for product, count in self.unknown.items() if count]
        return "\n".join([*lines, *self.missing, *self.notes])

"""The dates of invoices, however a file writes them, as ms UTC; and the choice between two readings of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from vitrina.engine import LocalEngine
from vitrina.events.far_dates import span_of_bulk
from vitrina.events.schema import DAY_MS
from vitrina.events.staging import quoted, read_from

_CLOCKS = ("", " %H:%M", " %H:%M:%S", " %I:%M %p", " %I:%M:%S %p")
# the year 10 is a year to %Y, so %y goes first
_MONTH_FIRST = ("%m/%d/%y", "%m/%d/%Y", "%m-%d-%Y")
_DAY_FIRST = ("%d/%m/%y", "%d/%m/%Y", "%d-%m-%Y")
_CLEAR = ("%d.%m.%y", "%d.%m.%Y", "%Y%m%d", "%d-%b-%y", "%d-%b-%Y", "%d %b %y", "%d %b %Y")
_EARLIEST, _LATEST = "TIMESTAMP '1980-01-01'", "TIMESTAMP '2100-01-01'"
DAYS_APART = 366
"""A few lines so many days from the rest are far; every season comes back within a year."""


@dataclass(frozen=True, kw_only=True)
class Dates:
    """`path` is a parquet table of `date` (text), `ts` (ms; null: no date) and whether that is `far` from the rest.
    `texts` is how many there are; `ambiguous`: they make dates with the day first as well as with the month first,
    which was taken."""

    path: Path
    texts: int
    ambiguous: bool


def read_dates(staged: Sequence[Path], target: Path, engine: LocalEngine) -> Dates:
    """Reads each different text of the staged column `date`: ISO, usual orders of day and month, seconds or ms since
    the epoch, Excel's days; between 1980 and 2100. Of two orders the one that reads more texts is taken."""
    files = ", ".join(read_from(path) for path in staged)
    number, instant = "try_cast(date AS DOUBLE)", "try_cast(date AS TIMESTAMPTZ)::TIMESTAMP"
    first, second = (
        f"try_strptime(date, [{', '.join(repr(day + clock) for day in (*days, *_CLEAR) for clock in _CLOCKS)}])"
        for days in (_MONTH_FIRST, _DAY_FIRST)
    )
    of_number = (
        f"CASE WHEN {number} BETWEEN 20000 AND 80000 THEN make_timestamp_ms((({number} - 25569) * 86400000)::BIGINT) "
        f"WHEN {number} BETWEEN 3e8 AND 5e9 THEN make_timestamp_ms(({number} * 1000)::BIGINT) "
        f"WHEN {number} BETWEEN 3e11 AND 5e12 THEN make_timestamp_ms({number}::BIGINT) END"
    )
    readings = ", ".join(
        f"epoch_ms(coalesce({_plausible('clear')}, {_plausible(name)}, {_plausible('counted')})) AS {name}"
        for name in ("month_first", "day_first")
    )
    texts_there = f"SELECT DISTINCT date FROM read_parquet([{files}]) WHERE date IS NOT NULL"  # noqa: S608 - quoted
    clear = f"CASE WHEN {number} IS NULL THEN {instant} END AS clear"
    candidates = f"date, {clear}, {first} AS month_first, {second} AS day_first, {of_number} AS counted"
    parsed = f"SELECT date, {readings} FROM (SELECT {candidates} FROM ({texts_there}))"  # noqa: S608
    connection = engine.duckdb
    connection.execute(f"CREATE OR REPLACE TEMP TABLE basket_dates AS {parsed}")
    texts, of_first, of_second, differ = connection.execute(
        "SELECT count(*), count(month_first), count(day_first), count(nullif(month_first, day_first)) FROM basket_dates"
    ).fetchall()[0]
    taken = "day_first" if of_second > of_first else "month_first"
    days = connection.execute(
        f"SELECT {taken} // {DAY_MS} AS day, count(*) FROM read_parquet([{files}]) JOIN basket_dates USING (date) "  # noqa: S608
        f"WHERE {taken} IS NOT NULL GROUP BY day ORDER BY day"
    ).fetchall()
    far = "false"
    if days:
        low, high = span_of_bulk([day for day, _ in days], [lines for _, lines in days], gap=DAYS_APART)
        far = f"coalesce({taken} // {DAY_MS} NOT BETWEEN {low} AND {high}, false)"
    read = f"SELECT date, {taken} AS ts, {far} AS far FROM basket_dates"  # noqa: S608
    connection.execute(f"COPY ({read}) TO {quoted(target)} (FORMAT parquet)")
    connection.execute("DROP TABLE basket_dates")
    return Dates(path=target, texts=texts, ambiguous=differ > 0 and of_first == of_second)


def _plausible(instant: str) -> str:
    return f"CASE WHEN {instant} BETWEEN {_EARLIEST} AND {_LATEST} THEN {instant} END"

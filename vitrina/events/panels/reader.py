"""A bank's monthly panel as raw files in, a validated folder out, published whole or not at all."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import ibis
import ibis.expr.types as ir

from vitrina.engine import LocalEngine
from vitrina.errors import DataError
from vitrina.events.far_dates import span_of_bulk
from vitrina.events.faults import Faults
from vitrina.events.panels.columns import ALL_KNOWN, PANEL_FILE, PRODUCTS, PROFILE, month_text
from vitrina.events.panels.raw import NAME_IT, panel_among
from vitrina.events.panels.report import ACQUISITIONS, PANEL, PanelReport
from vitrina.events.panels.staging import (
    MONTH,
    PanelTable,
    acquisition_columns,
    open_panel,
    panel_columns,
    with_faults,
)
from vitrina.events.publish import published
from vitrina.events.readers import Progress
from vitrina.events.schema import REPORT_FILE
from vitrina.events.sources import found_in, source_folder, unpack
from vitrina.events.staging import Staged, stage
from vitrina.events.text_encoding import as_utf8
from vitrina.events.validation import Limits

MONTHS_APART = 3
"""A few rows over so many months from the next ones are far; a panel has rows in every month."""
EXTRACT_LACKS = (
    "no profile columns: what is foretold rests on portfolios, their history and the month alone",
    "no drops: portfolios only grow",
)


def read_panel(
    source: Path,
    out: Path,
    engine: LocalEngine,
    progress: Progress | None = None,
    *,
    as_of_month: int | None = None,
) -> PanelReport:
    """Validates a panel into the folder `out` (docs/architecture.md) and returns what was found.

    `source` is one file (csv, parquet or json lines; plain, .gz or .zip), or a folder or zip that holds train_ver2,
    panel or acquisitions. Rows after `as_of_month` are faults, as is a second row of a customer and month.
    `DataError` names file, row, column and remedy, and leaves the old `out` as it was. Memory stays within the
    engine's limit; a packed file is unpacked on disk.
    """
    tell = progress or (lambda step, share: None)
    with published(out, marker=REPORT_FILE) as folder:
        work = folder / "work"
        work.mkdir()
        tell("read panel", 0.0)
        file, encoding = as_utf8(unpack(panel_file(source, work), work / "file"), work / "text")
        table = open_panel(file, engine)
        staged = _stage(table, work, engine, as_of_month)
        if file.path.is_relative_to(work):
            file.path.unlink()
        rows = engine.read_parquet(staged.path)
        _refuse_far(rows, table, staged, engine)
        if table.extract:
            tell("grow portfolios", 0.6)
            _refuse_repeats(rows, ["customer", "owned"], staged, engine)
            rows = _grown(rows, work, engine)
        else:
            tell("look for repeated rows", 0.6)
            _refuse_repeats(rows, ["customer", "month"], staged, engine)
        tell("sort", 0.7)
        columns = [name for name in rows.columns if name not in ("n", "fault", "value")]
        engine.write_parquet(rows.select(columns), folder / PANEL_FILE, order_by=["customer", "month"])
        tell("count", 0.9)
        report = _report(source, table, staged, engine.read_parquet(folder / PANEL_FILE), engine)
        if encoding is not None:
            report = replace(report, notes=(f"the file is not UTF-8; it was read as {encoding}", *report.notes))
        report.write(folder)
        shutil.rmtree(work)
    tell("done", 1.0)
    return report


def panel_file(source: Path, work: Path) -> Path:
    """The file of a source that holds the panel, still packed; `work` takes what must be unpacked to tell."""
    folder = source_folder(source, work)
    if folder is None:
        return source
    found = panel_among((path.name for path in folder.iterdir() if path.is_file()), str(source))
    if found is None:
        raise DataError(f"no panel is here (found: {found_in(folder)})", where=str(source), remedy=NAME_IT)
    return folder / found


def _stage(table: PanelTable, work: Path, engine: LocalEngine, as_of_month: int | None) -> Staged:
    """Typed rows in file order; `DataError` at the first fault of the most frequent kind."""
    columns, faults = (acquisition_columns if table.extract else panel_columns)(table, as_of_month)
    staged = stage(table.text, engine, with_faults(columns, faults), work / "typed.parquet")
    if staged.rows + len(staged.broken) == 0:
        raise DataError("the file holds no rows below the header", where=staged.name, remedy="Export it again.")
    strict = Faults(Limits(max_bad_share=0.0), {one.reason: one.remedy for one in faults})
    strict.check(staged, engine.read_parquet(staged.path), engine)
    return staged


def _refuse_far(rows: ir.Table, table: PanelTable, staged: Staged, engine: LocalEngine) -> None:
    """`DataError` with the first of a few rows whose months are far from the rest: grown to them, a panel is mostly
    gaps, and what is foretold is of a month that nobody lived. An extract may have begun with a few."""
    counted = engine.to_arrow(rows.group_by("month").aggregate(rows=rows.count()).order_by("month")).to_pydict()
    low, high = span_of_bulk(counted["month"], counted["rows"], gap=MONTHS_APART)
    outside = (rows.month > high) if table.extract else ~rows.month.between(low, high)
    far = rows.filter(outside)
    found = engine.to_arrow(far.order_by("n").select("n", "month").limit(1)).to_pylist()
    if not found:
        return
    count = int(engine.to_arrow(far.aggregate(n=far.count()))["n"][0].as_py())
    file, row = staged.place(found[0]["n"])
    raise DataError(
        f"{table.header[MONTH]} is {month_text(found[0]['month'])}, far from the rest, {month_text(low)} .. "
        f"{month_text(high)} ({count:,} such rows)",
        where=f"{file}, row {row}",
        remedy="Correct or remove these rows.",
    )


def _refuse_repeats(rows: ir.Table, key: list[str], staged: Staged, engine: LocalEngine) -> None:
    """`DataError` when two rows have one key, with the places of the first two."""
    counts = rows.group_by(key).aggregate(rows=rows.count(), first=rows.n.min())
    twice = counts.filter(counts.rows > 1)
    found = engine.to_arrow(twice.order_by("first").limit(1)).to_pylist()
    if not found:
        return
    pairs = int(engine.to_arrow(twice.aggregate(n=twice.count()))["n"][0].as_py())
    same = rows.filter([rows[name] == found[0][name] for name in key]).select("n", "month").order_by("n").limit(2)
    first, second = engine.to_arrow(same).to_pylist()
    what = "in " + month_text(second["month"])
    if "owned" in key:
        what = "of " + PRODUCTS[found[0]["owned"].bit_length() - 1].code
    file, row = staged.place(second["n"])
    raise DataError(
        f"customer {found[0]['customer']} has a second row {what} (the first is row {staged.place(first['n'])[1]}; "
        f"{pairs:,} such repeats)",
        where=f"{file}, row {row}",
        remedy="Keep one row of each customer and product, that of the first month."
        if "owned" in key
        else "Keep one row of each customer and month.",
    )


def _grown(rows: ir.Table, work: Path, engine: LocalEngine) -> ir.Table:
    """A row for every month of a customer from its first product to the end of the extract. Nothing is said of it
    before: that it owned nothing, or was no customer, would be known only from what it took later."""
    taken = rows.group_by(["customer", "month"]).aggregate(taken=rows.owned.bit_or())
    span = engine.to_arrow(rows.aggregate(first=rows.month.min(), last=rows.month.max())).to_pylist()[0]
    every = ibis.range(span["first"], span["last"] + 1).unnest().name("month").as_table()
    months = every.select(month=every.month.cast("int32"))
    customers = taken.group_by("customer").aggregate(since=taken.month.min())
    pairs = customers.cross_join(months)
    pairs = pairs.filter(pairs.month >= pairs.since).select("customer", "month")
    pairs = pairs.left_join(taken, ["customer", "month"]).select("customer", "month", "taken")
    until_now = ibis.window(group_by="customer", order_by="month", preceding=None, following=0)
    owned = pairs.taken.fill_null(0).bit_or().over(until_now).cast("uint32")
    grown = pairs.select("customer", "month", owned=owned, known=ibis.literal(ALL_KNOWN).cast("uint32"))
    engine.write_parquet(grown, work / "grown.parquet")
    return engine.read_parquet(work / "grown.parquet")


def _report(source: Path, table: PanelTable, staged: Staged, panel: ir.Table, engine: LocalEngine) -> PanelReport:
    profile = [column.name for column in PROFILE if column.name in panel.columns]
    counts: dict[str, Any] = engine.to_arrow(
        panel.aggregate(
            rows=panel.count(),
            customers=panel.customer.nunique(),
            **{f"empty_{name}": panel[name].isnull().sum() for name in profile},
            **{
                f"{mask}_{product.column}": ((panel[mask] & (1 << place)) != 0).sum()
                for mask in ("owned", "known")
                for place, product in enumerate(PRODUCTS)
            },
        )
    ).to_pylist()[0]
    by_month = panel.group_by("month").aggregate(rows=panel.count()).order_by("month")
    months = {one["month"]: one["rows"] for one in engine.to_arrow(by_month).to_pylist()}
    report = PanelReport(
        source=str(source),
        file=staged.name,
        form=ACQUISITIONS if table.extract else PANEL,
        rows_in=staged.rows,
        rows_out=counts["rows"],
        customers=counts["customers"],
        first_month=min(months),
        last_month=max(months),
        months={month_text(month): rows for month, rows in months.items()},
        empty={name: counts[f"empty_{name}"] for name in profile},
        unknown={one.column: counts["rows"] - counts[f"known_{one.column}"] for one in PRODUCTS},
        owned={one.column: counts[f"owned_{one.column}"] for one in PRODUCTS},
        missing=EXTRACT_LACKS if table.extract else (),
        notes=(),
    )
    return replace(report, notes=tuple(_notes(report)))


def _notes(report: PanelReport) -> list[str]:
    notes = []
    if report.form == ACQUISITIONS:
        notes.append("a customer's rows begin with its first product; its portfolio before that is not known")
    if report.first_month == report.last_month:
        notes.append("there is one month: no acquisition can be seen, so nothing can be learned")
    absent = [month for month in range(report.first_month, report.last_month) if month_text(month) not in report.months]
    if absent:
        notes.append(f"no rows in {', '.join(_stretches(absent))}: lags across them are missing")
    return notes


def _stretches(months: list[int]) -> list[str]:
    """Ascending months as text, those that follow each other as `2015-02 .. 2015-04`."""
    begins = [month for month in months if month - 1 not in months]
    ends = [month for month in months if month + 1 not in months]
    return [
        month_text(begin) if begin == end else f"{month_text(begin)} .. {month_text(end)}"
        for begin, end in zip(begins, ends, strict=True)
    ]

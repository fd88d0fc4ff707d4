"""A file of sales as it is in, a validated folder of baskets out, published whole or not at all.

baskets.parquet    by time: basket, ts, customer (-1: not known), invoice
lines.parquet      by basket and item, each pair once: basket, item
products.parquet, customers.parquet    by number: item, code, description; number, customer
"""

from __future__ import annotations

import shutil
from pathlib import Path

import ibis
import ibis.expr.types as ir

from vitrina.engine import LocalEngine
from vitrina.errors import DataError
from vitrina.events.baskets.baskets import BASKETS_FILE, CUSTOMERS_FILE, LINES_FILE, NOBODY, PRODUCTS_FILE
from vitrina.events.baskets.cleaning import AGAIN, REASONS, REMEDIES, Cleaning, cleaned
from vitrina.events.baskets.columns import BasketColumns
from vitrina.events.baskets.files import SalesTable, SalesTables, sales_tables
from vitrina.events.baskets.products import product_names
from vitrina.events.baskets.purchases import purchases
from vitrina.events.baskets.report import BasketReport
from vitrina.events.faults import Faults
from vitrina.events.publish import published
from vitrina.events.readers import Progress
from vitrina.events.schema import REPORT_FILE
from vitrina.events.staging import Staged, StagedFiles, refuse_cut_off, stage
from vitrina.events.validation import Limits

LIMITS = Limits(max_bad_share=0.01)
NAMED_COLUMNS = 40
_NO_DATE = "baskets stand in the order of the file, and nothing is known of seasons and trends"
_NO_QUANTITY = "what came back cannot be told from what was sold, but for cancelled invoices"
_NO_CUSTOMER = "no CustomerID in any line: nobody's own purchases are known"


def read_baskets(
    path: Path,
    target: Path,
    engine: LocalEngine,
    progress: Progress | None = None,
    *,
    columns: BasketColumns | None = None,
) -> BasketReport:
    """Validates sales into the folder `target` and returns what was found; `Baskets.open` reads it.

    `path` is a workbook (.xlsx, .xls, .ods; every sheet that has the columns), a csv, parquet or json lines file,
    plain, .gz or .zip, or a folder that holds one of these. `progress(what, share done)` is told how far it is.
    `DataError` names file, row or column and the way out, and leaves the old `target` as it was. Memory stays within
    the engine's limit, but for a workbook's largest sheet (about 0.4 GB for half a million rows of 8 columns).
    """
    tell = progress or (lambda what, share: None)
    with published(target, marker=REPORT_FILE) as folder:
        work = folder / "work"
        work.mkdir()
        tell("read sales", 0.0)
        sales = sales_tables(
            path, columns or BasketColumns(), work, engine, lambda share: tell("read sales", share / 2)
        )
        tell("read sales", 0.5)
        staged = _staged(sales.tables, str(path), work, engine)
        tell("read sales", 0.7)
        cleaning = cleaned(staged.paths, str(path), work, engine)
        faults = Faults(LIMITS, REMEDIES)
        faults.check(staged, cleaning.rows, engine)
        tell("read sales", 0.8)
        dropped, notes = _write(cleaning, faults, folder, work, str(path), engine)
        tell("read sales", 0.9)
        report = _report(path, sales, cleaning, faults, dropped, notes, folder, engine)
        report.write(folder)
        shutil.rmtree(work)
    tell("read sales", 1.0)
    return report


def _staged(tables: list[SalesTable], name: str, work: Path, engine: LocalEngine) -> StagedFiles:
    """The lines of all tables as text, numbered through."""
    parts: list[Staged] = []
    for number, one in enumerate(tables):
        found = one.table.columns
        text = {
            "invoice": found["InvoiceNo"].text,
            "code": found["StockCode"].text,
            "description": found["Description"].text,
            "customer": found["CustomerID"].text,
        }
        quantity = found.get("Quantity")
        with_comma = "NULL" if quantity is None else f"try_cast(replace({quantity.text}, ',', '.') AS DOUBLE)"
        select = text | {
            "quantity_text": "NULL::VARCHAR" if quantity is None else quantity.text,
            "quantity": "NULL::DOUBLE" if quantity is None else f"coalesce({quantity.number}, {with_comma})",
            "date": found["InvoiceDate"].text if "InvoiceDate" in found else "NULL::VARCHAR",
        }
        offset = sum(part.rows for part in parts)
        staged = stage(one.table, engine, select, work / f"staged{number}.parquet", offset=offset)
        refuse_cut_off(one.table, staged)
        parts.append(staged)
    return StagedFiles(name=name, parts=parts)


def _write(
    cleaning: Cleaning, faults: Faults, folder: Path, work: Path, name: str, engine: LocalEngine
) -> tuple[dict[str, int], tuple[str, ...]]:
    """Writes the four tables and returns how many lines were left out, by reason, and what is to be noted."""
    rows = cleaning.rows
    good = rows.filter(rows.fault.isnull())
    reasons = engine.to_arrow(good.group_by("reason").aggregate(rows=good.count()))
    counts: dict[str | None, int] = {one["reason"]: one["rows"] for one in reasons.to_pylist()}
    sold = counts.pop(None, 0)
    if sold == 0:
        told = {**{str(reason): rows for reason, rows in counts.items()}, **faults.rejected}
        why = ", ".join(f"{reason}: {rows:,}" for reason, rows in told.items())
        raise DataError(
            f"no line is a sale ({why})" if why else "the file holds no lines below the header",
            where=name,
            remedy="Look at its columns, or export it again." if why else "Export it again.",
        )
    kept = purchases(good.filter(good.reason.isnull()), cleaning.dated, work, engine)
    pairs = kept.lines.select("invoice", "part", "code").distinct()
    products = pairs.select("code").distinct().left_join(product_names(rows), "code")
    engine.write_parquet(
        products.select(
            item=_number(products.code), code=products.code, description=products.description.fill_null("")
        ),
        folder / PRODUCTS_FILE,
        order_by="item",
    )
    numbered = _write_baskets(kept.lines, cleaning.dated, folder, work, engine)
    known = engine.read_parquet(folder / PRODUCTS_FILE)
    lines = pairs.inner_join(numbered, ["invoice", "part"]).inner_join(known, "code").select("basket", "item")
    engine.write_parquet(lines, folder / LINES_FILE, order_by=["basket", "item"])
    counts[AGAIN] = sold - int(engine.to_arrow(pairs.aggregate(rows=pairs.count()))["rows"][0].as_py())
    return {reason: counts[reason] for reason in REASONS if counts.get(reason)}, kept.notes


def _write_baskets(lines: ir.Table, dated: bool, folder: Path, work: Path, engine: LocalEngine) -> ir.Table:
    """Writes the purchases in order and returns `basket` by `invoice` and `part`."""
    found = lines.group_by(["invoice", "part"]).aggregate(
        ts=lines.ts.min(), first=lines.n.min(), customer=lines.customer.min()
    )
    engine.write_parquet(found, work / "invoices.parquet")
    found = engine.read_parquet(work / "invoices.parquet")
    customers = found.filter(found.customer.notnull()).select("customer").distinct()
    engine.write_parquet(
        customers.select(number=_number(customers.customer), customer=customers.customer),
        folder / CUSTOMERS_FILE,
        order_by="number",
    )
    customers = engine.read_parquet(folder / CUSTOMERS_FILE)
    found = found.left_join(customers, "customer")
    place = ibis.row_number().over(order_by=[found.ts, found.first] if dated else [found.first])
    ordered = found.select(
        basket=place.cast("int32"),
        ts=found.ts if dated else place.cast("int64"),
        customer=found.number.fill_null(NOBODY).cast("int32"),
        invoice=found.invoice,
        part=found.part,
    )
    engine.write_parquet(ordered, work / "ordered.parquet", order_by="basket")
    ordered = engine.read_parquet(work / "ordered.parquet")
    engine.write_parquet(ordered.drop("part"), folder / BASKETS_FILE, order_by="basket")
    return ordered.select("basket", "invoice", "part")


def _number(names: ir.StringColumn) -> ir.IntegerColumn:
    """The place of each of different names, ascending."""
    return ibis.row_number().over(order_by=names).cast("int32")


def _report(
    path: Path,
    sales: SalesTables,
    cleaning: Cleaning,
    faults: Faults,
    dropped: dict[str, int],
    notes: tuple[str, ...],
    folder: Path,
    engine: LocalEngine,
) -> BasketReport:
    found = _counts(folder, engine)
    used = {column: name for table in sales.tables for column, name in table.columns.items()}
    bare = [one for one in sales.tables if "Quantity" not in one.columns]
    lost = {
        _without("InvoiceDate", _NO_DATE, sales.tables, sales.tables): not cleaning.dated,
        _without("Quantity", _NO_QUANTITY, bare, sales.tables): bool(bare),
        _NO_CUSTOMER: found["customers"] == 0,
    }
    return BasketReport(
        source=str(path),
        files=tuple(one.table.file.name for one in sales.tables),
        columns=used,
        rows_in=found["rows_out"] + sum(dropped.values()) + sum(faults.rejected.values()),
        rejected=dict(faults.rejected),
        examples=tuple(faults.examples),
        dropped=dropped,
        dated=cleaning.dated,
        missing=tuple(text for text, is_lost in lost.items() if is_lost),
        notes=(*sales.notes, *cleaning.notes, *notes),
        **found,
    )


def _without(column: str, loss: str, bare: list[SalesTable], tables: list[SalesTable]) -> str:
    """What is lost where the tables `bare`, of all of them, have no such column, and how to name it where another of
    their columns may be it."""
    some = len(bare) < len(tables)
    where = f" in {', '.join(one.table.file.name for one in bare)}" if some else ""
    text = f"no {column}{where}: {loss}"
    unused = list(dict.fromkeys(name for one in bare for name in one.unused))
    if not unused or any(column in one.columns for one in bare):
        return text
    way_out = "call it as the other sheets do" if some else f"say so, as in --columns {column}=NAME"
    shown = ", ".join(unused[:NAMED_COLUMNS]) + (", ..." if len(unused) > NAMED_COLUMNS else "")
    return f"{text}. Where it has another name, {way_out}; columns that are not used: {shown}"


def _counts(folder: Path, engine: LocalEngine) -> dict[str, int]:
    """What the written tables hold, by the report's names."""
    files = (LINES_FILE, BASKETS_FILE, PRODUCTS_FILE, CUSTOMERS_FILE)
    lines, baskets, products, customers = (engine.read_parquet(folder / name) for name in files)
    sizes = lines.group_by("basket").aggregate(size=lines.count())
    asked = (
        baskets.aggregate(
            baskets=baskets.count(),
            baskets_of_nobody=(baskets.customer == NOBODY).sum(),
            first_ts=baskets.ts.min(),
            last_ts=baskets.ts.max(),
        ),
        sizes.aggregate(rows_out=sizes["size"].sum(), baskets_of_two=(sizes["size"] >= 2).sum()),
        products.aggregate(items=products.count()),
        customers.aggregate(customers=customers.count()),
    )
    return {name: int(value) for one in asked for name, value in engine.to_arrow(one).to_pylist()[0].items()}

"""Lines of a sales file -> lines in canonical spelling, each with the fault that it has or the reason to leave it out.

The protocol of Online Retail: cancellations, codes that are no products and quantities of 0 or less are no sales.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import ibis
import ibis.expr.types as ir
import pyarrow as pa
import pyarrow.parquet as pq

from vitrina.engine import LocalEngine
from vitrina.errors import DataError
from vitrina.events.baskets.codes import (
    canonical_code,
    canonical_customer,
    canonical_invoice,
    has_five_digits,
    is_cancellation,
    is_five_digits,
    is_service,
)
from vitrina.events.baskets.dates import read_dates

LONGEST, LONGEST_DESCRIPTION = 100, 200
"""Characters of a number or code, over which a line is bad, and of a description, which is cut there: in memory and in
a model the longest text sets what each of them takes."""
NO_INVOICE, NO_CODE = "no InvoiceNo", "no StockCode"
LONG_INVOICE, LONG_CODE, LONG_CUSTOMER = (
    f"{column} is longer than {LONGEST} characters" for column in ("InvoiceNo", "StockCode", "CustomerID")
)
BAD_QUANTITY, BAD_DATE = "Quantity is no number", "InvoiceDate is no date"
FAR_DATE = "InvoiceDate is over a year from the rest of the file"
CANCELLED, NO_PRODUCT, NOTHING_SOLD = "cancellations", "codes that are no products", "quantity of 0 or less"
AGAIN = "the product again in its invoice"
REASONS = (CANCELLED, NO_PRODUCT, NOTHING_SOLD, AGAIN)
_TOO_LONG = "Say which column holds it with --columns, or look whether a quotation mark was left open in the file."
REMEDIES = {
    NO_INVOICE: "Fill InvoiceNo in, or remove the rows below the table.",
    NO_CODE: "Fill StockCode in, or remove the rows below the table.",
    LONG_INVOICE: _TOO_LONG,
    LONG_CODE: _TOO_LONG,
    LONG_CUSTOMER: _TOO_LONG,
    BAD_QUANTITY: "Write whole or decimal numbers, or leave the column out.",
    BAD_DATE: "Write dates as 2011-09-30 08:26, or leave the column out: baskets then stand in the order of the file.",
    FAR_DATE: "Correct the dates of these lines, or remove them.",
}
FIVE_DIGITS_SHARE, CANCELLED_SHARE, SOLD_SHARE = 0.9, 0.5, 0.5
NAMED_CODES = 10
_Spelled: TypeAlias = dict[str, list[Any]]
"""Columns by name: the different texts of a column, and what each of them means."""


@dataclass(frozen=True, kw_only=True)
class Cleaning:
    """`rows`: `invoice`, `code`, `customer` in canonical spelling, `description`, `ts` (ms; null: not dated), `n`,
    `fault` with its `value`, `reason` to be left out; `notes` tell which rules were followed."""

    rows: ir.Table
    dated: bool
    notes: tuple[str, ...]


def cleaned(paths: Sequence[Path], name: str, work: Path, engine: LocalEngine) -> Cleaning:
    """Judges staged lines (texts `invoice`, `code`, `description`, `customer`, `quantity_text`, `date`; `quantity`,
    `n`) of the file `name` by the rules; what is temporary goes into `work`. `DataError` when nothing tells
    cancellations from sales."""
    staged = engine.read_parquet(paths)
    filled = (staged[column].notnull() for column in ("invoice", "code", "description", "customer"))
    staged = staged.filter(ibis.or_(*filled))  # a row with none of them is no line
    codes, code_notes = _codes(staged, engine)
    invoices, invoice_notes = _invoices(staged, name, engine)
    dates = read_dates(paths, work / "dates.parquet", engine)
    spelled = {"code": codes, "invoice": invoices, "customer": _customers(staged, engine)}
    rows = _joined(staged, spelled, work, engine).left_join(engine.read_parquet(dates.path), "date")
    dated = dates.texts > 0
    engine.write_parquet(_judged(rows, dated), work / "judged.parquet", order_by="n")
    notes = [*code_notes, *invoice_notes]
    if dates.ambiguous:
        notes.append("InvoiceDate may have the day or the month first; the month was taken")
    long = staged.filter(_told(staged).length() > LONGEST_DESCRIPTION)
    cut = int(engine.to_arrow(long.aggregate(rows=long.count()))["rows"][0].as_py())
    if cut:
        notes.append(f"{cut:,} lines have descriptions of more than {LONGEST_DESCRIPTION} characters, which were cut")
    return Cleaning(rows=engine.read_parquet(work / "judged.parquet"), dated=dated, notes=tuple(notes))


def _judged(rows: ir.Table, dated: bool) -> ir.Table:
    """The columns of `Cleaning.rows`: each line's fault, or why it is no sale."""
    faults = [
        (rows.canonical_invoice.isnull(), NO_INVOICE, rows.code),
        (rows.canonical_code.isnull(), NO_CODE, rows.invoice),
        (rows.canonical_invoice.length() > LONGEST, LONG_INVOICE, rows.invoice),
        (rows.canonical_code.length() > LONGEST, LONG_CODE, rows.code),
        (rows.canonical_customer.length() > LONGEST, LONG_CUSTOMER, rows.customer),
        (rows.quantity.isnull() & rows.quantity_text.notnull(), BAD_QUANTITY, rows.quantity_text),
        (rows.ts.isnull() & ibis.literal(dated), BAD_DATE, rows.date),
        (rows.far.fill_null(False), FAR_DATE, rows.date),
    ]
    reasons = [
        (rows.cancelled.fill_null(False), CANCELLED),
        (~rows["product"].fill_null(False), NO_PRODUCT),
        ((rows.quantity <= 0).fill_null(False), NOTHING_SOLD),
    ]
    return rows.select(
        "ts",
        "n",
        invoice=rows.canonical_invoice,
        code=rows.canonical_code,
        customer=rows.canonical_customer,
        description=_told(rows).left(LONGEST_DESCRIPTION),
        fault=ibis.cases(*((test, fault) for test, fault, _ in faults)),
        value=ibis.cases(*((test, value.left(LONGEST)) for test, _, value in faults)),
        reason=ibis.cases(*reasons),
    )


def _told(rows: ir.Table) -> ir.StringValue:
    """The descriptions with single spaces."""
    return rows.description.re_replace(r"\s+", " ")


def _joined(staged: ir.Table, spelled: Mapping[str, _Spelled], work: Path, engine: LocalEngine) -> ir.Table:
    """The lines with what is known of their codes, invoices and customers."""
    rows = staged
    for key, table in spelled.items():
        types = {column: pa.bool_() if column in ("product", "cancelled") else pa.string() for column in table}
        pq.write_table(pa.table(table, schema=pa.schema(list(types.items()))), work / f"{key}.parquet")
        known = engine.read_parquet(work / f"{key}.parquet")
        rows = rows.left_join(known, key).drop(f"{key}_right")
    return rows


def _codes(staged: ir.Table, engine: LocalEngine) -> tuple[_Spelled, list[str]]:
    """Each spelling with its canonical one and whether it is a product; and notes whether the five digits decided that
    and which codes are none."""
    named = staged.filter(staged.code.notnull())
    described = named.group_by("code").aggregate(rows=named.count(), description=named.description.mode())
    found = engine.to_arrow(described.order_by("code")).to_pylist()
    canonical = [canonical_code(one["code"]) for one in found]
    with_digits = sum(one["rows"] for one, code in zip(found, canonical, strict=True) if is_five_digits(code))
    five = with_digits >= FIVE_DIGITS_SHARE * max(sum(one["rows"] for one in found), 1)
    product = [
        has_five_digits(code) if five else not is_service(code, one["description"] or "")
        for one, code in zip(found, canonical, strict=True)
    ]
    gone: Counter[str] = Counter()
    for one, code, is_one in zip(found, canonical, product, strict=True):
        if not is_one and len(code) <= LONGEST:
            gone[code] += one["rows"]
    notes = ["codes begin with five digits here, so the others are taken for no products"] if five else []
    if gone:
        told = [f"{code} ({lines:,})" for code, lines in gone.most_common(NAMED_CODES)]
        more = [f"{len(gone) - NAMED_CODES:,} more"] if len(gone) > NAMED_CODES else []
        notes.append(f"codes that are no products, with their lines: {', '.join(told + more)}")
    return {"code": [one["code"] for one in found], "canonical_code": canonical, "product": product}, notes


def _invoices(staged: ir.Table, name: str, engine: LocalEngine) -> tuple[_Spelled, list[str]]:
    """Each spelling with its canonical one and whether it is cancelled; and a note where a C does not say so: where
    most invoices have one, their quantities tell."""
    named = staged.filter(staged.invoice.notnull())
    counted = named.group_by("invoice").aggregate(told=named.quantity.count(), sold=(named.quantity > 0).sum())
    found = engine.to_arrow(counted).to_pylist()
    canonical = [canonical_invoice(one["invoice"]) for one in found]
    cancelled = [is_cancellation(invoice) for invoice in canonical]
    means_it = True
    if sum(cancelled) > CANCELLED_SHARE * len(cancelled):
        with_c = [one for one, has_c in zip(found, cancelled, strict=True) if has_c]
        told = sum(one["told"] for one in with_c)
        if not told:
            raise DataError(
                f"{len(with_c):,} of {len(found):,} invoices begin with C, as cancellations do, and no Quantity tells "
                "whether they are sales",
                where=name,
                remedy="Give the column Quantity, below 0 for what came back; or leave out the C where it is how the "
                "shop numbers its sales.",
            )
        means_it = sum(one["sold"] or 0 for one in with_c) <= SOLD_SHARE * told
    spelled = {"invoice": [one["invoice"] for one in found], "canonical_invoice": canonical}
    no_matter = "most invoices begin with C here and sell something, so C does not mean a cancellation"
    return {**spelled, "cancelled": [has_c and means_it for has_c in cancelled]}, [] if means_it else [no_matter]


def _customers(staged: ir.Table, engine: LocalEngine) -> _Spelled:
    """Each spelling with its canonical one."""
    found = engine.to_arrow(staged.filter(staged.customer.notnull()).select("customer").distinct())
    texts: list[str] = found["customer"].to_pylist()
    return {"customer": texts, "canonical_customer": [canonical_customer(text) or None for text in texts]}

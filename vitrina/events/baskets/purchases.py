"""What is one purchase: the lines of an invoice's number, unless they lie apart in time or are of several customers.

Shops number their invoices anew each year, in each branch or at each till.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import ibis
import ibis.expr.types as ir

from vitrina.engine import LocalEngine

HOURS_APART: Final = 12
"""A line so much later than the one before it begins another purchase: numbers may begin anew each day, and where a
file has days alone two of them are 24 hours apart."""
_HOUR_MS: Final = 3_600_000


@dataclass(frozen=True, kw_only=True)
class Purchases:
    """`lines`: `invoice`, `part` (0.. within a number, by time and customer), `code`, `customer`, `ts`, `n`; all lines
    of a purchase have one customer or none. `notes` tell how many numbers stood for several purchases."""

    lines: ir.Table
    notes: tuple[str, ...]


def purchases(sold: ir.Table, dated: bool, work: Path, engine: LocalEngine) -> Purchases:
    """Parts the lines that are sales (`invoice`, `code`, `customer`, `ts`, `n`); what is temporary goes into `work`.

    Lines without a customer belong to the only one of their number and time; where there are several customers, nobody
    has them.
    """
    run: ir.IntegerValue = ibis.literal(0)
    if dated:
        before = sold.ts.lag().over(group_by=sold.invoice, order_by=[sold.ts, sold.n])
        sold = sold.mutate(apart=(sold.ts - before > HOURS_APART * _HOUR_MS).fill_null(False).cast("int64"))
        run = sold.apart.sum().over(rows=(None, 0), group_by=sold.invoice, order_by=[sold.ts, sold.n])
    timed = sold.mutate(run=run)
    customers = timed.group_by("invoice", "run")
    timed = customers.mutate(first=timed.customer.min(), last=timed.customer.max())
    shared = (timed["first"] != timed["last"]).fill_null(False)
    timed = timed.mutate(shared=shared, buyer=ibis.ifelse(shared, timed.customer, timed["first"]))
    part = ibis.dense_rank().over(group_by=timed.invoice, order_by=[timed.run, timed.buyer])
    parted = timed.select("invoice", "code", "ts", "n", "run", "shared", customer=timed.buyer, part=part)
    engine.write_parquet(parted, work / "purchases.parquet")
    lines = engine.read_parquet(work / "purchases.parquet")
    numbers = lines.group_by("invoice").aggregate(again=lines.run.max() > 0, shared=lines.shared.max())
    counts = engine.to_arrow(numbers.aggregate(again=numbers.again.sum(), shared=numbers.shared.sum())).to_pylist()[0]
    told = (
        (counts["again"], f"invoice numbers come again over {HOURS_APART} hours later: each time is a basket"),
        (counts["shared"], "invoice numbers have lines of several customers: each one's are a basket"),
    )
    return Purchases(
        lines=lines.drop("run", "shared"), notes=tuple(f"{count:,} {what}" for count, what in told if count)
    )

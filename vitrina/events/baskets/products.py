"""What a product is called: the most frequent description that reads like one."""

from __future__ import annotations

import ibis
import ibis.expr.types as ir

REMARKS = (
    "check", "damaged", "damages", "found", "missing", "lost", "wet", "ebay", "amazon", "dotcom", "adjustment", "test",
    "mailout", "smashed", "broken", "wrong code", "counted", "display", "sample", "samples",
)  # fmt: skip
"""What the storehouse writes where a name should be."""


def product_names(rows: ir.Table) -> ir.Table:
    """(`code`, `description`), a row for each code that has any description: of lines that were sold before others,
    then the most frequent one, then the latest."""
    told = rows.filter(rows.description.notnull() & rows.code.notnull())
    sensible = (
        told.description.re_search(r"\p{L}{2}")
        & ~told.description.contains("?")
        & ~told.description.strip().lower().isin(REMARKS)
    )
    told = told.mutate(sensible=sensible, sold=told.fault.isnull() & told.reason.isnull())
    counted = told.group_by(["code", "description"]).aggregate(
        sensible=told.sensible.max(), sold=told.sold.sum(), rows=told.count(), latest=told.n.max()
    )
    order = [ibis.desc(counted[name]) for name in ("sensible", "sold", "rows", "latest")]
    ranked = counted.mutate(place=ibis.row_number().over(group_by=counted.code, order_by=order))
    return ranked.filter(ranked.place == 0).select("code", "description")

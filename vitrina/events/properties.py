"""What was known of an item at a time: the last value at or before `as_of`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import ibis
import ibis.expr.types as ir
import numpy as np
import numpy.typing as npt

from vitrina.engine import Engine
from vitrina.events.prepare import Prepared

NO_CATEGORY = -1


@dataclass(frozen=True, kw_only=True)
class Snapshot:
    """One property of all items at a time: `values` (items,), and `known` (items,) bool where there is a value.

    `filled` counts the items whose value was taken from after the time.
    """

    values: npt.NDArray[Any]
    known: npt.NDArray[np.bool_]
    filled: int

    def summary(self, name: str) -> str:
        """One line for a log or a report."""
        without = int((~self.known).sum())
        filled = f", {self.filled:,} of them back-filled from later" if self.filled else ""
        return f"{name}: {int(self.known.sum()):,} items have a value{filled}; {without:,} have none"


def last_values(table: ir.Table, as_of: int, value: str, *, back_fill: bool = False) -> ir.Table:
    """`item`, `value`, `late` (bool): per item the last value with ts <= as_of (ms); of equal times, the larger value.

    With `back_fill` an item that has values after `as_of` only takes the first of them, marked `late`.
    """
    late = table.ts > as_of
    rows = table.mutate(late=late, distance=(table.ts - as_of).abs())
    if not back_fill:
        rows = rows.filter(~rows.late)
    order = [rows.late.cast("int8"), rows.distance, ibis.desc(rows[value])]
    ranked = rows.mutate(place=ibis.row_number().over(group_by=rows.item, order_by=order))
    return ranked.filter(ranked.place == 0).select("item", value, "late")


def categories_as_of(prepared: Prepared, engine: Engine, as_of: int, *, back_fill: bool = False) -> Snapshot:
    """Category of every item, int64, -1 where none is known at `as_of` (everywhere, if the shop has no categories)."""
    empty = np.full(len(prepared.items), NO_CATEGORY, dtype=np.int64)
    return _snapshot(prepared.categories(engine), empty, "category", engine, as_of, back_fill)


def availability_as_of(prepared: Prepared, engine: Engine, as_of: int, *, back_fill: bool = False) -> Snapshot:
    """Whether each item was available, bool; an item of which nothing is known at `as_of` counts as available."""
    empty = np.ones(len(prepared.items), dtype=np.bool_)
    return _snapshot(prepared.availability(engine), empty, "available", engine, as_of, back_fill)


def _snapshot(
    table: ir.Table | None, values: npt.NDArray[Any], name: str, engine: Engine, as_of: int, back_fill: bool
) -> Snapshot:
    known = np.zeros(len(values), dtype=np.bool_)
    if table is None:
        return Snapshot(values=values, known=known, filled=0)
    found = engine.to_arrow(last_values(table, as_of, name, back_fill=back_fill))
    rows = found["item"].to_numpy()
    values[rows] = found[name].to_numpy()
    known[rows] = True
    return Snapshot(values=values, known=known, filled=int(found["late"].to_numpy().sum()))

"""A validated panel in memory: arrays over (customer, month) rows, customer by customer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from vitrina.errors import DataError
from vitrina.events.panels.columns import PANEL_FILE, PROFILE, Kind, month_text
from vitrina.events.panels.report import PanelReport

if TYPE_CHECKING:  # the service knows a panel's columns, and needs no engine for that
    import ibis.expr.types as ir
    import pyarrow as pa

    from vitrina.engine import Engine

NO_DATE: Final = int(np.iinfo(np.int32).min)
"""A date of the profile that is not known."""
NO_LEVEL: Final = -1
"""A category of the profile that is not known."""


@dataclass(frozen=True, kw_only=True)
class Panel:
    """Rows sorted by (customer, month), each pair once; (rows,) arrays.

    `owned`, `known`: portfolios (bit p: product p of PRODUCTS); a product that is not known is not owned either.
    `profile` by request name, in the order of PROFILE, without the columns that the panel does not have: numbers
    float64 (NaN: not known), dates int32 days since 1970 (NO_DATE), categories and flags int32 places in
    `levels[name]` (NO_LEVEL), which are ascending. `indptr` int64 (customers + 1,): where each customer's rows begin.
    `report` tells how a file was read; None where arrays made the panel.
    """

    customer: npt.NDArray[np.int64]
    month: npt.NDArray[np.int32]
    owned: npt.NDArray[np.uint32]
    known: npt.NDArray[np.uint32]
    profile: Mapping[str, npt.NDArray[Any]]
    levels: Mapping[str, tuple[str, ...]]
    indptr: npt.NDArray[np.int64]
    report: PanelReport | None = None

    @classmethod
    def open(
        cls,
        folder: Path,
        engine: Engine,
        as_of_month: int | None = None,
        *,
        customers: tuple[int, int] | None = None,
    ) -> Panel:
        """Reads the validated `folder` up to and with `as_of_month` (None: all of it), about 120 bytes a row; of the
        `customers` from the first number to the last (None: all).

        `DataError` when there is no panel, when it is not sorted, or when nothing is as old as `as_of_month`.
        """
        report = PanelReport.read(folder)
        rows = engine.read_parquet(folder / PANEL_FILE)
        if as_of_month is not None:
            rows = rows.filter(rows.month <= as_of_month)
        if customers is not None:
            rows = rows.filter(rows.customer.between(*customers))
        customer, month, owned, known = (
            _values(rows, name, engine).to_numpy() for name in ("customer", "month", "owned", "known")
        )
        if len(customer) == 0:
            raise DataError(
                f"the panel begins in {month_text(report.first_month)}", where="as_of", remedy="Give a later month."
            )
        indptr = _starts(customer, month, where=str(folder))
        there = [column for column in PROFILE if column.name in rows.columns]
        read = {column.name: _profile(_values(rows, column.name, engine), column.kind) for column in there}
        return cls(
            customer=customer,
            month=month,
            owned=owned,
            known=known,
            profile={name: values for name, (values, _) in read.items()},
            levels={name: levels for name, (_, levels) in read.items() if levels is not None},
            indptr=indptr,
            report=report,
        )

    def __len__(self) -> int:
        return len(self.customer)

    @cached_property
    def customers(self) -> npt.NDArray[np.int64]:
        """The customer of each stretch of `indptr`, int64 (customers,), ascending."""
        return self.customer[self.indptr[:-1]]

    def rows_of(self, customer: int) -> slice:
        """The rows of one customer, ascending by month; empty when the panel does not know it."""
        place = int(np.searchsorted(self.customers, customer))
        if place == len(self.customers) or self.customers[place] != customer:
            return slice(0, 0)
        return slice(int(self.indptr[place]), int(self.indptr[place + 1]))


def _starts(customer: npt.NDArray[np.int64], month: npt.NDArray[np.int32], where: str) -> npt.NDArray[np.int64]:
    """Where each customer's rows begin; `DataError` when the rows are not sorted."""
    begins = customer[1:] != customer[:-1]
    if not np.all((customer[1:] > customer[:-1]) | (~begins & (month[1:] > month[:-1]))):
        raise DataError("the rows are not sorted by customer and month", where=where, remedy="Read the panel again.")
    return np.concatenate([[0], np.flatnonzero(begins) + 1, [len(customer)]]).astype(np.int64)


def _values(rows: ir.Table, name: str, engine: Engine) -> pa.ChunkedArray:
    return engine.to_arrow(rows.select(name)).column(name)


def _profile(values: pa.ChunkedArray, kind: Kind) -> tuple[npt.NDArray[Any], tuple[str, ...] | None]:
    """One column of the profile as its array, and its levels when it has any."""
    if kind == "number":
        return np.asarray(values.to_numpy(), dtype=np.float64), None
    if kind == "date":
        return np.asarray(values.fill_null(NO_DATE).to_numpy(), dtype=np.int32), None
    coded = values.dictionary_encode().unify_dictionaries()
    found = [str(level) for level in coded.chunk(0).dictionary.to_pylist()] if coded.num_chunks else []
    levels = sorted(found)
    place = {level: number for number, level in enumerate(levels)}
    ranks = np.array([*(place[level] for level in found), NO_LEVEL], dtype=np.int32)
    codes = np.concatenate([chunk.indices.fill_null(NO_LEVEL).to_numpy() for chunk in coded.chunks])
    return ranks[codes], tuple(levels)

"""Validated baskets in memory: which products were bought together, when, and by whom."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import compress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self

import numpy as np
import numpy.typing as npt

from vitrina.errors import DataError
from vitrina.events.baskets.report import BasketReport

if TYPE_CHECKING:
    import scipy.sparse as sp

BASKETS_FILE: Final = "baskets.parquet"
LINES_FILE: Final = "lines.parquet"
PRODUCTS_FILE: Final = "products.parquet"
CUSTOMERS_FILE: Final = "customers.parquet"
NOBODY: Final = -1
"""The customer of a basket when it is not known."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Baskets:
    """Baskets ascending by `ts`, ties as in the file.

    `starts` int64 (baskets + 1,): where each one's products begin in `items` int32 (lines,), distinct and ascending
    within a basket. `ts` int64 (baskets,): ms since the epoch, or the place 0.. where they are not `dated`. `customer`
    int32 (baskets,), NOBODY when not known; `invoices` (baskets,) texts. `codes` and `descriptions` by item,
    `customers` by number; numbers of items and customers stay the same in every part, but in that of `occurring`.
    `invoices` may come again.
    `report` tells how a file was read; None where `of_lines` made them.
    """

    starts: npt.NDArray[np.int64]
    items: npt.NDArray[np.int32]
    ts: npt.NDArray[np.int64]
    customer: npt.NDArray[np.int32]
    invoices: npt.NDArray[np.str_]
    codes: tuple[str, ...]
    descriptions: tuple[str, ...]
    customers: tuple[str, ...]
    dated: bool
    report: BasketReport | None = None

    @classmethod
    def open(cls, folder: Path, *, as_of: int | None = None) -> Self:
        """Reads what `read_baskets` wrote, the baskets before `as_of` (ms; None: all) with the products and customers
        that occur in them, about 4 bytes a line and 100 a basket. `DataError` when there are none."""
        report = BasketReport.read(folder)
        table = {name: _columns(folder / name) for name in (BASKETS_FILE, LINES_FILE, PRODUCTS_FILE, CUSTOMERS_FILE)}
        baskets, products = table[BASKETS_FILE], table[PRODUCTS_FILE]
        sizes = np.bincount(table[LINES_FILE]["basket"], minlength=len(baskets["ts"]))
        whole = cls(
            starts=np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64),
            items=table[LINES_FILE]["item"],
            ts=baskets["ts"],
            customer=baskets["customer"],
            invoices=baskets["invoice"].astype(np.str_),
            codes=tuple(products["code"].tolist()),
            descriptions=tuple(products["description"].tolist()),
            customers=tuple(table[CUSTOMERS_FILE]["customer"].tolist()),
            dated=report.dated,
            report=report,
        )
        part = whole if as_of is None else whole.between(None, as_of).occurring()
        if len(part) == 0:
            raise DataError("no basket is as old as that", where="as_of", remedy="Give a later time.")
        return part

    @classmethod
    def of_lines(
        cls,
        basket: npt.ArrayLike,
        item: npt.ArrayLike,
        *,
        ts: npt.ArrayLike | None = None,
        customer: npt.ArrayLike | None = None,
        codes: Sequence[str] | None = None,
        descriptions: Sequence[str] | None = None,
    ) -> Self:
        """Baskets of arrays with a value for each line, in any order; the columns of a data frame, for instance.

        `basket` (lines,): numbers or texts, equal in the lines of one basket. `item` (lines,): texts, the products'
        codes; or whole numbers, places in `codes` (None: their own digits). `ts` (lines,) whole ms since the epoch, of
        which a basket has the earliest; None: baskets stand in the order of the lines and are not dated. `customer`
        (lines,): numbers or texts; negative, NaN, None or empty: nobody. `descriptions` by item, empty unless given.
        Codes, customers and invoices get the spelling that a file's get. A product again in its basket counts once.

        `ValueError` when lengths differ, an item is none of `codes`, or a basket has two customers.

        >>> day = 86_400_000
        >>> baskets = Baskets.of_lines([7, 7, 5], ["85123a", "22423", "22423"], ts=[day, day, 0], customer=[1, 1, -1])
        >>> baskets.codes, baskets.items.tolist(), baskets.starts.tolist(), baskets.customer.tolist()
        (('22423', '85123A'), [0, 0, 1], [0, 1, 3], [-1, 0])
        """
        from vitrina.events.baskets.lines import Lines

        lines = Lines.of(basket, item, ts=ts, customer=customer, codes=codes)
        told = ("",) * len(lines.codes) if descriptions is None else tuple(descriptions)
        if len(told) != len(lines.codes):
            raise ValueError(f"{len(told)} descriptions for {len(lines.codes)} codes")
        pairs = np.unique(lines.basket * max(len(lines.codes), 1) + lines.item)
        row, items = np.divmod(pairs, max(len(lines.codes), 1))
        return cls(
            starts=np.searchsorted(row, np.arange(len(lines.ts) + 1)).astype(np.int64),
            items=items.astype(np.int32),
            ts=lines.ts,
            customer=lines.customer,
            invoices=lines.invoices,
            codes=lines.codes,
            descriptions=told,
            customers=lines.customers,
            dated=ts is not None,
        )

    def __len__(self) -> int:
        return len(self.ts)

    @property
    def sizes(self) -> npt.NDArray[np.int64]:
        """Products of each basket, int64 (baskets,)."""
        return np.diff(self.starts)

    def between(self, begin: int | None, end: int | None) -> Self:
        """The baskets with `begin <= ts < end`; None: without that border."""
        low = 0 if begin is None else int(np.searchsorted(self.ts, begin))
        high = len(self) if end is None else int(np.searchsorted(self.ts, end))
        rows, lines = slice(low, max(low, high)), slice(self.starts[low], self.starts[max(low, high)])
        return replace(
            self,
            starts=self.starts[low : max(low, high) + 1] - self.starts[low],
            items=self.items[lines],
            ts=self.ts[rows],
            customer=self.customer[rows],
            invoices=self.invoices[rows],
        )

    def of_size(self, least: int) -> Self:
        """The baskets of `least` products or more."""
        keep = self.sizes >= least
        return replace(
            self,
            starts=np.concatenate([[0], np.cumsum(self.sizes[keep])]).astype(np.int64),
            items=self.items[np.repeat(keep, self.sizes)],
            ts=self.ts[keep],
            customer=self.customer[keep],
            invoices=self.invoices[keep],
        )

    def occurring(self) -> Self:
        """The same baskets, which know nothing of products and customers that are in none of them: the others are
        numbered anew, in their order."""
        known = self.customer != NOBODY
        sold = np.bincount(self.items, minlength=len(self.codes)) > 0
        bought = np.bincount(self.customer[known], minlength=len(self.customers)) > 0
        if sold.all() and bought.all():
            return self
        customer = np.full_like(self.customer, NOBODY)
        customer[known] = (np.cumsum(bought) - 1)[self.customer[known]]
        return replace(
            self,
            items=(np.cumsum(sold) - 1).astype(np.int32)[self.items],
            customer=customer,
            codes=tuple(compress(self.codes, sold)),
            descriptions=tuple(compress(self.descriptions, sold)),
            customers=tuple(compress(self.customers, bought)),
        )

    def matrix(self) -> sp.csr_array:
        """Ones where a product is in a basket, float32 (baskets, items)."""
        import scipy.sparse as sp

        ones = np.ones(len(self.items), dtype=np.float32)
        return sp.csr_array((ones, self.items.copy(), self.starts.copy()), shape=(len(self), len(self.codes)))


def _columns(path: Path) -> dict[str, npt.NDArray[Any]]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.read_table(path)
    except (OSError, pa.ArrowInvalid) as error:
        raise DataError(f"no baskets can be read ({error})", where=str(path), remedy="Read the file again.") from error
    return {name: table[name].to_numpy() for name in table.column_names}

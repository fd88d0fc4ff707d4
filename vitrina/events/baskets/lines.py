"""Arrays of lines become numbered baskets, items and customers, in the spelling that those of a file get."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from vitrina.events.baskets.codes import canonical_code, canonical_customer, canonical_invoice

Int64s = npt.NDArray[np.int64]


@dataclass(frozen=True, kw_only=True, eq=False)
class Lines:
    """`basket`, `item` int64 (lines,): numbers of each line's basket, in their order, and of its product.

    `ts` int64, `customer` int32 (-1: nobody) and `invoices` texts (baskets,); `codes` by item, `customers` by number.
    """

    basket: Int64s
    item: Int64s
    ts: Int64s
    customer: npt.NDArray[np.int32]
    invoices: npt.NDArray[np.str_]
    codes: tuple[str, ...]
    customers: tuple[str, ...]

    @classmethod
    def of(
        cls,
        basket: npt.ArrayLike,
        item: npt.ArrayLike,
        *,
        ts: npt.ArrayLike | None,
        customer: npt.ArrayLike | None,
        codes: Sequence[str] | None,
    ) -> Self:
        """As `Baskets.of_lines` tells."""
        count = len(np.asarray(basket))
        given = {"basket": basket, "item": item, "ts": ts, "customer": customer}
        column = {name: _column(name, values, count) for name, values in given.items() if values is not None}
        number, names = _numbered(column["basket"], canonical_invoice)
        first = np.full(len(names), count, np.int64)
        np.minimum.at(first, number, np.arange(count))
        begin = first
        if ts is not None:
            begin = np.full(len(names), np.iinfo(np.int64).max)
            np.minimum.at(begin, number, _whole("ts", column["ts"]))
        order = np.lexsort((first, begin))
        rank = np.empty_like(order)
        rank[order] = np.arange(len(order))
        items, known = _items(column["item"], codes)
        who, customers = _customers(column.get("customer"), number, names)
        return cls(
            basket=rank[number],
            item=items,
            ts=np.arange(len(names)) if ts is None else begin[order],
            customer=who[order].astype(np.int32),
            invoices=np.array(names, np.str_)[order],
            codes=known,
            customers=customers,
        )


def _column(name: str, values: npt.ArrayLike, count: int) -> npt.NDArray[Any]:
    column = np.asarray(values)
    if column.shape != (count,):
        raise ValueError(f"{name} of {column.shape} for {count} lines")
    return column


def _whole(name: str, column: npt.NDArray[Any]) -> Int64s:
    if len(column) and column.dtype.kind not in "iu":
        raise ValueError(f"{name} are no whole numbers but {column.dtype}")
    return column.astype(np.int64)


def _numbered(column: npt.NDArray[Any], spell: Callable[[str], str]) -> tuple[Int64s, tuple[str, ...]]:
    """The number of each value among the different spellings, which ascend, and those."""
    values, place = np.unique(column.astype(np.str_), return_inverse=True)
    names, number = np.unique([spell(value) for value in values.tolist()], return_inverse=True)
    return number[place].astype(np.int64), tuple(names.tolist()) if len(values) else ()


def _items(column: npt.NDArray[Any], codes: Sequence[str] | None) -> tuple[Int64s, tuple[str, ...]]:
    """The place of each product among the codes, and those."""
    known = None if codes is None else tuple(canonical_code(code) for code in codes)
    if known is not None and len(set(known)) < len(known):
        raise ValueError("codes: one of them is there twice")
    if len(column) and column.dtype.kind not in "iu":
        number, names = _numbered(column, canonical_code)
        if known is None:
            return number, names
        lost = sorted(set(names) - set(known))
        if lost:
            raise ValueError(f"item {lost[0]!r} is none of the codes")
        place_of = {code: at for at, code in enumerate(known)}
        return np.array([place_of[name] for name in names], np.int64)[number], known
    place = column.astype(np.int64)
    if known is None:
        known = tuple(str(number) for number in range(int(place.max(initial=-1)) + 1))
    if len(place) and not 0 <= place.min() <= place.max() < len(known):
        raise ValueError(f"items from {place.min()} to {place.max()} for {len(known)} codes")
    return place, known


def _customers(column: npt.NDArray[Any] | None, number: Int64s, names: Sequence[str]) -> tuple[Int64s, tuple[str, ...]]:
    """The customer of each basket (-1: nobody), and the customers; `number` is each line's basket among `names`."""
    who = np.full(len(names), -1, np.int64)
    if column is None:
        return who, ()
    texts = column.astype(np.str_)
    if column.dtype.kind in "if":
        texts = np.where(column < 0, "", texts)
    line, customers = _numbered(texts, canonical_customer)
    if customers and customers[0] == "":
        line, customers = line - 1, customers[1:]
    np.maximum.at(who, number, line)
    other = np.flatnonzero((line >= 0) & (line != who[number]))
    if len(other):
        one, two = customers[line[other[0]]], customers[who[number[other[0]]]]
        raise ValueError(f"basket {names[number[other[0]]]!r} has two customers, {one!r} and {two!r}")
    return who, customers

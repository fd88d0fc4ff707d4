"""baskets.csv of a generated shop: the columns of Online Retail with what real files have beside sales."""

from __future__ import annotations

import csv
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np

from vitrina.events.synthetic_baskets.draws import NOBODY, Drawn
from vitrina.events.synthetic_baskets.laws import Places
from vitrina.events.synthetic_baskets.spec import BasketSpec

SALES_FILE = "baskets.csv"
HEADER = ("InvoiceNo", "StockCode", "Description", "Quantity", "InvoiceDate", "UnitPrice", "CustomerID", "Country")
FIRST_INVOICE, FIRST_CUSTOMER, FIRST_CODE = 536_365, 12_346, 10_001
RETURNED, POSTED, AGAIN = 0.02, 0.03, 0.01
"""Shares of baskets that are cancelled later and that pay postage, and of lines that stand there twice."""
_COLOURS = ("RED", "BLUE", "IVORY", "GREEN", "PINK", "SILVER", "VINTAGE", "RETROSPOT")
_THINGS = ("MUG", "LANTERN", "BUNTING", "CAKE STAND", "LUNCH BAG", "CANDLE", "CLOCK", "TEA TOWEL", "DOORMAT", "FRAME")


class Names:
    """What products and customers of a spec are called."""

    def __init__(self, spec: BasketSpec) -> None:
        self._spec = spec

    @cached_property
    def codes(self) -> tuple[str, ...]:
        """(products,) five digits, some with a letter."""
        places = range(self._spec.products)
        return tuple(f"{FIRST_CODE + place}{'ABC'[place % 3] if place % 5 == 0 else ''}" for place in places)

    @cached_property
    def descriptions(self) -> tuple[str, ...]:
        """(products,) a colour, a thing and a number."""
        return tuple(
            f"{_COLOURS[place % len(_COLOURS)]} {_THINGS[place // len(_COLOURS) % len(_THINGS)]} No {place + 1}"
            for place in range(self._spec.products)
        )

    @cached_property
    def customers(self) -> tuple[str, ...]:
        """(customers,) numbers."""
        return tuple(str(FIRST_CUSTOMER + place) for place in range(self._spec.customers))


class SalesWriter:
    """A context manager that writes week after week."""

    def __init__(self, path: Path, names: Names, seed: int) -> None:
        self._file = path.open("w", encoding="utf-8", newline="")
        self._rows = csv.writer(self._file, lineterminator="\n")
        self._rows.writerow(HEADER)
        self._names = names
        self._rng = np.random.default_rng([seed, 4])
        self._prices = np.round(np.exp(self._rng.normal(0.9, 0.8, len(names.codes))) + 0.2, 2).tolist()
        self._invoice = FIRST_INVOICE

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def write(self, drawn: Drawn, day: Places) -> None:
        """The baskets of a week; `day` (baskets,) since the epoch, ascending."""
        rng, names = self._rng, self._names
        count = len(drawn.customer)
        minutes = np.sort(day * 1440 + rng.integers(8 * 60, 18 * 60, count))
        starts = np.searchsorted(drawn.basket, np.arange(count + 1)).tolist()
        products = drawn.product.tolist()
        quantities = rng.geometric(0.2, len(products)).tolist()
        luck = rng.random((count, 2)).tolist()
        twice = (rng.random(len(products)) < AGAIN).tolist()
        order = rng.random(len(products))
        for basket in range(count):
            number = drawn.customer[basket]
            who = "" if number == NOBODY else f"{names.customers[number]}.0"
            when = datetime.fromtimestamp(int(minutes[basket]) * 60, UTC).strftime("%Y-%m-%d %H:%M:%S")
            lines = range(starts[basket], starts[basket + 1])
            for line in sorted(lines, key=order.__getitem__):
                for _ in range(1 + twice[line]):
                    self._line(self._invoice, products[line], quantities[line], when, who)
            if luck[basket][0] < POSTED:
                self._rows.writerow((self._invoice, "POST", "POSTAGE", 1, when, 18.0, who, "France"))
            if luck[basket][1] < RETURNED:
                self._line(f"C{self._invoice}", products[lines[0]], -quantities[lines[0]], when, who)
            self._invoice += 1

    def _line(self, invoice: int | str, product: int, quantity: int, when: str, who: str) -> None:
        names = self._names
        self._rows.writerow(
            (
                invoice,
                names.codes[product],
                names.descriptions[product],
                quantity,
                when,
                self._prices[product],
                who,
                "United Kingdom",
            )
        )

"""What propensity models learn from: customers at a month, what they took in the next, and pairs drawn from them.

Rows are places in the panel with three masks each, 20 bytes a row; their inputs, ten times that, are made of those rows
alone that something is learned from or foretold of.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from vitrina.events.panels.columns import PRODUCTS
from vitrina.events.panels.panel import Panel
from vitrina.features.panel_features import PanelInputs, panel_inputs
from vitrina.features.panel_history import Masks, product_counts, product_matrix, product_rows
from vitrina.features.panel_labels import acquisitions
from vitrina.features.panel_profile import ProfileEncoding

Flags = npt.NDArray[np.bool_]
Counts = npt.NDArray[np.int64]
BLOCK: Final = 65_536
"""Rows whose inputs are made at once."""


@dataclass(frozen=True, kw_only=True, eq=False)
class PropensityRows:
    """Places in the panel int64 (rows,), and masks uint32 (rows,): products `owned`, those `taken` in the next month,
    and `judged` ones, whose value is known in both months."""

    panel: Panel
    encoding: ProfileEncoding
    places: npt.NDArray[np.int64]
    owned: Masks
    taken: Masks
    judged: Masks

    def __len__(self) -> int:
        return len(self.places)

    @property
    def customers(self) -> npt.NDArray[np.int64]:
        """(rows,) numbers of the customers."""
        return self.panel.customer[self.places]

    @property
    def months(self) -> npt.NDArray[np.int32]:
        """(rows,) months; what is taken is taken in the one after."""
        return self.panel.month[self.places]

    @property
    def inputs(self) -> PanelInputs:
        """Made of all rows at each call, about 220 bytes a row; `foretold` makes them of many rows block by block."""
        return panel_inputs(self.panel, self.places, self.encoding)

    @property
    def labels(self) -> Flags:
        """(rows, 24) taken."""
        return product_matrix(self.taken)

    @property
    def open(self) -> Flags:
        """(rows, 24) products that could have been taken: judged and not owned."""
        return product_matrix(self.judged & ~self.owned)

    def acquisitions(self) -> Counts:
        """int64 (24,) how often each product was taken."""
        return product_counts(self.taken)

    def chances(self) -> Counts:
        """int64 (24,) how often each product could have been taken."""
        return product_counts(self.judged & ~self.owned)

    def take(self, rows: npt.NDArray[np.int64] | Flags | slice) -> PropensityRows:
        """Some of the rows: their numbers, a flag for each, or from where to where."""
        return PropensityRows(
            panel=self.panel,
            encoding=self.encoding,
            places=self.places[rows],
            owned=self.owned[rows],
            taken=self.taken[rows],
            judged=self.judged[rows],
        )


class Pairs(NamedTuple):
    """rows and products int64 (pairs,), whether each was taken, and `kept` float64 (24,): the share of a product's
    refusals that was drawn, divided by the share of its acquisitions."""

    rows: npt.NDArray[np.int64]
    products: npt.NDArray[np.int64]
    taken: Flags
    kept: npt.NDArray[np.float64]


def propensity_rows(
    panel: Panel, encoding: ProfileEncoding, first: int | None = None, last: int | None = None
) -> PropensityRows:
    """All rows of the months `first` .. `last` that have a next month."""
    found = acquisitions(panel, first, last)
    return PropensityRows(
        panel=panel,
        encoding=encoding,
        places=found.rows,
        owned=panel.owned[found.rows],
        taken=found.taken,
        judged=found.judged,
    )


def draw_pairs(rows: PropensityRows, *, at_most: int, refusals_each: float, at_least: int, seed: int) -> Pairs:
    """Of each product its acquisitions, but no more than `at_most`, and `refusals_each` times as many refusals, but no
    fewer than `at_least` while there are that many; drawn without replacement."""
    rng = np.random.default_rng(seed)

    def draw(places: npt.NDArray[np.int64], wanted: int) -> tuple[npt.NDArray[np.int64], float]:
        if wanted >= len(places):
            return places, 1.0
        return np.sort(rng.choice(places, wanted, replace=False)), wanted / len(places)

    kept, parts = np.ones(len(PRODUCTS)), []
    refused = rows.judged & ~rows.owned & ~rows.taken
    for product in range(len(PRODUCTS)):
        yes, share = draw(product_rows(rows.taken, product), at_most)
        no, refusals = draw(product_rows(refused, product), max(at_least, round(refusals_each * len(yes))))
        kept[product] = refusals / share
        parts.append((yes, no, product))
    return Pairs(
        rows=np.concatenate([one for yes, no, _ in parts for one in (yes, no)]),
        products=np.concatenate([np.full(len(yes) + len(no), product, np.int64) for yes, no, product in parts]),
        taken=np.concatenate([np.arange(len(yes) + len(no)) < len(yes) for yes, no, _ in parts]),
        kept=kept,
    )

"""What propensity models learn from: customers at a month, what they took in the next, and pairs drawn from them."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from vitrina.events.panel import Panel
from vitrina.events.panel_columns import PRODUCTS
from vitrina.features.panel_features import PanelInputs, panel_inputs
from vitrina.features.panel_history import product_matrix
from vitrina.features.panel_labels import acquisitions
from vitrina.features.panel_profile import ProfileEncoding

Flags = npt.NDArray[np.bool_]


class PropensityRows(NamedTuple):
    """inputs of rows, and masks uint32 (rows,): products `taken` in the next month, and `judged`, whose value is known
    in both months."""

    inputs: PanelInputs
    taken: npt.NDArray[np.uint32]
    judged: npt.NDArray[np.uint32]

    @property
    def labels(self) -> Flags:
        """(rows, 24) taken."""
        return product_matrix(self.taken)

    @property
    def open(self) -> Flags:
        """(rows, 24) products that could have been taken: judged and not owned."""
        return product_matrix(self.judged & ~self.inputs.past.owned)


class Pairs(NamedTuple):
    """rows and products int64 (pairs,), whether each was taken, and by what share of them the refusals of each product
    were drawn, float64 (24,)."""

    rows: npt.NDArray[np.int64]
    products: npt.NDArray[np.int64]
    taken: Flags
    kept: npt.NDArray[np.float64]


def propensity_rows(
    panel: Panel, encoding: ProfileEncoding, first: int | None = None, last: int | None = None
) -> PropensityRows:
    """All rows of the months `first` .. `last` that have a next month."""
    found = acquisitions(panel, first, last)
    return PropensityRows(panel_inputs(panel, found.rows, encoding), found.taken, found.judged)


def draw_pairs(rows: PropensityRows, *, refusals_each: float, at_least: int, seed: int) -> Pairs:
    """Every acquisition, and for each product `refusals_each` times as many refusals as it has acquisitions, but no
    fewer than `at_least` while there are that many, drawn without replacement."""
    rng = np.random.default_rng(seed)
    labels, free = rows.labels, rows.open
    kept, parts = np.ones(len(PRODUCTS)), []
    for product in range(len(PRODUCTS)):
        yes = np.flatnonzero(labels[:, product])
        no = np.flatnonzero(free[:, product] & ~labels[:, product])
        wanted = min(len(no), max(at_least, round(refusals_each * len(yes))))
        if len(no):
            kept[product] = wanted / len(no)
        drawn = np.sort(rng.choice(no, wanted, replace=False))
        parts.append((np.concatenate([yes, drawn]), product, len(yes)))
    taken = np.concatenate([np.arange(len(places)) < positives for places, _, positives in parts])
    return Pairs(
        rows=np.concatenate([places for places, _, _ in parts]),
        products=np.concatenate([np.full(len(places), product, np.int64) for places, product, _ in parts]),
        taken=taken,
        kept=kept,
    )

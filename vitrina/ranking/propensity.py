"""How likely each customer is to take each product next month: baselines, and what every propensity model offers.

Specs are frozen; `fit` gives a `FittedPropensity`. A product that is owned already has the probability 0.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from vitrina.errors import ConfigError
from vitrina.events.panels.columns import PRODUCTS
from vitrina.features.panel_features import PanelInputs
from vitrina.features.panel_history import product_matrix
from vitrina.ranking.blocks import in_blocks
from vitrina.ranking.propensity_rows import BLOCK, PropensityRows

Probabilities = npt.NDArray[np.float64]


class FittedPropensity(Protocol):
    """A fitted propensity model."""

    def probabilities(self, inputs: PanelInputs) -> Probabilities:
        """float64 (rows, 24): the chance that a product is 0 now and 1 next month; 0 for owned products."""
        ...


class Propensity(Protocol):
    """A model that learns. Validation rows are of later months than training rows; a model may do without them."""

    def fit(self, train: PropensityRows, valid: PropensityRows | None = None) -> FittedPropensity: ...


@dataclass(frozen=True, kw_only=True)
class FixedPropensity:
    """The same probabilities float64 (24,) for everybody."""

    rates: npt.NDArray[np.float64]

    def probabilities(self, inputs: PanelInputs) -> Probabilities:
        """See `FittedPropensity`."""
        return without_owned(np.tile(self.rates, (len(inputs.profile), 1)), inputs)


@dataclass(frozen=True, kw_only=True)
class ConstantPropensity:
    """One probability for every product: `probability`, or the share of all open pairs that were acquisitions."""

    probability: float | None = None

    def __post_init__(self) -> None:
        if self.probability is not None and not 0 <= self.probability <= 1:
            raise ConfigError(f"probability={self.probability}: give 0 to 1.")

    def fit(self, train: PropensityRows, valid: PropensityRows | None = None) -> FixedPropensity:
        """Looks at the training rows alone."""
        constant = self.probability
        if constant is None:
            constant = float(train.acquisitions().sum() / max(train.chances().sum(), 1))
        return FixedPropensity(rates=np.full(len(PRODUCTS), constant))


@dataclass(frozen=True, kw_only=True)
class PopularityPropensity:
    """How often a product is taken by those who lack it."""

    def fit(self, train: PropensityRows, valid: PropensityRows | None = None) -> FixedPropensity:
        """Looks at the training rows alone; half an acquisition more than was seen keeps unseen products above 0."""
        return FixedPropensity(rates=(train.acquisitions() + 0.5) / (train.chances() + 1.0))


def foretold(model: FittedPropensity, rows: PropensityRows, *, threads: int = 1) -> Probabilities:
    """The probabilities float64 (rows, 24) of many rows, whose inputs are made block by block."""
    return by_block(model.probabilities, rows, threads=threads)


def by_block(work: Callable[[PanelInputs], Probabilities], rows: PropensityRows, *, threads: int) -> Probabilities:
    """What `work` makes of the inputs of all rows, (rows, 24)."""
    out = np.empty((len(rows), len(PRODUCTS)))

    def fill(first: int, last: int) -> None:
        out[first:last] = work(rows.take(slice(first, last)).inputs)

    for _ in in_blocks(fill, len(rows), block=BLOCK, threads=threads):
        pass
    return out


def without_owned(probabilities: Probabilities, inputs: PanelInputs) -> Probabilities:
    """The same array with 0 where a product is owned."""
    probabilities[product_matrix(inputs.past.owned)] = 0.0
    return probabilities

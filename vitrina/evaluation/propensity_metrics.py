"""How good probabilities of products are: arrays (rows, products) in; their open cells in order, and MAP@k, out.

A row is a customer in a month. A cell is open where the customer does not own the product: only open cells are judged,
as what is owned cannot be acquired.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np

from vitrina.evaluation.metrics import user_metrics
from vitrina.evaluation.reliability import Reals, SortedScores
from vitrina.evaluation.report import Scores
from vitrina.evaluation.truth import Bools, Int32s, Int64s, Truth
from vitrina.events.panels.columns import PRODUCTS

PRODUCT_CODES: Final[tuple[str, ...]] = tuple(product.code for product in PRODUCTS)
DEPTH: Final = 7


@dataclass(frozen=True, kw_only=True)
class Predictions:
    """`probabilities` floating (rows, products) beside what happened: `acquired` and `owned` bool of the same shape.

    What is said of owned products is not looked at; with `owned` all False every cell counts. `ValueError` names the
    row and the product of a number that is no probability, and of an acquisition of what was owned.
    """

    probabilities: Reals
    acquired: Bools
    owned: Bools
    products: tuple[str, ...] = PRODUCT_CODES

    def __post_init__(self) -> None:
        p, shape = self.probabilities, (len(self.probabilities), len(self.products))
        if not p.shape == self.acquired.shape == self.owned.shape == shape or not p.size:
            shapes = f"{p.shape}, {self.acquired.shape} and {self.owned.shape}"
            raise ValueError(f"probabilities, acquired and owned must be (rows, {shape[1]}) with rows, not {shapes}")
        if p.dtype.kind != "f" or self.acquired.dtype != np.bool_ or self.owned.dtype != np.bool_:
            kinds = f"{p.dtype}, {self.acquired.dtype} and {self.owned.dtype}"
            raise ValueError(f"probabilities must be floating, acquired and owned bool, not {kinds}")
        if not (p.min() >= 0 and p.max() <= 1):  # NaN fails both
            row, product = _first(~((p >= 0) & (p <= 1)))
            what = f"row {row}, {self.products[product]}: {p[row, product]}"
            raise ValueError(f"{what} is no probability; give a number in 0 .. 1 for every cell, 0 for owned products")
        both = self.acquired & self.owned
        if both.any():
            row, product = _first(both)
            raise ValueError(f"row {row}, {self.products[product]}: owned and acquired; an acquisition was not owned")

    def __len__(self) -> int:
        return len(self.probabilities)

    def where(self, rows: Bools) -> Predictions:
        """The rows at which `rows` (rows,) holds, in the same order; `self` when it holds everywhere."""
        if rows.all():
            return self
        return Predictions(
            probabilities=self.probabilities[rows],
            acquired=self.acquired[rows],
            owned=self.owned[rows],
            products=self.products,
        )

    def pooled(self) -> SortedScores:
        """Open cells of all products together: what micro averages are made from."""
        return SortedScores.of(self.probabilities[~self.owned], self.acquired[~self.owned])

    def by_product(self) -> Iterator[SortedScores]:
        """Open cells of each product, in the order of `products`."""
        for place in range(len(self.products)):
            opened = ~self.owned[:, place]
            yield SortedScores.of(self.probabilities[opened, place], self.acquired[opened, place])


def offers(probabilities: Reals, owned: Bools, k: int = DEPTH) -> Int32s:
    """Places of the k most probable products, int32 (rows, k), padded with -1: owned and impossible are not offered.

    Of equal probabilities the product that stands first in the catalogue comes first.
    """
    falling = np.where(owned, 0.0, -probabilities)
    order = np.argsort(falling, axis=1, kind="stable")[:, :k]
    lists = np.full((len(probabilities), k), -1, dtype=np.int32)
    lists[:, : order.shape[1]] = np.where(np.take_along_axis(falling, order, axis=1) < 0, order, -1)
    return lists


def customer_scores(predictions: Predictions, customers: Int64s, k: int = DEPTH) -> Scores:
    """`map@k` of each row as Kaggle's Santander competition counts it: a row without an acquisition has 0.

    customers (rows,) names the cluster of each row, so that `Scores.minus` pairs models by customer.
    """
    if customers.shape != (len(predictions),):
        raise ValueError(f"{customers.shape} customers for {len(predictions)} rows of predictions")
    name = f"map@{k}"
    values = np.zeros(len(predictions))
    buyers = np.flatnonzero(predictions.acquired.any(axis=1))
    if len(buyers):
        lists = offers(predictions.probabilities[buyers], predictions.owned[buyers], k)
        row, product = np.nonzero(predictions.acquired[buyers])
        values[buyers] = user_metrics(lists, Truth.from_pairs(row, product.astype(np.int32)), (k,))[name]
    return Scores(values={name: values}, clusters=customers)


def _first(mask: Bools) -> tuple[int, int]:
    row, product = np.unravel_index(int(mask.argmax()), mask.shape)
    return int(row), int(product)

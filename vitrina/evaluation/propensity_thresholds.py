"""From which probability on a product is said to be acquired: tuned on validation rows, then only applied."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from vitrina.evaluation.propensity_metrics import PRODUCT_CODES, Predictions
from vitrina.evaluation.reliability import Reals
from vitrina.evaluation.truth import Bools


@dataclass(frozen=True, kw_only=True)
class Thresholds:
    """One threshold per product: at it or above the answer is yes; an infinite one never says yes.

    `shared` names the products that had too few acquisitions for a threshold of their own and took the single one.
    """

    name: str
    values: tuple[float, ...]
    products: tuple[str, ...] = PRODUCT_CODES
    shared: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if len(self.values) != len(self.products):
            raise ValueError(f"{len(self.values)} thresholds for {len(self.products)} products")
        if not all(value > 0 for value in self.values):
            raise ValueError(f"every threshold must be above 0, for 0 is a no; these are {self.values}")

    @classmethod
    def fixed(cls, value: float, products: tuple[str, ...] = PRODUCT_CODES) -> Thresholds:
        """The same for every product, not tuned; 0.5 is what sklearn's `predict` does."""
        return cls(name=f"fixed_{value:g}", values=(value,) * len(products), products=products)

    @classmethod
    def single(cls, validation: Predictions) -> Thresholds:
        """The same for every product: the one with the best F1 over all open cells of the validation rows."""
        best = validation.pooled().best_threshold()
        return cls(name="single", values=(best,) * len(validation.products), products=validation.products)

    @classmethod
    def per_product(cls, validation: Predictions, *, least: int = 10) -> Thresholds:
        """The best F1 of each product on the validation rows.

        A product with fewer than `least` acquisitions there takes the single threshold: its own would be an accident.
        """
        single = cls.single(validation).values[0]
        values, shared = [], []
        for name, scores in zip(validation.products, validation.by_product(), strict=True):
            few = len(scores.hits) < max(least, 1)
            values.append(single if few else scores.best_threshold())
            shared += [name] if few else []
        return cls(name="per_product", values=tuple(values), products=validation.products, shared=tuple(shared))

    def decide(self, probabilities: Reals, owned: Bools) -> Bools:
        """Yes or no, bool (rows, products); never yes for what is owned."""
        decided = np.empty(probabilities.shape, dtype=np.bool_)
        for place, value in enumerate(self.values):
            np.greater_equal(probabilities[:, place], probabilities.dtype.type(value), out=decided[:, place])
        decided &= ~owned
        return decided

    def as_json(self) -> dict[str, object]:
        """Plain values for `json.dumps`; an infinite threshold is null."""
        plain = [value if math.isfinite(value) else None for value in self.values]
        return {
            "name": self.name,
            "values": dict(zip(self.products, plain, strict=True)),
            "shared": list(self.shared),
        }

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Self:
        """What `as_json` wrote."""
        values = document["values"]
        return cls(
            name=document["name"],
            values=tuple(math.inf if value is None else value for value in values.values()),
            products=tuple(values),
            shared=tuple(document["shared"]),
        )

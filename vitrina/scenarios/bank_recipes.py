"""The recipes of the bank: which propensity models are tried, and from which customers they learn."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Final, Self

import numpy as np

from vitrina.errors import ModelFormatError
from vitrina.evaluation.propensity_report import ALL_CUSTOMERS, EVER_BOUGHT
from vitrina.evaluation.truth import Int64s
from vitrina.events.panels.panel import Panel
from vitrina.features.panel_labels import acquisitions
from vitrina.ranking.multi_output_propensity import MultiOutputPropensity
from vitrina.ranking.product_propensity import ProductPropensity
from vitrina.ranking.propensity import ConstantPropensity, FittedPropensity, PopularityPropensity
from vitrina.ranking.propensity_rows import PropensityRows
from vitrina.recommend.propensity_model import Kind

Spec = ProductPropensity | MultiOutputPropensity | PopularityPropensity | ConstantPropensity

SPECS: Final[dict[Kind, type[Spec]]] = {
    "product": ProductPropensity,
    "multi_output": MultiOutputPropensity,
    "popularity": PopularityPropensity,
    "constant": ConstantPropensity,
}


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """A model of one kind with its hyper-parameters, and the cohort that it learns from. Threads are the machine's and
    no part of it."""

    kind: Kind
    spec: Spec
    cohort: str = ALL_CUSTOMERS

    @classmethod
    def of(cls, spec: Spec, cohort: str = ALL_CUSTOMERS) -> Self:
        """The kind follows from the type."""
        return cls(kind=next(kind for kind, of in SPECS.items() if isinstance(spec, of)), spec=spec, cohort=cohort)

    def fit(self, train: PropensityRows, valid: PropensityRows, *, threads: int) -> FittedPropensity:
        """Learns from the rows of `train` that are of the cohort as its months tell it; all of `valid` calibrates."""
        if self.cohort == EVER_BOUGHT:
            known = buyers(train.panel, int(train.months.max(initial=0)))
            train = train.take(np.flatnonzero(np.isin(train.customers, known)))
        return self._with_threads(threads).fit(train, valid)

    def as_json(self) -> dict[str, Any]:
        """The kind, the cohort and the hyper-parameters."""
        return {"kind": self.kind, "cohort": self.cohort, **asdict(self._with_threads(1))}

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Self:
        """What `as_json` wrote; `ModelFormatError` for what this version does not know."""
        params = dict(document)
        try:
            kind, cohort = params.pop("kind"), params.pop("cohort")
            return cls.of(SPECS[kind](**params), cohort)
        except (KeyError, TypeError) as error:
            raise ModelFormatError(f"recipe {dict(document)} is of another version of Vitrina ({error})") from error

    def _with_threads(self, threads: int) -> Spec:
        if isinstance(self.spec, ProductPropensity | MultiOutputPropensity):
            return replace(self.spec, threads=threads)
        return self.spec


def buyers(panel: Panel, last: int | None = None) -> Int64s:
    """The customers, ascending, that took something after one of the months up to `last`; with None after any of the
    panel: whoever splits it by month and asks for them looks into the months of the test."""
    found = acquisitions(panel, None, last)
    return np.unique(panel.customer[found.rows[found.taken != 0]])


SNAPSHOT_ROWS: Final = 100_000
"""Rows that the 24 classifiers learn from at most: four times as many gained nothing on a panel of a million rows."""

_LAGS: Final = Recipe.of(ProductPropensity())
_SNAPSHOT: Final = MultiOutputPropensity(rows_at_most=SNAPSHOT_ROWS)

RECIPES: Final[dict[str, dict[str, Recipe]]] = {
    "lags": {"lags": _LAGS, "multi_output": Recipe.of(_SNAPSHOT)},
    "no_lags": {"no_lags": Recipe.of(ProductPropensity(lags=False))},
    "multi_output": {"multi_output": Recipe.of(_SNAPSHOT)},
    "reference": {"reference": Recipe.of(_SNAPSHOT, EVER_BOUGHT)},
}
"""By the names of `--recipe`: the models that are fitted, of which the best on validation becomes the candidate."""

BASELINES: Final[dict[str, Recipe]] = {
    "popularity": Recipe.of(PopularityPropensity()),
    "constant": Recipe.of(ConstantPropensity()),
}

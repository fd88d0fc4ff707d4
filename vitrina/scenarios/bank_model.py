"""A recipe of the bank fitted on some months: calibrated, with thresholds, and as a model folder."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self

import numpy as np

from vitrina.evaluation.propensity_metrics import Predictions, customer_scores
from vitrina.evaluation.propensity_table import METRIC
from vitrina.evaluation.propensity_thresholds import Thresholds
from vitrina.events.panels.panel import Panel
from vitrina.features.panel_marginals import PanelMarginals
from vitrina.features.panel_profile import ProfileEncoding
from vitrina.ranking.propensity import FittedPropensity, foretold
from vitrina.ranking.propensity_rows import PropensityRows, propensity_rows
from vitrina.recommend.propensity_model import PropensityModel, packed
from vitrina.registry.model_format import StoredModel, write_model
from vitrina.scenarios.bank_recipes import BASELINES, Recipe

NOT_TUNED: Final = 0.5


@dataclass(frozen=True, kw_only=True)
class Model:
    """`recipe` fitted to rows encoded by `encoding`. Its thresholds were tuned, and `validation_map` is its MAP@7, on
    the month that calibrated it."""

    recipe: Recipe
    propensity: FittedPropensity
    encoding: ProfileEncoding
    thresholds: tuple[Thresholds, ...]
    validation_map: float

    @classmethod
    def fit(cls, recipe: Recipe, panel: Panel, *, until: int, valid: int, threads: int) -> Self:
        """Learns from the rows of the months up to `until`, and calibrates on those of the month `valid`."""
        encoding = ProfileEncoding.fit(panel, np.flatnonzero(panel.month <= until))
        train, later = propensity_rows(panel, encoding, None, until), propensity_rows(panel, encoding, valid, valid)
        fitted = recipe.fit(train, later, threads=threads)
        predictions = predicted(fitted, later, threads=threads)
        return cls(
            recipe=recipe,
            propensity=fitted,
            encoding=encoding,
            thresholds=(
                Thresholds.per_product(predictions),
                Thresholds.single(predictions),
                Thresholds.fixed(NOT_TUNED),
            ),
            validation_map=customer_scores(predictions, later.customers).mean(METRIC),
        )

    @classmethod
    def of(cls, stored: StoredModel) -> Self:
        """What `write` wrote."""
        model, meta = PropensityModel.load(stored), stored.meta
        return cls(
            recipe=Recipe.from_json(meta["recipe"]),
            propensity=model.propensity,
            encoding=model.encoding,
            thresholds=tuple(Thresholds.from_json(one) for one in meta["thresholds"]),
            validation_map=meta["validation_map"],
        )

    @property
    def published(self) -> Thresholds:
        """The thresholds that answers yes and no are made with. Where everybody has the same probability, a threshold
        of each product would say yes to all of them."""
        per_product, single, _ = self.thresholds
        return single if self.recipe.kind in BASELINES else per_product

    def predictions(self, panel: Panel, month: int, *, threads: int) -> tuple[Predictions, PropensityRows]:
        """What it says of the rows of a month, and these rows."""
        rows = propensity_rows(panel, self.encoding, month, month)
        return predicted(self.propensity, rows, threads=threads), rows

    def write(self, folder: Path, panel: Panel, *, as_of_month: int, meta: Mapping[str, Any]) -> None:
        """Writes the model folder; `meta` comes on top of what is needed to read it."""
        made = packed(
            self.propensity,
            kind=self.recipe.kind,
            encoding=self.encoding,
            thresholds=np.array(self.published.values),
            as_of_month=as_of_month,
            marginals=PanelMarginals.fit(panel, np.flatnonzero(panel.month == as_of_month)),
        )
        own = {
            "recipe": self.recipe.as_json(),
            "thresholds": [one.as_json() for one in self.thresholds],
            "validation_map": self.validation_map,
        }
        write_model(folder, arrays=made.arrays, files=made.files, meta={**made.meta, **own, **meta})


def predicted(fitted: FittedPropensity, rows: PropensityRows, *, threads: int) -> Predictions:
    """Probabilities beside what happened; what was owned, or is not known in both months, is not judged."""
    return Predictions(probabilities=foretold(fitted, rows, threads=threads), acquired=rows.labels, owned=~rows.open)

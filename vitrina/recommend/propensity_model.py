"""The published propensity model: which of the 24 products a customer takes next month, from a model folder alone.

In: the folder that the registry keeps (arrays and JSON; nothing is executed). Out: probabilities, and yes or no.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, Self, get_args

import numpy as np
import numpy.typing as npt

from vitrina.errors import ModelFormatError
from vitrina.events.panels.columns import PRODUCTS
from vitrina.features.panel_context import ProductContext
from vitrina.features.panel_features import PANEL_FEATURES, PanelInputs
from vitrina.features.panel_history import product_matrix
from vitrina.features.panel_marginals import PanelMarginals
from vitrina.features.panel_profile import PROFILE_NAMES, ProfileEncoding
from vitrina.ranking.calibration import ProductCalibration
from vitrina.ranking.multi_output_propensity import FittedMultiOutput, SnapshotForests
from vitrina.ranking.preprocessing import Preprocessing
from vitrina.ranking.product_propensity import FittedProductPropensity, ProductForest
from vitrina.ranking.propensity import FittedPropensity, FixedPropensity, Probabilities
from vitrina.ranking.trees import Trees
from vitrina.recommend.stored import Arrays, Packed, Stored, check_same, gathered, plain, spread

Kind = Literal["popularity", "constant", "product", "multi_output"]
PRODUCT_COLUMNS = tuple(product.column for product in PRODUCTS)


@dataclass(frozen=True, kw_only=True)
class PropensityModel:
    """`thresholds` float64 (24,): from which probability on the answer is yes (infinity: never). `as_of_month` is the
    last month that was learned from; `marginals` make up clients."""

    kind: Kind
    encoding: ProfileEncoding
    propensity: FittedPropensity
    thresholds: npt.NDArray[np.float64]
    as_of_month: int
    marginals: PanelMarginals

    def probabilities(self, inputs: PanelInputs) -> Probabilities:
        """float64 (rows, 24): the chance that a product is 0 now and 1 next month; 0 for owned products."""
        return self.propensity.probabilities(inputs)

    def decide(self, probabilities: Probabilities, inputs: PanelInputs) -> npt.NDArray[np.bool_]:
        """bool (rows, 24): yes at the threshold or above, never for what is owned."""
        return (probabilities >= self.thresholds) & ~product_matrix(inputs.past.owned)

    @classmethod
    def load(cls, stored: Stored) -> Self:
        """From a folder that holds what `packed` gave; arrays stay where they are mapped. `ModelFormatError` for the
        features or products of another version, and for what is missing."""
        meta, arrays = stored.meta, {name: plain(array) for name, array in stored.arrays.items()}
        check_same(stored, features=PANEL_FEATURES, profile_columns=PROFILE_NAMES, products=PRODUCT_COLUMNS)
        try:
            return cls(
                kind=meta["kind"],
                encoding=ProfileEncoding(levels={name: tuple(levels) for name, levels in meta["levels"].items()}),
                propensity=_propensity(meta["kind"], arrays, meta),
                thresholds=arrays["thresholds"],
                as_of_month=int(meta["as_of_month"]),
                marginals=PanelMarginals.from_json(meta["marginals"]),
            )
        except KeyError as error:
            raise ModelFormatError(f"{stored.folder}: has no {error}. Train again") from error


def packed(
    fitted: FittedPropensity,
    *,
    kind: Kind,
    encoding: ProfileEncoding,
    thresholds: npt.NDArray[np.float64],
    as_of_month: int,
    marginals: PanelMarginals,
) -> Packed:
    """A fitted model as plain arrays, CatBoost's own files and JSON; see `PropensityModel` for the arguments."""
    found = _packed(fitted)
    meta = {
        "kind": kind,
        "features": list(PANEL_FEATURES),
        "profile_columns": list(PROFILE_NAMES),
        "products": list(PRODUCT_COLUMNS),
        "levels": {name: list(levels) for name, levels in encoding.levels.items()},
        "as_of_month": as_of_month,
        "marginals": marginals.as_json(),
    }
    thresholds = np.asarray(thresholds, np.float64)
    return Packed(found.arrays | {"thresholds": thresholds}, found.files, found.meta | meta)


def _packed(fitted: FittedPropensity) -> Packed:
    if isinstance(fitted, FixedPropensity):
        return Packed({"rates": fitted.rates}, {}, {})
    if isinstance(fitted, FittedProductPropensity):
        arrays = spread(fitted.trees, "trees_") | spread(fitted.context, "context_") | _calibration(fitted.calibration)
        return Packed(arrays, {"propensity.cbm": fitted.cbm}, {})
    if isinstance(fitted, FittedMultiOutput):
        arrays = spread(fitted.trees, "trees_") | _calibration(fitted.calibration)
        arrays |= {"learned": fitted.learned, "start": fitted.start}
        files = {f"propensity_{PRODUCT_COLUMNS[product]}.cbm": cbm for product, cbm in fitted.cbm.items()}
        return Packed(arrays, files, {"preprocessing": fitted.preprocessing.as_json()})
    raise TypeError(f"{type(fitted).__name__} has no form in a model folder")


def _propensity(kind: str, arrays: Arrays, meta: Mapping[str, Any]) -> FittedPropensity:
    if kind not in get_args(Kind):
        raise ModelFormatError(f"a propensity model of kind {kind!r} is not known. Train again")
    if kind in ("popularity", "constant"):
        return FixedPropensity(rates=arrays["rates"])
    trees = gathered(Trees, arrays, "trees_")
    calibration = ProductCalibration(slope=arrays["slope"], shift=arrays["shift"])
    if kind == "product":
        context = gathered(ProductContext, arrays, "context_")
        return ProductForest(trees=trees, context=context, calibration=calibration)
    return SnapshotForests(
        learned=arrays["learned"],
        preprocessing=Preprocessing.from_json(meta["preprocessing"]),
        trees=trees,
        start=arrays["start"],
        calibration=calibration,
    )


def _calibration(calibration: ProductCalibration) -> Arrays:
    return {"slope": calibration.slope, "shift": calibration.shift}

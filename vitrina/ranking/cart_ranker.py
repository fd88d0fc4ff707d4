"""The trees that blend what is known of a cart's candidates: CatBoost's classifier over rows of later carts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from vitrina.ranking.cart_features import FEATURES
from vitrina.ranking.cart_rows import CartRows
from vitrina.ranking.trees import NO_TREES, Trees, catboost_settings, exported


@dataclass(frozen=True, kw_only=True, eq=False)
class FittedCartRanker:
    """`trees` for serving, `cbm` (CatBoost's own bytes, None without trees) for everybody else, `importance` of the
    features in percent."""

    trees: Trees
    cbm: bytes | None
    importance: Mapping[str, float]


@dataclass(frozen=True, kw_only=True)
class CartRanker:
    """Hyper-parameters are CatBoost's own; Logloss, which was no worse than YetiRank and QuerySoftMax in a tenth of
    their time."""

    iterations: int = 200
    learning_rate: float = 0.08
    depth: int = 6
    l2_leaf_reg: float = 10.0
    border_count: int = 254
    seed: int = 7

    def fit(self, rows: CartRows, *, threads: int) -> FittedCartRanker:
        """Rows that are all of one label leave nothing to learn: no trees, so that candidates keep their order."""
        if rows.taken.all() or not rows.taken.any():
            return FittedCartRanker(trees=NO_TREES, cbm=None, importance={})
        from catboost import CatBoost, Pool

        model = CatBoost(
            {
                "loss_function": "Logloss",
                **catboost_settings(self, threads=threads),
                "l2_leaf_reg": self.l2_leaf_reg,
            }
        )
        names = list(FEATURES)
        model.fit(Pool(rows.features, rows.taken.astype("float32"), weight=rows.weight, feature_names=names))
        importance = model.get_feature_importance(type="PredictionValuesChange")
        trees, cbm = exported(model)
        return FittedCartRanker(trees=trees, cbm=cbm, importance=dict(zip(names, map(float, importance), strict=True)))

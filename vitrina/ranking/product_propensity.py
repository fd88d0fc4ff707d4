"""One CatBoost model for all products: a row is a customer and a product, so what one product shows helps others."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Final

import numba
import numpy as np

from vitrina.events.panels.columns import PRODUCTS
from vitrina.features.panel_context import ProductContext
from vitrina.features.panel_features import (
    HISTORY_FEATURES,
    PANEL_FEATURES,
    PanelInputs,
    fill_columns,
    pair_features,
)
from vitrina.ranking.blocks import in_blocks
from vitrina.ranking.calibration import ProductCalibration
from vitrina.ranking.propensity import Probabilities, by_block, without_owned
from vitrina.ranking.propensity_rows import PropensityRows, draw_pairs
from vitrina.ranking.trees import TOGETHER, Trees, catboost_settings, exported, score_columns

_START: Final = PANEL_FEATURES.index("portfolio_log_odds")
_N: Final = len(PRODUCTS)
_TOGETHER: Final = 64
"""Customers whose pairs are scored at once."""
_BLOCK: Final = 8_192


@dataclass(frozen=True, kw_only=True)
class ProductForest:
    """What serves: the scores of `trees` are added to the log odds that `context` gives a portfolio, and `calibration`
    makes probabilities of the sum."""

    trees: Trees
    context: ProductContext
    calibration: ProductCalibration

    def probabilities(self, inputs: PanelInputs, *, threads: int = 1) -> Probabilities:
        """See `FittedPropensity`."""
        return without_owned(self.calibration.apply(self.log_odds(inputs, threads=threads)), inputs)

    def log_odds(self, inputs: PanelInputs, *, threads: int = 1) -> Probabilities:
        """float64 (rows, 24) before calibration, of owned products too."""
        out = np.empty((len(inputs.profile), _N))

        def score(first: int, last: int) -> None:
            _log_odds(self.trees, self.context, inputs, first, last, out)

        if len(out) <= _BLOCK:  # a request is not worth a thread
            score(0, len(out))
            return out
        for _ in in_blocks(score, len(out), block=_BLOCK, threads=threads):
            pass
        return out


@dataclass(frozen=True, kw_only=True)
class FittedProductPropensity(ProductForest):
    """With CatBoost's own bytes `cbm` of the trees, which need `portfolio_log_odds` as the baseline, and the
    `importance` of the features in percent."""

    cbm: bytes
    importance: dict[str, float]


@dataclass(frozen=True, kw_only=True)
class ProductPropensity:
    """Hyper-parameters are CatBoost's own, but for these: without `lags` nothing before the row's month is looked at;
    acquisitions of a product are drawn when there are more than `acquisitions_at_most`, and refusals, `refusals_each`
    to an acquisition of the same product, and no fewer than `at_least`. So memory has a bound, however many rows there
    are.

    Trees start from the log odds of the portfolio, moved to the share of acquisitions among the pairs drawn, and so
    what they learn holds for all pairs (case-control sampling: Prentice and Pyke, 1979).
    """

    lags: bool = True
    acquisitions_at_most: int = 20_000
    refusals_each: float = 8.0
    at_least: int = 2_000
    iterations: int = 150
    learning_rate: float = 0.1
    depth: int = 6
    l2_leaf_reg: float = 20.0
    border_count: int = 64
    seed: int = 7
    threads: int = 1

    def fit(self, train: PropensityRows, valid: PropensityRows | None = None) -> FittedProductPropensity:
        """Learns from `train`; `valid` calibrates (None: nothing does)."""
        from catboost import CatBoost, Pool

        context = ProductContext.fit(train.months, train.owned, train.taken, train.judged)
        pairs = draw_pairs(
            train,
            at_most=self.acquisitions_at_most,
            refusals_each=self.refusals_each,
            at_least=self.at_least,
            seed=self.seed,
        )
        drawn, at = np.unique(pairs.rows, return_inverse=True)
        features = pair_features(train.take(drawn).inputs, context, at, pairs.products)
        params: dict[str, Any] = {
            "loss_function": "Logloss",
            **catboost_settings(self, threads=self.threads),
            "l2_leaf_reg": self.l2_leaf_reg,
            "boost_from_average": False,
            "ignored_features": [] if self.lags else [PANEL_FEATURES.index(name) for name in HISTORY_FEATURES],
        }
        baseline = features[:, _START].astype(np.float64) - np.log(pairs.kept[pairs.products])
        model = CatBoost(params)
        model.fit(Pool(features, pairs.taken.astype(np.float32), baseline=baseline, feature_names=list(PANEL_FEATURES)))
        trees, cbm = exported(model)
        importance = model.get_feature_importance(type="PredictionValuesChange")
        fitted = FittedProductPropensity(
            trees=trees,
            cbm=cbm,
            context=context,
            calibration=ProductCalibration.identity(),
            importance=dict(zip(PANEL_FEATURES, map(float, importance), strict=True)),
        )
        if valid is None:
            return fitted
        log_odds = by_block(fitted.log_odds, valid, threads=self.threads)
        return replace(fitted, calibration=ProductCalibration.fit(log_odds, valid.labels, valid.open))


@numba.njit(cache=True, nogil=True)
def _log_odds(trees, context, inputs, first, last, out):  # type: ignore[no-untyped-def]  # compiled
    room = (min(_TOGETHER, last - first) * _N + 63) // 64 * 64
    columns = np.zeros((len(PANEL_FEATURES), room), np.float32)
    leaf = np.empty((TOGETHER, room), np.uint8)
    scores = np.empty(room)
    rows, products = np.empty(room, np.int64), np.empty(room, np.int64)
    for begin in range(first, last, _TOGETHER):
        count = (min(begin + _TOGETHER, last) - begin) * _N
        for j in range(count):
            rows[j], products[j] = begin + j // _N, j % _N
        fill_columns(inputs, context, rows[:count], products[:count], columns)
        score_columns(trees, 0, columns, count, leaf, scores)
        for j in range(count):
            out[rows[j], products[j]] = scores[j] + columns[_START, j]

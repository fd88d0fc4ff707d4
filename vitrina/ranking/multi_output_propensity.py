"""A classifier per product over a customer's snapshot, in one scikit-learn pipeline: no lags, no product features."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numba
import numpy as np
import numpy.typing as npt

from vitrina.errors import ConfigError
from vitrina.features.panel_context import log_odds as rate_log_odds
from vitrina.features.panel_features import PanelInputs
from vitrina.features.panel_profile import ProfileEncoding
from vitrina.ranking.calibration import ProductCalibration
from vitrina.ranking.panel_frame import FrameSnapshot
from vitrina.ranking.preprocessing import Preprocessing, snapshot_matrix, steps
from vitrina.ranking.propensity import Probabilities, by_block, without_owned
from vitrina.ranking.propensity_rows import PropensityRows
from vitrina.ranking.trees import TOGETHER, Trees, catboost_settings, exported, joined, score_columns

if TYPE_CHECKING:
    from sklearn.pipeline import Pipeline

_ROOM = 1_024


@dataclass(frozen=True, kw_only=True)
class SnapshotForests:
    """What serves, without scikit-learn: `preprocessing` makes a snapshot ready for `trees`, which score it for the
    product learned[i] under the number i; `learned` int64 (products,). Any other product has the log odds `start`
    float64 (24,). `calibration` comes on top."""

    learned: npt.NDArray[np.int64]
    preprocessing: Preprocessing
    trees: Trees
    start: npt.NDArray[np.float64]
    calibration: ProductCalibration

    def probabilities(self, inputs: PanelInputs) -> Probabilities:
        """See `FittedPropensity`."""
        return without_owned(self.calibration.apply(self.log_odds(inputs)), inputs)

    def log_odds(self, inputs: PanelInputs) -> Probabilities:
        """float64 (rows, 24) before calibration, of owned products too."""
        prepared = self.preprocessing.apply(snapshot_matrix(inputs))
        out = np.tile(self.start, (len(prepared), 1))
        _log_odds(self.trees, self.learned, prepared, out)
        return out


@dataclass(frozen=True, kw_only=True)
class FittedMultiOutput(SnapshotForests):
    """With `pipeline`, which takes a snapshot (rows, 46) and gives scikit-learn's list of probabilities of the learned
    products, and CatBoost's own bytes `cbm` of each, by place."""

    pipeline: Pipeline
    cbm: Mapping[int, bytes]

    def whole_pipeline(self, encoding: ProfileEncoding) -> Pipeline:
        """`pipeline` behind a step that takes rows as requests hold them (see `FrameSnapshot`)."""
        from sklearn.pipeline import Pipeline
        from sklearn.preprocessing import FunctionTransformer

        return Pipeline([("encode", FunctionTransformer(FrameSnapshot(encoding=encoding))), *self.pipeline.steps])


@dataclass(frozen=True, kw_only=True)
class MultiOutputPropensity:
    """Hyper-parameters are CatBoost's own; at most `rows_at_most` rows are learned from (None: all), up to half of them
    rows with an acquisition (more where others are too few), weighted as they were drawn. Products without an
    acquisition, or with nothing else, are not learned."""

    iterations: int = 100
    learning_rate: float = 0.1
    depth: int = 6
    border_count: int = 64
    rows_at_most: int | None = 200_000
    seed: int = 7
    threads: int = 1

    def fit(self, train: PropensityRows, valid: PropensityRows | None = None) -> FittedMultiOutput:
        """Learns from `train`; `valid` calibrates (None: nothing does). `ConfigError` without any acquisition."""
        from catboost import CatBoostClassifier
        from sklearn.multioutput import MultiOutputClassifier
        from sklearn.pipeline import Pipeline

        start = np.array([rate_log_odds(*pair) for pair in zip(train.acquisitions(), train.chances(), strict=True)])
        some, weights = self._some(train)
        labels = some.labels
        learned = np.flatnonzero(labels.any(axis=0) & ~labels.all(axis=0))
        if not len(learned):
            raise ConfigError("no product is taken in the training months: give more of them.")
        model = MultiOutputClassifier(CatBoostClassifier(**catboost_settings(self, threads=self.threads)))
        pipeline = Pipeline([("preprocessing", steps()), ("model", model)])
        wanted = labels[:, learned].astype(np.int64)
        pipeline.fit(snapshot_matrix(some.inputs), wanted, model__sample_weight=weights)
        forests = [exported(one) for one in pipeline["model"].estimators_]
        fitted = FittedMultiOutput(
            pipeline=pipeline,
            learned=learned,
            preprocessing=Preprocessing.of(pipeline["preprocessing"]),
            trees=joined([trees for trees, _ in forests]),
            cbm={product: cbm for product, (_, cbm) in zip(learned.tolist(), forests, strict=True)},
            start=start,
            calibration=ProductCalibration.identity(),
        )
        if valid is None:
            return fitted
        log_odds = by_block(fitted.log_odds, valid, threads=self.threads)
        found = ProductCalibration.fit(log_odds, valid.labels, valid.open)
        return replace(fitted, calibration=found)

    def _some(self, train: PropensityRows) -> tuple[PropensityRows, npt.NDArray[np.float64]]:
        """The rows to learn from, and how many of `train` each stands for, (rows,)."""
        if self.rows_at_most is None or len(train) <= self.rows_at_most:
            return train, np.ones(len(train))
        rng, bought = np.random.default_rng(self.seed), train.taken > 0
        buyers, others = np.flatnonzero(bought), np.flatnonzero(~bought)
        many = min(len(buyers), max(self.rows_at_most // 2, self.rows_at_most - len(others)))
        few = self.rows_at_most - many
        rows = np.concatenate([rng.choice(buyers, many, replace=False), rng.choice(others, few, replace=False)])
        rows.sort()
        stand_for = np.where(bought[rows], len(buyers) / max(many, 1), len(others) / max(few, 1))
        return train.take(rows), stand_for


@numba.njit(cache=True, nogil=True)
def _log_odds(trees, learned, prepared, out):  # type: ignore[no-untyped-def]  # compiled
    room = (min(_ROOM, len(prepared)) + 63) // 64 * 64
    leaf = np.empty((TOGETHER, room), np.uint8)
    columns, scores = np.zeros((prepared.shape[1], room), np.float32), np.empty(room)
    for begin in range(0, len(prepared), room):
        count = min(room, len(prepared) - begin)
        for f in range(len(columns)):
            for r in range(count):
                columns[f, r] = prepared[begin + r, f]
        for place in range(len(learned)):
            score_columns(trees, place, columns, count, leaf, scores)
            for r in range(count):
                out[begin + r, learned[place]] = scores[r]

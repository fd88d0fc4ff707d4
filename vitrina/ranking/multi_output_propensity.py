"""A classifier per product over a customer's snapshot, in one scikit-learn pipeline: no lags, no product features."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

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
from vitrina.ranking.propensity import Probabilities, without_owned
from vitrina.ranking.propensity_rows import PropensityRows
from vitrina.ranking.trees import TOGETHER, Trees, score_columns, trees_of

if TYPE_CHECKING:
    from sklearn.pipeline import Pipeline

_ROOM = 1_024


@dataclass(frozen=True, kw_only=True)
class FittedMultiOutput:
    """`pipeline` takes a snapshot (rows, 46) and gives scikit-learn's list of probabilities, of the products in
    `learned` (places). The rest serves without scikit-learn: `preprocessing`, `trees` and CatBoost's own bytes `cbm`
    by place; a product that is not learned has the log odds `start` float64 (24,). `calibration` comes on top."""

    pipeline: Pipeline
    learned: tuple[int, ...]
    preprocessing: Preprocessing
    trees: Mapping[int, Trees]
    cbm: Mapping[int, bytes]
    start: npt.NDArray[np.float64]
    calibration: ProductCalibration

    def probabilities(self, inputs: PanelInputs) -> Probabilities:
        """See `FittedPropensity`."""
        return without_owned(self.calibration.apply(self.log_odds(inputs)), inputs)

    def log_odds(self, inputs: PanelInputs) -> Probabilities:
        """float64 (rows, 24) before calibration, of owned products too."""
        prepared = self.preprocessing.apply(snapshot_matrix(inputs))
        columns = np.ascontiguousarray(prepared.T, np.float32)
        out = np.tile(self.start, (len(prepared), 1))
        for product, trees in self.trees.items():
            _score(trees, columns, out[:, product])
        return out

    def whole_pipeline(self, encoding: ProfileEncoding) -> Pipeline:
        """`pipeline` behind a step that takes rows as requests hold them (see `FrameSnapshot`)."""
        from sklearn.pipeline import Pipeline
        from sklearn.preprocessing import FunctionTransformer

        return Pipeline([("encode", FunctionTransformer(FrameSnapshot(encoding=encoding))), *self.pipeline.steps])


@dataclass(frozen=True, kw_only=True)
class MultiOutputPropensity:
    """Hyper-parameters are CatBoost's own; at most `rows_at_most` rows are learned from (None: all). Products without
    an acquisition, or with nothing else, are not learned."""

    iterations: int = 100
    learning_rate: float = 0.1
    depth: int = 6
    border_count: int = 64
    rows_at_most: int | None = None
    seed: int = 7
    threads: int = 1

    def fit(self, train: PropensityRows, valid: PropensityRows | None = None) -> FittedMultiOutput:
        """Learns from `train`; `valid` calibrates (None: nothing does). `ConfigError` without any acquisition."""
        from catboost import CatBoostClassifier
        from sklearn.multioutput import MultiOutputClassifier
        from sklearn.pipeline import Pipeline

        start = np.array(
            [rate_log_odds(*pair) for pair in zip(train.labels.sum(axis=0), train.open.sum(axis=0), strict=True)]
        )
        some = self._some(train)
        labels = some.labels
        learned = tuple(np.flatnonzero(labels.any(axis=0) & ~labels.all(axis=0)).tolist())
        if not learned:
            raise ConfigError("no product is taken in the training months: give more of them.")
        params: dict[str, Any] = {
            "iterations": self.iterations,
            "learning_rate": self.learning_rate,
            "depth": self.depth,
            "border_count": self.border_count,
            "random_seed": self.seed,
            "thread_count": self.threads,
            "allow_writing_files": False,
            "logging_level": "Silent",
        }
        model = MultiOutputClassifier(CatBoostClassifier(**params))
        pipeline = Pipeline([("preprocessing", steps()), ("model", model)])
        pipeline.fit(snapshot_matrix(some.inputs), labels[:, learned].astype(np.int64))
        trees, cbm = {}, {}
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "product.cbm"
            for product, one in zip(learned, pipeline["model"].estimators_, strict=True):
                trees[product] = trees_of(one, Path(folder))
                one.save_model(str(path))
                cbm[product] = path.read_bytes()
        fitted = FittedMultiOutput(
            pipeline=pipeline,
            learned=learned,
            preprocessing=Preprocessing.of(pipeline["preprocessing"]),
            trees=trees,
            cbm=cbm,
            start=start,
            calibration=ProductCalibration.identity(),
        )
        if valid is None:
            return fitted
        found = ProductCalibration.fit(fitted.log_odds(valid.inputs), valid.labels, valid.open)
        return replace(fitted, calibration=found)

    def _some(self, train: PropensityRows) -> PropensityRows:
        if self.rows_at_most is None or len(train.taken) <= self.rows_at_most:
            return train
        rng = np.random.default_rng(self.seed)
        rows = np.sort(rng.choice(len(train.taken), self.rows_at_most, replace=False))
        return PropensityRows(train.inputs.take(rows), train.taken[rows], train.judged[rows])


@numba.njit(cache=True, nogil=True)
def _score(trees, columns, out):  # type: ignore[no-untyped-def]  # compiled
    leaf = np.empty((TOGETHER, _ROOM), np.uint8)
    room, scores = np.zeros((len(columns), _ROOM), np.float32), np.empty(_ROOM)
    for begin in range(0, len(out), _ROOM):
        count = min(_ROOM, len(out) - begin)
        room[:, :count] = columns[:, begin : begin + count]
        score_columns(trees, 0, room, count, leaf, scores)
        out[begin : begin + count] = scores[:count]

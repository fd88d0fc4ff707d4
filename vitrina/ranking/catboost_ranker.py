"""The CatBoost ranker: a Logloss and a YetiRank model on the same rows; the better NDCG@10 on the validation groups
stays."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from vitrina.ranking.pair_features import FEATURES
from vitrina.ranking.sampling import Rows
from vitrina.ranking.trees import Trees, trees_of


@dataclass(frozen=True, kw_only=True)
class FittedRanker:
    """`trees` for serving and `cbm` (CatBoost's own bytes) for everybody else; `ndcg` of each loss on validation,
    `curve` of the chosen one (one value per iteration), `importance` by feature name, in percent."""

    trees: Trees
    cbm: bytes
    loss: str
    ndcg: Mapping[str, float]
    curve: npt.NDArray[np.float64]
    importance: Mapping[str, float]


@dataclass(frozen=True, kw_only=True)
class CatBoostRanker:
    """Hyper-parameters are CatBoost's own. The number of trees is fixed: a few hundred held-out users are too noisy to
    stop by, and stopping early costs most where the visit says most."""

    losses: tuple[str, ...] = ("Logloss", "YetiRank")
    iterations: int = 200
    learning_rate: float = 0.05
    depth: int = 6
    l2_leaf_reg: float = 10.0
    border_count: int = 128
    seed: int = 7

    def fit(
        self, train: Rows, valid: Rows, *, threads: int = 2, note: Callable[[str], None] = lambda _: None
    ) -> FittedRanker:
        """Rows with at least one positive per group. The chosen loss is the one with the best NDCG@10 over `valid`'s
        groups."""
        best: FittedRanker | None = None
        scores: dict[str, float] = {}
        for loss in self.losses:
            fitted = self._fit(loss, train, valid, threads)
            scores[loss] = fitted.ndcg[loss]
            note(f"{loss}: NDCG@10 {scores[loss]:.4f} on validation, {len(fitted.trees.split_start) - 1} trees")
            if best is None or scores[loss] > best.ndcg[best.loss]:
                best = fitted
        assert best is not None
        return FittedRanker(
            trees=best.trees, cbm=best.cbm, loss=best.loss, ndcg=scores, curve=best.curve, importance=best.importance
        )

    def _fit(self, loss: str, train: Rows, valid: Rows, threads: int) -> FittedRanker:
        from catboost import CatBoost, Pool

        params: dict[str, Any] = {
            "loss_function": loss,
            "iterations": self.iterations,
            "learning_rate": self.learning_rate,
            "depth": self.depth,
            "l2_leaf_reg": self.l2_leaf_reg,
            "border_count": self.border_count,
            "random_seed": self.seed,
            "thread_count": threads,
            "allow_writing_files": False,
            "logging_level": "Silent",
            "nan_mode": "Min",
            "eval_metric": "NDCG:top=10;type=Base;hints=skip_train~true",
            "use_best_model": False,
        }
        if loss == "YetiRank":
            params["bootstrap_type"] = "Bernoulli"
        names = list(FEATURES)
        pools = [Pool(rows.features, rows.label, group_id=rows.group, feature_names=names) for rows in (train, valid)]
        model = CatBoost(params)
        model.fit(pools[0], eval_set=pools[1])
        curve = next(iter(model.get_evals_result()["validation"].values()))
        importance = model.get_feature_importance(type="PredictionValuesChange")
        with tempfile.TemporaryDirectory() as folder:
            trees = trees_of(model, Path(folder))
            path = Path(folder) / "ranker.cbm"
            model.save_model(str(path))
            cbm = path.read_bytes()
        return FittedRanker(
            trees=trees,
            cbm=cbm,
            loss=loss,
            ndcg={loss: float(curve[-1])},
            curve=np.asarray(curve, np.float64),
            importance=dict(zip(names, map(float, importance), strict=True)),
        )

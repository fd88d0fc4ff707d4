"""The CatBoost ranker: losses race by NDCG@10 on validation groups, and the one that wins learns from all rows."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from vitrina.ranking.pair_features import FEATURES
from vitrina.ranking.sampling import Rows
from vitrina.ranking.trees import Trees, catboost_settings, exported

if TYPE_CHECKING:
    from catboost import CatBoost


@dataclass(frozen=True, kw_only=True)
class FittedRanker:
    """`trees` for serving and `cbm` (CatBoost's own bytes) for everybody else, learned from all rows; `importance` of
    the features in them, in percent. On the validation groups, by models that had not seen them: `race`, NDCG@10 of
    each loss at the end of the race (empty with one loss), and `curve`, that of the chosen one after each iteration."""

    trees: Trees
    cbm: bytes
    loss: str
    race: Mapping[str, float]
    curve: npt.NDArray[np.float64]
    importance: Mapping[str, float]

    @property
    def ndcg(self) -> float:
        """NDCG@10 of the chosen loss on the validation groups, all trees grown; NaN without a curve."""
        return float(self.curve[-1]) if len(self.curve) else float("nan")

    def as_json(self) -> dict[str, Any]:
        """How it was found, ready for JSON."""
        return {"loss": self.loss, "ndcg": self.ndcg, "race": dict(self.race), "importance": dict(self.importance)}


@dataclass(frozen=True, kw_only=True)
class CatBoostRanker:
    """Hyper-parameters are CatBoost's own. The number of trees is fixed: a few hundred held-out users are too noisy to
    stop by, and stopping early costs most where the visit says most. The losses race over fewer trees and rows, since
    YetiRank takes three times as long as Logloss.
    """

    losses: tuple[str, ...] = ("Logloss", "YetiRank")
    race_iterations: int = 60
    race_rows: int = 60_000
    iterations: int = 200
    learning_rate: float = 0.05
    depth: int = 6
    l2_leaf_reg: float = 10.0
    border_count: int = 128
    seed: int = 7

    def fit(
        self,
        train: Rows,
        valid: Rows,
        *,
        judged: bool = True,
        threads: int = 2,
        note: Callable[[str], None] = lambda _: None,
    ) -> FittedRanker:
        """Rows with at least one positive per group. The chosen loss is the one with the best NDCG@10 over `valid`'s
        groups; its trees are grown anew from `train` and `valid` together, because a shop has few positives.
        Without `judged` there is no learning curve, which saves nearly half of the time."""
        race = self._race(train, valid, threads) if len(self.losses) > 1 else {}
        for loss, ndcg in race.items():
            note(f"{loss}: NDCG@10 {ndcg:.4f} on validation after {min(self.race_iterations, self.iterations)} trees")
        loss = max(self.losses, key=lambda loss: race.get(loss, 0.0))
        curve = np.empty(0)
        if judged:
            curve = self.learning_curve(loss, train, valid, threads)
            note(f"{loss}: NDCG@10 {curve[-1]:.4f} on validation, {len(curve)} trees")
        model = self._fit(loss, Rows.join([train, valid]), None, threads)
        importance = model.get_feature_importance(type="PredictionValuesChange")
        trees, cbm = exported(model)
        return FittedRanker(
            trees=trees,
            cbm=cbm,
            loss=loss,
            race=race,
            curve=curve,
            importance=dict(zip(FEATURES, map(float, importance), strict=True)),
        )

    def _race(self, train: Rows, valid: Rows, threads: int) -> dict[str, float]:
        short = replace(self, iterations=min(self.race_iterations, self.iterations))
        some = train.at_most(self.race_rows, self.seed)
        return {loss: float(short.learning_curve(loss, some, valid, threads)[-1]) for loss in self.losses}

    def learning_curve(self, loss: str, train: Rows, valid: Rows, threads: int) -> npt.NDArray[np.float64]:
        """NDCG@10 over `valid`'s groups after each iteration on `train`, float64 (iterations,)."""
        model = self._fit(loss, train, valid, threads)
        return np.asarray(next(iter(model.get_evals_result()["validation"].values())), np.float64)

    def _fit(self, loss: str, train: Rows, valid: Rows | None, threads: int) -> CatBoost:
        from catboost import CatBoost, Pool

        params: dict[str, Any] = {
            "loss_function": loss,
            **catboost_settings(self, threads=threads),
            "l2_leaf_reg": self.l2_leaf_reg,
            "eval_metric": "NDCG:top=10;type=Base;hints=skip_train~true",
            "use_best_model": False,
        }
        if loss == "YetiRank":
            params["bootstrap_type"] = "Bernoulli"
        names = list(FEATURES)
        pools = [
            Pool(rows.features, rows.label, group_id=rows.group, feature_names=names)
            for rows in (train, valid)
            if rows is not None
        ]
        model = CatBoost(params)
        model.fit(pools[0], eval_set=pools[1:] or None)
        return model

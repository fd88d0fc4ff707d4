"""RecTools' two-stage model on windows of a log. Runs in an environment of its own: `python recommend.py FOLDER`.

FOLDER holds `events.npz` (user, item int32; kind int8; ts int64 ms), `settings.json`, and `requests.json`: a list of
{"start": ms, "new_only": bool, "users": "FILE.npy", "lists": "FILE.npy"}. For each request the model is fitted on
what lies before `start` and writes the lists of these users, int32 (users, 100) padded with -1.

`CandidateRankingModel` over item-kNN (BM25), ALS and the popular items of a week and a month, with
`CatBoostReranker`: RecTools' own pieces, used as its tutorial does. Given to it besides: targets are carts and
purchases only, and features of the pair, the item and the user, without which it knows nothing but scores and ranks
of its sources.
"""

from __future__ import annotations

import json
import os
import sys
import time
import warnings
from datetime import timedelta
from pathlib import Path
from typing import Any

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np
import pandas as pd
from catboost import CatBoostClassifier, CatBoostRanker
from implicit.als import AlternatingLeastSquares
from implicit.nearest_neighbours import BM25Recommender

# RecTools lives in the environment of this script alone, so the project's type checker does not find it.
from rectools import Columns  # type: ignore[import-not-found]
from rectools.dataset import Dataset  # type: ignore[import-not-found]
from rectools.model_selection import TimeRangeSplitter  # type: ignore[import-not-found]
from rectools.models import ImplicitALSWrapperModel, ImplicitItemKNNWrapperModel, PopularModel  # type: ignore[import-not-found]
from rectools.models.ranking import (  # type: ignore[import-not-found]
    CandidateFeatureCollector,
    CandidateGenerator,
    CandidateRankingModel,
    CatBoostReranker,
    PerUserNegativeSampler,
)

WEIGHTS = np.array([1.0, 3.0, 5.0])
DEPTH = 100
THREADS = 2


class CartSplitter(TimeRangeSplitter):
    """The last days as targets, but only carts and purchases, each pair once."""

    def filter(self, interactions: Any, *args: Any) -> Any:
        train, test, info = super().filter(interactions, *args)
        rows = interactions.df.iloc[test]
        wanted = (rows[Columns.Weight] > WEIGHTS[0]) & ~rows.duplicated(Columns.UserItem)
        wanted &= ~rows[rows[Columns.Weight] > WEIGHTS[0]].duplicated(Columns.UserItem).reindex(
            rows.index, fill_value=True
        )
        return train, test[wanted.to_numpy()], info


class Features(CandidateFeatureCollector):
    """What the log says about the pair, the item and the user up to the last event known."""

    def _log(self, dataset: Dataset) -> pd.DataFrame:
        log = dataset.get_raw_interactions()
        log["days"] = (log[Columns.Datetime].max() - log[Columns.Datetime]).dt.total_seconds() / 86_400
        log["cart"] = (log[Columns.Weight] > WEIGHTS[0]).astype(int)
        return log

    def _get_user_features(self, users: Any, dataset: Dataset, fold_info: Any) -> pd.DataFrame:
        by_user = self._log(dataset).groupby(Columns.User)
        return by_user.agg(
            user_events=("cart", "size"), user_carts=("cart", "sum"), user_idle=("days", "min")
        ).reset_index()

    def _get_item_features(self, items: Any, dataset: Dataset, fold_info: Any) -> pd.DataFrame:
        log = self._log(dataset)
        for days in (7, 30):
            log[f"item_events_{days}"] = (log["days"] < days).astype(int)
        by_item = log.groupby(Columns.Item)
        return by_item.agg(
            item_events=("cart", "size"),
            item_carts=("cart", "sum"),
            item_idle=("days", "min"),
            item_events_7=("item_events_7", "sum"),
            item_events_30=("item_events_30", "sum"),
        ).reset_index()

    def _get_user_item_features(self, useritem: pd.DataFrame, dataset: Dataset, fold_info: Any) -> pd.DataFrame:
        by_pair = self._log(dataset).groupby(Columns.UserItem)
        return by_pair.agg(
            pair_events=("cart", "size"), pair_carts=("cart", "sum"), pair_idle=("days", "min")
        ).reset_index()


def model_of(settings: dict[str, Any], new_only: bool) -> CandidateRankingModel:
    """The two-stage model; all randomness is seeded."""
    first_stage = [
        ImplicitItemKNNWrapperModel(
            BM25Recommender(K=settings["neighbours"], K1=settings["k1"], B=settings["b"], num_threads=THREADS)
        ),
        ImplicitALSWrapperModel(
            AlternatingLeastSquares(
                factors=settings["factors"],
                regularization=settings["regularization"],
                alpha=settings["alpha"],
                iterations=15,
                num_threads=THREADS,
                random_state=7,
            )
        ),
        PopularModel(period=timedelta(days=7)),
        PopularModel(period=timedelta(days=30)),
    ]
    generators = [
        CandidateGenerator(model, settings["candidates"], keep_ranks=True, keep_scores=True) for model in first_stage
    ]
    trees = {
        "iterations": settings["trees"],
        "learning_rate": 0.05,
        "depth": 6,
        "random_seed": 7,
        "thread_count": THREADS,
        "verbose": False,
        "allow_writing_files": False,
    }
    second_stage = (
        CatBoostClassifier(**trees)
        if settings["reranker"] == "classifier"
        else CatBoostRanker(loss_function="YetiRank", **trees)
    )
    return CandidateRankingModel(
        candidate_generators=generators,
        splitter=CartSplitter(f"{settings['target_days']}D", n_splits=1, filter_already_seen=new_only),
        sampler=PerUserNegativeSampler(n_negatives=settings["negatives"], random_state=7),
        reranker=CatBoostReranker(second_stage),
        feature_collector=Features(),
    )


def answer(events: pd.DataFrame, request: dict[str, Any], settings: dict[str, Any], folder: Path) -> None:
    """Fits before `start` and writes the lists of one request."""
    dataset = Dataset.construct(events[events[Columns.Datetime] < pd.to_datetime(request["start"], unit="ms")])
    model = model_of(settings, request["new_only"])
    model.fit(dataset)
    users = np.load(folder / request["users"])
    found = model.recommend(users, dataset, k=DEPTH, filter_viewed=request["new_only"])
    lists = np.full((len(users), DEPTH), -1, np.int32)
    row = pd.Series(np.arange(len(users)), index=users)
    lists[row[found[Columns.User]].to_numpy(), found[Columns.Rank].to_numpy() - 1] = found[Columns.Item].to_numpy()
    np.save(folder / request["lists"], lists)


def main(folder: Path) -> None:
    """Answers every request of the folder."""
    warnings.filterwarnings("ignore", category=FutureWarning)
    log = np.load(folder / "events.npz")
    events = pd.DataFrame(
        {
            Columns.User: log["user"],
            Columns.Item: log["item"],
            Columns.Weight: WEIGHTS[log["kind"]],
            Columns.Datetime: pd.to_datetime(log["ts"], unit="ms"),
        }
    )
    settings = json.loads((folder / "settings.json").read_text())
    for request in json.loads((folder / "requests.json").read_text()):
        begun = time.perf_counter()
        answer(events, request, settings, folder)
        print(f"RecTools {request['lists']}: {time.perf_counter() - begun:.0f} s", flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))

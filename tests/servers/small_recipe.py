"""A storefront recipe that trains quickly, for tests of what goes on around the training."""

from __future__ import annotations

import json

from vitrina.candidates.als import ALS
from vitrina.ranking.catboost_ranker import CatBoostRanker
from vitrina.recommend.sources import Sources
from vitrina.recommend.two_stage import TwoStage
from vitrina.storage.objects import Objects


def put_small_recipe(objects: Objects) -> None:
    """Where the steps look for a tuned one."""
    small = TwoStage(
        sources=Sources(als=ALS(factors=8, iterations=3)),
        ranker=CatBoostRanker(losses=("Logloss",), iterations=15, depth=3),
        groups=300,
    )
    objects.put_bytes("storefront/recipe.json", json.dumps(small.as_json()).encode())

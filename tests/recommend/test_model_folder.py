"""A recommender written to a folder and mapped again answers the same, and a foreign one is refused."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from vitrina.errors import ModelFormatError
from vitrina.events.ids import IdMap
from vitrina.recommend.model_folder import describe, pack
from vitrina.recommend.recommender import Recommender, Rules
from vitrina.registry.model_format import read_model, write_model

Build = Callable[[str], Recommender]


def stored(model: Recommender, ranker: str, folder: Path, **changed: Any) -> Recommender:
    write_model(folder, arrays=pack(model), files={}, meta=describe(model, ranker) | changed)
    return Recommender.load(read_model(folder))


@pytest.mark.parametrize("ranker", ["catboost", "fusion", "popular"])
def test_loading_changes_no_answer(ranker: str, shop: Any, recommender: Build, tmp_path: Path) -> None:
    model = recommender(ranker)
    loaded = stored(model, ranker, tmp_path / "model")
    assert (loaded.as_of, loaded.mode, loaded.taste) == (model.as_of, model.mode, model.taste)
    assert loaded.items == model.items
    histories = shop.histories.before(shop.test_cut)
    for user in range(0, 400, 10):
        for rules in (Rules(), Rules(new_only=True)):
            left, right = (
                each.recommend(histories.of(user), k=20, rules=rules, as_of=shop.test_cut) for each in (model, loaded)
            )
            np.testing.assert_array_equal(left.items, right.items)
            np.testing.assert_array_equal(left.scores, right.scores)
            np.testing.assert_array_equal(left.sources, right.sources)
    for one, other in zip(model.similar(3, 9), loaded.similar(3, 9), strict=True):
        np.testing.assert_array_equal(one, other)


def test_the_catalogue_comes_along(recommender: Build, tmp_path: Path) -> None:
    model = recommender("fusion")
    catalogue = stored(model, "fusion", tmp_path / "model").catalogue
    for name in ("category", "categories", "parent", "available", "titles"):
        np.testing.assert_array_equal(getattr(catalogue, name), getattr(model.catalogue, name))
    bare = replace(
        model, catalogue=replace(model.catalogue, titles=None), items=IdMap([f"sku-{row}" for row in range(80)])
    )
    loaded = stored(bare, "fusion", tmp_path / "bare")
    assert loaded.catalogue.titles is None
    assert loaded.items.index_of("sku-79") == bare.items.index_of("sku-79") >= 0


@pytest.mark.parametrize("name", ["features", "sources"])
def test_other_columns_are_refused(name: str, recommender: Build, tmp_path: Path) -> None:
    model = recommender("catboost")
    names = list(describe(model, "catboost")[name])
    for other in (names[::-1], names[:-1], [*names, "one_more"], []):
        with pytest.raises(ModelFormatError, match=name):
            stored(model, "catboost", tmp_path / "model", **{name: other})


def test_a_missing_array_is_named(recommender: Build, tmp_path: Path) -> None:
    model = recommender("catboost")
    arrays = pack(model)
    del arrays["trees_leaves"]
    write_model(tmp_path / "model", arrays=arrays, files={}, meta=describe(model, "catboost"))
    with pytest.raises(ModelFormatError, match="trees_leaves"):
        Recommender.load(read_model(tmp_path / "model"))


def test_an_unknown_ranker_is_refused(recommender: Build, tmp_path: Path) -> None:
    with pytest.raises(ModelFormatError, match="oracle"):
        stored(recommender("fusion"), "oracle", tmp_path / "model")

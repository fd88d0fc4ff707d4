"""`python -m app.warm`: compiles the kernels of an answer into numba's cache, so that a service need not.

A model of four items, and one of each kind that a bank or a basket may have, goes the way of every model: written,
read, mapped, warmed up. What it answers does not matter.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np

from vitrina.candidates.profile import Taste
from vitrina.candidates.retrieval import MATRICES, Tables
from vitrina.events.ids import IdMap
from vitrina.events.panels.columns import PRODUCTS
from vitrina.features.history import History
from vitrina.features.item_columns import ITEM_FEATURES
from vitrina.features.panel_context import YEAR, ProductContext
from vitrina.features.panel_marginals import PanelMarginals
from vitrina.features.panel_profile import ProfileEncoding
from vitrina.ranking.calibration import ProductCalibration
from vitrina.ranking.cart_calibration import SIZES, CartConfidence
from vitrina.ranking.cart_features import NOTHING_BOUGHT, PAIRS, PRODUCT, CartTables
from vitrina.ranking.multi_output_propensity import FittedMultiOutput
from vitrina.ranking.preprocessing import SNAPSHOT, PreparedColumn, Preprocessing
from vitrina.ranking.product_propensity import FittedProductPropensity
from vitrina.ranking.propensity import FittedPropensity
from vitrina.ranking.trees import NO_TREES
from vitrina.recommend import companions_model
from vitrina.recommend.companions_model import CompanionsModel
from vitrina.recommend.companions_pass import NO_LINKS
from vitrina.recommend.model_folder import describe, pack
from vitrina.recommend.propensity_model import Kind, packed
from vitrina.recommend.recommender import Catalogue, Recommender, Rules, mode_of
from vitrina.recommend.stored import Packed
from vitrina.registry.model_format import write_model
from vitrina.serving.companions_state import CompanionsMaker
from vitrina.serving.loading import load_model
from vitrina.serving.propensity_state import PropensityMaker
from vitrina.serving.state import build_state
from vitrina.serving.watcher import Maker

ITEMS = 4
FACTORS = 2
AS_OF = 1_700_000_000_000
MONTH = 2023 * 12


def main() -> None:
    """Compiles what answers of all scenarios need."""
    warm_recommender()
    warm_models(tiny_propensities(), PropensityMaker())
    warm_models(tiny_companions(), CompanionsMaker())


def warm_recommender() -> None:
    """Answers for a stranger, a visitor and a visitor under rules, over integer and over text ids."""
    for ids in (IdMap(np.arange(ITEMS)), IdMap(["a", "b", "c", "d"])):
        with tempfile.TemporaryDirectory() as scratch:
            folder = Path(scratch) / "model"
            tiny = _tiny(ids)
            write_model(folder, arrays=pack(tiny), files={}, meta={**describe(tiny, "catboost"), "user_kind": ids.kind})
            state = build_state(version="0", copy="0", model=load_model(folder), lists=None, now=AS_OF)
            seen = History(items=np.zeros(1, np.int32), kinds=np.zeros(1, np.int8), ts=np.full(1, AS_OF - 1))
            rules = Rules(exclude=np.ones(1, np.int32), allowed=state.allowed(None, True))
            state.recommender.recommend(seen, k=2, rules=rules, as_of=AS_OF)


def warm_models(models: Iterable[Packed], maker: Maker[Any]) -> None:
    """Loads each as a service does, whose `maker` asks it what requests ask."""
    for made in models:
        with tempfile.TemporaryDirectory() as scratch:
            folder = Path(scratch) / "model"
            write_model(folder, **made._asdict())
            maker.make(folder, version="0", copy="0", now=AS_OF, offline=True)


def tiny_propensities() -> Iterator[Packed]:
    """A model of each kind with kernels, without trees."""
    n = len(PRODUCTS)
    product = FittedProductPropensity(
        trees=NO_TREES,
        context=ProductContext(
            prior=np.zeros(n, np.float32),
            start=np.zeros(n, np.float32),
            owned=np.zeros((n, n), np.float32),
            season=np.zeros((YEAR, n), np.float32),
        ),
        calibration=ProductCalibration.identity(),
        cbm=b"",
        importance={},
    )
    multi_output = FittedMultiOutput(
        learned=np.zeros(1, np.int64),
        preprocessing=Preprocessing(columns=tuple(PreparedColumn(name=name, fill=0.0) for name in SNAPSHOT)),
        trees=NO_TREES,
        start=np.zeros(n),
        calibration=ProductCalibration.identity(),
        pipeline=cast(Any, None),  # training's alone
        cbm={},
    )
    models: tuple[tuple[FittedPropensity, Kind], ...] = ((product, "product"), (multi_output, "multi_output"))
    for fitted, kind in models:
        yield packed(
            fitted,
            kind=kind,
            encoding=ProfileEncoding(levels={}),
            thresholds=np.full(n, 0.5),
            as_of_month=MONTH,
            marginals=PanelMarginals(profile={}, owned=(0.5,) * n),
        )


def tiny_companions() -> Iterator[Packed]:
    """A model of each kind with kernels, without trees."""
    nothing = CartConfidence(scores=np.zeros((len(SIZES), 2)), shares=np.zeros((len(SIZES), 2)))
    ones = np.ones((ITEMS, ITEMS), np.float32)
    names = tuple("abcd")
    each = np.arange(ITEMS, dtype=np.int32)
    item_item = CompanionsModel(
        kind="item_item",
        as_of=AS_OF,
        codes=names,
        descriptions=names,
        popular=ones[0],
        confidence=dict.fromkeys(companions_model.CURVES, nothing),
        links=NO_LINKS._replace(dense=ones),
    )
    tables = CartTables(
        starts=np.arange(ITEMS + 1, dtype=np.int64),
        targets=each[::-1].copy(),
        values=np.ones((len(PAIRS), ITEMS), np.float32),
        dense=np.ones((ITEMS, ITEMS), np.int16),
        products=np.ones((len(PRODUCT), ITEMS), np.float32),
        numbers=np.arange(ITEMS),
        popular=each,
        bought=NOTHING_BOUGHT,
    )
    for model in (item_item, replace(item_item, kind="blend", tables=tables, trees=NO_TREES)):
        yield companions_model.packed(model)


def _tiny(ids: IdMap) -> Recommender:
    each = np.arange(ITEMS, dtype=np.int32)
    ones = np.ones(ITEMS, np.float32)
    category = np.zeros(ITEMS, np.int32)
    parent = np.full(1, -1, np.int32)
    tables = Tables(
        starts=np.arange(ITEMS, dtype=np.int64)[:, None] * len(MATRICES) + np.arange(len(MATRICES) + 1),
        neighbours=np.repeat(each[::-1], len(MATRICES)),
        weights=np.tile(ones, len(MATRICES)),
        factors=np.ones((ITEMS, FACTORS), np.float32),
        gram=np.eye(FACTORS, dtype=np.float32),
        popular=each,
        popularity=ones,
        category=category,
        parent=parent,
        shelf_indptr=np.array([0, ITEMS], np.int64),
        shelf_items=each,
        item_values=np.ones((ITEMS, len(ITEM_FEATURES)), np.float32),
    )
    catalogue = Catalogue(
        category=category, categories=np.zeros(1, np.int64), parent=parent, available=np.ones(ITEMS, np.bool_)
    )
    return Recommender(
        items=ids,
        catalogue=catalogue,
        tables=tables,
        taste=Taste(kind_weights=(1.0, 1.0, 1.0), half_life=14.0, position_power=0.5, alpha=2.0),
        trees=NO_TREES,
        mode=mode_of("catboost"),
        as_of=AS_OF,
    )


if __name__ == "__main__":
    main()

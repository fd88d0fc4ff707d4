"""Rows for the blend hold what serving computes, the trees are CatBoost's own, and without labels there are none."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from catboost import CatBoost

from vitrina.candidates.carts import Carts
from vitrina.candidates.ease import EASE
from vitrina.events.baskets.baskets import Baskets
from vitrina.events.baskets.cases import Cases, growing, hide_one
from vitrina.ranking.cart_features import CANDIDATES, FEATURES, ROOM, CartTables, cart_features, new_scratch
from vitrina.ranking.cart_ranker import CartRanker
from vitrina.ranking.cart_rows import CartRows
from vitrina.ranking.cart_tables import cart_tables
from vitrina.ranking.trees import NO_TREES, TOGETHER, score_columns


@pytest.fixture(scope="module")
def baskets(baskets_of: Callable[..., Baskets]) -> Baskets:
    """Products 2 i and 2 i + 1 go together; seven customers, and nobody."""
    random = np.random.default_rng(2)
    rows = []
    for _ in range(900):
        pairs = random.choice(30, 3, replace=False)
        rows.append([2 * int(pairs[0]), 2 * int(pairs[0]) + 1, 2 * int(pairs[1]), int(random.integers(60))])
    return baskets_of(rows, items=60, customer=[place % 8 - 1 for place in range(900)])


@pytest.fixture(scope="module")
def tables(baskets: Baskets) -> CartTables:
    fitted = EASE(ridge=5.0).fit(Carts.of(baskets.between(None, 600), threads=1, as_of=600))
    return cart_tables(baskets, 600, fitted)


@pytest.fixture(scope="module")
def cases(baskets: Baskets) -> Cases:
    return hide_one(baskets.between(600, None), 1)


def test_rows_for_training_are_what_serving_computes(tables: CartTables, cases: Cases) -> None:
    rows = CartRows.of(tables, cases)
    scratch, cand, because = new_scratch(60), np.empty(CANDIDATES, np.int32), np.empty(CANDIDATES, np.int32)
    seen = 0
    for case in range(len(cases)):
        cart = cases.visible.indices[cases.visible.indptr[case] : cases.visible.indptr[case + 1]].astype(np.int32)
        columns = np.zeros((len(FEATURES), ROOM), np.float32)
        count = cart_features(tables, scratch, cart, cart[:0], cases.customer[case], cand, because, columns)
        taken = cand[:count] == cases.hidden.indices[case]
        mine = rows.case == case
        if not taken.any():
            assert not mine.any()
            continue
        np.testing.assert_array_equal(rows.features[mine], columns[:, :count].T)
        np.testing.assert_array_equal(rows.taken[mine], taken)
        seen += 1
    assert seen > len(cases) / 2


def test_only_products_that_were_not_taken_are_thinned(tables: CartTables, cases: Cases) -> None:
    whole, thin = CartRows.of(tables, cases), CartRows.of(tables, cases, every=3)
    assert thin.taken.sum() == whole.taken.sum()
    assert (~thin.taken).sum() == pytest.approx((~whole.taken).sum() / 3, abs=1)
    assert len(CartRows.join([whole, thin])) == len(whole) + len(thin)


def test_many_products_of_one_cart_weigh_less_each(baskets: Baskets, tables: CartTables) -> None:
    rows = CartRows.of(tables, growing(baskets.between(600, None), 1, 2))
    assert (rows.weight[~rows.taken] == 1).all()
    for case in np.unique(rows.case):
        mine = rows.taken & (rows.case == case)
        assert mine.any() and rows.weight[mine] == pytest.approx(mine.sum() ** -0.5)
    assert rows.weight[rows.taken].min() < 0.8, "some carts lack several products"


def test_the_trees_score_as_catboosts_own_file(tables: CartTables, cases: Cases, tmp_path: Path) -> None:
    rows = CartRows.of(tables, cases)
    fitted = CartRanker(iterations=40).fit(rows, threads=1)
    assert fitted.cbm is not None and sum(fitted.importance.values()) == pytest.approx(100)
    (tmp_path / "companions.cbm").write_bytes(fitted.cbm)
    model = CatBoost().load_model(str(tmp_path / "companions.cbm"))
    for start in range(0, min(len(rows), 10 * ROOM), ROOM):
        part = rows.features[start : start + ROOM]
        columns = np.zeros((len(FEATURES), ROOM), np.float32)
        columns[:, : len(part)] = part.T
        out = np.empty(ROOM)
        score_columns(fitted.trees, 0, columns, len(part), np.zeros((TOGETHER, ROOM), np.uint8), out)
        np.testing.assert_allclose(out[: len(part)], model.predict(part, prediction_type="RawFormulaVal"), rtol=1e-12)


def test_nothing_is_learned_from_rows_of_one_label(tables: CartTables, cases: Cases) -> None:
    rows = CartRows.of(tables, cases)
    for taken in (np.ones(len(rows), np.bool_), np.zeros(len(rows), np.bool_), np.empty(0, np.bool_)):
        n = len(taken)
        some = CartRows(features=rows.features[:n], taken=taken, weight=rows.weight[:n], case=rows.case[:n])
        fitted = CartRanker().fit(some, threads=1)
        assert fitted.trees is NO_TREES and fitted.cbm is None

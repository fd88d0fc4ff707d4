"""Carts, and what every source of companions has in common: planted companions are found, the same way each time."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp

from vitrina.candidates.als import ALS
from vitrina.candidates.cart_popularity import PopularDays
from vitrina.candidates.carts import Carts, ItemItem, nearest
from vitrina.candidates.co_occurrence import BM25, Lift
from vitrina.candidates.ease import EASE
from vitrina.candidates.item2vec import Item2Vec
from vitrina.candidates.item_knn import ItemKNN, RP3Beta
from vitrina.events.baskets.baskets import Baskets
from vitrina.events.schema import DAY_MS

BasketsOf = Callable[..., Baskets]
ITEMS, GROUPS = 30, 5
SOURCES = [
    Lift(measure="lift", shrink=2.0),
    Lift(measure="confidence", cart_discount=0.5),
    Lift(measure="cosine", half_life=30.0),
    BM25(),
    ItemKNN(),
    RP3Beta(),
    EASE(ridge=5.0),
    EASE(ridge=5.0, half_life=30.0),
    ALS(factors=5, regularization=1.0, iterations=20),
    Item2Vec(factors=16, epochs=30),
    Item2Vec(factors=16, epochs=30, likeness="cosine", sharpness=10.0),
]


@pytest.fixture(scope="module")
def carts(baskets_of: BasketsOf) -> Carts:
    """Items 4g .. 4g + 3, g < 5, go together: a cart has most of one group; any are taken by chance."""
    rng = np.random.default_rng(8)
    rows = []
    for _ in range(1200):
        group = 4 * int(rng.integers(GROUPS))
        chosen = np.flatnonzero(rng.random(ITEMS) < 0.05)
        rows.append([*np.arange(group, group + 4)[rng.random(4) < 0.7], *chosen])
    return Carts.of(baskets_of(rows, items=ITEMS), threads=1)


@pytest.mark.parametrize("source", SOURCES, ids=repr)
def test_planted_companions_are_found(carts: Carts, source: Any) -> None:
    asked = sp.csr_array(np.eye(ITEMS, dtype=np.float32)[: 4 * GROUPS])
    scores = source.fit(carts).scores(asked)
    assert scores.shape == (4 * GROUPS, ITEMS)
    assert scores.dtype == np.float32
    scores[np.arange(4 * GROUPS), np.arange(4 * GROUPS)] = -np.inf
    best = np.sort(np.argsort(-scores, axis=1)[:, :3], axis=1)
    together = [[other for other in range(i - i % 4, i - i % 4 + 4) if other != i] for i in range(4 * GROUPS)]
    np.testing.assert_array_equal(best, together)


@pytest.mark.parametrize("source", SOURCES, ids=repr)
def test_the_same_carts_make_the_same_source(carts: Carts, source: Any) -> None:
    np.testing.assert_array_equal(*(source.fit(carts).scores(carts.profiles[:20]) for _ in range(2)))


def test_carts_of_one_item_and_later_ones_are_left_out(baskets_of: BasketsOf) -> None:
    baskets = baskets_of([[0, 1], [2], [1, 2], [0, 2]], ts=[0, DAY_MS, 2 * DAY_MS, 3 * DAY_MS])
    carts = Carts.of(baskets, threads=1)
    assert carts.profiles.toarray().tolist() == [[1, 1, 0], [0, 1, 1], [1, 0, 1]]
    np.testing.assert_allclose(carts.age_days, [3, 1, 0], atol=1e-6)
    early = Carts.of(baskets, threads=1, as_of=2 * DAY_MS, least=1)
    assert early.profiles.toarray().tolist() == [[1, 1, 0], [0, 0, 1]]
    assert early.as_of == 2 * DAY_MS
    assert early.items == 3


@pytest.mark.parametrize("form", ["counts", "whole numbers", "coo", "csc", "matrix", "dense", "twice", "zeros"])
@pytest.mark.parametrize("source", [Lift(), BM25(), ItemKNN(), EASE(), PopularDays()], ids=repr)
def test_counts_are_what_ones_are(form: str, source: Any, rng: np.random.Generator) -> None:
    ones = (rng.random((60, 8)) < 0.4).astype(np.float32)
    counts = sp.csr_array(ones * rng.integers(1, 6, ones.shape))
    row, column = ones.nonzero()
    every = np.indices(ones.shape).reshape(2, -1)
    given: dict[str, Any] = {
        "counts": counts.astype(np.float32),
        "whole numbers": counts.astype(np.int64),
        "coo": sp.coo_array(counts),
        "csc": sp.csc_array(counts),
        "matrix": sp.csr_matrix(counts),
        "dense": counts.toarray(),
        "twice": sp.coo_array((np.ones(2 * len(row)), (np.tile(row, 2), np.tile(column, 2))), shape=ones.shape),
        "zeros": sp.csr_array((ones.ravel(), tuple(every)), shape=ones.shape),
    }
    made, exact = (
        Carts(profiles=profiles, ts=np.arange(60) * DAY_MS, as_of=60 * DAY_MS, threads=1)
        for profiles in (given[form], sp.csr_array(ones))
    )
    np.testing.assert_array_equal(made.profiles.toarray(), ones)
    assert (type(made.profiles), made.profiles.dtype) == (sp.csr_array, np.float32)
    np.testing.assert_array_equal(*(source.fit(carts).scores(exact.profiles[:5]) for carts in (made, exact)))


def test_carts_of_ones_are_not_copied(carts: Carts) -> None:
    again = Carts(profiles=carts.profiles, ts=carts.ts, as_of=carts.as_of, threads=1)
    assert np.shares_memory(again.profiles.data, carts.profiles.data) and again.ts is carts.ts


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"ts": np.array([5, 10, 11])}, "cart 1 (ts 10) is not before as_of 10; 2 are not"),
        ({"ts": np.array([5, 6])}, "ts of (2,) int64 for 3 carts"),
        ({"ts": np.array([5.0, 6.0, 7.0])}, "ts of (3,) float64 for 3 carts"),
        ({"profiles": np.array([[1, -1], [1, 1], [1, 1]])}, "a count is below 0"),
        ({"profiles": np.array([[1, np.nan], [1, 1], [1, 1]])}, "no number"),
        ({"profiles": np.ones(3)}, "not (carts, items)"),
        ({"threads": 0}, "threads 0: one is the least"),
    ],
)
def test_carts_that_are_none_say_why(given: dict[str, Any], words: str) -> None:
    whole = {"profiles": sp.csr_array(np.ones((3, 2))), "ts": np.array([5, 6, 7]), "as_of": 10, "threads": 1}
    with pytest.raises(ValueError, match=re.escape(words)):
        Carts(**{**whole, **given})


def test_popular_counts_the_carts_of_its_days(baskets_of: BasketsOf) -> None:
    baskets = baskets_of([[0, 1], [0, 2], [1, 2], [2, 3]], items=5, ts=[0, 39 * DAY_MS, 60 * DAY_MS, 69 * DAY_MS])
    carts = Carts.of(baskets, threads=1, as_of=70 * DAY_MS)
    scores = PopularDays(days=30).fit(carts).scores(carts.profiles)
    np.testing.assert_array_equal(scores, [[0, 1, 2, 1, 0]] * 4)
    np.testing.assert_array_equal(PopularDays(days=40).fit(carts).score, [1, 1, 3, 1, 0])


def test_the_nearest_of_a_matrix_are_its_largest(rng: np.random.Generator) -> None:
    matrix = rng.normal(size=(12, 12)).astype(np.float32)
    kept = nearest(ItemItem(matrix=matrix), keep=4)
    np.fill_diagonal(matrix, -np.inf)
    for item in range(12):
        expected = np.argsort(-matrix[item])[:4]
        expected = expected[matrix[item, expected] > 0]
        np.testing.assert_array_equal(kept.of(item)[0], expected)


def test_als_scores_are_products_with_the_folded_factor(carts: Carts) -> None:
    fitted = ALS(factors=4, iterations=3).fit(carts)
    asked = carts.profiles[:7]
    scores = fitted.scores(asked)
    for row, line in enumerate(asked.toarray()):
        items = np.flatnonzero(line).astype(np.int32)
        factor = fitted.fold_in(items, np.ones(len(items), np.float32))
        np.testing.assert_allclose(scores[row], fitted.factors @ factor, rtol=1e-4, atol=1e-6)


def test_scores_of_neighbours_are_sums_over_the_cart(carts: Carts) -> None:
    fitted = ItemKNN(keep=6).fit(carts)
    asked = carts.profiles[:7]
    expected = np.zeros(asked.shape)
    for row, line in enumerate(asked.toarray()):
        for item in np.flatnonzero(line):
            companions, weights = fitted.of(int(item))
            expected[row, companions] += weights
    np.testing.assert_allclose(fitted.scores(asked), expected, rtol=1e-5)

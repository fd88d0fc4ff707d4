"""Item2vec: what its likeness is, whom it draws as negatives, and that it learns what stands in one cart."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import scipy.sparse as sp

from vitrina.candidates import co_occurrence, item2vec
from vitrina.candidates.carts import Carts, ItemItem
from vitrina.candidates.item2vec import Item2Vec, _alias, _below
from vitrina.candidates.neighbours import Neighbours
from vitrina.events.baskets.baskets import Baskets

BasketsOf = Callable[..., Baskets]


def whole(source: Item2Vec, carts: Carts) -> ItemItem:
    found = source.fit(carts)
    assert isinstance(found, ItemItem)
    return found


def test_softmax_is_the_share_of_each_context() -> None:
    own, context = np.random.default_rng(1).normal(size=(2, 5, 3)).astype(np.float32)
    found = Item2Vec(sharpness=1.5).matrix(own, context, np.array([3, 1, 0, 2, 9]))
    for item in range(5):
        parts = [0.0 if j == 2 else np.exp(1.5 * float(own[item] @ context[j])) for j in range(5)]
        expected = [0.0 if j == item or item == 2 else part / sum(parts) for j, part in enumerate(parts)]
        np.testing.assert_allclose(found[item], expected, rtol=1e-5)


def test_cosine_is_sharpened_by_the_exponential() -> None:
    own = np.random.default_rng(1).normal(size=(4, 3)).astype(np.float32)
    found = Item2Vec(likeness="cosine", sharpness=7.0).matrix(own, own, np.array([1, 1, 1, 0]))
    for one in range(4):
        for other in range(4):
            cosine = own[one] @ own[other] / np.linalg.norm(own[one]) / np.linalg.norm(own[other])
            expected = 0.0 if one == other or 3 in (one, other) else np.exp(7.0 * (float(cosine) - 1.0))
            assert found[one, other] == pytest.approx(expected, rel=1e-5)


def test_negatives_are_drawn_by_their_chance() -> None:
    chance = np.array([5.0, 0.0, 1.0, 2.0, 8.0])
    share, other = _alias(chance)
    exact = share / 5
    np.add.at(exact, other, (1 - share) / 5)
    np.testing.assert_allclose(exact, chance / 16, atol=1e-12)


def test_whole_numbers_are_drawn_evenly() -> None:
    state = np.array([12345], np.uint64)
    drawn = np.bincount([_below(state, 6) for _ in range(12_000)], minlength=6)
    np.testing.assert_allclose(drawn / 12_000, 1 / 6, atol=0.02)


def test_the_whole_cart_is_the_window(baskets_of: BasketsOf) -> None:
    """The first and the last of thirty items are as near as neighbours: two shops that share nothing stay apart."""
    rows = [list(range(30)), list(range(30, 60))] * 20
    own, context = Item2Vec(factors=8, contexts=3).vectors(Carts.of(baskets_of(rows), threads=1))
    product = own @ context.T
    np.fill_diagonal(product, np.nan)
    within = np.nanmin(np.stack([product[:30, :30], product[30:, 30:]]))
    assert within > max(product[:30, 30:].max(), product[30:, :30].max())


def test_a_seed_is_a_model_and_no_cart_is_none(baskets_of: BasketsOf) -> None:
    carts = Carts.of(baskets_of([[0, 1, 2], [1, 2], [0, 2]] * 5, items=5), threads=1)
    first, again, other = (whole(Item2Vec(factors=4, seed=seed), carts).matrix for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()
    assert not first[3:].any()
    assert not first[:, 3:].any()
    nothing = whole(Item2Vec(), Carts.of(baskets_of([[0], [1]], items=3), threads=1)).matrix
    np.testing.assert_array_equal(nothing, np.zeros((3, 3)))


@pytest.mark.parametrize("likeness", ["softmax", "cosine"])
def test_of_a_large_catalogue_the_best_companions_stay(
    likeness: item2vec.Likeness, baskets_of: BasketsOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By blocks and without a matrix of all items: the same numbers, the best of each row alone."""
    rows = [[n % 7, (3 * n) % 11, n % 13] for n in range(80)]
    carts = Carts.of(baskets_of(rows, items=15), threads=1)
    source = Item2Vec(factors=6, likeness=likeness)
    matrix = whole(source, carts).matrix
    monkeypatch.setattr(co_occurrence, "MOST_DENSE", 14)
    monkeypatch.setattr(item2vec, "ROWS", 4)
    monkeypatch.setattr(Item2Vec, "matrix", None)
    every, few = source.fit(carts), Item2Vec(factors=6, likeness=likeness, keep=3).fit(carts)
    assert isinstance(every, Neighbours) and isinstance(few, Neighbours)
    np.testing.assert_allclose(every.scores(sp.eye_array(15, dtype=np.float32, format="csr")), matrix, rtol=1e-5)
    for item in range(15):
        best = np.lexsort((np.arange(15), -matrix[item]))[: min(3, int((matrix[item] > 0).sum()))]
        np.testing.assert_array_equal(few.of(item)[0], best)

"""ALS: the compiled fold-in solves its equation, agrees with implicit's own, and factors see the checkerboard."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from scipy.sparse import csr_matrix

from vitrina.candidates.als import ALS, ItemFactors, factor_neighbours
from vitrina.candidates.fold_in import solve_user
from vitrina.events.schema import VIEW
from vitrina.features.past import Past

AS_OF = 1_440_000_000_000
USERS, ITEMS = 40, 22


def exact(
    fitted: ItemFactors, items: npt.NDArray[np.int32], weights: npt.NDArray[np.float32]
) -> npt.NDArray[np.float64]:
    """Hu, Koren and Volinsky's normal equations by a direct solver."""
    Y = fitted.factors.astype(np.float64)[items]
    left = fitted.gram.astype(np.float64) + (Y.T * (fitted.alpha * weights)) @ Y
    return np.linalg.solve(left, Y.T @ (1 + fitted.alpha * weights)).astype(np.float64)


@pytest.mark.parametrize("f", [1, 8, 64])
@pytest.mark.parametrize("count", [1, 5, 48])
def test_fold_in_solves_the_normal_equations(f: int, count: int, rng: np.random.Generator) -> None:
    factors = (rng.standard_normal((400, f)) * 0.3).astype(np.float32)
    gram = (factors.T @ factors + 0.5 * np.eye(f)).astype(np.float32)
    fitted = ItemFactors(factors=factors, gram=gram, alpha=2.0)
    for _ in range(5):
        items = rng.choice(400, count, replace=False).astype(np.int32)
        weights = rng.random(count).astype(np.float32) * 5
        expected = exact(fitted, items, weights)
        error = np.linalg.norm(fitted.fold_in(items, weights) - expected) / np.linalg.norm(expected)
        assert error < 1e-4


def test_fold_in_of_nothing_is_nothing() -> None:
    factors = np.zeros((5, 4), np.float32)
    out = np.full(4, 7.0, np.float32)
    solve_user(factors, np.eye(4, dtype=np.float32), 2.0, np.array([1], np.int32), np.ones(1, np.float32), 1, out)
    assert out.tolist() == [0, 0, 0, 0]
    out[:] = 7.0
    nobody, weightless = np.empty(0, np.int32), np.empty(0, np.float32)
    solve_user(np.ones((5, 4), np.float32), np.eye(4, dtype=np.float32), 2.0, nobody, weightless, 0, out)
    assert out.tolist() == [0, 0, 0, 0]


@pytest.fixture(scope="module")
def checkerboard(past_of: Callable[..., Past]) -> Past:
    """Even visitors touch eight of the ten even items, odd ones of the odd; 20 belongs to a visitor of one item."""
    rng = np.random.default_rng(3)
    rows = [
        (user, int(item), VIEW, AS_OF - 1)
        for user in range(USERS - 1)
        for item in 2 * rng.choice(10, 8, replace=False) + user % 2
    ]
    return past_of([*rows, (USERS - 1, 20, VIEW, AS_OF - 1)], users=USERS, items=ITEMS)


@pytest.fixture(scope="module")
def fitted(checkerboard: Past) -> ItemFactors:
    return ALS(factors=2, iterations=20).fit(checkerboard)


def test_factors_separate_the_two_colours(fitted: ItemFactors) -> None:
    seen = np.array([0, 2, 4], np.int32)
    scores = fitted.factors @ fitted.fold_in(seen, np.ones(3, np.float32))
    assert scores[0:20:2].min() > scores[1:20:2].max() + 0.3
    assert not fitted.factors[20:].any()


def test_fold_in_agrees_with_implicit(fitted: ItemFactors) -> None:
    from implicit.cpu.als import AlternatingLeastSquares

    items, weights = np.array([1, 3, 8, 11], np.int32), np.array([0.5, 2, 1, 4], np.float32)
    model = AlternatingLeastSquares(factors=2, regularization=0.5, alpha=1.0, num_threads=1)
    model.item_factors = fitted.factors
    liked = csr_matrix((1 + fitted.alpha * weights, (np.zeros(4, int), items)), shape=(1, ITEMS), dtype=np.float32)
    np.testing.assert_allclose(fitted.fold_in(items, weights), model.recalculate_user(0, liked).ravel(), atol=2e-4)


def test_neighbours_in_factor_space_have_the_same_colour(fitted: ItemFactors) -> None:
    popularity = np.ones(ITEMS, np.float32)
    found = factor_neighbours(fitted, popularity, keep=9)
    for item in range(20):
        assert sorted(found.of(item)[0].tolist()) == [other for other in range(item % 2, 20, 2) if other != item]
    assert found.rows == ITEMS
    assert len(found.of(20)[0]) == len(found.of(21)[0]) == 0


@pytest.mark.parametrize("block", [1, 7, 2048])
def test_neighbours_are_the_best_cosines_among_the_popular(block: int, rng: np.random.Generator) -> None:
    factors = rng.standard_normal((ITEMS, 6)).astype(np.float32)
    factors[20:] = 0
    found = factor_neighbours(
        ItemFactors(factors=factors, gram=np.eye(6, dtype=np.float32), alpha=1.0),
        np.arange(ITEMS, dtype=np.float32), keep=4, targets=12, block=block,
    )  # fmt: skip
    unit = factors[:20] / np.linalg.norm(factors[:20], axis=1, keepdims=True)
    for item in range(20):
        cosine = unit @ unit[item]
        cosine[item] = -1
        cosine[:8] = -1  # items 8 .. 19 are the twelve most popular that have a factor
        best = [other for other in np.argsort(-cosine)[:4].tolist() if cosine[other] > 0]
        items, weights = found.of(item)
        assert items.tolist() == best
        np.testing.assert_allclose(weights, cosine[best], rtol=1e-5)


def test_a_shop_where_nobody_touches_two_items_has_no_factors(past_of: Callable[..., Past]) -> None:
    past = past_of([(0, 0, VIEW, AS_OF - 1), (1, 1, VIEW, AS_OF - 1)], users=2, items=2)
    fitted = ALS(factors=4).fit(past)
    assert not fitted.factors.any()
    assert len(factor_neighbours(fitted, np.ones(2, np.float32)).items) == 0
    assert fitted.fold_in(np.array([0], np.int32), np.ones(1, np.float32)).tolist() == [0, 0, 0, 0]


@pytest.mark.parametrize("threads", [1, 3])
def test_the_fit_takes_the_threads_of_the_engine(
    threads: int, checkerboard: Past, monkeypatch: pytest.MonkeyPatch
) -> None:
    import implicit.cpu.als

    asked: list[int] = []

    class Watched(implicit.cpu.als.AlternatingLeastSquares):
        def __init__(self, **options: Any) -> None:
            asked.append(options["num_threads"])
            super().__init__(**options)

    monkeypatch.setattr(implicit.cpu.als, "AlternatingLeastSquares", Watched)
    monkeypatch.setattr(checkerboard.engine, "threads", threads)
    ALS(factors=2, iterations=1).fit(replace(checkerboard))
    assert asked == [threads]

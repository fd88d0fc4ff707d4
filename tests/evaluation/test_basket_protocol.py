"""The protocol of companions: what is hidden, and places, metrics and clusters of baskets made by hand."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt
import pytest
import scipy.sparse as sp

from vitrina.evaluation.basket_protocol import judge, judge_cases, judge_lists
from vitrina.events.baskets.baskets import Baskets
from vitrina.events.baskets.cases import Cases, growing, half, hide_one

BasketsOf = Callable[..., Baskets]


class Fixed:
    """The same scores for every cart."""

    def __init__(self, *scores: float) -> None:
        self.line = np.array(scores, np.float32)

    def scores(self, carts: sp.csr_array) -> npt.NDArray[np.float32]:
        return np.tile(self.line, (carts.shape[0], 1))


def cases_of(visible: Sequence[Sequence[int]], hidden: Sequence[Sequence[int]], items: int) -> Cases:
    def matrix(rows: Sequence[Sequence[int]]) -> sp.csr_array:
        dense = np.zeros((len(rows), items), np.float32)
        for row, chosen in enumerate(rows):
            dense[row, list(chosen)] = 1
        return sp.csr_array(dense)

    many = len(visible)
    return Cases(
        visible=matrix(visible),
        hidden=matrix(hidden),
        customer=np.full(many, -1, np.int32),
        ts=np.arange(many),
        basket=np.arange(many),
    )


@pytest.fixture(scope="module")
def baskets(baskets_of: BasketsOf) -> Baskets:
    rng = np.random.default_rng(3)
    rows = [rng.choice(40, size, replace=False) for size in rng.integers(1, 12, 300)]
    return baskets_of(rows, items=40, customer=[row % 7 - 1 for row in range(300)])


@pytest.mark.parametrize("draw", [hide_one, half, growing])
def test_what_is_seen_and_what_is_hidden_are_the_basket(
    baskets: Baskets, draw: Callable[[Baskets, int], Cases]
) -> None:
    cases = draw(baskets, 5)
    whole = baskets.matrix()
    assert list(cases.basket) == list(np.flatnonzero(baskets.sizes >= 2))
    np.testing.assert_array_equal((cases.visible + cases.hidden).toarray(), whole[cases.basket].toarray())
    np.testing.assert_array_equal(cases.customer, baskets.customer[cases.basket])
    np.testing.assert_array_equal(cases.ts, baskets.ts[cases.basket])
    assert np.diff(cases.visible.indptr).min() >= 1
    assert np.diff(cases.hidden.indptr).min() >= 1


def test_one_is_hidden_or_half_or_a_part_of_any_size(baskets: Baskets) -> None:
    sizes = baskets.sizes[baskets.sizes >= 2]
    assert set(np.diff(hide_one(baskets, 1).hidden.indptr)) == {1}
    np.testing.assert_array_equal(np.diff(half(baskets, 1).visible.indptr), sizes // 2)
    drawn = growing(baskets, 1, per_basket=40)
    assert Counter(drawn.basket) == dict.fromkeys(np.flatnonzero(baskets.sizes >= 2), 40)
    fives = np.diff(drawn.visible.indptr)[np.repeat(sizes == 5, 40)]
    shares = np.bincount(fives, minlength=5)[1:] / len(fives)
    np.testing.assert_allclose(shares, 0.25, atol=0.04)


def test_each_product_of_a_basket_is_hidden_equally_often(baskets_of: BasketsOf) -> None:
    cases = hide_one(baskets_of([[2, 4, 6, 9]] * 4000), 1)
    np.testing.assert_allclose(np.bincount(cases.hidden.indices)[[2, 4, 6, 9]] / 4000, 0.25, atol=0.03)


def test_a_seed_is_a_draw(baskets: Baskets) -> None:
    first, again, other = hide_one(baskets, 1), hide_one(baskets, 1), hide_one(baskets, 2)
    np.testing.assert_array_equal(first.hidden.indices, again.hidden.indices)
    assert (first.hidden.indices != other.hidden.indices).any()


def test_metrics_of_places_counted_by_hand() -> None:
    # scores fall with the item's number; the cart's own items 0 and 1 take no place
    scorer = Fixed(*range(30, 0, -1))
    cases = cases_of([[0, 1], [0], [5]], [[2], [6], [29]], items=30)  # places 1, 6, 29
    found = judge(cases, scorer).values
    np.testing.assert_array_equal(found["hr@5"], [1, 0, 0])
    np.testing.assert_array_equal(found["hr@10"], [1, 1, 0])
    np.testing.assert_array_equal(found["hr@20"], [1, 1, 0])
    np.testing.assert_allclose(found["mrr"], [1, 1 / 6, 1 / 29])
    np.testing.assert_allclose(found["ndcg@10"], [1, 1 / np.log2(7), 0])
    np.testing.assert_array_equal(found["recall@10"], [1, 1, 0])


def test_several_hidden_products_share_the_metrics() -> None:
    cases = cases_of([[0]], [[1, 3, 20]], items=30)  # places 1, 3, 20
    found = judge(cases, Fixed(*range(30, 0, -1))).values
    ideal = 1 + 1 / np.log2(3) + 1 / np.log2(4)
    np.testing.assert_allclose(found["ndcg@10"], (1 + 1 / np.log2(4)) / ideal)
    np.testing.assert_allclose(found["recall@10"], 2 / 3)
    np.testing.assert_allclose(found["mrr"], 1)


@pytest.mark.parametrize("nothing", [0.0, np.nan, -np.inf])
def test_who_cannot_tell_products_apart_gains_nothing(nothing: float) -> None:
    cases = cases_of([[3]], [[0]], items=25)
    found = judge(cases, Fixed(*[nothing] * 25)).values
    np.testing.assert_allclose(found["mrr"], 1 / 24)
    assert found["hr@20"] == [0]


def test_a_block_at_a_time_is_all_at_once(baskets: Baskets) -> None:
    matrix = np.random.default_rng(2).random((40, 40)).astype(np.float32)

    class Linear:
        def scores(self, carts: sp.csr_array) -> npt.NDArray[np.float32]:
            return np.asarray(carts @ matrix, np.float32)

    cases = half(baskets, 3)
    whole, parts = judge(cases, Linear(), 10_000), judge(cases, Linear(), 7)
    for name, column in whole.values.items():
        np.testing.assert_array_equal(column, parts.values[name])


def test_lists_give_the_same_as_scores_within_their_length(baskets: Baskets) -> None:
    line = np.random.default_rng(4).permutation(40).astype(np.float32)
    cases = half(baskets, 3)
    order = np.argsort(-line)
    seen = cases.visible.toarray() > 0
    lists = np.stack([order[~own[order]][:20] for own in seen])
    by_scores, by_lists = judge(cases, Fixed(*line)), judge_lists(cases, lists.astype(np.int32))
    for name in ("hr@5", "hr@10", "hr@20", "ndcg@10", "recall@10"):
        np.testing.assert_array_equal(by_scores.values[name], by_lists.values[name])
    nothing = judge_lists(cases, np.full((len(cases), 3), -1, np.int32))
    assert nothing.mean("mrr") == 0


def test_scores_of_another_shape_are_refused() -> None:
    with pytest.raises(ValueError, match="carts"):
        judge_cases(cases_of([[0]], [[1]], items=5), lambda part: np.zeros((len(part), 4), np.float32))


def test_no_basket_of_two_gives_no_rows(baskets_of: BasketsOf) -> None:
    cases = hide_one(baskets_of([[1], [2]], items=5), 1)
    assert len(judge(cases, Fixed(*range(5)))) == 0


def test_baskets_of_one_customer_are_drawn_together(baskets_of: BasketsOf) -> None:
    cases = hide_one(baskets_of([[0, 1], [0, 2], [1, 2], [0, 1, 2]], customer=[4, -1, 4, -1]), 1)
    assert cases.clusters[0] == cases.clusters[2]
    assert len(set(cases.clusters)) == 3


@pytest.mark.parametrize("idle", [0, 1, 2])
def test_a_case_that_hides_nothing_is_named(idle: int) -> None:
    hidden: list[list[int]] = [[1], [1, 2], [2]]
    hidden[idle] = []
    cases = cases_of([[0], [0], [0]], hidden, items=4)
    words = rf"case {idle} \(basket {idle}\) hides nothing"
    with pytest.raises(ValueError, match=words):
        judge(cases, Fixed(0, 3, 2, 1), block=2)
    with pytest.raises(ValueError, match=words):
        judge_lists(cases, np.array([[1, 2, -1]] * 3, np.int32))

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vitrina.evaluation.metrics import USER_METRICS, hit_matrix, list_metrics, user_metrics
from vitrina.evaluation.truth import Truth


def truth_of(*rows: set[int]) -> Truth:
    pairs = [(user, item) for user, items in enumerate(rows) for item in items]
    users, items = np.array(pairs, dtype=np.int32).T
    return Truth.from_pairs(users, items)


def lists(*rows: list[int]) -> np.ndarray:
    return np.array(rows, dtype=np.int32)


def slow(recs: list[int], relevant: set[int], k: int) -> dict[str, float]:
    """The definitions, written out for one list."""
    seen: set[int] = set()
    hits = []
    for item in recs[:k]:
        hits.append(item in relevant and item not in seen)
        seen.add(item)
    precision_at = [sum(hits[: place + 1]) / (place + 1) for place in range(k)]
    best = sum(1 / math.log2(place + 2) for place in range(min(k, len(relevant))))
    return {
        "precision": sum(hits) / k,
        "recall": sum(hits) / len(relevant),
        "map": sum(p for p, hit in zip(precision_at, hits, strict=True) if hit) / min(k, len(relevant)),
        "ndcg": sum(1 / math.log2(place + 2) for place, hit in enumerate(hits) if hit) / best,
        "hr": float(any(hits)),
        "mrr": 1 / (hits.index(True) + 1) if any(hits) else 0.0,
    }


def test_values_computed_by_hand() -> None:
    recs = lists([9, 1, 8, 2], [5, 6, 7, 8], [3, -1, -1, -1])
    truth = truth_of({1, 2, 3}, {4}, {3})
    got = user_metrics(recs, truth, (2, 4))
    dcg4 = 1 / math.log2(3) + 1 / math.log2(5)
    ideal4 = 1 + 1 / math.log2(3) + 1 / math.log2(4)
    expected: dict[str, list[float]] = {
        "precision@2": [1 / 2, 0, 1 / 2],
        "precision@4": [2 / 4, 0, 1 / 4],
        "recall@2": [1 / 3, 0, 1],
        "recall@4": [2 / 3, 0, 1],
        "map@2": [(1 / 2) / 2, 0, 1],
        "map@4": [(1 / 2 + 2 / 4) / 3, 0, 1],
        "ndcg@2": [(1 / math.log2(3)) / (1 + 1 / math.log2(3)), 0, 1],
        "ndcg@4": [dcg4 / ideal4, 0, 1],
        "hr@2": [1, 0, 1],
        "hr@4": [1, 0, 1],
        "mrr@2": [1 / 2, 0, 1],
        "mrr@4": [1 / 2, 0, 1],
    }
    assert got.keys() == expected.keys()
    for name, values in expected.items():
        np.testing.assert_allclose(got[name], values, rtol=1e-12, err_msg=name)


def test_a_repeated_item_counts_once_and_padding_never() -> None:
    truth = truth_of({1, 2})
    assert hit_matrix(lists([1, 1, 2, 1]), truth).tolist() == [[True, False, True, False]]
    assert hit_matrix(lists([-1, -1, 2, -1]), truth).tolist() == [[False, False, True, False]]
    assert user_metrics(lists([1, 1, 1, 1]), truth, (4,))["recall@4"].tolist() == [0.5]


def test_a_hit_belongs_to_its_own_row() -> None:
    assert not hit_matrix(lists([4], [1]), truth_of({1}, {4})).any()


rows = st.lists(
    st.tuples(st.lists(st.integers(-1, 12), min_size=6, max_size=6), st.sets(st.integers(0, 14), min_size=1)),
    min_size=1,
    max_size=5,
)


@given(rows, st.integers(1, 6))
def test_equal_to_the_slow_reference(cases: list[tuple[list[int], set[int]]], k: int) -> None:
    got = user_metrics(lists(*(r for r, _ in cases)), truth_of(*(t for _, t in cases)), (k,))
    for row, (recs, relevant) in enumerate(cases):
        cleaned = [item if item >= 0 else -100 - place for place, item in enumerate(recs)]
        for name, value in slow(cleaned, relevant, k).items():
            assert got[f"{name}@{k}"][row] == pytest.approx(value, abs=1e-12), name


@given(rows)
def test_bounds_and_growth_with_k(cases: list[tuple[list[int], set[int]]]) -> None:
    got = user_metrics(lists(*(r for r, _ in cases)), truth_of(*(t for _, t in cases)), range(1, 7))
    for values in got.values():
        assert values.min() >= 0
        assert values.max() <= 1 + 1e-12
    for name in ("recall", "hr", "mrr"):
        for k in range(1, 6):
            assert (got[f"{name}@{k}"] <= got[f"{name}@{k + 1}"]).all()


@given(rows, st.randoms())
def test_order_inside_k_matters_only_to_the_ordered_metrics(cases: list[tuple[list[int], set[int]]], random) -> None:  # type: ignore[no-untyped-def]
    truth = truth_of(*(t for _, t in cases))
    before = user_metrics(lists(*(r for r, _ in cases)), truth, (6,))
    after = user_metrics(lists(*(random.sample(r, 6) for r, _ in cases)), truth, (6,))
    for name in ("precision", "recall", "hr"):
        np.testing.assert_array_equal(before[f"{name}@6"], after[f"{name}@6"])


@given(st.sets(st.integers(0, 30), min_size=1, max_size=10), st.integers(1, 12))
def test_the_ideal_list_scores_one(relevant: set[int], k: int) -> None:
    ideal = [*sorted(relevant), *range(100, 112)][:12]
    got = user_metrics(lists(ideal), truth_of(relevant), (k,))
    for name in ("map", "ndcg", "hr", "mrr"):
        assert got[f"{name}@{k}"][0] == pytest.approx(1.0), name


def test_moving_a_hit_up_never_hurts() -> None:
    truth = truth_of({7})
    by_place = [
        user_metrics(lists([7 if place == hit else 50 + place for place in range(8)]), truth, (8,)) for hit in range(8)
    ]
    for name in ("map", "ndcg", "mrr"):
        values = [scores[f"{name}@8"][0] for scores in by_place]
        assert values == sorted(values, reverse=True)
        assert len(set(values)) == 8


def test_list_metrics_by_hand() -> None:
    counts = np.array([6, 1, 0, 1])  # 8 events, 4 items: p = 7/12, 2/12, 1/12, 2/12
    got = list_metrics(lists([0, 2], [0, -1]), counts, (1, 2))
    assert got["coverage@1"] == 1 / 4
    assert got["coverage@2"] == 2 / 4
    assert got["popularity@2"] == pytest.approx((6 + 0 + 6) / 3)
    assert got["novelty@1"] == pytest.approx(-math.log2(7 / 12))
    assert got["novelty@2"] == pytest.approx((-2 * math.log2(7 / 12) - math.log2(1 / 12)) / 3)


def test_lists_that_show_nothing() -> None:
    got = list_metrics(lists([-1, -1]), np.array([3, 4]), (2,))
    assert set(got.values()) == {0.0}
    assert list_metrics(np.empty((0, 2), dtype=np.int32), np.array([3, 4]), (2,))["coverage@2"] == 0.0


def test_impossible_questions_are_refused() -> None:
    truth = truth_of({1})
    for ks in ((), (0,), (3,)):
        with pytest.raises(ValueError, match="every k"):
            user_metrics(lists([1, 2]), truth, ks)
    with pytest.raises(ValueError, match="2 lists for 1"):
        user_metrics(lists([1], [2]), truth, (1,))
    with pytest.raises(ValueError, match="outside the catalogue"):
        list_metrics(lists([4]), np.array([1, 1]), (1,))


def test_no_rows_give_empty_columns() -> None:
    got = user_metrics(np.empty((0, 3), dtype=np.int32), Truth.from_pairs(*np.empty((2, 0), dtype=np.int32)), (3,))
    assert {name.split("@")[0] for name in got} == set(USER_METRICS)
    assert all(values.shape == (0,) for values in got.values())

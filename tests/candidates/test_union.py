"""The best of a source, the fused order and the best of a ranking agree with a plain sort, ties to the smaller."""

from __future__ import annotations

import numpy as np
import pytest

from vitrina.candidates.union import PER_SOURCE, UNRANKED, best_first, best_of, fused_order, unite


@pytest.mark.parametrize("count", [0, 1, 39, 40, 41, 600])
def test_the_best_of_a_source(count: int, rng: np.random.Generator) -> None:
    worth = np.zeros(1_000, np.float32)
    touched = rng.permutation(1_000)[:count].astype(np.int32)
    worth[touched] = rng.choice(np.array([-1.0, 0.0, 0.25, 0.5, 3e-39, 1e30], np.float32), count)
    expected = sorted((item for item in touched.tolist() if worth[item] > 0), key=lambda item: (-worth[item], item))
    best = np.zeros(PER_SOURCE, np.uint64)
    filled = best_of(touched, count, worth, worth.view(np.uint32), best)
    slot, united = np.full(1_000, -1, np.int32), np.empty(PER_SOURCE, np.int32)
    ranks, fusion = np.empty((PER_SOURCE, 2), np.float32), np.empty(PER_SOURCE, np.float32)
    size = unite(1, best, filled, 0, slot, united, ranks, fusion)
    assert united[:size].tolist() == expected[:PER_SOURCE]
    assert ranks[:size, 1].tolist() == list(range(size))
    assert (ranks[:size, 0] == UNRANKED).all()
    assert (worth == 0).all(), "the next source would meet this one's worth"


@pytest.mark.parametrize("count", [0, 1, 2, 400])
@pytest.mark.parametrize("largest", [1e-6, 0.02, 0.17, 5.0])
def test_the_fused_order(count: int, largest: float, rng: np.random.Generator) -> None:
    fusion = (rng.integers(1, 60, count) * (largest / 60)).astype(np.float32)
    order = np.full(count, -1, np.int32)
    fused_order(fusion, count, order)
    assert order.tolist() == np.argsort(-fusion, kind="stable").tolist()


@pytest.mark.parametrize("k", [1, 10, 120, 200])
def test_the_best_first(k: int, rng: np.random.Generator) -> None:
    worth = np.round(rng.standard_normal(120), 1)
    order = np.full(k, -1, np.int32)
    taken = best_first(worth, 120, order)
    assert taken == min(k, 120)
    assert order[:taken].tolist() == np.argsort(-worth, kind="stable")[:taken].tolist()

"""The best first, as a stable sort would have them."""

from __future__ import annotations

import numpy as np
import pytest

from vitrina.ranking.best_first import insert


@pytest.mark.parametrize("room", [0, 1, 3, 10, 40])
@pytest.mark.parametrize("levels", [2, 1000])
def test_as_a_stable_sort(room: int, levels: int) -> None:
    scores = np.random.default_rng(room).integers(0, levels, 30).astype(np.float32)
    keys, kept, found = np.full(room, -1, np.int32), np.full(room, np.nan, np.float32), 0
    for key, score in enumerate(scores):
        found = insert(keys, kept, found, key, score)
    order = np.argsort(-scores, kind="stable")[:room]
    assert found == len(order) == min(room, 30)
    np.testing.assert_array_equal(keys[:found], order)
    np.testing.assert_array_equal(kept[:found], scores[order])
    assert (keys[found:] == -1).all(), "what is beyond is left alone"

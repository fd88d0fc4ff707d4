"""Item-item matrices hold the best entries of the dense product, in a fixed order."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
import scipy.sparse as sp
from hypothesis import given
from hypothesis import strategies as st

from vitrina.candidates.neighbours import Neighbours, best_products


def best_of(row: npt.NDArray[np.float32], keep: int, barred: set[int]) -> list[tuple[int, float]]:
    """The `keep` largest positive entries, ties to the smaller column: by sorting the dense row."""
    open_entries = [(-value, column) for column, value in enumerate(row) if value > 0 and column not in barred]
    return [(column, -value) for value, column in sorted(open_entries)[:keep]]


def row_of(found: Neighbours, row: int) -> list[tuple[int, float]]:
    items, weights = found.of(row)
    return list(zip(items.tolist(), weights.tolist(), strict=True))


def test_pairs_in_any_order_become_rows_best_first() -> None:
    found = Neighbours.from_pairs(
        np.array([2, 0, 0, 0], np.int32), np.array([1, 3, 2, 1], np.int32), np.array([1, 5, 7, 5], np.float32), items=4
    )
    assert found.rows == 4
    assert [row_of(found, row) for row in range(4)] == [[(2, 7), (1, 5), (3, 5)], [], [(1, 1)], []]


# small whole numbers: float32 sums are exact, and ties are many
matrices = st.integers(0, 10_000).map(
    lambda seed: np.random.default_rng(seed).integers(-1, 4, (9, 7)).astype(np.float32)
)


@given(left=matrices, keep=st.integers(1, 10), rows_at_once=st.integers(1, 9))
def test_the_best_of_a_product_equal_those_of_the_dense_one(
    left: npt.NDArray[np.float32], keep: int, rows_at_once: int
) -> None:
    found = best_products(sp.csr_array(left), sp.csr_array(left.T), keep=keep, rows_at_once=rows_at_once)
    dense = left @ left.T
    for row in range(9):
        assert row_of(found, row) == best_of(dense[row], keep, {row})


@given(left=matrices, keep=st.integers(1, 10), rows_at_once=st.integers(1, 9), seed=st.integers(0, 99))
def test_stored_entries_are_left_out(left: npt.NDArray[np.float32], keep: int, rows_at_once: int, seed: int) -> None:
    right = left.T[:, :5]
    without = np.random.default_rng(seed).random((9, 5)) < 0.4
    found = best_products(
        sp.csr_array(left), sp.csr_array(right), keep=keep, without=sp.csr_array(without), rows_at_once=rows_at_once
    )
    dense = left @ right
    for row in range(9):
        assert row_of(found, row) == best_of(dense[row], keep, set(np.flatnonzero(without[row])))


@pytest.mark.parametrize("rows", [0, 3])
def test_nothing_times_nothing_has_no_neighbours(rows: int) -> None:
    found = best_products(sp.csr_array((rows, 4), dtype=np.float32), sp.csr_array((4, rows), dtype=np.float32), keep=2)
    assert found.indptr.tolist() == [0] * (rows + 1)
    assert len(found.items) == len(found.weights) == 0

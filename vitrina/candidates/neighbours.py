"""Item-item matrices: for each item its best neighbours, best first. The common currency of most candidate sources."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numba
import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:  # the service has no scipy
    import scipy.sparse as sp


@dataclass(frozen=True, kw_only=True)
class Neighbours:
    """CSR over items: row i holds `items[indptr[i]:indptr[i + 1]]` int32 with `weights` float32, descending."""

    indptr: npt.NDArray[np.int64]
    items: npt.NDArray[np.int32]
    weights: npt.NDArray[np.float32]

    @classmethod
    def from_pairs(
        cls,
        source: npt.NDArray[np.int32],
        target: npt.NDArray[np.int32],
        weight: npt.NDArray[np.float32],
        *,
        items: int,
    ) -> Neighbours:
        """From triplets in any order; a tie goes to the smaller target."""
        order = np.lexsort((target, -weight, source))
        indptr = np.zeros(items + 1, np.int64)
        np.cumsum(np.bincount(source, minlength=items), out=indptr[1:])
        return cls(indptr=indptr, items=target[order].astype(np.int32), weights=weight[order].astype(np.float32))

    @property
    def rows(self) -> int:
        return len(self.indptr) - 1

    def of(self, item: int) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.float32]]:
        """Neighbours of one item and their weights, best first."""
        span = slice(self.indptr[item], self.indptr[item + 1])
        return self.items[span], self.weights[span]

    def scores(self, query: sp.csr_array) -> npt.NDArray[np.float32]:
        """float32 (rows, items): each item's weight summed over the query's rows, times theirs."""
        import scipy.sparse as sp

        matrix = sp.csr_array((self.weights, self.items, self.indptr), shape=(self.rows, query.shape[1]))
        return np.asarray((query @ matrix).toarray(), np.float32)


def products(left: sp.csr_array, right: sp.csr_array, rows_at_once: int = 4096) -> Iterator[tuple[int, sp.csr_array]]:
    """left (rows, n) @ right (n, items) in blocks of rows, each with the number of its first row."""
    for start in range(0, left.shape[0], rows_at_once):
        yield start, (left[start : start + rows_at_once] @ right).tocsr()


def best_products(
    left: sp.csr_array,
    right: sp.csr_array,
    *,
    keep: int,
    without: sp.csr_array | None = None,
    rows_at_once: int = 4096,
) -> Neighbours:
    """The `keep` largest entries of each row of left @ right, without holding the product.

    left (rows, n), right (n, items), both float32; only positive entries are kept. `without` (rows, items): entries
    that it stores are left out; None leaves out the diagonal.
    """
    return best_of_blocks(products(left, right, rows_at_once), keep=keep, without=without)


def best_of_blocks(
    blocks: Iterable[tuple[int, sp.csr_array]], *, keep: int, without: sp.csr_array | None = None
) -> Neighbours:
    """The same of blocks (number of the first row, csr (rows of the block, items)) that follow each other."""
    lengths, targets, weights = [np.zeros(1, np.int64)], [np.empty(0, np.int32)], [np.empty(0, np.float32)]
    for start, block in blocks:
        size, width = block.shape
        if without is None:
            barred_indptr = np.arange(size + 1, dtype=np.int64)
            barred = np.arange(start, start + size, dtype=np.int32)
        else:
            part = without[start : start + size]
            barred_indptr, barred = part.indptr.astype(np.int64), part.indices.astype(np.int32)
        found, block_items, block_weights = _best_of_rows(
            block.indptr, block.indices, block.data, barred_indptr, barred, width, keep
        )
        lengths.append(found)
        targets.append(block_items)
        weights.append(block_weights)
    return Neighbours(
        indptr=np.cumsum(np.concatenate(lengths)), items=np.concatenate(targets), weights=np.concatenate(weights)
    )


@numba.njit(cache=True)
def _best_of_rows(indptr, columns, data, barred_indptr, barred, width, keep):  # type: ignore[no-untyped-def]  # compiled
    """Per row: the `keep` largest positive entries that are not barred, descending, ties to the smaller column."""
    rows = len(indptr) - 1
    lengths = np.zeros(rows, np.int64)
    out_items = np.empty(min(len(columns), rows * keep), np.int32)
    out_weights = np.empty(min(len(columns), rows * keep), np.float32)
    closed = np.zeros(width, np.bool_)
    filled = 0
    for row in range(rows):
        begin = filled
        for p in range(barred_indptr[row], barred_indptr[row + 1]):
            closed[barred[p]] = True
        for p in range(indptr[row], indptr[row + 1]):
            column, value = columns[p], data[p]
            if value <= 0.0 or closed[column]:
                continue
            if filled - begin == keep:
                worst = out_weights[filled - 1]
                if value < worst or (value == worst and column > out_items[filled - 1]):
                    continue
                spot = filled - 1
            else:
                spot = filled
                filled += 1
            while spot > begin and (
                out_weights[spot - 1] < value or (out_weights[spot - 1] == value and out_items[spot - 1] > column)
            ):
                out_weights[spot] = out_weights[spot - 1]
                out_items[spot] = out_items[spot - 1]
                spot -= 1
            out_weights[spot] = value
            out_items[spot] = column
        for p in range(barred_indptr[row], barred_indptr[row + 1]):
            closed[barred[p]] = False
        lengths[row] = filled - begin
    return lengths, out_items[:filled].copy(), out_weights[:filled].copy()

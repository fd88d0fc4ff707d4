"""From a cart to its companions by an item-item matrix, in one compiled call."""

from __future__ import annotations

from typing import Final, NamedTuple

import numba
import numpy as np
import numpy.typing as npt

from vitrina.ranking.best_first import insert

NO_PRODUCT: Final = -1
"""Instead of the cart's product that speaks for an answer, when none does."""

PRIOR: Final = np.float32(1e-6)
"""How much the share of recent baskets counts beside what the cart says: it orders what the cart says nothing of."""


class Links(NamedTuple):
    """What each product says of the others: `dense` float32 (items, items), or, for a catalogue that is too large for
    that, `dense` of no rows and CSR: `starts` int64 (items + 1,), `targets` int32 and `weights` float32. A product says
    nothing of itself."""

    dense: npt.NDArray[np.float32]
    starts: npt.NDArray[np.int64]
    targets: npt.NDArray[np.int32]
    weights: npt.NDArray[np.float32]


NO_LINKS: Final = Links(
    dense=np.empty((0, 0), np.float32),
    starts=np.zeros(1, np.int64),
    targets=np.empty(0, np.int32),
    weights=np.empty(0, np.float32),
)


@numba.njit(cache=True, nogil=True)
def best_companions(links, prior, cart, scores, out_items, out_scores, out_because):  # type: ignore[no-untyped-def]  # compiled
    """Fills the outputs (n,) with the best products for the cart's rows, int32, and returns how many there are.

    A score is the sum over the cart plus `prior` float32 (items,), which orders what the cart says nothing of.
    out_because int32: the cart's row with the largest weight on it. Scratch: scores float32 (items,).
    """
    scores[:] = prior
    for product in cart:
        _add(links, product, scores)
    for product in cart:
        scores[product] = -np.inf
    found = best(scores, out_items, out_scores)
    _tell_who_speaks(links, cart, scores, out_items[:found], out_because)
    return found


@numba.njit(cache=True, nogil=True)
def best(scores, out_items, out_scores):  # type: ignore[no-untyped-def]  # compiled
    """The highest finite scores (items,) into out_items int32 (n,) and out_scores (n,) of their type, descending, ties
    to the smaller row; how many there are."""
    found = 0
    for item in range(len(scores)):
        if scores[item] != -np.inf:
            found = insert(out_items, out_scores, found, item, scores[item])
    return found


@numba.njit(cache=True, nogil=True)
def _add(links, product, scores):  # type: ignore[no-untyped-def]  # compiled
    if len(links.dense):
        row = links.dense[product]
        for item in range(len(scores)):
            scores[item] += row[item]
        return
    for p in range(links.starts[product], links.starts[product + 1]):
        scores[links.targets[p]] += links.weights[p]


@numba.njit(cache=True, nogil=True)
def _tell_who_speaks(links, cart, scratch, items, out_because):  # type: ignore[no-untyped-def]  # compiled
    """The row of the cart with the largest positive weight for each of the items, the first of equal ones, or
    NO_PRODUCT. The scratch, float32 (items of the catalogue,), holds the place of each of them."""
    most = np.zeros(len(items), np.float32)
    out_because[: len(items)] = NO_PRODUCT
    if len(links.dense):
        for product in cart:
            for place in range(len(items)):
                weight = links.dense[product, items[place]]
                if weight > most[place]:
                    most[place], out_because[place] = weight, product
        return
    scratch[:] = -1
    for place in range(len(items)):
        scratch[items[place]] = place
    for product in cart:
        for p in range(links.starts[product], links.starts[product + 1]):
            place = int(scratch[links.targets[p]])
            if place >= 0 and links.weights[p] > most[place]:
                most[place], out_because[place] = links.weights[p], product

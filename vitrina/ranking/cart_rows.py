"""Training rows of the blend: candidates of held-out carts, labelled by whether they were hidden.

In: cases of the time after some tables. Out: rows of features and labels.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numba
import numpy as np
import numpy.typing as npt

from vitrina.events.baskets.cases import Cases
from vitrina.ranking.cart_features import CANDIDATES, FEATURES, ROOM, CartTables, cart_features, new_scratch


@dataclass(frozen=True, kw_only=True, eq=False)
class CartRows:
    """`features` float32 (rows, FEATURES), `taken` bool and `case` int32 (rows,). `weight` float32 (rows,): each of the
    n products that were taken in a case has n ** -0.5, so that large baskets do not outvote small ones; any other row
    has 1."""

    features: npt.NDArray[np.float32]
    taken: npt.NDArray[np.bool_]
    weight: npt.NDArray[np.float32]
    case: npt.NDArray[np.int32]

    @classmethod
    def of(cls, tables: CartTables, cases: Cases, *, every: int = 1) -> Self:
        """Rows of the cases with a hidden product among the candidates: all positives, every `every`-th negative."""
        room = len(cases) * CANDIDATES
        features = np.empty((room, len(FEATURES)), np.float32)
        taken, case, weight = np.empty(room, np.bool_), np.empty(room, np.int32), np.empty(room, np.float32)
        visible, hidden = cases.visible, cases.hidden
        count = _fill(
            tables,
            new_scratch(tables.products.shape[1]),
            visible.indptr.astype(np.int64),
            visible.indices.astype(np.int32),
            hidden.indptr.astype(np.int64),
            hidden.indices.astype(np.int32),
            cases.customer.astype(np.int32),
            every,
            features,
            taken,
            weight,
            case,
        )
        return cls(
            features=features[:count].copy(),
            taken=taken[:count].copy(),
            weight=weight[:count].copy(),
            case=case[:count].copy(),
        )

    @classmethod
    def join(cls, parts: list[CartRows]) -> Self:
        """All rows of some; cases keep their numbers."""
        return cls(
            features=np.concatenate([part.features for part in parts]),
            taken=np.concatenate([part.taken for part in parts]),
            weight=np.concatenate([part.weight for part in parts]),
            case=np.concatenate([part.case for part in parts]),
        )

    def __len__(self) -> int:
        return len(self.taken)


@numba.njit(cache=True, nogil=True)
def _fill(  # type: ignore[no-untyped-def]  # compiled
    tables, scratch, starts, visible, hidden_starts, hidden, customers, every, features, taken, weight, case
):
    cand, because = np.empty(CANDIDATES, np.int32), np.empty(CANDIDATES, np.int32)
    columns = np.zeros((len(FEATURES), ROOM), np.float32)
    nothing = np.empty(0, np.int32)
    wanted = np.zeros(tables.products.shape[1], np.bool_)
    filled = others = 0
    for row in range(len(customers)):
        cart = visible[starts[row] : starts[row + 1]]
        away = hidden[hidden_starts[row] : hidden_starts[row + 1]]
        count = cart_features(tables, scratch, cart, nothing, customers[row], cand, because, columns)
        wanted[away] = True
        hits = 0
        for c in range(count):
            hits += wanted[cand[c]]
        for c in range(count if hits else 0):
            label = wanted[cand[c]]
            others += not label
            if label or others % every == 0:
                features[filled] = columns[:, c]
                taken[filled] = label
                weight[filled] = hits**-0.5 if label else 1.0
                case[filled] = row
                filled += 1
        wanted[away] = False
    return filled

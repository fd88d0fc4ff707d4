"""What is in most carts lately: the answer that does not look at the cart."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp

from vitrina.candidates.carts import Carts, Float32s


@dataclass(frozen=True, kw_only=True, eq=False)
class CartPopularity:
    """`score` float32 (items,): the number of recent carts that hold the item."""

    score: Float32s

    def scores(self, carts: sp.csr_array) -> Float32s:
        """float32 (rows, items), every row the same; not to be written to."""
        return np.broadcast_to(self.score, carts.shape)


@dataclass(frozen=True, kw_only=True)
class PopularDays:
    """Counts the carts of the last `days`."""

    days: float = 30.0

    def fit(self, carts: Carts) -> CartPopularity:
        """The number of carts at most `days` old at `carts.as_of` that hold each item."""
        recent = carts.profiles[np.flatnonzero(carts.age_days <= self.days)]
        return CartPopularity(score=np.bincount(recent.indices, minlength=carts.items).astype(np.float32))

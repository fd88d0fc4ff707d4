"""The past: everything that fitting may see. One object, cut at `as_of`, handed to every source and table."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import ibis.expr.types as ir
import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from vitrina.engine import Engine
from vitrina.events.schema import DEFAULT_WEIGHTS
from vitrina.features.decay import interactions

LONGEST_PROFILE = 500
"""Distinct items of one user that a user-item matrix keeps (the heaviest); longer ones are crawlers or resellers."""


@dataclass(frozen=True, kw_only=True)
class Past:
    """Prepared events strictly before `as_of` (ms), and the size of the id maps. `category` int32 (items,), -1 where
    unknown."""

    engine: Engine
    events: ir.Table
    as_of: int
    users: int
    items: int
    category: npt.NDArray[np.int32]
    weights: tuple[float, ...] = DEFAULT_WEIGHTS
    half_life: float = field(default=60.0)

    @property
    def threads(self) -> int:
        """How many threads matrix work may take."""
        return self.engine.threads

    @cached_property
    def interactions(self) -> sp.csr_array:
        """float32 (users, items): kind weight x decay, summed over the events of the pair; at most LONGEST_PROFILE a
        user."""
        pairs = interactions(self.events, as_of=self.as_of, half_life=self.half_life, weights=self.weights)
        table = self.engine.to_arrow(pairs)
        user, item = table.column("user").to_numpy(), table.column("item").to_numpy()
        weight = table.column("weight").to_numpy().astype(np.float32)
        order = np.lexsort((item, -weight, user))
        user, item, weight = user[order], item[order], weight[order]
        starts = np.searchsorted(user, user)
        kept = np.arange(len(user)) - starts < LONGEST_PROFILE
        matrix = sp.csr_array(
            (weight[kept], (user[kept], item[kept])), shape=(self.users, self.items), dtype=np.float32
        )
        matrix.sort_indices()
        return matrix

    @cached_property
    def profiles(self) -> sp.csr_array:
        """The rows of `interactions` with at least two items, float32 (active users, items)."""
        matrix = self.interactions
        return matrix[np.flatnonzero(np.diff(matrix.indptr) >= 2)]

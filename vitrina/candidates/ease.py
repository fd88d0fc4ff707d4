"""EASE (Steck, WWW 2019) over the whole catalogue: a baseline for shops with few users, solved exactly in their
kernel."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from vitrina.errors import ConfigError
from vitrina.features.past import Past

MOST_USERS = 12_000


@dataclass(frozen=True, kw_only=True)
class EaseKernel:
    """The ridge solution in the users' kernel: P = (I - profiles' solved) / ridge, never held over items x items.

    profiles float32 (users, items), solved float32 (users, items), diagonal float32 (items,) of P.
    """

    profiles: sp.csr_array
    solved: npt.NDArray[np.float32]
    diagonal: npt.NDArray[np.float32]
    ridge: float

    def scores(self, query: sp.csr_array) -> npt.NDArray[np.float32]:
        """float32 (rows, items) for binary profiles `query` (rows, items): query @ B with B = I - P / diag(P)."""
        dense = query.toarray()
        solution = (dense - (query @ self.profiles.T) @ self.solved) / self.ridge
        return np.asarray(dense - solution / self.diagonal, np.float32)


@dataclass(frozen=True, kw_only=True)
class EASE:
    """`ridge` is EASE's lambda, in units of users that count n ** -(2 x user_discount) each for n items."""

    ridge: float = 10.0
    user_discount: float = 0.25

    def fit(self, past: Past) -> EaseKernel:
        """The kernel of the users with at least two items; `ConfigError` over MOST_USERS of them."""
        profiles = past.profiles
        users = profiles.shape[0]
        if users > MOST_USERS:
            raise ConfigError(
                f"EASE solves one equation a user: {users:,} are over {MOST_USERS:,}. Use item-kNN instead"
            )
        binary = sp.csr_array((np.ones_like(profiles.data), profiles.indices, profiles.indptr), shape=profiles.shape)
        sizes = np.maximum(np.diff(binary.indptr), 1).astype(np.float32)
        scaled = sp.csr_array(sp.diags_array(sizes**-self.user_discount, dtype=np.float32) @ binary)
        kernel = (scaled @ scaled.T).toarray() + self.ridge * np.eye(users, dtype=np.float32)
        solved = np.linalg.solve(kernel.astype(np.float64), scaled.toarray()).astype(np.float32)
        diagonal = (1.0 - np.asarray(scaled.multiply(solved).sum(axis=0)).ravel()) / self.ridge
        return EaseKernel(profiles=scaled, solved=solved, diagonal=diagonal.astype(np.float32), ridge=self.ridge)

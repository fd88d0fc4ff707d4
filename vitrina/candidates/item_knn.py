"""Item-item matrices from who touched what: item-kNN and RP3beta."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp

from vitrina.candidates.carts import Profiles
from vitrina.candidates.neighbours import Neighbours, best_products


@dataclass(frozen=True, kw_only=True)
class ItemKNN:
    """Co-occurrence of items in users' profiles. A user with n items counts n ** -user_discount, so that a reseller
    with thousands does not make everything similar to everything; a pair is divided by the target's frequency **
    damping.
    """

    keep: int = 50
    user_discount: float = 0.5
    damping: float = 0.0

    def fit(self, past: Profiles) -> Neighbours:
        """Neighbours over all items from the users with at least two."""
        binary = _binary(past.profiles)
        sizes = np.maximum(np.diff(binary.indptr), 1).astype(np.float32)
        frequency = np.maximum(np.bincount(binary.indices, minlength=binary.shape[1]), 1).astype(np.float32)
        discounted = sp.diags_array(sizes**-self.user_discount, dtype=np.float32) @ binary
        damped = discounted @ sp.diags_array(frequency**-self.damping, dtype=np.float32)
        return best_products(binary.T.tocsr(), sp.csr_array(damped), keep=self.keep)


@dataclass(frozen=True, kw_only=True)
class RP3Beta:
    """Three-step random walk item -> user -> item, re-weighted by popularity (Paudel et al., ACM TiiS 7(1), 2016)."""

    keep: int = 100
    alpha: float = 0.8
    beta: float = 0.3

    def fit(self, past: Profiles) -> Neighbours:
        """Neighbours over all items from the users with at least two."""
        binary = _binary(past.profiles)
        sizes = np.maximum(np.diff(binary.indptr), 1).astype(np.float32)
        frequency = np.maximum(np.bincount(binary.indices, minlength=binary.shape[1]), 1).astype(np.float32)
        to_users = sp.csr_array(sp.diags_array(frequency**-self.alpha, dtype=np.float32) @ binary.T)
        to_items = sp.diags_array(sizes**-self.alpha, dtype=np.float32) @ binary
        damped = to_items @ sp.diags_array(frequency**-self.beta, dtype=np.float32)
        return best_products(to_users, sp.csr_array(damped), keep=self.keep)


def _binary(matrix: sp.csr_array) -> sp.csr_array:
    return sp.csr_array((np.ones_like(matrix.data), matrix.indices, matrix.indptr), shape=matrix.shape)

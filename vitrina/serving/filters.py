"""From a request's filter to the mask of items that it lets through."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from vitrina.recommend.recommender import Catalogue


def filter_mask(catalogue: Catalogue, category: tuple[int, ...] | None, available: bool) -> npt.NDArray[np.bool_]:
    """Mask (items,): in one of the categories or under one of them, and available when that is asked for.

    A category that the catalogue does not hold lets nothing through.
    """
    mask = np.ones(len(catalogue.available), dtype=np.bool_)
    if category is not None:
        mask &= np.isin(catalogue.category, descendants(catalogue.parents, category))
    if available:
        mask &= catalogue.available
    return mask


def descendants(parents: npt.NDArray[np.int32], roots: tuple[int, ...]) -> npt.NDArray[np.int32]:
    """The roots and every category under them; `parents[c]` is the parent of category c, -1 at the top."""
    inside = np.zeros(len(parents), dtype=np.bool_)
    known = [root for root in roots if 0 <= root < len(parents)]
    inside[known] = True
    while True:
        under = (parents >= 0) & inside[parents] & ~inside
        if not under.any():
            return np.flatnonzero(inside).astype(np.int32)
        inside |= under

"""All candidate sources of a two-stage recommender as one spec: fitted together on one past, packed into one set of
tables."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from vitrina.candidates.als import ALS, factor_neighbours
from vitrina.candidates.covisitation import STOREFRONT_MATRICES, CoVisitation, fit_covisitation
from vitrina.candidates.item_knn import ItemKNN, RP3Beta
from vitrina.candidates.popular import Popular
from vitrina.candidates.profile import Taste
from vitrina.candidates.retrieval import MATRICES, Tables, by_item
from vitrina.features.item_table import fit_item_table
from vitrina.features.past import Past


@dataclass(frozen=True, kw_only=True)
class Sources:
    """What is fitted before anything is ranked. The co-visitation matrices carry the first names of `MATRICES`, in
    their order."""

    covisitation: tuple[CoVisitation, ...] = STOREFRONT_MATRICES
    item_knn: ItemKNN = ItemKNN()
    rp3beta: RP3Beta = RP3Beta(keep=50)
    als: ALS = ALS()
    popular: Popular = Popular()
    taste: Taste = Taste(kind_weights=(1.0, 1.5, 1.0), half_life=14.0, position_power=0.5, alpha=2.0)

    def fit(self, past: Past, parent: npt.NDArray[np.int32], *, note: Callable[[str], None] = lambda _: None) -> Tables:
        """Tables as of `past.as_of`; parent int32 (categories,), -1 for a root. `note` hears each stage as it
        begins."""
        note("popularity")
        popularity = self.popular.fit(past)
        note("co-visitation")
        matrices = fit_covisitation(past.engine, past.events, self.covisitation, as_of=past.as_of, items=past.items)
        note("item-kNN")
        matrices["item_knn"] = self.item_knn.fit(past)
        note("RP3beta")
        matrices["rp3beta"] = self.rp3beta.fit(past)
        note("ALS")
        factors = self.als.fit(past)
        matrices["als"] = factor_neighbours(factors, popularity.score)
        note("item table")
        item_table = fit_item_table(past.engine, past.events, as_of=past.as_of, category=past.category)
        starts, neighbours, weights = by_item([matrices[name] for name in MATRICES])
        return Tables(
            starts=starts,
            neighbours=neighbours,
            weights=weights,
            factors=factors.factors,
            gram=factors.gram,
            popular=popularity.order,
            popularity=popularity.score,
            category=past.category,
            parent=parent,
            shelf_indptr=popularity.shelf_indptr,
            shelf_items=popularity.shelf_items,
            item_values=item_table.values,
        )

"""The sources of companions with the settings that were found best on Online Retail (its October 2011, hide-one)."""

from __future__ import annotations

from typing import Final, Protocol

from vitrina.candidates.als import ALS
from vitrina.candidates.cart_popularity import PopularDays
from vitrina.candidates.carts import Carts, CartScorer
from vitrina.candidates.co_occurrence import BM25, MOST_DENSE, Lift
from vitrina.candidates.ease import EASE
from vitrina.candidates.item2vec import Item2Vec
from vitrina.candidates.item_knn import ItemKNN, RP3Beta


class CartSource(Protocol):
    """The settings of a source: a frozen dataclass, compared and shown by its values."""

    def fit(self, carts: Carts) -> CartScorer:
        """Learns what goes together; the same carts give the same source.

        `ItemItem` (a dense matrix) by Lift, BM25 and Item2Vec up to `co_occurrence.MOST_DENSE` items, over that
        `Neighbours` (the `keep` best of each item); by EASE up to its `most_items`, over that `Neighbours`, and
        `EaseKernel` where there are fewer carts than items. ItemKNN and RP3Beta give `Neighbours` always, ALS its
        factors, PopularDays one score for each item.
        """


CART_SOURCES: Final[dict[str, CartSource]] = {
    "popular": PopularDays(days=14.0),
    "lift": Lift(),
    "cosine": Lift(measure="cosine", shrink=0.0, half_life=180.0),
    "item_knn": ItemKNN(keep=1000, user_discount=0.5, damping=0.75),
    "bm25": BM25(),
    "rp3beta": RP3Beta(keep=1000, alpha=0.8, beta=0.5),
    "ease": EASE(ridge=3.0, user_discount=0.25, half_life=180.0, most_items=MOST_DENSE),
    "als": ALS(factors=512, regularization=0.1, alpha=10.0),
    "item2vec": Item2Vec(),
}
"""By name. A model is published of those whose score is a sum over the cart (`fit_item_item` of
`vitrina.recommend.companions_fit`) and of what is popular (`fit_popular`). "als" folds the whole cart in, so it
is a `TypeError` there: it is here to be compared with."""

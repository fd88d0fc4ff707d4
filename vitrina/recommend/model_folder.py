"""A recommender as plain arrays and back: what the registry keeps and the service maps."""

from __future__ import annotations

from typing import Any

from vitrina.candidates.profile import Taste
from vitrina.candidates.retrieval import SOURCES, Tables
from vitrina.errors import ModelFormatError
from vitrina.events.ids import IdMap
from vitrina.ranking.pair_features import FEATURES
from vitrina.ranking.trees import Trees
from vitrina.recommend.recommender import Catalogue, Recommender, mode_of
from vitrina.recommend.stored import Arrays, Stored, check_same, gathered, plain, spread


def pack(recommender: Recommender) -> Arrays:
    """Every array of the recommender by name."""
    arrays: Arrays = {"items": recommender.items.ids}
    arrays |= spread(recommender.tables, "tables_") | spread(recommender.trees, "trees_")
    catalogue = recommender.catalogue
    arrays |= {"categories": catalogue.categories, "available": catalogue.available}
    if catalogue.titles is not None:
        arrays["titles"] = catalogue.titles
    return arrays


def describe(recommender: Recommender, ranker: str) -> dict[str, Any]:
    """The part of the model's meta that `unpack` needs."""
    return {
        "ranker": ranker,
        "as_of": recommender.as_of,
        "features": list(FEATURES),
        "sources": list(SOURCES),
        "taste": recommender.taste._asdict(),
    }


def unpack(stored: Stored) -> Recommender:
    """The recommender of a model folder; arrays stay where they are mapped. `ModelFormatError` for other features or
    sources."""
    arrays, meta = stored.arrays, stored.meta
    check_same(stored, features=FEATURES, sources=SOURCES)
    try:
        tables = gathered(Tables, arrays, "tables_")
        taste = meta["taste"]
        view, cart, buy = (float(weight) for weight in taste["kind_weights"])
        titles = arrays.get("titles")
        return Recommender(
            items=IdMap(plain(arrays["items"])),
            catalogue=Catalogue(
                category=tables.category,
                categories=plain(arrays["categories"]),
                parent=tables.parent,
                available=plain(arrays["available"]),
                titles=None if titles is None else plain(titles),
            ),
            tables=tables,
            trees=gathered(Trees, arrays, "trees_"),
            mode=mode_of(meta["ranker"]),
            as_of=int(meta["as_of"]),
            taste=Taste(
                kind_weights=(view, cart, buy),
                half_life=float(taste["half_life"]),
                position_power=float(taste["position_power"]),
                alpha=float(taste["alpha"]),
            ),
        )
    except KeyError as error:
        raise ModelFormatError(f"{stored.folder}: has no {error}. Train again") from error

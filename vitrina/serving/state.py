"""What a worker serves at one moment: a model, the lists beside it, and what was worked out from both at loading.

Requests read it through `Served`; a swap puts another one in its place.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import Literal, Protocol

import numpy as np
import numpy.typing as npt

from vitrina.events.ids import IdMap
from vitrina.features.history import History
from vitrina.recommend.recommender import Catalogue, Ranked, Rules
from vitrina.serving.lists import Lists
from vitrina.serving.lookup import compile_lookup

POPULAR_DEPTH = 200
STALE_AFTER_MS = 14 * 24 * 3600 * 1000
MASKS_KEPT = 64

Rows = npt.NDArray[np.int32]
Scores = npt.NDArray[np.float32]


class ServedRecommender(Protocol):
    """The part of `vitrina.recommend.recommender.Recommender` that serving needs."""

    @property
    def items(self) -> IdMap: ...
    @property
    def catalogue(self) -> Catalogue: ...
    def recommend(self, history: History, *, k: int, rules: Rules, as_of: int, session: Rows = ...) -> Ranked: ...
    def similar(self, item: int, k: int) -> tuple[Rows, Scores]: ...


@dataclass(frozen=True, kw_only=True)
class LoadedModel:
    """A recommender as read from a model folder; `as_of` in milliseconds, `user_kind` when the model knows it."""

    recommender: ServedRecommender
    as_of: int
    user_kind: Literal["int", "str"] | None = None
    metrics: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, eq=False)
class ServingState:
    """One model version with the lists (and histories) that fit its items, or without any; `copy` names its folder."""

    version: str
    copy: str
    model: LoadedModel
    lists: Lists | None
    popular: Ranked
    loaded_at: int
    _masks: dict[tuple[tuple[int, ...] | None, bool], npt.NDArray[np.bool_]] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"model {self.version} with lists {'none' if self.lists is None else self.lists.version}"

    @property
    def times(self) -> dict[str, int]:
        """See `ServedState`; `lists_as_of` when there are lists."""
        return {"as_of": self.model.as_of} | ({} if self.lists is None else {"lists_as_of": self.lists.as_of})

    @property
    def recommender(self) -> ServedRecommender:
        return self.model.recommender

    @property
    def items(self) -> IdMap:
        return self.model.recommender.items

    @property
    def user_kind(self) -> Literal["int", "str"]:
        """How a request's user id is read: as the lists have it, else as the model says, else like the items."""
        if self.lists is not None:
            return self.lists.users.kind
        return self.model.user_kind or self.items.kind

    @property
    def lists_fit(self) -> bool:
        """Whether this very model made the lists; otherwise only their histories are used."""
        return self.lists is not None and self.lists.model_version == self.version

    def as_of(self, now: int) -> int:
        """The time that online features are computed for: now, but at most two weeks after the newest known event.

        The ranker has seen no longer gap, so an old log or a stopped pipeline must not lead its features out of range.
        """
        newest = self.model.as_of if self.lists is None else max(self.model.as_of, self.lists.as_of)
        return min(now, newest + STALE_AFTER_MS)

    def allowed(self, category: tuple[int, ...] | None, available: bool) -> npt.NDArray[np.bool_] | None:
        """Mask (items,) of what a filter lets through, None for everything; a category includes those under it."""
        if category is None and not available:
            return None
        key = (category, available)
        mask = self._masks.get(key)
        if mask is None:
            catalogue = self.recommender.catalogue
            mask = catalogue.available if category is None else catalogue.in_categories(list(category))
            if available and category is not None:
                mask = mask & catalogue.available
            mask = np.array(mask)  # owned and writable: one type for the compiled pass
            if len(self._masks) >= MASKS_KEPT:
                self._masks.pop(next(iter(self._masks)))
            self._masks[key] = mask
        return mask


def build_state(*, version: str, copy: str, model: LoadedModel, lists: Lists | None, now: int) -> ServingState:
    """Warms the model up (its first answer compiles the kernels) and keeps that answer: what a stranger is shown."""
    compile_lookup()
    nothing = History.empty()
    rules = Rules()
    popular = model.recommender.recommend(nothing, k=POPULAR_DEPTH, rules=rules, as_of=model.as_of)
    state = ServingState(version=version, copy=copy, model=model, lists=lists, popular=popular, loaded_at=now)
    if len(popular.items):
        seen = History(
            items=popular.items[:1],
            kinds=np.zeros(1, dtype=np.int8),
            ts=np.full(1, model.as_of - 1, dtype=np.int64),
        )
        model.recommender.recommend(seen, k=10, rules=rules, as_of=model.as_of)
        model.recommender.similar(int(popular.items[0]), 10)
    return state


def items_fingerprint(items: IdMap) -> str:
    """sha256 over the type and the sorted ids: equal exactly when row numbers mean the same items."""
    digest = hashlib.sha256(f"{items.kind}:{len(items)}:{items.ids.dtype.itemsize}:".encode())
    digest.update(np.ascontiguousarray(items.ids).view(np.uint8).data)
    return digest.hexdigest()

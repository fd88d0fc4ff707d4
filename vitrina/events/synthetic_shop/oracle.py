"""The oracle of a generated world: what each visitor would put into the cart next, from the world's own laws.

It knows tastes, popularity, drift, conversion and availability, and with a history also visits to items seen before and
companions. It scores the first two views of the next visit; deeper ones follow the same laws.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from vitrina.errors import ConfigError, DataError, UnknownItemError
from vitrina.events.synthetic_shop import visitors as laws
from vitrina.events.synthetic_shop.spec import WEEK, WorldSpec
from vitrina.events.synthetic_shop.world import BRANDS, Shop

_SCHEMA = 1
_T = TypeVar("_T", bound=np.generic)


class Tastes(NamedTuple):
    """Leaf categories that a visitor cares about, the preferred brand (0 .. 3) in each, and their weights (sum 1)."""

    categories: NDArray[np.int64]
    brands: NDArray[np.int64]
    weights: NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Oracle:
    """Laws of one world. Visitors are 0 .. spec.n_users - 1; items are 0 .. items - 1, more than ever get an event."""

    spec: WorldSpec
    shop: Shop

    @property
    def items(self) -> int:
        return len(self.shop.item_id)

    def item_categories(self) -> NDArray[np.int64]:
        """(items,) true leaf category id by item id."""
        return self._by_item(np.repeat(self.shop.leaf_id, np.diff(self.shop.leaf_ptr)))

    def popularity(self) -> NDArray[np.float64]:
        """(items,) weight by item id, before drift."""
        return self._by_item(np.diff(self.shop.cumulative))

    def companions(self) -> NDArray[np.int64]:
        """(items,) by item id: the item that visits and baskets add to it."""
        return self._by_item(self.shop.item_id[self.shop.companion])

    def seasonality(self) -> NDArray[np.float64]:
        """(7, 24) share of visits by weekday (Monday first) and hour, UTC."""
        hours = np.diff(self.shop.hours, prepend=0.0)
        curve = self.shop.weekdays[:, None] * hours
        return curve / curve.sum()

    def category_drift(self) -> NDArray[np.float64]:
        """(weeks, leaf categories) factor on popularity; columns as in `shop.leaf_id`."""
        return self.shop.drift

    def tastes(self, user_id: int) -> Tastes:
        leaf, brand, weight = self._tastes(user_id)
        return Tastes(self.shop.leaf_id[leaf], brand, weight)

    def first_view(self, user_id: int, as_of: int, history: Sequence[int] = ()) -> NDArray[np.float64]:
        """(items,) by item id, sum 1: the chance that the visitor's next visit, at `as_of` (ms), begins with the item.

        `history` are the items that the visitor has seen, most recent first, repeats in a row left out. Raises
        `UnknownItemError` for an item that the catalogue lacks, `ConfigError` for a visitor that the world lacks.
        """
        return self._by_item(self._first_view(user_id, as_of, history)[0])

    def scores(self, user_id: int, as_of: int, history: Sequence[int] = ()) -> NDArray[np.float64]:
        """(items,) by item id: proportional to the chance of a cart in the next visit; arguments as in `first_view`."""
        shop, structure = self.shop, self.shop.structure
        first, free, stay = self._first_view(user_id, as_of, history)
        companion, repeat, same = structure * laws.COMPANION, structure * laws.REPEAT, structure * laws.STAY
        second = companion * np.bincount(shop.companion, first, minlength=self.items) + repeat * first + same * stay
        second += (1 - companion - repeat - same) * free
        on_sale = (shop.birth <= as_of) & (shop.available != (as_of >= shop.toggle))
        return self._by_item((first + laws.MORE_EVENTS * second) * shop.conversion * on_sale)

    def top(self, user_id: int, as_of: int, k: int, history: Sequence[int] = ()) -> NDArray[np.int64]:
        """Item ids of the k best by `scores`, best first, ties by id."""
        if k < 1:
            raise ConfigError(f"k={k}: give at least 1.")
        scores = self.scores(user_id, as_of, history)
        k = min(k, len(scores))
        best = np.flatnonzero(scores >= np.partition(scores, -k)[-k])
        return best[np.argsort(-scores[best], kind="stable")][:k]

    def save(self, folder: Path) -> None:
        arrays: dict[str, Any] = {name: np.asarray(value) for name, value in self.shop._asdict().items()}
        np.savez(folder / "oracle.npz", **arrays)
        text = json.dumps({"schema": _SCHEMA, "spec": asdict(self.spec), "items": self.items}, indent=2)
        (folder / "oracle.json").write_text(text + "\n", encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> Oracle:
        """The oracle that `generate_world` left in the folder; `DataError` when it is missing or of another version."""
        remedy = "Generate the world again."
        try:
            meta = json.loads((folder / "oracle.json").read_text(encoding="utf-8"))
            if meta["schema"] != _SCHEMA:
                raise DataError(
                    f"schema {meta['schema']}, expected {_SCHEMA}", where=str(folder / "oracle.json"), remedy=remedy
                )
            with np.load(folder / "oracle.npz") as stored:
                fields = {name: stored[name] for name in Shop._fields}
            spec = WorldSpec(**meta["spec"])
        except (OSError, KeyError, TypeError, ValueError) as error:
            raise DataError(f"no readable oracle ({error})", where=str(folder), remedy=remedy) from error
        scalars = {"start": int(fields["start"]), "end": int(fields["end"]), "structure": float(fields["structure"])}
        return cls(spec, Shop(**{**fields, **scalars}))

    def _tastes(self, user_id: int) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
        if not 0 <= user_id < self.spec.n_users:
            raise ConfigError(f"user {user_id}: this world has the visitors 0 to {self.spec.n_users - 1}.")
        leaf, brand = np.empty(laws.TASTES, np.int64), np.empty(laws.TASTES, np.int64)
        weight = np.empty(laws.TASTES, np.float64)
        laws.arrive(self.shop, self.spec.seed, int(user_id), np.empty(1, np.uint64), leaf, brand, weight)
        return leaf, brand, weight

    def _first_view(
        self, user_id: int, as_of: int, history: Sequence[int]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
        """(rows,) chances of the first view, of a free choice, and of a second view in the first one's category."""
        shop, structure = self.shop, self.shop.structure
        weight = np.diff(shop.cumulative) * (shop.birth <= as_of)
        week = min(max((as_of - shop.start) // WEEK, 0), len(shop.demand) - 1)
        leaf, brand, taste = self._tastes(user_id)
        taste = taste * shop.drift[week, leaf]
        taste = structure * laws.TASTE * taste / taste.sum()
        leaf_mass = (1 - structure * laws.TASTE) * np.diff(shop.demand[week])
        np.add.at(leaf_mass, leaf, taste * (1 - laws.BRAND))
        group_mass = np.zeros(len(shop.group_ptr) - 1)
        np.add.at(group_mass, leaf * BRANDS + brand, taste * laws.BRAND)
        free = self._spread(weight, leaf_mass, group_mass)
        if not len(history) or not structure:
            return free, free, free
        rows = self._rows(history[: laws.MEMORY])
        back = np.exp(-np.arange(len(rows)) / laws.REVISIT_DEPTH)
        revisit = structure * laws.REVISIT
        again = np.bincount(rows, revisit * back / back.sum(), minlength=self.items)
        near = self._spread(weight, _sums(again, shop.leaf_ptr), np.zeros_like(group_mass))
        return (1 - revisit) * free + again, free, (1 - revisit) * free + near

    def _rows(self, items: Sequence[int]) -> NDArray[np.int64]:
        wanted = np.asarray(items, dtype=np.int64)
        if wanted.min() < 0 or wanted.max() >= self.items:
            raise UnknownItemError(
                f"This world has the items 0 to {self.items - 1}, not {wanted.min()} to {wanted.max()}."
            )
        return np.array([np.flatnonzero(self.shop.item_id == item)[0] for item in wanted])

    def _by_item(self, by_row: NDArray[_T]) -> NDArray[_T]:
        by_item = np.empty_like(by_row)
        by_item[self.shop.item_id] = by_row
        return by_item

    def _spread(
        self, weight: NDArray[np.float64], leaf_mass: NDArray[np.float64], group_mass: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """(rows,) the mass of categories and of brands in them, shared among their rows by weight."""
        in_leaf, in_group = _sums(weight, self.shop.leaf_ptr), _sums(weight, self.shop.group_ptr)
        whole = np.diff(self.shop.cumulative[self.shop.group_ptr])
        unborn = 1 - np.divide(in_group, whole, out=np.zeros_like(whole), where=whole > 0)
        widened = group_mass * unborn**laws.DRAWS
        leaf_mass, group_mass = leaf_mass + widened.reshape(-1, BRANDS).sum(axis=1), group_mass - widened
        per_leaf = np.divide(leaf_mass, in_leaf, out=np.zeros_like(in_leaf), where=in_leaf > 0)
        per_group = np.divide(group_mass, in_group, out=np.zeros_like(in_group), where=in_group > 0)
        return weight * np.repeat(np.repeat(per_leaf, BRANDS) + per_group, np.diff(self.shop.group_ptr))


def _sums(values: NDArray[Any], ptr: NDArray[np.int64]) -> NDArray[np.float64]:
    return np.diff(np.concatenate([[0.0], np.cumsum(values)])[ptr])

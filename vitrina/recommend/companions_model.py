"""The published companions model: what else belongs in a cart, from a model folder alone.

In: the folder that the registry keeps (arrays and JSON; nothing is executed). Out: products with their confidence.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal, Self, get_args

import numpy as np
import numpy.typing as npt

from vitrina.errors import ModelFormatError
from vitrina.events.baskets.baskets import NOBODY
from vitrina.events.baskets.codes import canonical_code, canonical_customer
from vitrina.ranking.cart_calibration import CartConfidence
from vitrina.ranking.cart_features import FEATURES, NO_CART_TABLES, NOTHING_BOUGHT, Bought, CartTables
from vitrina.ranking.trees import NO_TREES, Trees
from vitrina.recommend.companions_desk import blended, new_cart_desk
from vitrina.recommend.companions_pass import NO_LINKS, NO_PRODUCT, PRIOR, Links, best, best_companions
from vitrina.recommend.stored import Arrays, Packed, Stored, check_same, gathered, plain, spread

Kind = Literal["popular", "item_item", "blend"]
Source = Literal["cart", "history", "popular"]
Curve = Literal[
    "cart", "cart_further", "stranger", "stranger_further", "history", "history_further", "bought", "popular"
]
CURVES: Final[tuple[Curve, ...]] = get_args(Curve)
"""Confidence is learned apart for answers of each source, for a cart of which nobody says whose it is, and for the
places after the first SHOWN. What a customer bought and what is popular are put into one order by "bought" and
"popular"; "history" and "history_further" tell what the places of that are worth."""

SHOWN: Final = 10
"""Places of an answer that have curves of their own, as many as are usually shown: at an equal score a product further
down comes true at another rate, for it stands in a cart of which much is known, or of which little is said."""

FILLED: Final = np.float32(-100)
"""Offset for products that fill an answer up after place SHOWN, so that they score below every candidate."""
Rows = npt.NDArray[np.int32]
Floats = npt.NDArray[np.float32]
Shares = npt.NDArray[np.float64]
Ranked = tuple[Source, Rows, Shares, Rows]
"""What an answer rests on; products, best first, their confidence, and the row of the cart that speaks for each."""

_NO_ROWS: Final = np.empty(0, np.int32)


@dataclass(frozen=True, kw_only=True)
class Companions:
    """The answer to a cart, best first, all tuples of one length except `unknown`.

    confidence: the share of such carts in which the product was taken as well, descending. because: the cart's product
    that speaks most for it (by cosine, or by its weight in `links`), None when none does. source: what the answer rests
    on. unknown: what the cart held that the model does not know, as it was given.
    """

    codes: tuple[str, ...]
    descriptions: tuple[str, ...]
    confidence: tuple[float, ...]
    because: tuple[str | None, ...]
    source: Source
    unknown: tuple[str, ...]


@dataclass(frozen=True, kw_only=True, eq=False)
class CompanionsModel:
    """Products are rows 0 .. items - 1: `codes` and `descriptions` (items,), `popular` float32 (items,) the share of
    recent baskets that hold each. `confidence` has each of CURVES. Nothing from `as_of` on was learned from:
    milliseconds since the epoch, or the number of baskets where the log was not `dated`. A blend has `tables` and
    `trees` (and `cbm`, CatBoost's own bytes of them, where it was just fitted), an item-item model `links`. May be
    asked by many threads at once."""

    kind: Kind
    as_of: int
    codes: tuple[str, ...]
    descriptions: tuple[str, ...]
    popular: Floats
    confidence: dict[Curve, CartConfidence]
    dated: bool = True
    links: Links = NO_LINKS
    tables: CartTables = NO_CART_TABLES
    trees: Trees = NO_TREES
    cbm: bytes | None = field(default=None, repr=False)
    customers: tuple[str, ...] = ()
    bought: Bought = NOTHING_BOUGHT
    _places: dict[str, int] = field(init=False, repr=False)
    _customer_places: dict[str, int] = field(init=False, repr=False)
    _prior: Floats = field(init=False, repr=False)
    _own: threading.local = field(init=False, repr=False, default_factory=threading.local)

    def __post_init__(self) -> None:
        places = {code: row for row, code in enumerate(self.codes)}
        customers = {customer: row for row, customer in enumerate(self.customers)}
        object.__setattr__(self, "_places", places)
        object.__setattr__(self, "_customer_places", customers)
        object.__setattr__(self, "_prior", self.popular * PRIOR)

    def companions(
        self, cart: Sequence[str], n: int, *, customer: str | None = None, exclude: Sequence[str] = ()
    ) -> Companions:
        """The best `n` products for a cart of codes, never one of the cart or of `exclude`; fewer when there are no
        more. A cart without a known product is answered from the customer's purchases, and without those from what is
        popular; a model of kind "popular" looks at nothing else. Fewer are asked for, the same come first. What is
        excluded leaves the confidence of the others as it is; where it leaves a blend too few candidates, more are
        weighed among themselves, and come after them."""
        rows, unknown = self._known(cart)
        barred = self._known(exclude)[0] if exclude else _NO_ROWS
        owner = NOBODY if customer is None or self.kind == "popular" else self._customer_row(customer)
        found = self._of_cart(rows, owner, n, barred) or self._of_past(rows, owner, n, barred)
        return self._answer(*found, unknown)

    def _of_cart(self, rows: Rows, owner: int, n: int, barred: Rows) -> Ranked | None:
        """The best for the cart; None when it speaks for none of the first SHOWN that are not barred."""
        if self.kind == "popular" or not len(rows):
            return None
        told: tuple[Curve, Curve] = ("stranger", "stranger_further") if owner == NOBODY else ("cart", "cart_further")
        room, met = max(n, SHOWN), rows
        found, scores, because = self._by_cart(rows, owner, room + len(barred), _NO_ROWS)
        shares = self._worth(*told, scores, len(rows))
        if len(barred):
            met = np.concatenate([rows, barred])
            stay, left = np.flatnonzero(~np.isin(found, barred)), found
            found, shares, because = found[stay], shares[stay], because[stay]
            if self.kind == "blend" and len(found) < room:  # the barred ones took places among its candidates
                more, scores, speak = self._by_cart(rows, owner, room - len(found), np.union1d(left, barred))
                worth = self.confidence[told[len(found) >= SHOWN]].of(scores, len(rows))
                shares = np.minimum.accumulate(np.concatenate([shares, worth]))
                found, because = np.concatenate([found, more]), np.concatenate([because, speak])
        if not (because[:SHOWN] != NO_PRODUCT).any():
            return None
        found, shares, because = found[:n], shares[:n], because[:n]
        if len(found) < n:
            found, shares, because = self._filled(found, shares, because, met, len(rows), owner, n)
        return "cart", found, shares, because

    def _of_past(self, rows: Rows, owner: int, n: int, barred: Rows) -> Ranked:
        """The best of what the customer bought and of what is popular."""
        shares = self.confidence["popular"].of(self.popular, len(rows))
        known = owner != NOBODY and join_bought(shares, self.bought, owner, self.confidence["bought"])
        found = self._highest(shares, (rows,), n + len(barred))
        worth = self._worth("history", "history_further", shares[found], len(rows)) if known else shares[found]
        if len(barred):
            stay = np.flatnonzero(~np.isin(found, barred))[:n]
            found, worth = found[stay], worth[stay]
        return "history" if known else "popular", found, worth, np.full(len(found), NO_PRODUCT, np.int32)

    def _by_cart(self, rows: Rows, owner: int, n: int, barred: Rows) -> tuple[Rows, Floats, Rows]:
        memory = getattr(self._own, "memory", None)
        if memory is None:
            blend = self.kind == "blend"
            memory = new_cart_desk(self.tables, self.trees) if blend else np.empty(len(self.codes), np.float32)
            self._own.memory = memory
        found, scores, because = np.empty(n, np.int32), np.empty(n, np.float32), np.empty(n, np.int32)
        if self.kind == "blend":
            count = blended(memory, rows, barred, owner, found, scores, because)
        else:
            count = best_companions(self.links, self._prior, rows, memory, found, scores, because)
        return found[:count], scores[:count], because[:count]

    def _worth(self, first: Curve, further: Curve, scores: Floats | Shares, size: int) -> Shares:
        """Confidence of descending scores: one curve up to place SHOWN, another after it, never rising."""
        if len(scores) <= SHOWN:
            return self.confidence[first].of(scores, size)
        shares = self.confidence[first].of(scores[:SHOWN], size)
        return np.concatenate([shares, np.minimum(self.confidence[further].of(scores[SHOWN:], size), shares[-1])])

    def _filled(
        self, found: Rows, shares: Shares, because: Rows, met: Rows, size: int, owner: int, n: int
    ) -> tuple[Rows, Shares, Rows]:
        """The answer with what is popular after it, to which no more confidence is given than to the last before."""
        popular = self.confidence["popular"].of(self.popular, size)
        more = self._highest(popular, (met, found), n - len(found))
        worth, near = popular[more], max(SHOWN - len(found), 0)
        if len(more) > near:
            further: Curve = "stranger_further" if owner == NOBODY else "cart_further"
            worth[near:] = self.confidence[further].of(self.popular[more[near:]] + FILLED, size)
        shares = np.minimum.accumulate(np.concatenate([shares, worth]))
        because = np.concatenate([because, np.full(len(more), NO_PRODUCT, np.int32)])
        return np.concatenate([found, more]), shares, because

    def _highest(self, shares: Shares, without: Iterable[Rows], n: int) -> Rows:
        order = shares + self._prior  # float64: what is popular decides between equal shares
        for rows in without:
            order[rows] = -np.inf
        found = np.empty(n, np.int32)
        return found[: best(order, found, np.empty(n))]

    def _answer(
        self,
        source: Source,
        found: Rows,
        shares: Shares,
        because: Rows,
        unknown: tuple[str, ...],
    ) -> Companions:
        rows = found.tolist()
        return Companions(
            codes=tuple([self.codes[row] for row in rows]),
            descriptions=tuple([self.descriptions[row] for row in rows]),
            confidence=tuple(shares.tolist()),
            because=tuple([None if row == NO_PRODUCT else self.codes[row] for row in because.tolist()]),
            source=source,
            unknown=unknown,
        )

    def _known(self, codes: Iterable[str]) -> tuple[Rows, tuple[str, ...]]:
        """Distinct rows of the known codes, and the others as given; in the order of the cart."""
        rows: dict[int, None] = {}
        unknown: dict[str, None] = {}
        for code in codes:
            row = self._places.get(code)
            if row is None:
                row = self._places.get(canonical_code(code))
            if row is None:
                unknown[code] = None
            else:
                rows[row] = None
        return np.array(list(rows), np.int32), tuple(unknown)

    def _customer_row(self, customer: str) -> int:
        """Row of the customer; that of the stranger when unknown; NOBODY when none is named."""
        row = self._customer_places.get(customer)
        if row is None:
            canonical = canonical_customer(customer)
            row = self._customer_places.get(canonical, len(self.customers)) if canonical else NOBODY
        return row

    @classmethod
    def load(cls, stored: Stored) -> Self:
        """From a folder that holds what `packed` gave; arrays stay where they are mapped. `ModelFormatError` for an
        unknown kind and for what is missing."""
        meta, arrays = stored.meta, {name: plain(array) for name, array in stored.arrays.items()}
        if meta.get("kind") not in get_args(Kind):
            raise ModelFormatError(f"a companions model of kind {meta.get('kind')!r} is not known. Train again")
        if meta["kind"] == "blend":
            check_same(stored, features=FEATURES)
        try:
            bought = gathered(Bought, arrays, "bought_")
            return cls(
                kind=meta["kind"],
                as_of=int(meta["as_of"]),
                dated=bool(meta["dated"]),
                codes=tuple(arrays["codes"].tolist()),
                descriptions=tuple(arrays["descriptions"].tolist()),
                popular=arrays["popular"],
                confidence={
                    curve: CartConfidence(scores=arrays[f"{curve}_scores"], shares=arrays[f"{curve}_shares"])
                    for curve in CURVES
                },
                customers=tuple(arrays["customers"].tolist()),
                bought=bought,
                **_part(meta["kind"], arrays, bought),
            )
        except KeyError as error:
            raise ModelFormatError(f"{stored.folder}: has no {error}. Train again") from error


def join_bought(shares: Shares, bought: Bought, owner: int, worth: CartConfidence) -> bool:
    """Raises the `shares` of products (items,) to what `owner`'s purchases say of them; False when he has none."""
    begin, end = bought.starts[owner : owner + 2]
    own = bought.items[begin:end]
    shares[own] = np.maximum(shares[own], worth.of(bought.rates[begin:end], 0))
    return len(own) > 0


def packed(model: CompanionsModel) -> Packed:
    """A model as plain arrays, CatBoost's own file and JSON."""
    arrays: Arrays = {
        "codes": np.array(model.codes, np.str_),
        "descriptions": np.array(model.descriptions, np.str_),
        "customers": np.array(model.customers, np.str_),
        "popular": model.popular,
    }
    arrays |= spread(model.bought, "bought_")
    for curve, confidence in model.confidence.items():
        arrays |= {f"{curve}_scores": confidence.scores, f"{curve}_shares": confidence.shares}
    meta: dict[str, Any] = {"kind": model.kind, "as_of": model.as_of, "dated": model.dated}
    if model.kind == "item_item":
        arrays |= spread(model.links, "links_")
    if model.kind == "blend":
        tables = spread(model.tables, "tables_")
        del tables["tables_bought"]
        arrays |= tables | spread(model.trees, "trees_")
        meta["features"] = list(FEATURES)
    return Packed(arrays, {} if model.cbm is None else {"companions.cbm": model.cbm}, meta)


def _part(kind: str, arrays: Arrays, bought: Bought) -> dict[str, Any]:
    """What a kind has beside what all have."""
    if kind == "item_item":
        return {"links": gathered(Links, arrays, "links_")}
    if kind == "blend":
        tables = gathered(CartTables, arrays, "tables_", bought=bought)
        return {"tables": tables, "trees": gathered(Trees, arrays, "trees_")}
    return {}

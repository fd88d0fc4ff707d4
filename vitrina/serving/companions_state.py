"""What a worker serves of a scenario that says what goes with a cart: a companions model, and what steps in for it."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

from vitrina.errors import ModelFormatError
from vitrina.events.baskets.codes import canonical_code
from vitrina.recommend.companions_model import Companions, CompanionsModel
from vitrina.registry.model_format import read_model
from vitrina.telemetry.metrics import CompanionMetrics
from vitrina.telemetry.names import CartReason

POPULAR_DEPTH = 1_000
WARM_UP_PRODUCTS = 10
log = logging.getLogger(__name__)


class Cart(NamedTuple):
    """A request for `n` companions of these products, by codes; `exclude` must not come."""

    products: tuple[str, ...]
    n: int
    customer: str | None = None
    exclude: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, eq=False)
class CompanionsState:
    """One model version; `copy` names its folder. `popular` is its answer to an empty cart, `loaded_at` in
    milliseconds since the epoch."""

    version: str
    copy: str
    model: CompanionsModel
    popular: Companions
    loaded_at: int

    def __str__(self) -> str:
        return f"model {self.version}"

    @property
    def as_of(self) -> int | None:
        """What the model knows up to, in milliseconds since the epoch; None where its log had no dates."""
        return self.model.as_of if self.model.dated else None

    @property
    def times(self) -> dict[str, int]:
        """See `ServedState`."""
        return {} if self.as_of is None else {"as_of": self.as_of}


class CompanionsMaker:
    """A `Maker` of companions models, which has nothing to follow beside them."""

    def make(self, folder: Path, *, version: str, copy: str, now: int, offline: bool) -> CompanionsState:
        """See `Maker`. `ModelFormatError` when it is damaged, of another schema, or answers what is no answer."""
        model = CompanionsModel.load(read_model(folder))
        popular = _warm_up(model, folder)
        return CompanionsState(version=version, copy=copy, model=model, popular=popular, loaded_at=now)

    def follow(self, state: CompanionsState) -> CompanionsState:
        """The same state."""
        return state


def companions(state: CompanionsState, cart: Cart, metrics: CompanionMetrics) -> Companions:
    """At most `cart.n` products that go with it; never an error of the model, which is counted and stepped around."""
    try:
        found = state.model.companions(cart.products, cart.n, customer=cart.customer, exclude=cart.exclude)
    except Exception:
        log.exception("The companions of a cart failed, the kept popular products are used")
        metrics.fallback("source_failed")
        found = _kept(state.popular, cart)
    else:
        if found.source != "cart" and state.model.kind != "popular":
            metrics.fallback(_reason(cart, found))
    items, asked = len(found.codes), len(cart.products)
    first = found.confidence[0] if items else None
    metrics.answered(found.source, n=cart.n, items=items, cart=asked, unknown=len(found.unknown), confidence=first)
    return found


def _reason(cart: Cart, found: Companions) -> CartReason:
    """Why the answer is not made of the cart."""
    if not cart.products:
        return "empty_cart"
    return "unknown_products" if set(found.unknown).issuperset(cart.products) else "nothing_goes_with_it"


def _kept(popular: Companions, cart: Cart) -> Companions:
    barred = {canonical_code(code) for code in (*cart.products, *cart.exclude)}
    rows = [row for row, code in enumerate(popular.codes) if code not in barred][: cart.n]
    return Companions(
        codes=tuple(popular.codes[row] for row in rows),
        descriptions=tuple(popular.descriptions[row] for row in rows),
        confidence=tuple(popular.confidence[row] for row in rows),
        because=(None,) * len(rows),
        source="popular",
        unknown=(),
    )


def _warm_up(model: CompanionsModel, folder: Path) -> Companions:
    """Answers carts the ways that requests go, which compiles what a request needs; the answer to an empty cart."""
    popular = model.companions([], POPULAR_DEPTH)
    products = popular.codes[:WARM_UP_PRODUCTS]
    _check(popular, (), folder)
    for cart in (products, products[:1]):
        for customer in (None, *model.customers[:1]):
            _check(model.companions(cart, WARM_UP_PRODUCTS, customer=customer, exclude=products[-1:]), cart, folder)
    return popular


def _check(found: Companions, cart: tuple[str, ...], folder: Path) -> None:
    fine = (
        all(0 <= one <= 1 for one in found.confidence)
        and all(better >= worse for better, worse in pairwise(found.confidence))
        and len({*found.codes, *cart}) == len(found.codes) + len(cart)
        and len(found.codes) == len(found.descriptions) == len(found.confidence) == len(found.because)
    )
    if not fine:
        raise ModelFormatError(f"{folder}: answers a cart with what is no answer. Train again")

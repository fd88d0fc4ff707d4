"""The features of candidates against a second, slow telling of what they are; and that a call leaves nothing behind."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from vitrina.ranking.cart_features import (
    CANDIDATES,
    DENSE_STEP,
    EASE_BEST,
    FEATURES,
    OWN_BEST,
    PAIRS,
    POPULAR_BEST,
    PRODUCT,
    ROOM,
    WIDEST_GAP,
    Bought,
    CartTables,
    cart_features,
    new_scratch,
)

ITEMS = 200
CUSTOMERS = 4
Rows = Sequence[int]


@pytest.fixture(scope="module")
def tables() -> CartTables:
    """Random ones: every product is linked to forty others, all but the last customer have bought."""
    random = np.random.default_rng(4)
    targets = np.concatenate([np.sort(random.choice(ITEMS, 40, replace=False)) for _ in range(ITEMS)])
    owned = [np.sort(random.choice(ITEMS, size, replace=False)) for size in (3, 60, 1, 0)]
    lines = sum(len(items) for items in owned)
    products = random.random((len(PRODUCT), ITEMS)).astype(np.float32)
    return CartTables(
        starts=np.arange(0, 40 * ITEMS + 1, 40, dtype=np.int64),
        targets=targets.astype(np.int32),
        values=(random.random((len(PAIRS), len(targets))) - 0.1).astype(np.float32),
        dense=np.empty((0, 0), np.int16),
        products=products,
        numbers=np.where(random.random(ITEMS) < 0.8, random.integers(20_000, 20_300, ITEMS), -1),
        popular=np.argsort(-products[1])[:POPULAR_BEST].astype(np.int32),
        bought=Bought(
            starts=np.cumsum([0, *(len(items) for items in owned)]),
            items=np.concatenate(owned).astype(np.int32),
            rates=random.random(lines).astype(np.float32),
            counts=random.integers(1, 9, lines).astype(np.float32),
            days=random.random(lines).astype(np.float32),
            baskets=np.array([3, 40, 1, 0], np.float32),
        ),
    )


class Described:
    """What one call says."""

    def __init__(
        self, tables: CartTables, cart: Rows, customer: int, barred: Rows = (), scratch: object = None
    ) -> None:
        cand, because = np.empty(CANDIDATES, np.int32), np.empty(CANDIDATES, np.int32)
        columns = np.full((len(FEATURES), ROOM), 77, np.float32)
        rows, out = (np.array(part, np.int32) for part in (cart, barred))
        scratch = new_scratch(ITEMS) if scratch is None else scratch
        count = cart_features(tables, scratch, rows, out, customer, cand, because, columns)
        self.items, self.because = cand[:count].tolist(), because[:count].tolist()
        self.columns = columns[:, :count].copy()

    def column(self, name: str) -> np.ndarray:
        return self.columns[FEATURES.index(name)]


def _linked(tables: CartTables, source: int, target: int) -> np.ndarray | None:
    """The values of a pair, None when it is not kept."""
    span = slice(tables.starts[source], tables.starts[source + 1])
    place = np.flatnonzero(tables.targets[span] == target)
    return tables.values[:, span][:, place[0]] if len(place) else None


CARTS = [[5], [5, 17], [0, 199, 44, 3, 120, 77, 8], list(range(0, 120, 3))]


@pytest.mark.parametrize("cart", CARTS, ids=len)
@pytest.mark.parametrize("customer", [-1, 0, 1, 3])
def test_every_feature_is_what_it_says(tables: CartTables, cart: list[int], customer: int) -> None:
    found = Described(tables, cart, customer)
    assert len(set(found.items)) == len(found.items) and not set(found.items) & set(cart)
    sums = {}
    for place, item in enumerate(found.items):
        pairs = [(source, values) for source in cart if (values := _linked(tables, source, item)) is not None]
        stacked = np.array([values for _, values in pairs]).reshape(-1, len(PAIRS))
        sums[item] = stacked.sum(axis=0)
        for k, name in enumerate(PAIRS):
            assert found.column(f"{name}_sum")[place] == pytest.approx(stacked[:, k].sum(), abs=1e-5)
            assert found.column(f"{name}_max")[place] == pytest.approx(stacked[:, k].max(initial=0))
        assert found.column("links")[place] == len(pairs)
        speaks = max(pairs, key=lambda pair: pair[1][1], default=(-1, np.zeros(len(PAIRS))))
        assert found.because[place] == (speaks[0] if speaks[1][1] > 0 else -1)
        for f, name in enumerate(PRODUCT):
            assert found.column(name)[place] == tables.products[f, item]
        gaps = [abs(tables.numbers[item] - tables.numbers[c]) for c in cart if tables.numbers[c] >= 0]
        gaps = gaps if tables.numbers[item] >= 0 else []
        assert found.column("number_gap")[place] == min([*gaps, WIDEST_GAP])
        assert found.column("number_same")[place] == gaps.count(0)
    for name in ("ease", "cosine"):
        ours = found.column(f"{name}_sum")
        assert found.column(f"{name}_place").tolist() == [(ours > own).sum() for own in ours]
    assert (found.column("cart_size") == len(cart)).all()
    assert found.column("cart_share") == pytest.approx(tables.products[1, cart].mean())


@pytest.mark.parametrize("customer", [0, 1, 2, 3])
def test_what_the_customer_took_is_told_and_offered(tables: CartTables, customer: int) -> None:
    found = Described(tables, [5, 17], customer)
    span = slice(*tables.bought.starts[customer : customer + 2])
    own = tables.bought.items[span].tolist()
    best = [own[place] for place in np.argsort(-tables.bought.rates[span])[:OWN_BEST] if own[place] not in (5, 17)]
    assert set(best) <= set(found.items)
    for place, item in enumerate(found.items):
        at = span.start + own.index(item) if item in own else None
        assert found.column("own_count")[place] == (0 if at is None else tables.bought.counts[at])
        assert found.column("own_rate")[place] == (0 if at is None else tables.bought.rates[at])
        assert found.column("own_days")[place] == pytest.approx(
            np.nan if at is None else tables.bought.days[at], nan_ok=True
        )
    assert (found.column("own_baskets") == tables.bought.baskets[customer]).all()


def test_nothing_is_claimed_of_a_customer_who_is_not_known(tables: CartTables) -> None:
    found = Described(tables, [5, 17], -1)
    for name in ("own_count", "own_rate", "own_days", "own_baskets"):
        assert np.isnan(found.column(name)).all()


def test_the_best_by_ease_and_cosine_are_offered(tables: CartTables) -> None:
    cart = CARTS[2]
    offered = set(Described(tables, cart, -1).items)
    for k in (0, 1):
        sums = np.zeros(ITEMS)
        for source in cart:
            span = slice(tables.starts[source], tables.starts[source + 1])
            np.add.at(sums, tables.targets[span], tables.values[k, span])
        sums[cart] = -np.inf
        assert set(np.argsort(-sums)[:40].tolist()) <= offered


def test_ease_of_all_pairs_counts_also_where_no_pair_is_kept(tables: CartTables) -> None:
    whole = tables._replace(dense=np.random.default_rng(9).integers(-9_000, 9_000, (ITEMS, ITEMS)).astype(np.int16))
    dense = whole.dense * DENSE_STEP
    for cart in CARTS:
        sums = dense[cart].sum(axis=0)
        found, kept = Described(whole, cart, 1), Described(tables, cart, 1)
        assert found.column("ease_sum") == pytest.approx(sums[found.items], abs=1e-5)
        assert found.column("ease_place").tolist() == [(sums[found.items] > own).sum() for own in sums[found.items]]
        linked = [i for i in range(ITEMS) if any(_linked(tables, c, i) is not None for c in cart) and i not in cart]
        best = sorted((item for item in linked if sums[item] > 0), key=lambda item: -sums[item])[:EASE_BEST]
        assert set(best) <= set(found.items)
        both = [(found.items.index(item), kept.items.index(item)) for item in set(found.items) & set(kept.items)]
        ours, theirs = (list(places) for places in zip(*both, strict=True))
        for name in set(FEATURES) - {"ease_sum", "ease_place", "cosine_place"}:
            np.testing.assert_array_equal(found.column(name)[ours], kept.column(name)[theirs], err_msg=name)


def test_barred_products_are_no_candidates(tables: CartTables) -> None:
    plain = Described(tables, [5, 17], 1)
    barred = plain.items[:30]
    assert not set(Described(tables, [5, 17], 1, barred).items) & set(barred)


@pytest.mark.parametrize("side", [0, ITEMS], ids=["kept pairs", "all pairs"])
def test_calls_leave_nothing_behind(tables: CartTables, side: int) -> None:
    tables = tables._replace(dense=np.full((side, side), 4_000, np.int16))
    scratch = new_scratch(ITEMS)
    alone = {(tuple(cart), customer): Described(tables, cart, customer) for cart in CARTS for customer in (-1, 1)}
    for (cart, customer), expected in [*alone.items(), *reversed(alone.items())]:
        found = Described(tables, cart, customer, scratch=scratch)
        assert found.items == expected.items and found.because == expected.because
        np.testing.assert_array_equal(found.columns, expected.columns)
    assert not scratch.first.any() and not scratch.state.any()
    assert (scratch.slot == -1).all() and (scratch.own == -1).all()


def test_an_empty_cart_has_what_is_popular_and_the_customers_own(tables: CartTables) -> None:
    assert Described(tables, [], -1).items == tables.popular.tolist()
    assert set(Described(tables, [], 0).items) == set(tables.popular.tolist()) | set(tables.bought.items[:3].tolist())

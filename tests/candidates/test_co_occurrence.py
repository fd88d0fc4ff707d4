"""Lift, confidence, cosine and BM25 against slow plain versions of their formulas."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import permutations
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from vitrina.candidates import co_occurrence
from vitrina.candidates.carts import Carts, ItemItem
from vitrina.candidates.co_occurrence import BM25, Lift
from vitrina.candidates.neighbours import Neighbours
from vitrina.events.baskets.baskets import Baskets
from vitrina.events.schema import DAY_MS

ITEMS = 9
Floats = npt.NDArray[np.float64]


@pytest.fixture(scope="module")
def carts(baskets_of: Callable[..., Baskets]) -> Carts:
    """40 carts, one a day; item 8 is in none."""
    rng = np.random.default_rng(11)
    rows = [rng.choice(8, size, replace=False) for size in rng.integers(2, 6, 40)]
    return Carts.of(baskets_of(rows, items=ITEMS, ts=[day * DAY_MS for day in range(40)]), threads=1)


def sets(carts: Carts) -> list[list[int]]:
    return [list(np.flatnonzero(row)) for row in carts.profiles.toarray()]


def plain_rules(carts: Carts, measure: str, shrink: float, discount: float, half_life: float | None) -> Floats:
    shared, alone = np.zeros((ITEMS, ITEMS)), np.zeros(ITEMS)
    for cart, ts in zip(sets(carts), carts.ts, strict=True):
        weight = len(cart) ** -discount
        if half_life is not None:
            weight *= 0.5 ** ((carts.as_of - ts) / DAY_MS / half_life)
        for item in cart:
            alone[item] += weight
        for one, other in permutations(cart, 2):
            shared[one, other] += weight
    found = np.zeros_like(shared)
    for one, other in zip(*np.nonzero(shared), strict=True):
        divisor = {
            "lift": alone[one] * alone[other],
            "confidence": alone[one],
            "cosine": math.sqrt(alone[one] * alone[other]),
        }[measure]
        support = shared[one, other]
        found[one, other] = support / divisor * support / (support + shrink)
    return found


def plain_bm25(carts: Carts, k1: float, b: float) -> Floats:
    rows = sets(carts)
    often = [sum(item in cart for cart in rows) for item in range(ITEMS)]
    mean = sum(often) / ITEMS

    def weight(item: int, cart: list[int]) -> float:
        told = max(math.log(ITEMS) - math.log(1 + len(cart)), 0.0)
        return told * (k1 + 1) / (k1 * (1 - b + b * often[item] / mean) + 1)

    found = np.zeros((ITEMS, ITEMS))
    for cart in rows:
        for one, other in permutations(cart, 2):
            found[one, other] += weight(one, cart) * weight(other, cart)
    return found


@pytest.mark.parametrize("measure", ["lift", "confidence", "cosine"])
@pytest.mark.parametrize(("shrink", "discount", "half_life"), [(0.0, 0.0, None), (3.0, 1.0, None), (2.0, 0.5, 15.0)])
def test_rules_are_their_formula(
    carts: Carts, measure: Any, shrink: float, discount: float, half_life: float | None
) -> None:
    found = Lift(measure=measure, shrink=shrink, cart_discount=discount, half_life=half_life).fit(carts)
    assert isinstance(found, ItemItem)
    np.testing.assert_allclose(found.matrix, plain_rules(carts, measure, shrink, discount, half_life), rtol=1e-5)


@pytest.mark.parametrize(("k1", "b"), [(1.2, 0.75), (50.0, 0.2)])
def test_bm25_is_its_formula(carts: Carts, k1: float, b: float) -> None:
    found = BM25(k1=k1, b=b).fit(carts)
    assert isinstance(found, ItemItem)
    np.testing.assert_allclose(found.matrix, plain_bm25(carts, k1, b), rtol=1e-5)


@pytest.mark.parametrize("source", [Lift(measure="cosine", shrink=1.0), BM25()])
def test_of_a_large_catalogue_the_best_companions_stay(
    carts: Carts, source: Lift | BM25, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = source.fit(carts)
    monkeypatch.setattr(co_occurrence, "MOST_DENSE", ITEMS - 1)
    monkeypatch.setattr(co_occurrence, "ROWS", 4)
    few = type(source)(**{**vars(source), "keep": 3}).fit(carts)
    assert isinstance(whole, ItemItem)
    assert isinstance(few, Neighbours)
    for item in range(ITEMS):
        line = whole.matrix[item]
        best = np.lexsort((np.arange(ITEMS), -line))[: min(3, int((line > 0).sum()))]
        np.testing.assert_array_equal(few.of(item)[0], best)
        np.testing.assert_allclose(few.of(item)[1], line[best], rtol=1e-6)

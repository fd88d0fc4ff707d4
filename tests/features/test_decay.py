"""Decay halves an event's worth every half-life, and a pair's weight is the sum over its events before `as_of`."""

from __future__ import annotations

from collections.abc import Callable

import ibis.expr.types as ir
import pytest

from vitrina.engine import LocalEngine
from vitrina.events.schema import BUY, CART, DAY_MS, VIEW
from vitrina.features.decay import age_days, halved, interactions, kind_weight

AS_OF = 1_440_000_000_000


@pytest.mark.parametrize(
    ("days", "half_life", "share"), [(0, 7.0, 1.0), (7, 7.0, 0.5), (21, 7.0, 0.125), (7, 14.0, 0.5**0.5)]
)
def test_worth_halves_every_half_life(
    days: int, half_life: float, share: float, engine: LocalEngine, as_table: Callable[..., ir.Table]
) -> None:
    events = as_table([(0, 0, VIEW, AS_OF - days * DAY_MS)])
    age = age_days(events.ts, AS_OF)
    found = engine.to_arrow(events.select(age=age, share=halved(age, half_life))).to_pylist()[0]
    assert found["age"] == days
    assert found["share"] == pytest.approx(share)


def test_each_kind_has_its_own_weight(engine: LocalEngine, as_table: Callable[..., ir.Table]) -> None:
    events = as_table([(0, kind, kind, AS_OF) for kind in (VIEW, CART, BUY)])
    found = engine.to_arrow(events.select("kind", worth=kind_weight(events.kind, (2.0, 3.0, 7.0))).order_by("kind"))
    assert found["worth"].to_pylist() == [2.0, 3.0, 7.0]


def test_a_pairs_weight_sums_its_past_events(engine: LocalEngine, as_table: Callable[..., ir.Table]) -> None:
    events = as_table(
        [
            (1, 4, VIEW, AS_OF - 10 * DAY_MS),
            (1, 4, BUY, AS_OF - 20 * DAY_MS),
            (1, 5, CART, AS_OF - 1),
            (1, 5, CART, AS_OF),  # at the time itself: not seen
            (2, 4, VIEW, AS_OF + 1),
        ]
    )
    found = engine.to_arrow(interactions(events, as_of=AS_OF, half_life=10.0, weights=(1.0, 3.0, 5.0)))
    weights = {(row["user"], row["item"]): row["weight"] for row in found.to_pylist()}
    assert weights == {(1, 4): pytest.approx(0.5 + 5 * 0.25), (1, 5): pytest.approx(3.0)}

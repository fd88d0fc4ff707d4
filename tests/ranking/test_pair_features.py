"""Every feature of every (visitor, item) against its meaning, worked out item by item from the raw events."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from vitrina.candidates.profile import MOST_EVENTS, MOST_ITEMS
from vitrina.candidates.retrieval import MATRICES, SOURCES, Tables
from vitrina.events.schema import BUY, CART, DAY_MS, KIND_NAMES
from vitrina.features.item_columns import ITEM_FEATURES
from vitrina.ranking.pair_features import FEATURES

AS_OF = 1_440_000_000_000
HOUR_MS = DAY_MS // 24
Ask = Callable[..., Any]  # Asked of conftest
Event = tuple[int, int, int]


def links_of(tables: Tables, matrix: int) -> dict[int, dict[int, float]]:
    """source -> target -> weight of one matrix."""
    found: dict[int, dict[int, float]] = {}
    for source in range(len(tables.starts)):
        span = range(tables.starts[source, matrix], tables.starts[source, matrix + 1])
        found[source] = {int(tables.neighbours[p]): float(tables.weights[p]) for p in span}
    return found


class Visitor:
    """One visitor's events (item, kind, ts), most recent first, and everything that follows from them alone."""

    def __init__(self, world: Any, user: int, as_of: int) -> None:
        self.world, self.as_of = world, as_of
        h = world.histories.of(user)
        events = zip(h.items.tolist(), h.kinds.tolist(), h.ts.tolist(), strict=True)
        self.events: list[Event] = [event for event in events if event[2] < as_of]
        self.looked_at = self.events[:MOST_EVENTS]
        self.items = list(dict.fromkeys(item for item, _, _ in self.looked_at))[:MOST_ITEMS]
        self.weight = {item: self._weight(place, item) for place, item in enumerate(self.items)}

    def of(self, item: int, *kinds: int) -> list[int]:
        """Times at which the visitor touched the item in one of the ways, latest first."""
        return [ts for other, kind, ts in self.looked_at if other == item and kind in kinds]

    def days(self, ts: int) -> float:
        return max((self.as_of - ts) / DAY_MS, 0.0)

    def _weight(self, place: int, item: int) -> float:
        taste = self.world.taste
        worths = [
            taste.kind_weights[kind] * 0.5 ** (self.days(ts) / taste.half_life)
            for it, kind, ts in self.looked_at
            if it == item
        ]
        return max(worths) / (1 + place) ** taste.position_power

    def factor(self) -> Any:
        tables, alpha = self.world.tables, self.world.taste.alpha
        if not self.items:
            return np.zeros(tables.factors.shape[1])
        Y = tables.factors[self.items].astype(np.float64)
        confidence = alpha * np.array(list(self.weight.values()))
        return np.linalg.solve(tables.gram + (Y.T * confidence) @ Y, Y.T @ (1 + confidence))


def meant(
    visitor: Visitor, item: int, rank: int, ranks: dict[str, float], links: list[dict[int, dict[int, float]]]
) -> dict[str, float]:
    """Features by name."""
    tables = visitor.world.tables
    own = item in visitor.weight
    out: dict[str, float] = {"own_position": visitor.items.index(item) if own else math.nan}
    for kind, name in enumerate(KIND_NAMES):
        times = visitor.of(item, kind) if own else []
        out[f"own_{name}s"] = len(times)
        out[f"own_days_since_{name}"] = visitor.days(times[0]) if times else math.nan
    out["own_weight"] = visitor.weight.get(item, 0.0)
    out["own_open_cart"] = float(own and bool(visitor.of(item, CART)) and not visitor.of(item, BUY))
    for name, link in zip(MATRICES, links, strict=True):
        strengths = [visitor.weight[mine] * link[mine][item] for mine in visitor.items if item in link[mine]]
        out[f"{name}_sum"] = sum(strengths)
        out[f"{name}_max"] = max(strengths, default=0.0)
        out[f"{name}_links"] = len(strengths)
        out[f"{name}_flat"] = sum(link[mine][item] for mine in visitor.items if item in link[mine])
        out[f"{name}_last"] = link[visitor.items[0]].get(item, 0.0) if visitor.items else 0.0
    out["als_score"] = float(visitor.factor() @ tables.factors[item])
    out["popularity"] = float(tables.popularity[item])
    out |= {f"{source}_rank": ranks[source] for source in SOURCES}
    out["fused_rank"] = rank
    out["als_cosine_last"] = math.nan
    if visitor.items:
        a, b = tables.factors[visitor.items[0]].astype(float), tables.factors[item].astype(float)
        if a.any() and b.any():
            out["als_cosine_last"] = float(a @ b / np.linalg.norm(a) / np.linalg.norm(b))
    out |= shares(visitor, item)
    out["visitor_items"] = len(visitor.items)
    out["visitor_events_hour"] = sum(visitor.as_of - ts <= HOUR_MS for _, _, ts in visitor.events)
    out["visitor_events_day"] = sum(visitor.as_of - ts <= DAY_MS for _, _, ts in visitor.events)
    known = visitor.items
    out["visitor_idle_days"] = visitor.days(visitor.events[0][2]) if known else math.nan
    out["visitor_cart_share"] = sum(bool(visitor.of(mine, CART)) for mine in known) / len(known) if known else math.nan
    out["visitor_bought"] = sum(len(visitor.of(mine, BUY)) for mine in known)
    out["visitor_mean_popularity"] = float(np.mean(np.log1p(tables.popularity[known]))) if known else 0.0
    return out | dict(zip(ITEM_FEATURES, tables.item_values[item].tolist(), strict=True))


def shares(visitor: Visitor, item: int) -> dict[str, float]:
    """How much of the history lies in the item's category, and under the same parent."""
    category, parent = visitor.world.tables.category, visitor.world.tables.parent
    names = ("same_category_share", "same_parent_share", "same_as_last_category")
    mine = int(category[item])
    if mine < 0 or not visitor.items:
        return dict.fromkeys(names, math.nan)

    def related(other: int) -> bool:
        return other == mine or (other >= 0 and parent[mine] >= 0 and parent[other] == parent[mine])

    total = sum(visitor.weight.values())
    same = sum(weight for seen, weight in visitor.weight.items() if category[seen] == mine)
    near = sum(weight for seen, weight in visitor.weight.items() if related(int(category[seen])))
    return dict(zip(names, (same / total, near / total, float(category[visitor.items[0]] == mine)), strict=True))


@pytest.mark.parametrize("shift", [0, HOUR_MS, -9 * DAY_MS])
def test_every_column_means_what_its_name_says(shift: int, world: Any, ask: Ask) -> None:
    links = [links_of(world.tables, m) for m in range(len(MATRICES))]
    seen = set()
    for user in range(0, 60, 3):
        visitor, asked = Visitor(world, user, AS_OF + shift), ask(user, AS_OF + shift)
        for place, item in enumerate(asked.cand.tolist()):
            ranks = dict(zip(SOURCES, asked.ranks[place].tolist(), strict=True))
            expected = meant(visitor, item, place, ranks, links)
            assert set(expected) == set(FEATURES)
            for name, value in zip(FEATURES, asked.rows[place].tolist(), strict=True):
                off = 3e-4 if name == "als_score" else 2e-5  # the fold-in iterates
                assert value == pytest.approx(expected[name], rel=1e-4, abs=off, nan_ok=True), (user, item, name)
                if value != 0 and not math.isnan(value):
                    seen.add(name)
    assert seen >= set(FEATURES) - {"visitor_events_hour"}, "some columns were never put to the test"


def test_missing_is_nan_and_only_where_something_can_be_missing(ask: Ask) -> None:
    rows = np.concatenate([ask(user).rows for user in range(60)])
    missing = {name for name, column in zip(FEATURES, rows.T, strict=True) if np.isnan(column).any()}
    ages = {"own_position", *(f"own_days_since_{kind}" for kind in KIND_NAMES)}
    strangers = {"visitor_idle_days", "visitor_cart_share", "als_cosine_last"}
    assert missing == ages | strangers | {"same_category_share", "same_parent_share", "same_as_last_category"}
    assert not np.isinf(rows).any()


@pytest.mark.parametrize("user", [0, 7, 20, 58])
def test_candidates_in_another_order_give_the_same_rows(user: int, ask: Ask, rng: np.random.Generator) -> None:
    asked = ask(user)
    order = rng.permutation(len(asked.cand))
    shuffled = asked.again(asked.cand[order], asked.ranks[order])
    place = FEATURES.index("fused_rank")
    assert shuffled[:, place].tolist() == list(range(len(order)))
    np.testing.assert_array_equal(np.delete(shuffled, place, axis=1), np.delete(asked.rows[order], place, axis=1))


def test_one_candidate_alone_has_the_row_that_it_has_among_many(ask: Ask) -> None:
    asked = ask(4)
    for place in range(len(asked.cand)):
        alone = asked.again(asked.cand[place : place + 1], asked.ranks[place : place + 1])[0]
        alone[FEATURES.index("fused_rank")] = place
        np.testing.assert_array_equal(alone, asked.rows[place])


def test_an_item_that_nobody_saw_can_be_asked_about(world: Any, ask: Ask) -> None:
    asked = ask(4)
    ranks = np.full((1, len(SOURCES)), 1000, np.float32)
    row = dict(zip(FEATURES, asked.again(np.array([49], np.int32), ranks)[0].tolist(), strict=True))
    assert math.isnan(row["item_age_days"]) and math.isnan(row["als_cosine_last"])
    assert row["popularity"] == row["own_weight"] == row["als_score"] == 0


def test_a_history_too_old_to_weigh_anything_is_no_error(world: Any, ask: Ask) -> None:
    asked = ask(4, AS_OF + 40_000 * DAY_MS)
    assert asked.known > 0
    assert np.isnan(asked.rows[:, FEATURES.index("same_category_share")]).all()

"""The oracle of a generated world agrees with what was written, and beats popularity where there is structure."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from vitrina.errors import ConfigError, DataError, UnknownItemError
from vitrina.events.synthetic_shop.generator import Oracle

DAY = 86_400_000


def test_first_views_come_as_often_as_the_oracle_says(world: Any) -> None:
    opening = world.events.sort_values(["timestamp"], kind="stable").drop_duplicates("visitorid")[::300]
    expected: list[float] = []
    met = 0
    for user, ts, item in opening[["visitorid", "timestamp", "itemid"]].itertuples(index=False):
        chance = world.oracle.first_view(user, ts)
        best = np.argsort(-chance)[:20]
        assert chance.sum() == pytest.approx(1)
        expected.append(chance[best].sum())
        met += item in best
    sigma = np.sqrt(np.sum(np.array(expected) * (1 - np.array(expected))))
    assert met == pytest.approx(np.sum(expected), abs=4 * sigma)


def test_second_views_are_companions_only_where_there_is_structure(world: Any, plain: Any) -> None:
    for one, low, high in ((world, 0.07, 0.2), (plain, 0.0, 0.01)):
        views = one.of("view").sort_values(["visitorid", "timestamp"], kind="stable")
        before = views.shift()
        inside = (views["visitorid"] == before["visitorid"]) & (views["timestamp"] - before["timestamp"] < 1_800_000)
        inside &= views["itemid"] != before["itemid"]
        companion = one.oracle.companions()[before["itemid"][inside].astype(int)]
        assert low <= (views["itemid"][inside] == companion).mean() < high


def hit_rates(world: Any, answers: dict[str, Callable[[Any], Any]]) -> dict[str, float]:
    """Share of visitors with a cart in the last 28 days for whom one of ten items is in a cart."""
    truth = world.of("addtocart").query(f"timestamp >= {world.spec.end - 28 * DAY}").groupby("visitorid")["itemid"]
    carts = list(truth)[:400]
    return {
        name: float(np.mean([items.isin(top(user)).any() for user, items in carts])) for name, top in answers.items()
    }


def rates_at_last_month(world: Any) -> dict[str, float]:
    cut, shop = world.spec.end - 28 * DAY, world.oracle.shop
    past = world.events[world.events["timestamp"] < cut]
    popular = np.bincount(past["itemid"], minlength=world.oracle.items)
    recent = np.bincount(past["itemid"][past["timestamp"] >= cut - 7 * DAY], minlength=world.oracle.items)
    sells = np.empty(world.oracle.items)
    sells[shop.item_id] = shop.conversion * (shop.available != (cut >= shop.toggle))
    lists = {"popular": popular, "popular-7d": recent, "popular that sells": popular * sells}
    best = {name: np.argsort(-scores)[:10] for name, scores in lists.items()}
    answers: dict[str, Callable[[Any], Any]] = {"oracle": lambda user: world.oracle.top(user, cut, 10)}
    for name, top in best.items():
        answers[name] = partial(lambda fixed, user: fixed, top)
    return hit_rates(world, answers)


def test_the_oracle_beats_popularity_where_there_is_structure(world: Any) -> None:
    rates = rates_at_last_month(world)
    ceiling = rates.pop("oracle")
    assert ceiling > 0.4
    assert ceiling > 4 * max(rates.values())


def test_without_structure_the_oracle_is_popularity_among_what_sells(plain: Any) -> None:
    rates = rates_at_last_month(plain)
    ceiling = rates.pop("oracle")
    assert ceiling == pytest.approx(rates["popular that sells"], abs=0.03)
    cut = plain.spec.end
    np.testing.assert_array_equal(plain.oracle.top(3, cut, 10), plain.oracle.top(4, cut, 10, history=[1, 2]))


def test_history_raises_the_items_seen_and_their_companions(world: Any) -> None:
    as_of, seen = world.spec.end - 1, [11, 12]
    without, knowing = (world.oracle.scores(5, as_of, history) for history in ([], seen))
    on_sale = knowing > 0
    for item in (*seen, *world.oracle.companions()[seen]):
        assert not on_sale[item] or knowing[item] > without[item]
    first = world.oracle.first_view(5, as_of, seen)
    assert first.sum() == pytest.approx(1)
    assert first[11] > first[12] > 0.05


def test_a_loaded_oracle_answers_as_the_generated_one(world: Any) -> None:
    loaded = Oracle.load(world.folder)
    assert loaded.spec == world.spec
    for user in (0, 77):
        np.testing.assert_array_equal(loaded.top(user, world.spec.end, 20), world.oracle.top(user, world.spec.end, 20))
        assert loaded.tastes(user).weights.sum() == pytest.approx(1)
        assert set(loaded.tastes(user).categories) <= set(loaded.item_categories())
    scores = loaded.scores(0, world.spec.end)
    assert scores[loaded.top(0, world.spec.end, 20)].tolist() == sorted(scores, reverse=True)[:20]


def test_the_oracle_refuses_what_the_world_lacks(world: Any, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="visitors 0 to"):
        world.oracle.top(world.spec.n_users, world.spec.end, 5)
    with pytest.raises(UnknownItemError, match="items 0 to"):
        world.oracle.top(0, world.spec.end, 5, history=[world.oracle.items])
    with pytest.raises(ConfigError, match="k=0"):
        world.oracle.top(0, world.spec.end, 0)
    with pytest.raises(DataError, match="Generate the world again"):
        Oracle.load(tmp_path)
    (tmp_path / "oracle.json").write_text('{"schema": 0}', encoding="utf-8")
    with pytest.raises(DataError, match="schema 0"):
        Oracle.load(tmp_path)

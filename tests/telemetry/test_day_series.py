"""Days to Graphite: the rates, their exact values in a real graphite-web, and that sending again changes nothing."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from graphite_server import GraphiteServer
from waiting import PATIENCE, wait

from vitrina.storage.sql_state import SqlState
from vitrina.telemetry.day_series import DaySeries, day_begin, day_rates
from vitrina.telemetry.graphite import DROPPED, GraphiteSender
from vitrina.telemetry.pipeline_exporter import StateReader, forwarding

DAY = 86_400
BEGIN = 1_438_560_000  # 2015-08-03, UTC


def day(n: int, **other: int) -> dict[str, Any]:
    counts = {"views": 1_000 + n, "carts": 30 + n, "purchases": 7, "visitors": 400 + n}
    return {"day": f"2015-08-{3 + n:02d}", **counts, "carting_visitors": 21 + n, "carting_buyers": 5, **other}


@pytest.fixture(scope="module")
def graphite() -> Iterator[GraphiteServer]:
    with GraphiteServer() as server:
        yield server


def test_rates() -> None:
    full = {"views": 200, "carts": 8, "purchases": 2, "visitors": 9, "carting_visitors": 5, "carting_buyers": 1}
    assert day_rates(full) == {"view_to_cart": 0.04, "cart_to_purchase": 0.25, "purchase": 0.2}
    assert day_rates(full | {"views": 0}) == {"cart_to_purchase": 0.25, "purchase": 0.2}
    assert day_rates(full | {"carts": 0, "carting_visitors": 0, "carting_buyers": 0}) == {"view_to_cart": 0.0}


def test_a_day_begins_at_midnight_utc() -> None:
    assert day_begin({"day": "2015-08-03"}) == BEGIN
    assert day_begin({"day": "2016-03-01"}) == BEGIN + 211 * DAY


def test_every_day_is_told_exactly_and_sending_again_changes_nothing(graphite: GraphiteServer) -> None:
    days = [day(0), day(1, views=0), day(3)]
    sender = GraphiteSender("127.0.0.1", graphite.carbon)
    series = DaySeries(sender)
    assert series.forward("storefront", days, now=0) == 7 + 6 + 7
    expected = {
        **{name: [(day_begin(one), float(one[name])) for one in days] for name in ("views", "carts", "purchases")},
        "visitors": [(BEGIN, 400.0), (BEGIN + DAY, 401.0), (BEGIN + 3 * DAY, 403.0)],
        "view_to_cart": [(BEGIN, 30 / 1_000), (BEGIN + 3 * DAY, 33 / 1_003)],
        "cart_to_purchase": [(BEGIN, 7 / 30), (BEGIN + DAY, 7 / 31), (BEGIN + 3 * DAY, 7 / 33)],
        "purchase_rate": [(BEGIN, 5 / 21), (BEGIN + DAY, 5 / 22), (BEGIN + 3 * DAY, 5 / 24)],
    }

    def told() -> dict[str, list[tuple[int, float]]]:
        found = graphite.render("vitrina.storefront.day.*", BEGIN - 1, BEGIN + 30 * DAY)
        return {name.removeprefix("vitrina.storefront.day."): points for name, points in found.items()}

    wait(lambda: told() == expected, otherwise=lambda: str(told()), pause=0.1)
    for now in (3_600, 7_200):
        assert series.forward("storefront", days, now=now) == 20
    wait(lambda: sender.sent == 60, pause=0.1)
    assert series.forward("storefront", [*days, day(4, views=1)], now=7_201) == 27
    sender.close(PATIENCE)
    wait(lambda: told()["views"][-1] == (BEGIN + 4 * DAY, 1.0), pause=0.1)
    assert {name: points[: len(expected[name])] for name, points in told().items()} == expected
    assert sender.dropped == dict.fromkeys(DROPPED, 0)


def test_the_same_days_are_sent_once_until_they_are_due_again() -> None:
    sender = GraphiteSender("127.0.0.1", 1)
    series = DaySeries(sender, again=60)
    assert series.forward("storefront", [day(0)], now=100) == 7
    assert series.forward("storefront", [day(0)], now=159) == 0
    assert series.forward("basket", [day(0)], now=159) == 7
    assert series.forward("storefront", [day(0)], now=160) == 7
    assert series.forward("storefront", [day(0, carts=31)], now=161) == 7
    assert series.forward("storefront", [], now=162) == 0
    sender.close(0)
    assert sum(sender.dropped.values()) == 28


def test_what_the_step_prepare_recorded_is_in_graphite_soon_after(graphite: GraphiteServer, tmp_path: Path) -> None:
    uri = f"sqlite:///{tmp_path / 'state.db'}"
    state = SqlState.open(uri)

    def record(run_id: str, days: list[dict[str, Any]]) -> None:
        step = state.begin_step(scenario="basket", run_id=run_id, step="prepare", as_of=None, now=1)
        state.finish_step(step, now=2, result={"users": 1, "days": days})

    def series() -> dict[str, list[tuple[int, float]]]:
        return graphite.render("vitrina.basket.day.*", BEGIN - 1, BEGIN + 30 * DAY)

    def holds(days: list[dict[str, Any]]) -> bool:
        found = series()
        carts = [(day_begin(one), float(one["carts"])) for one in days]
        rates = [(day_begin(one), one["carting_buyers"] / one["carting_visitors"]) for one in days]
        return found.get("vitrina.basket.day.carts") == carts and found.get("vitrina.basket.day.purchase_rate") == rates

    sender = GraphiteSender("127.0.0.1", graphite.carbon)
    with forwarding(StateReader(lambda: SqlState.open(uri)), sender, pause=0.2):
        first = [day(n) for n in range(20)]
        record("one", first)
        wait(lambda: holds(first), pause=0.1)
        second = [*[day(n) for n in range(19)], day(19, carts=99, carting_visitors=50), day(20)]
        record("two", second)
        wait(lambda: holds(second), pause=0.1)
    assert sender.sent == 7 * (len(first) + len(second))

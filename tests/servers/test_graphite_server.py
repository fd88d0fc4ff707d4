"""The Graphite of the tests: what goes into carbon comes out of graphite-web, before and after carbon has stopped."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from graphite_server import GraphiteServer
from waiting import wait

DAY = 86_400
BEGIN = 1_438_560_000  # 2015-08-03, UTC


@pytest.fixture(scope="module")
def graphite() -> Iterator[GraphiteServer]:
    with GraphiteServer() as server:
        yield server


def test_old_days_come_back_exactly_and_outlive_carbon(graphite: GraphiteServer) -> None:
    sent = [(BEGIN + day * DAY, day + 0.1) for day in range(40)]
    names = [f"vitrina.storefront.day.fact_{n}" for n in range(60)]  # more than carbon creates in a minute by default
    graphite.send((name, value, ts) for name in names for ts, value in sent)

    def told() -> dict[str, list[tuple[int, float]]]:
        return graphite.render("vitrina.storefront.day.*", BEGIN - 1, BEGIN + 40 * DAY)

    expected = dict.fromkeys(names, sent)
    wait(lambda: told() == expected, otherwise=lambda: f"{len(told())} series", pause=0.1)
    graphite.stop_carbon()
    assert told() == expected
    graphite.start_carbon()
    graphite.send([(names[0], 7.5, BEGIN)])
    wait(lambda: told()[names[0]][0] == (BEGIN, 7.5), pause=0.1)
    assert told()[names[0]][1:] == sent[1:]


def test_the_stacks_schemas_are_the_ones_in_use(graphite: GraphiteServer) -> None:
    names = ("vitrina.basket.day.carts", "bank-rs.system.cpu_load", "response_time", "target.ind_1m_debit_account")
    graphite.send((name, 1.0, BEGIN) for name in names)
    files = [graphite.folder / "whisper" / f"{name.replace('.', '/')}.wsp" for name in names]
    wait(lambda: all(path.is_file() for path in files), pause=0.1)
    header, archive, point = 16, 12, 12
    years = 20 * 365 * point
    fine = (7 * 8_640 + 60 * 1_440 + 2 * 365 * 144) * point
    assert [path.stat().st_size for path in files] == [header + archive + years, *[header + 3 * archive + fine] * 3]

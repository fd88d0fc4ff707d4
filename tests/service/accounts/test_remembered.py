"""How often a database is asked, and what is used when it is away."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable

import pytest
from waiting import PATIENCE

from app.accounts import remembered
from app.accounts.remembered import Remembered
from app.errors import Refused
from vitrina.errors import StateError


class Database:
    """Counts questions; `rows` and `fault` are what it has to say, and it answers those for what begins like one of
    `held` when it is `free`."""

    def __init__(self) -> None:
        self.rows: dict[str, str] = {"ann": "1"}
        self.fault = False
        self.held = ("made up",)
        self.asked = 0
        self.now = 100.0
        self.free = threading.Event()
        self.free.set()

    def read(self, key: str) -> str | None:
        self.asked += 1
        if key.startswith(self.held):
            assert self.free.wait(PATIENCE)
        if self.fault:
            raise StateError("away")
        return self.rows.get(key)


def run(test: Callable[[Database, Remembered[str, str]], Awaitable[None]]) -> None:
    async def within() -> None:
        database = Database()
        memory = Remembered(
            database.read,
            fresh_seconds=1,
            stale_seconds=60,
            at_once=2,
            clock=lambda: database.now,
        )
        await test(database, memory)

    asyncio.run(within())


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a busy machine a thread may begin late: that is no slow database."""
    monkeypatch.setattr(remembered, "PATIENCE_SECONDS", PATIENCE)


def test_a_row_is_asked_for_once_while_it_is_fresh() -> None:
    async def test(database: Database, memory: Remembered[str, str]) -> None:
        assert [await memory.get("ann") for _ in range(3)] == ["1"] * 3
        assert database.asked == 1
        database.rows["ann"] = "2"
        database.now += 0.99
        assert await memory.get("ann") == "1"
        database.now += 0.01
        assert await memory.get("ann") == "2"
        assert await memory.get("ann", younger_than=0.0) == "2"
        assert database.asked == 3

    run(test)


def test_what_is_not_there_is_asked_for_every_time() -> None:
    async def test(database: Database, memory: Remembered[str, str]) -> None:
        assert [await memory.get("eve") for _ in range(3)] == [None] * 3
        database.rows["eve"] = "7"
        assert await memory.get("eve") == "7"
        del database.rows["eve"]
        database.now += 1
        assert await memory.get("eve") is None

    run(test)


def test_who_asks_for_the_same_meanwhile_shares_the_question() -> None:
    async def test(database: Database, memory: Remembered[str, str]) -> None:
        database.held = ("ann", "eve")
        database.free.clear()
        all_at_once = asyncio.gather(*(memory.get("ann") for _ in range(50)))
        await asyncio.sleep(0.01)
        database.free.set()
        assert await all_at_once == ["1"] * 50
        assert database.asked == 1
        database.free.clear()
        gone = asyncio.create_task(memory.get("eve"))
        stays = asyncio.create_task(memory.get("eve"))
        await asyncio.sleep(0.01)
        gone.cancel()
        database.free.set()
        assert await stays is None, "one who goes away takes the answer from nobody"

    run(test)


def test_while_it_is_away_memory_serves_for_some_time() -> None:
    async def test(database: Database, memory: Remembered[str, str]) -> None:
        await memory.get("ann")
        database.fault, database.now = True, database.now + 30
        for _ in range(5):
            assert await memory.get("ann") == "1"
        assert database.asked == 2, "it is left alone for a moment"
        with pytest.raises(StateError):
            await memory.get("eve")
        database.now += 2
        assert await memory.get("ann") == "1" and database.asked == 4
        database.now += 29
        with pytest.raises(StateError):
            await memory.get("ann")
        database.fault = False
        assert await memory.get("ann") == "1"

    run(test)


def test_a_slow_database_holds_up_those_who_are_known_for_a_moment_only(monkeypatch) -> None:
    monkeypatch.setattr(remembered, "PATIENCE_SECONDS", 0.02)

    async def test(database: Database, memory: Remembered[str, str]) -> None:
        await memory.get("ann")
        database.held, database.now = ("ann",), database.now + 5
        database.free.clear()
        database.rows["ann"] = "2"
        assert await memory.get("ann") == "1", "while the database has not answered"
        assert database.asked == 2
        database.free.set()
        under_way = list(memory._under_way.values())
        assert await asyncio.gather(*under_way) == ["2"]
        assert await memory.get("ann") == "2", "what it said in the end is known"
        assert database.asked == 2

    run(test)


def test_a_flood_is_refused_and_ends_nothing_for_those_who_are_known(monkeypatch) -> None:
    monkeypatch.setattr(remembered, "WAITING_AT_MOST", 5)

    async def test(database: Database, memory: Remembered[str, str]) -> None:
        database.rows["bob"] = "8"
        assert [await memory.get("ann"), await memory.get("bob")] == ["1", "8"]
        database.now += 5
        database.free.clear()
        flood = [asyncio.create_task(memory.get(f"made up {number}")) for number in range(50)]
        await asyncio.sleep(0.01)
        del database.rows["ann"]
        database.rows["bob"] = "9"
        try:
            assert await memory.get("ann") is None, "who is deleted meanwhile is out at once"
            assert await memory.get("bob") == "9"
        finally:
            database.free.set()
        answers = await asyncio.gather(*flood, return_exceptions=True)
        assert [one.status for one in answers if isinstance(one, Refused)] == [429] * 45
        assert answers.count(None) == 5
        assert await memory.get("eve") is None

    run(test)


def test_one_network_has_its_part_of_the_queue(monkeypatch) -> None:
    monkeypatch.setattr(remembered, "WAITING_AT_MOST", 5)
    monkeypatch.setattr(remembered, "FROM_ONE_NETWORK", 3)

    async def test(database: Database, memory: Remembered[str, str]) -> None:
        database.free.clear()
        flood = [
            asyncio.create_task(memory.get(f"made up {number}", address=f"2001:db8::{number}")) for number in range(9)
        ]
        await asyncio.sleep(0.01)
        new = [asyncio.create_task(memory.get("ann", address=address)) for address in ("192.0.2.1", "2001:db8::a")]
        other = [
            asyncio.create_task(memory.get(f"made up by {one}", address=one)) for one in ("192.0.2.2", "192.0.2.3")
        ]
        await asyncio.sleep(0.01)
        database.free.set()
        assert await asyncio.gather(*new) == ["1", "1"], "a question that is under way takes no place"
        answers = await asyncio.gather(*flood, *other, return_exceptions=True)
        assert [isinstance(one, Refused) for one in answers] == [False] * 3 + [True] * 6 + [False, True]
        again = [memory.get(f"made up later {number}", address="2001:db8::") for number in range(3)]
        assert await asyncio.gather(*again) == [None] * 3, "the places are free again"

    run(test)


def test_memory_has_an_end(monkeypatch) -> None:
    monkeypatch.setattr(remembered, "MOST_REMEMBERED", 3)

    async def test(database: Database, memory: Remembered[str, str]) -> None:
        database.rows = {str(number): "x" for number in range(5)}
        for key in database.rows:
            await memory.get(key)
        asked = database.asked
        await memory.get("4")
        assert database.asked == asked
        await memory.get("0")
        assert database.asked == asked + 1

    run(test)

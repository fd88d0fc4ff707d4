"""The drivers of PostgreSQL on the coming hot path: an event is inserted once, by its id, from an asyncio service."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import asyncpg
import psycopg
import psycopg2
import uvloop

from benchmarks.results import Table

CONCURRENCY = 16
BATCH = 100
SHAPES = {"one event": 1, f"{BATCH} events": BATCH}
FIRST = "psycopg2 in threads"
TABLE = """CREATE TABLE IF NOT EXISTS measured_events (
    event_id text PRIMARY KEY, user_id text NOT NULL, item_id text NOT NULL, kind smallint NOT NULL, ts bigint NOT NULL,
    recommendation_id text)"""
COLUMNS = ("text", "text", "text", "smallint", "bigint", "text")
ONE = "INSERT INTO measured_events VALUES ({}) ON CONFLICT (event_id) DO NOTHING"
MANY = "INSERT INTO measured_events SELECT * FROM unnest({}) ON CONFLICT (event_id) DO NOTHING"

Event = tuple[str, str, str, int, int, str]
Insert = Callable[[Sequence[Event]], Awaitable[None]]


@dataclass(frozen=True, kw_only=True)
class Stretch:
    """One stretch of load: events per second, and this process' processor time per statement in microseconds."""

    rate: float
    microseconds: float


def statement(mark: Callable[[int], str], rows: int) -> str:
    """The same SQL for every driver, with its own marks for parameters: one row, or arrays of columns."""
    if rows == 1:
        return ONE.format(", ".join(mark(place) for place in range(len(COLUMNS))))
    return MANY.format(", ".join(f"{mark(place)}::{kind}[]" for place, kind in enumerate(COLUMNS)))


def parameters(events: Sequence[Event]) -> list[Any]:
    """The values of one event, or the columns of several."""
    return list(events[0]) if len(events) == 1 else [list(column) for column in zip(*events, strict=True)]


async def with_psycopg2(dsn: str, rows: int, run: Callable[[list[Insert]], Awaitable[None]]) -> None:
    """A blocking driver: a thread for each connection."""
    sql = statement(lambda _: "%s", rows)
    connections = [psycopg2.connect(dsn) for _ in range(CONCURRENCY)]
    loop = asyncio.get_running_loop()

    def insert(connection: Any, events: Sequence[Event]) -> None:
        with connection.cursor() as cursor:
            cursor.execute(sql, parameters(events))

    with ThreadPoolExecutor(CONCURRENCY) as pool:

        def through(connection: Any) -> Insert:
            async def one(events: Sequence[Event]) -> None:
                await loop.run_in_executor(pool, insert, connection, events)

            return one

        for connection in connections:
            connection.autocommit = True
        await run([through(connection) for connection in connections])
    for connection in connections:
        connection.close()


async def with_psycopg(dsn: str, rows: int, run: Callable[[list[Insert]], Awaitable[None]]) -> None:
    """psycopg 3, asynchronous; it prepares what it has seen five times."""
    sql = statement(lambda _: "%s", rows)
    connections = [await psycopg.AsyncConnection.connect(dsn, autocommit=True) for _ in range(CONCURRENCY)]

    def through(connection: psycopg.AsyncConnection[Any]) -> Insert:
        async def one(events: Sequence[Event]) -> None:
            await connection.execute(sql.encode(), parameters(events))

        return one

    await run([through(connection) for connection in connections])
    for connection in connections:
        await connection.close()


async def with_asyncpg(dsn: str, rows: int, run: Callable[[list[Insert]], Awaitable[None]]) -> None:
    """asyncpg; it prepares every statement and keeps it."""
    sql = statement(lambda place: f"${place + 1}", rows)
    connections = [await asyncpg.connect(dsn) for _ in range(CONCURRENCY)]

    def through(connection: Any) -> Insert:
        async def one(events: Sequence[Event]) -> None:
            await connection.execute(sql, *parameters(events))

        return one

    await run([through(connection) for connection in connections])
    for connection in connections:
        await connection.close()


DRIVERS = {FIRST: with_psycopg2, "psycopg 3": with_psycopg, "asyncpg": with_asyncpg}


def events_of(stretch: int, count: int) -> list[Event]:
    """`count` events, every tenth sent a second time under its id."""
    return [
        (f"{stretch}-{n - (n % 10 == 9)}", f"user{n % 997}", f"item{n % 499}", n % 3, n, f"rec{n // 7}")
        for n in range(count)
    ]


def stretch(driver: str, dsn: str, rows: int, events: Sequence[Event]) -> Stretch:
    """Inserts the events through one driver, `CONCURRENCY` statements at a time."""
    batches = iter([events[start : start + rows] for start in range(0, len(events), rows)])
    took: list[float] = []

    async def send(insert: Insert) -> None:
        for batch in batches:
            await insert(batch)

    async def load(inserts: list[Insert]) -> None:
        clock, processor = time.perf_counter(), time.process_time()
        await asyncio.gather(*(send(insert) for insert in inserts))
        took.extend((time.perf_counter() - clock, time.process_time() - processor))

    uvloop.run(DRIVERS[driver](dsn, rows, load))
    return Stretch(rate=len(events) / took[0], microseconds=took[1] / (len(events) / rows) * 1e6)


def run(events: int, rounds: int) -> dict[str, Any]:
    """Loads every driver in turn, every other round backwards; medians of the rounds, over a server of its own."""
    found: dict[str, dict[str, list[Stretch]]] = {shape: {name: [] for name in DRIVERS} for shape in SHAPES}
    sent = 0
    with server() as dsn, psycopg.connect(dsn, autocommit=True) as watching:
        watching.execute(TABLE)
        for turn in range(-1, rounds):  # the first warms up
            for shape, rows in SHAPES.items():
                for name in list(DRIVERS)[:: 1 if turn % 2 else -1]:
                    sent += 1
                    count = events * (1 if rows == 1 else 5)
                    seen = stretch(name, dsn, rows, events_of(sent, count))
                    if turn >= 0:
                        found[shape][name].append(seen)
                    kept = watching.execute("SELECT count(*) FROM measured_events").fetchone()
                    assert kept == (count - count // 10,), f"{name}: {kept} rows of {count} events"
                    watching.execute("TRUNCATE measured_events")
    return {"events": events, "rounds": rounds, "shapes": {shape: _summary(seen) for shape, seen in found.items()}}


def tables(found: dict[str, Any]) -> list[Table]:
    """A table a shape of statement."""
    columns = ("driver", "events/s", "ratio", "processor us per statement", "ratio of processor time")
    note = (
        f"{CONCURRENCY} statements at a time from one asyncio loop (uvloop), a connection each; every tenth event is a "
        "repetition. The server waits for the disk at every commit and shares the cores with the client."
    )
    return [
        Table(
            title=f"INSERT ... ON CONFLICT DO NOTHING, {shape} a statement",
            columns=columns,
            rows=tuple(
                (
                    name,
                    f"{one['rate']:,.0f}",
                    f"{one['ratio']:.2f}",
                    f"{one['microseconds']:.0f}",
                    f"{one['processor_ratio']:.2f}",
                )
                for name, one in summary.items()
            ),
            notes=(note,),
        )
        for shape, summary in found["shapes"].items()
    ]


def _summary(seen: dict[str, list[Stretch]]) -> dict[str, dict[str, float]]:
    rates = {name: median(one.rate for one in stretches) for name, stretches in seen.items()}
    costs = {name: median(one.microseconds for one in stretches) for name, stretches in seen.items()}
    return {
        name: {
            "rate": round(rates[name], 1),
            "ratio": round(rates[name] / rates[FIRST], 3),
            "microseconds": round(costs[name], 1),
            "processor_ratio": round(costs[name] / costs[FIRST], 3),
        }
        for name in seen
    }


@contextmanager
def server() -> Iterator[str]:
    """The address of a real PostgreSQL, the one that the tests start, with durable commits."""
    sys.path.append(str(Path(__file__).resolve().parents[1] / "tests" / "servers"))
    from postgresql_server import PostgresServer  # type: ignore[import-not-found]

    with PostgresServer(durable=True) as started:
        yield str(started("measured")).replace("+psycopg2", "")

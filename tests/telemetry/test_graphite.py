"""The sender against a real carbon, one that comes and goes and one that does not read; what a caller notices of it."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from graphite_server import GraphiteServer
from waiting import PATIENCE, wait

from vitrina.errors import ConfigError
from vitrina.telemetry.graphite import BATCH, DROPPED, GraphiteSender

DAY = 86_400
BEGIN = 1_438_560_000  # 2015-08-03, UTC
NOTHING_DROPPED = dict.fromkeys(DROPPED, 0)


@pytest.fixture(scope="module")
def graphite() -> Iterator[GraphiteServer]:
    with GraphiteServer() as server:
        yield server


def told(graphite: GraphiteServer, name: str, days: int = 5_000) -> list[tuple[int, float]]:
    return graphite.render(name, BEGIN - 1, BEGIN + days * DAY).get(name, [])


class Deaf:
    """Accepts connections and never reads."""

    def __init__(self) -> None:
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listening.getsockname()[1])
        self.accepted: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                self.accepted.append(self._listening.accept()[0])
            except OSError:
                return

    def close(self) -> None:
        self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        for one in self.accepted:
            one.close()


@pytest.fixture
def deaf() -> Iterator[Deaf]:
    server = Deaf()
    yield server
    server.close()


def test_values_arrive_exactly_at_their_own_times(graphite: GraphiteServer) -> None:
    values = [0.1, -1.5, 1e-300, 123_456_789.123, 0.0, 1 / 3, 4_503_599_627_370_497.0]
    sender = GraphiteSender("127.0.0.1", graphite.carbon)
    for day, value in enumerate(values):
        sender.send("vitrina.exact.day.views", value, BEGIN + day * DAY)
    sender.close(PATIENCE)
    expected = [(BEGIN + day * DAY, value) for day, value in enumerate(values)]
    wait(lambda: told(graphite, "vitrina.exact.day.views") == expected, pause=0.1)
    assert (sender.sent, sender.waiting, sender.dropped) == (len(values), 0, NOTHING_DROPPED)


def test_what_was_sent_while_carbon_was_away_arrives_when_it_is_there(graphite: GraphiteServer) -> None:
    """Away at the start, and again in between: the connection of before must not swallow the first batch."""
    graphite.stop_carbon(settle=False)
    sender = GraphiteSender("127.0.0.1", graphite.carbon)
    for day in range(3):
        sender.send("vitrina.away.day.views", day, BEGIN + day * DAY)
    time.sleep(0.5)
    assert (sender.sent, sender.waiting) == (0, 3)
    graphite.start_carbon()
    wait(lambda: sender.sent == 3, pause=0.1)
    wait(lambda: len(told(graphite, "vitrina.away.day.views")) == 3, pause=0.1)

    graphite.stop_carbon()
    graphite.start_carbon()
    sender.send("vitrina.away.day.views", 3, BEGIN + 3 * DAY)
    wait(lambda: sender.sent == 4, pause=0.1)
    wait(lambda: len(told(graphite, "vitrina.away.day.views")) == 4, pause=0.1)

    graphite.stop_carbon()
    sender.send("vitrina.away.day.views", 4, BEGIN + 4 * DAY)
    time.sleep(0.5)
    assert (sender.sent, sender.waiting) == (4, 1)
    graphite.start_carbon()
    sender.close(PATIENCE)
    expected = [(BEGIN + day * DAY, float(day)) for day in range(5)]
    wait(lambda: told(graphite, "vitrina.away.day.views") == expected, pause=0.1)
    assert (sender.sent, sender.waiting, sender.dropped) == (5, 0, NOTHING_DROPPED)


def test_a_full_queue_drops_the_oldest_and_counts_them(graphite: GraphiteServer) -> None:
    graphite.stop_carbon(settle=False)
    sender = GraphiteSender("127.0.0.1", graphite.carbon, capacity=50)
    sender.send("vitrina.full.day.views", -1, BEGIN)
    wait(lambda: sender.waiting == 1 and len(sender._queue) == 0, pause=0.05)  # in the hand
    for day in range(1_000):
        sender.send("vitrina.full.day.views", day, BEGIN + day * DAY)
    waiting = sender.waiting
    assert 50 <= waiting <= 50 + BATCH
    graphite.start_carbon()
    sender.close(PATIENCE)
    assert sender.dropped == NOTHING_DROPPED | {"full": 1_001 - sender.sent}
    assert sender.waiting == 0
    newest = [(BEGIN + day * DAY, float(day)) for day in range(950, 1_000)]
    wait(lambda: told(graphite, "vitrina.full.day.views")[-50:] == newest, pause=0.1)
    assert len(told(graphite, "vitrina.full.day.views")) <= sender.sent


def test_a_carbon_that_does_not_read_costs_the_caller_nothing(deaf: Deaf) -> None:
    sender = GraphiteSender("127.0.0.1", deaf.port, capacity=1_000, timeout=60)
    name = "bank-rs." + "x" * 300
    offered, stuck, taken = 0, 0, -1
    while stuck < 10:  # the kernel takes a few megabytes
        begun = time.thread_time()
        for _ in range(1_000):
            sender.send(name, 1.0, BEGIN)
        assert time.thread_time() - begun < 0.1
        offered += 1_000
        assert sender.waiting <= 1_000 + BATCH
        time.sleep(0.05)
        stuck, taken = (stuck + 1 if sender.sent == taken else 0), sender.sent
    assert sender.dropped["full"] >= 8_000
    begun = time.monotonic()
    sender.close(0.2)
    assert time.monotonic() - begun < 30
    assert sender.sent + sum(sender.dropped.values()) == offered
    assert 0 < sender.dropped["closed"] <= 1_000 + BATCH
    sender.send(name, 1.0, BEGIN)
    assert sender.sent + sum(sender.dropped.values()) == offered + 1


def test_a_halted_carbon_is_left_for_a_new_connection(graphite: GraphiteServer) -> None:
    """It accepts (the kernel does) and reads nothing until it goes on; every value still arrives."""
    os.kill(graphite.pid_of_carbon, signal.SIGSTOP)
    try:
        sender = GraphiteSender("127.0.0.1", graphite.carbon, timeout=0.3)
        for day in range(3):
            sender.send("vitrina.halted.day.views", day, BEGIN + day * DAY)
        wait(lambda: sender.sent == 3, pause=0.05)
    finally:
        os.kill(graphite.pid_of_carbon, signal.SIGCONT)
    sender.close(PATIENCE)
    wait(lambda: len(told(graphite, "vitrina.halted.day.views")) == 3, pause=0.1)


@pytest.mark.parametrize(
    "name",
    ["", "a b", "a\n", "a\nb 1 2", "a.b\r", "..", "a..b", ".a", "a.", "../etc/x", "a;tag=1", "имя", "x" * 401, None],
)
def test_a_bad_name_is_dropped_and_counted(graphite: GraphiteServer, name: str) -> None:
    sender = GraphiteSender("127.0.0.1", graphite.carbon)
    sender.send(name, 1.0, BEGIN)
    sender.close(1)
    assert (sender.sent, sender.dropped) == (0, NOTHING_DROPPED | {"name": 1})


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf"), "many", None, 10**400])
def test_no_finite_number_is_dropped_and_counted(graphite: GraphiteServer, value: float) -> None:
    sender = GraphiteSender("127.0.0.1", graphite.carbon)
    sender.send("vitrina.bad", value, BEGIN)
    sender.close(1)
    assert (sender.sent, sender.dropped) == (0, NOTHING_DROPPED | {"value": 1})


def test_a_value_without_time_gets_that_of_the_injected_clock(graphite: GraphiteServer) -> None:
    with_clock = GraphiteSender("127.0.0.1", graphite.carbon, clock=lambda: BEGIN + 7 * DAY + 0.9)
    with_clock.send("vitrina.clock.day.views", 7)
    with_clock.close(PATIENCE)
    without = GraphiteSender("127.0.0.1", graphite.carbon)
    without.send("vitrina.clock.day.views", 8)
    without.send("vitrina.clock.day.views", 8, -1)
    without.close(1)
    assert without.dropped == NOTHING_DROPPED | {"time": 2}
    wait(lambda: told(graphite, "vitrina.clock.day.views") == [(BEGIN + 7 * DAY, 7.0)], pause=0.1)


def test_many_threads_lose_no_count(graphite: GraphiteServer) -> None:
    sender = GraphiteSender("127.0.0.1", graphite.carbon, capacity=100)

    def send() -> None:
        for _ in range(5_000):
            sender.send("vitrina.threads.day.views", 1, BEGIN)
            sender.send("a bad name", 1, BEGIN)

    threads = [threading.Thread(target=send) for _ in range(4)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    sender.close(PATIENCE)
    assert sender.dropped["name"] == 20_000
    assert sender.sent + sender.dropped["full"] == 20_000


FORKING = """
import os, sys
from vitrina.telemetry.graphite import GraphiteSender
sender = GraphiteSender("127.0.0.1", int(sys.argv[1]))
sender.send("fork.parent", 1, 1)
while sender.sent < 1: pass
for n in range(50):
    sender.send("fork.parent", 1, 2 + n)
pid = os.fork()
who = "child" if pid == 0 else "parent"
assert pid or (sender.sent, sender.waiting) == (0, 0), (sender.sent, sender.waiting)
sender.send(f"fork.{who}", 2, 100)
sender.close(50)
print(who, sender.sent, sender.waiting, sender.dropped, flush=True)
if pid == 0:
    os._exit(0)
assert os.waitpid(pid, 0)[1] == 0
"""


def test_a_forked_child_sends_its_own_values_and_none_of_its_parents() -> None:
    listening = socket.create_server(("127.0.0.1", 0))
    received: list[bytes] = []

    def read(connection: socket.socket) -> None:
        with connection, connection.makefile("rb") as lines:
            received.extend(lines)

    readers: list[threading.Thread] = []

    def accept() -> None:
        for _ in range(2):
            readers.append(threading.Thread(target=read, args=(listening.accept()[0],)))
            readers[-1].start()

    accepting = threading.Thread(target=accept, daemon=True)
    accepting.start()
    with listening:
        command = [sys.executable, "-W", "ignore::DeprecationWarning", "-c", FORKING, str(listening.getsockname()[1])]
        root = Path(__file__).resolve().parents[2]
        done = subprocess.run(command, cwd=root, capture_output=True, text=True, timeout=180, check=False)
        assert done.returncode == 0, done.stderr
        accepting.join(PATIENCE)
        for one in readers:
            one.join(PATIENCE)
    parents = [f"fork.parent 1.0 {n}\n".encode() for n in range(1, 52)] + [b"fork.parent 2.0 100\n"]
    assert sorted(received) == sorted([*parents, b"fork.child 2.0 100\n"])
    assert f"child 1 0 {NOTHING_DROPPED}" in done.stdout
    assert f"parent 52 0 {NOTHING_DROPPED}" in done.stdout


def test_an_impossible_address_or_size_is_refused() -> None:
    for host, port, capacity in (("", 2003, 10), ("graphite", 0, 10), ("graphite", 65_536, 10), ("graphite", 2003, 0)):
        with pytest.raises(ConfigError):
            GraphiteSender(host, port, capacity=capacity)


def test_a_host_that_cannot_be_one_is_away_like_any_other() -> None:
    sender = GraphiteSender("a" * 70 + ".example", 2003)
    sender.send("vitrina.x", 1, BEGIN)
    time.sleep(0.3)
    sender.close(2)
    assert sender.dropped == NOTHING_DROPPED | {"closed": 1}

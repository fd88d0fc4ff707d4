"""Ports of 127.0.0.1 that nobody listens on at the moment, and that nobody else is given before they are used.

They lie below those that Linux itself gives to whoever asks for any port or connects to a server, and each process of
the tests goes through a part of its own: a server may take a minute until it listens on what was free.
"""

from __future__ import annotations

import os
import random
import re
import socket
import threading

FIRST, PART, PARTS = 12_000, 2_000, 10


def part(worker: str) -> range:
    """The ports of one of the processes, gw0, gw1 ...; the last part is for whoever is none of them."""
    number = re.fullmatch(r"gw(\d+)", worker)
    first = FIRST + PART * (int(number.group(1)) % (PARTS - 1) if number else PARTS - 1)
    return range(first, first + PART)


_mine = part(os.environ.get("PYTEST_XDIST_WORKER", ""))
_next = random.SystemRandom().randrange(PART)  # another run of the tests may go through the same part
_turn = threading.Lock()


def free_port() -> int:
    """One that this process was not given lately."""
    global _next  # noqa: PLW0603
    with _turn:
        for _ in range(PART):
            port = _mine[_next % PART]
            _next += 1
            try:
                socket.create_server(("127.0.0.1", port)).close()
            except OSError:
                continue
            return port
    raise RuntimeError(f"somebody listens on every port from {_mine[0]} to {_mine[-1]}")


def free_ports(count: int) -> list[int]:
    """Distinct ones."""
    return [free_port() for _ in range(count)]

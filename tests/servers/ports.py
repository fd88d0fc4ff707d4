"""Ports of 127.0.0.1 that nobody listens on at the moment."""

from __future__ import annotations

import socket


def free_ports(count: int) -> list[int]:
    """Distinct ones."""
    taken = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [int(one.getsockname()[1]) for one in taken]
    for one in taken:
        one.close()
    return ports


def free_port() -> int:
    return free_ports(1)[0]

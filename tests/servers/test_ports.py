"""A port that is free stays so until whoever asked for it listens."""

from __future__ import annotations

import socket
from itertools import combinations

import ports
import pytest
from ports import PART, free_port, free_ports, part


def test_none_is_given_twice_in_a_row_and_all_are_free() -> None:
    found = free_ports(200)
    assert len(set(found)) == 200
    listening = [socket.create_server(("127.0.0.1", port)) for port in found]
    for one in listening:
        one.close()


def test_a_taken_one_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    port = free_port()
    with socket.create_server(("127.0.0.1", port)):
        monkeypatch.setattr(ports, "_next", port - ports._mine[0])
        assert free_port() != port


def test_processes_of_the_tests_share_none_and_the_system_gives_none_of_them_out() -> None:
    parts = [set(part(worker)) for worker in ("gw0", "gw1", "gw7", "")]
    assert all(len(one) == PART for one in parts)
    assert not [one for one, other in combinations(parts, 2) if one & other]
    assert max(map(max, parts)) < 32_768, "from there on Linux gives them out"

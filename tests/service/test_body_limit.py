"""A long body is refused without being kept, whether or not its length is announced."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator

import pytest

from app.errors import Refused
from app.reading import read_body

LIMIT = 65_536


def chunks(count: int) -> Iterator[bytes]:
    for _ in range(count):
        yield b" " * 65_536


def test_ten_megabytes_with_a_length(client) -> None:
    answer = client.post("/recommendations?user_id=1", content=b" " * 10_000_000)
    assert answer.status_code == 413
    assert str(LIMIT) in answer.json()["error"]["reason"]
    assert client.post("/recommendations?user_id=1").status_code == 200


def test_ten_megabytes_in_chunks(client) -> None:
    assert client.post("/recommendations?user_id=1", content=chunks(160)).status_code == 413


def test_exactly_the_limit_passes(client) -> None:
    body = b'{"session": []' + b" " * (LIMIT - 15) + b"}"
    assert len(body) == LIMIT
    assert client.post("/recommendations?user_id=1", content=body).status_code == 200
    assert client.post("/recommendations?user_id=1", content=body + b" ").status_code == 413


def test_who_asks_first_is_refused_before_sending(running) -> None:
    with socket.create_connection(("127.0.0.1", int(running.url.rsplit(":", 1)[1])), timeout=60) as connection:
        head = [
            "POST /recommendations?user_id=1 HTTP/1.1",
            "host: x",
            "content-length: 10000000",
            "expect: 100-continue",
        ]
        connection.sendall("\r\n".join([*head, "", ""]).encode())
        assert connection.recv(100).startswith(b"HTTP/1.1 413")


def test_nothing_of_a_long_body_is_kept() -> None:
    given = iter(chunks(1000))
    taken = 0

    async def receive() -> dict[str, object]:
        nonlocal taken
        taken += 1
        return {"type": "http.request", "body": next(given), "more_body": True}

    scope = {"headers": [(b"transfer-encoding", b"chunked")]}
    with pytest.raises(Refused, match="over 65536 bytes"):
        asyncio.run(read_body(scope, receive, LIMIT))
    assert taken < 1000, "a sender without end is cut off"

"""The bare routes are found as Starlette finds its own: by path and method, under a root path, and not by others."""

from __future__ import annotations

from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import BaseRoute, Route
from starlette.testclient import TestClient

from app.bare_routes import BareRoutes


class Says:
    """A plain ASGI route."""

    def __init__(self, word: str) -> None:
        self._word = word

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await PlainTextResponse(self._word)(scope, receive, send)


ROUTES = [Route("/a", Says("a"), methods=["POST"]), Route("/b/", Says("b"), methods=["GET"])]
AFTER = [Route("/c", Says("c")), Route("/a", Says("never"))]


def asked(routes: list[BaseRoute], method: str, path: str, root: str = "") -> tuple[int, str, str | None]:
    client = TestClient(Starlette(routes=routes), root_path=root)
    answer = client.request(method, root + path)
    return answer.status_code, answer.text, answer.headers.get("allow")


@pytest.mark.parametrize("root", ["", "/shop"])
@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PUT", "OPTIONS"])
@pytest.mark.parametrize("path", ["/a", "/b/", "/c", "/a/x", "/", "/A"])
def test_they_answer_as_starlettes_own(method: str, path: str, root: str) -> None:
    own = asked([*ROUTES, *AFTER], method, path, root)
    assert asked([BareRoutes(ROUTES), *AFTER], method, path, root) == own


def test_their_paths_are_told() -> None:
    assert BareRoutes(ROUTES).paths == {"/a", "/b/"}

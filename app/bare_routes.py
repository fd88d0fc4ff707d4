"""The bare ASGI routes as one route: each is found by its whole path, however many there are."""

from __future__ import annotations

from collections.abc import Iterable

from starlette.routing import BaseRoute, Match, Route
from starlette.types import Receive, Scope, Send


class BareRoutes(BaseRoute):
    """Of several routes the one that the path names; none of them has parameters in its path."""

    def __init__(self, routes: Iterable[Route]) -> None:
        self._by_path = {route.path: route for route in routes}

    @property
    def paths(self) -> frozenset[str]:
        """The paths of all."""
        return frozenset(self._by_path)

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """See Starlette; a path without a route of ours is left to others."""
        route = self._by_path.get(_path(scope)) if scope["type"] == "http" else None
        if route is None:
            return Match.NONE, {}
        fits = route.methods is None or scope["method"] in route.methods
        return Match.FULL if fits else Match.PARTIAL, {"endpoint": route.endpoint, "path_params": {}}

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers by the route, or 405."""
        await self._by_path[_path(scope)].handle(scope, receive, send)


def _path(scope: Scope) -> str:
    path: str = scope["path"]
    return path.removeprefix(scope.get("root_path", ""))

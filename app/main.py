"""`create_app(settings)`: wires routes, errors, metrics and the watcher; owns nothing before its lifespan starts."""

from __future__ import annotations

import os
import time
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from anyio import to_thread
from fastapi import FastAPI
from starlette.middleware.errors import ServerErrorMiddleware
from starlette.routing import Route
from starlette.types import ASGIApp

from app import errors, status
from app.accounts.desk import SignInDesk
from app.accounts.guard import Guard, Guarded
from app.accounts.routes import refusals
from app.accounts.routes import routes as account_routes
from app.bare_routes import BareRoutes
from app.documentation import describe
from app.following import following, watcher
from app.graphite import reporting
from app.logs import RequestLog
from app.measured import Measured
from app.scenarios import served_scenarios
from app.service import ServedScenario, Service, Serving
from app.settings import Settings
from app.traces import RequestSpans
from app.usage import telling_usage
from vitrina.accounts.scopes import ADMIN
from vitrina.serving.watcher import ChampionSource
from vitrina.telemetry.metrics import ServiceMetrics

PATHS = ("/", "/healthz", "/readyz", "/metrics", "/models", "/docs", "/openapi.json", "/token", "/users/me")
NO_SOURCES: Mapping[str, ChampionSource] = {}


class OneEdge(FastAPI):
    """FastAPI without Starlette's own outermost layer: `Measured` already answers what nobody expected."""

    def build_middleware_stack(self) -> ASGIApp:
        stack = super().build_middleware_stack()
        return stack.app if isinstance(stack, ServerErrorMiddleware) else stack


def wall_clock() -> int:
    """Milliseconds since the epoch."""
    return time.time_ns() // 1_000_000


def create_app(
    settings: Settings,
    *,
    scenarios: Iterable[ServedScenario[Any, Any]] | None = None,
    sources: Mapping[str, ChampionSource] = NO_SOURCES,
    clock: Callable[[], int] = wall_clock,
    metrics: ServiceMetrics | None = None,
    make_desk: Callable[..., SignInDesk] = SignInDesk,
) -> FastAPI:
    """The service. `scenarios` default to the table, `sources` of their champions by scenario to the registry of the
    settings, `make_desk` to what signs people in. `ConfigError` for settings that cannot be."""
    metrics = metrics or ServiceMetrics(settings.metrics_folder)
    servings = tuple(Serving(scenario=one, metrics=one.metrics(metrics)) for one in scenarios or served_scenarios())
    service = Service(settings=settings, metrics=metrics, clock=clock, servings=servings)
    desk = make_desk(settings, now=clock, count=metrics.sign_ins())
    spans = RequestSpans(os.environ, _version())

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        watchers = [watcher(service, one, sources.get(one.scenario.name)) for one in servings]
        spans.open()
        with telling_usage(metrics), reporting(settings, metrics):
            async with following(*watchers):
                yield
        await to_thread.run_sync(spans.close)

    app = OneEdge(title="Vitrina", version=_version(), lifespan=lifespan, redirect_slashes=False, redoc_url=None)
    app.state.service = service
    app.state.desk = desk
    errors.install(app, metrics)
    answering = BareRoutes(route for one in servings for route in routes_of(one, service, desk.guard))
    app.router.routes.insert(0, answering)
    app.include_router(account_routes(desk))
    app.include_router(status.open_routes)
    closed = desk.guard.dependencies(ADMIN)
    app.include_router(
        status.admin_routes, dependencies=closed, responses=refusals(401, 403, 429, 503) if closed else {}
    )
    paths = frozenset({*PATHS, *(path.rstrip("/") for path in answering.paths)})
    log = RequestLog(slow_seconds=settings.slow_seconds, every=settings.access_log)
    app.add_middleware(Measured, metrics=metrics, paths=paths, log=log, spans=spans)
    describe(app, service, desk.guard)
    return app


def routes_of(serving: Serving[Any, Any], service: Service, guard: Guard) -> list[Route]:
    """A scenario's routes, both spellings of each path, so that neither is redirected; behind the guard when they
    need a token."""
    scenario = serving.scenario
    return [
        Route(
            path + slash,
            Guarded(answer, guard, scenario.group) if scenario.always else guard.wrap(answer, scenario.group),
            methods=[method],
        )
        for method, path, answer in scenario.endpoints(service, serving)
        for slash in ("", "/")
    ]


def _version() -> str:
    try:
        return version("vitrina")
    except PackageNotFoundError:
        return "0.0.0"

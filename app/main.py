"""`create_app(settings)`: wires routes, errors, metrics and the watcher; owns nothing before its lifespan starts."""

from __future__ import annotations

import os
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from anyio import to_thread
from fastapi import Depends, FastAPI
from starlette.middleware.errors import ServerErrorMiddleware
from starlette.types import ASGIApp

from app import errors, recommendations, status
from app.documentation import describe
from app.logs import RequestLog
from app.measured import Measured
from app.schemas import ErrorAnswer
from app.service import SCENARIO, Service
from app.settings import Settings
from app.traces import RequestSpans
from app.usage import telling_usage
from vitrina.serving.copies import Copies
from vitrina.serving.state import LoadedModel
from vitrina.serving.watcher import ChampionSource, Watcher
from vitrina.storage.objects import Objects
from vitrina.storage.opening import objects_for
from vitrina.storage.s3_bucket import S3Access
from vitrina.telemetry.metrics import ServiceMetrics

PATHS = frozenset(
    {"/", "/recommendations", "/similar_items", "/healthz", "/readyz", "/metrics", "/models", "/docs", "/openapi.json"}
)


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
    source: ChampionSource | None = None,
    load: Callable[[Path], LoadedModel] | None = None,
    clock: Callable[[], int] = wall_clock,
    metrics: ServiceMetrics | None = None,
) -> FastAPI:
    """The service. `source` of champions, `load` (a model folder to a model) and `metrics` default to the real ones."""
    metrics = metrics or ServiceMetrics(settings.metrics_folder)
    service = Service(settings=settings, metrics=metrics, clock=clock)
    spans = RequestSpans(os.environ, _version())

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        watcher = Watcher(
            served=service.served,
            source=source or champion_source(settings),
            load=load or model_loader(),
            copies=Copies(settings.copies_root),
            objects=object_store(settings),
            lists_key=f"{SCENARIO}/lists",
            lists_copies=Copies(settings.copies_root, "lists"),
            metrics=metrics.of(SCENARIO),
            clock=clock,
            every=settings.poll_seconds,
        )
        spans.open()
        with telling_usage(metrics):
            await to_thread.run_sync(watcher.start)
            yield
            await to_thread.run_sync(watcher.stop)
        await to_thread.run_sync(spans.close)

    app = OneEdge(title="Vitrina", version=_version(), lifespan=lifespan, redirect_slashes=False, redoc_url=None)
    app.state.service = service
    log = RequestLog(slow_seconds=settings.slow_seconds, every=settings.access_log)
    app.add_middleware(Measured, metrics=metrics, paths=PATHS, log=log, spans=spans)
    errors.install(app, metrics)
    app.router.routes[:0] = recommendations.routes(service)
    app.include_router(status.open_routes)
    if settings.admin_token is None:
        app.include_router(status.admin_routes)
    else:
        refused = {401: {"model": ErrorAnswer}, 403: {"model": ErrorAnswer}}
        app.include_router(status.admin_routes, dependencies=[Depends(status.admin)], responses=refused)  # type: ignore[arg-type]  # FastAPI's key type is a union
    describe(app, service)
    return app


def champion_source(settings: Settings) -> ChampionSource:
    """The registry as the service reads it: without mlflow."""
    from vitrina.registry.reader import reader_for

    uri = settings.registry_uri or f"sqlite:///{(settings.home / 'mlflow.db').absolute()}"
    return reader_for(uri, settings.registered_model)


def object_store(settings: Settings) -> Objects:
    """Where lists are published. S3 is asked with little patience: the watcher asks again, and serves meanwhile."""
    secret = settings.s3_secret_key
    access = None
    if settings.s3_access_key and secret is not None:
        access = S3Access(
            endpoint=settings.s3_endpoint,
            access_key=settings.s3_access_key,
            secret_key=secret.get_secret_value(),
            region=settings.s3_region,
            attempts=2,
            connect_seconds=2.0,
            read_seconds=15.0,
        )
    uri = settings.objects_uri or str(settings.home / "objects")
    return objects_for(uri, cache=settings.home / "cache" / "objects", access=access)


def model_loader() -> Callable[[Path], LoadedModel]:
    """The real loader; imported late, because it compiles."""
    from vitrina.serving.loading import load_model

    return load_model


def _version() -> str:
    try:
        return version("vitrina")
    except PackageNotFoundError:
        return "0.0.0"

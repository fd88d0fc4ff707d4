"""What the service follows: of each scenario the champion in the registry, and what is published beside it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from anyio import create_task_group, to_thread

from app.service import Metrics, Service, Serving, State
from app.settings import Settings
from vitrina.registry.reader import reader_for
from vitrina.serving.copies import Copies
from vitrina.serving.watcher import ChampionSource, Watcher
from vitrina.storage.objects import Objects
from vitrina.storage.opening import objects_for
from vitrina.storage.s3_bucket import S3Access


def watcher(service: Service, serving: Serving[State, Metrics], source: ChampionSource | None) -> Watcher[State]:
    """Of one scenario; `source` None is the registry of the settings."""
    settings, scenario = service.settings, serving.scenario
    return Watcher(
        scenario=scenario.name,
        served=serving.served,
        source=source or champion_source(settings, scenario.model(settings)),
        maker=scenario.maker(settings, serving.metrics),
        copies=Copies(settings.copies_root / scenario.copies),
        metrics=serving.metrics,
        clock=service.clock,
        every=settings.poll_seconds,
    )


@asynccontextmanager
async def following(*watchers: Watcher[Any]) -> AsyncIterator[None]:
    """Starts the watchers and ends them, side by side: none waits for what another one waits for."""
    async with create_task_group() as group:
        for watcher in watchers:
            group.start_soon(to_thread.run_sync, watcher.start)
    yield
    async with create_task_group() as group:
        for watcher in watchers:
            group.start_soon(to_thread.run_sync, watcher.stop)


def champion_source(settings: Settings, model: str) -> ChampionSource:
    """The registry as the service reads it: without mlflow."""
    uri = settings.registry_uri or f"sqlite:///{(settings.home / 'mlflow.db').absolute()}"
    return reader_for(uri, model)


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

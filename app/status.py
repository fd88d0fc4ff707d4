"""Routes that tell how the service is: alive, ready, metrics, the served models."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request, Response
from prometheus_client import CONTENT_TYPE_LATEST

from app.schemas import Alive, ErrorAnswer, Health, Models, Ready
from app.service import Service, no_champion

NOT_READY: dict[int | str, dict[str, Any]] = {503: {"model": ErrorAnswer, "description": "No model is published yet."}}


def _service(request: Request) -> Service:
    service: Service = request.app.state.service
    return service


ServiceOf = Annotated[Service, Depends(_service)]
open_routes = APIRouter(tags=["status"])
admin_routes = APIRouter(tags=["admin"])


@open_routes.get("/")
async def alive() -> Alive:
    return Alive()


@open_routes.get("/healthz", summary="Liveness")
async def health() -> Health:
    return Health()


@open_routes.get("/readyz", summary="Readiness", responses=NOT_READY, response_model_exclude_none=True)
async def ready(service: ServiceOf) -> Ready:
    versions = service.versions()
    if not versions:
        raise no_champion(*(one.scenario for one in service.servings))
    first = next(iter(versions.values()))
    return Ready(model_version=first, models=versions, unconfirmed=service.unconfirmed() or None)


@open_routes.get(
    "/metrics",
    summary="Prometheus metrics",
    response_class=Response,
    responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}},
)
def metrics(service: ServiceOf) -> Response:
    return Response(service.metrics.exposition(), media_type=CONTENT_TYPE_LATEST)


@admin_routes.get("/models", summary="The served models and lists")
async def models(service: ServiceOf) -> Models:
    served = [(one.scenario, one.served.state) for one in service.servings]
    return Models.model_validate({"models": [scenario.info(state) for scenario, state in served if state is not None]})

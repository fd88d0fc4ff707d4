"""Routes that tell how the service is: alive, ready, metrics, the served models."""

from __future__ import annotations

import secrets
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request, Response
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from prometheus_client import CONTENT_TYPE_LATEST

from app.errors import no_token, wrong_token
from app.schemas import Alive, ErrorAnswer, Health, ListsInfo, ModelInfo, Models, Ready
from app.service import SCENARIO, Service

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


@open_routes.get("/readyz", summary="Readiness", responses=NOT_READY)
async def ready(service: ServiceOf) -> Ready:
    return Ready(model_version=service.state().version)


@open_routes.get(
    "/metrics",
    summary="Prometheus metrics",
    response_class=Response,
    responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}},
)
def metrics(service: ServiceOf) -> Response:
    return Response(service.metrics.exposition(), media_type=CONTENT_TYPE_LATEST)


@admin_routes.get("/models", summary="The served model and lists")
async def models(service: ServiceOf) -> Models:
    state = service.served.state
    if state is None:
        return Models(models=[])
    lists = state.lists
    info = ModelInfo(
        scenario=SCENARIO,
        model_version=state.version,
        as_of=state.model.as_of,
        loaded_at=state.loaded_at,
        items=len(state.items),
        item_ids=state.items.kind,
        user_ids=state.user_kind,
        lists=None
        if lists is None
        else ListsInfo(
            version=lists.version,
            model_version=lists.model_version,
            as_of=lists.as_of,
            users=len(lists.users),
            used=state.lists_fit,
        ),
    )
    return Models(models=[info])


bearer = HTTPBearer(auto_error=False, description="The value of VITRINA_ADMIN_TOKEN.")


async def admin(service: ServiceOf, sent: Annotated[HTTPAuthorizationCredentials | None, Depends(bearer)]) -> None:
    """Lets the bearer of the admin token pass."""
    token = service.settings.admin_token
    if sent is None:
        raise no_token()
    if token is None or not secrets.compare_digest(sent.credentials.encode(), token.get_secret_value().encode()):
        raise wrong_token()

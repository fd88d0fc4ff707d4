"""The OpenAPI text of the bare ASGI routes, added to what FastAPI makes of the others."""

from __future__ import annotations

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from app.accounts.guard import Guard
from app.documented_answers import Schema, behind_a_scope
from app.service import Service

DESCRIPTION = (
    "Top-k recommendations for a shop, each answer with its source; the products that a bank's client takes next; and "
    "what goes with the products in a cart."
)


def describe(app: FastAPI, service: Service, guard: Guard) -> None:
    """Makes `app.openapi` give the whole text, as it is for the states that are served."""
    made: list[Schema] = []

    def openapi() -> Schema:
        if not made:
            made.append(get_openapi(title=app.title, version=app.version, description=DESCRIPTION, routes=app.routes))
        (text,) = made
        paths: Schema = {}
        schemas: Schema = {}
        for serving in service.servings:
            scenario = serving.scenario
            more = scenario.text(serving.served.state)
            closed = scenario.always or scenario.group in guard.required
            paths |= behind_a_scope(more.paths) if closed else more.paths
            schemas |= more.schemas
        components = {**text["components"], "schemas": {**text["components"]["schemas"], **schemas}}
        return {**text, "paths": {**paths, **text["paths"]}, "components": components}

    app.openapi = openapi  # type: ignore[method-assign]  # FastAPI's documented way to extend the text

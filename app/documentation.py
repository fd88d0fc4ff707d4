"""The OpenAPI text of the bare ASGI routes, added to what FastAPI makes of the others.

Ids are documented in the type of the served model, so the text follows a swap to a model with other ids.
"""

from __future__ import annotations

from typing import Any, Literal

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from app.reading import DEFAULT_K, MAX_CATEGORIES, MAX_EXCLUDE, MAX_ID_LENGTH, MAX_K, MAX_SESSION
from app.service import Service

Schema = dict[str, Any]
ERROR: Schema = {"$ref": "#/components/schemas/ErrorAnswer"}
INT64: Schema = {"type": "integer", "format": "int64", "minimum": -(2**63), "maximum": 2**63 - 1}
NUMBERS: Schema = {"type": "array", "items": {"type": ["number", "null"]}}
DESCRIPTION = "Top-k recommendations for a shop. Each answer names its source."


def describe(app: FastAPI, service: Service) -> None:
    """Makes `app.openapi` give the whole text, kept per pair of id types."""
    kept: dict[tuple[str, str], Schema] = {}

    def openapi() -> Schema:
        state = service.served.state
        kinds = ("int", "int") if state is None else (state.user_kind, state.items.kind)
        if kinds not in kept:
            text = get_openapi(title=app.title, version=app.version, description=DESCRIPTION, routes=app.routes)
            text["paths"] = {**_paths(*kinds), **text["paths"]}
            kept[kinds] = text
        return kept[kinds]

    app.openapi = openapi  # type: ignore[method-assign]  # FastAPI's documented way to extend the text


def _paths(user_kind: str, item_kind: str) -> Schema:
    item = _id(item_kind)
    version: Schema = {"type": "string", "description": "Version of the model that answered."}
    answer: Schema = {
        "type": "object",
        "required": ["recs", "scores", "source", "model_version", "recommendation_id"],
        "properties": {
            "recs": {**_list(item, MAX_K), "uniqueItems": True, "description": "Best first."},
            "scores": {**NUMBERS, "description": "One per item; they compare within one source only."},
            "source": {"type": "string", "enum": ["precomputed", "session", "history", "popular"]},
            "model_version": version,
            "lists_version": {"type": "string", "description": "Version of the lists and histories beside the model."},
            "recommendation_id": {"type": "string", "format": "uuid"},
            "ignored": {**_list(item, MAX_SESSION + MAX_EXCLUDE), "description": "Asked-for items that nobody knows."},
        },
    }
    similar: Schema = {
        "type": "object",
        "required": ["recs", "scores", "source", "model_version"],
        "properties": {
            "recs": _list(item, MAX_K),
            "scores": NUMBERS,
            "source": {"type": "string", "enum": ["neighbours", "category", "popular"]},
            "model_version": version,
        },
    }
    post = {
        "tags": ["recommendations"],
        "summary": "Top k items for a user",
        "operationId": "recommend",
        "parameters": [_query("user_id", _id(user_kind)), _k()],
        "requestBody": {"required": False, "content": {"application/json": {"schema": _request(item)}}},
        "responses": _responses(answer, too_large=True),
    }
    get = {
        "tags": ["recommendations"],
        "summary": "Items like an item",
        "operationId": "similar",
        "parameters": [_query("item_id", item), _k()],
        "responses": {**_responses(similar), "404": _error("The catalogue does not hold this item.")},
    }
    slash = {"description": "The same with a final slash."}
    return {
        "/recommendations": {"post": post},
        "/recommendations/": {"post": {**post, **slash, "operationId": "recommend_slash"}},
        "/similar_items": {"get": get},
        "/similar_items/": {"get": {**get, **slash, "operationId": "similar_slash"}},
    }


def _request(item: Schema) -> Schema:
    category = {"oneOf": [INT64, {**_list(INT64, MAX_CATEGORIES), "minItems": 1}]}
    session = [17, 4] if item["type"] == "integer" else ["sku-17", "sku-4"]
    rules = {
        "type": "object",
        "additionalProperties": False,
        "properties": {
            "category": {**category, "description": "A category or several; those under them count."},
            "available": {"type": "boolean", "description": "true: only what can be bought now."},
        },
    }
    return {
        "type": "object",
        "additionalProperties": False,
        "properties": {
            "session": {**_list(item, MAX_SESSION), "description": "Items viewed just now, the most recent one last."},
            "exclude": {**_list(item, MAX_EXCLUDE), "description": "Items not to answer."},
            "filter": rules,
        },
        "example": {"session": session, "filter": {"available": True}},
    }


def _id(kind: str | Literal["int", "str"]) -> Schema:
    return INT64 if kind == "int" else {"type": "string", "minLength": 1, "maxLength": MAX_ID_LENGTH}


def _list(item: Schema, most: int) -> Schema:
    return {"type": "array", "items": item, "maxItems": most}


def _query(name: str, schema: Schema) -> Schema:
    return {"name": name, "in": "query", "required": True, "schema": schema}


def _k() -> Schema:
    schema = {"type": "integer", "minimum": 1, "maximum": MAX_K, "default": DEFAULT_K}
    return {"name": "k", "in": "query", "required": False, "schema": schema, "description": "How many items."}


def _responses(answer: Schema, too_large: bool = False) -> Schema:
    found = {
        "200": {"description": "The answer.", "content": {"application/json": {"schema": answer}}},
        "422": _error("A field of the request is wrong; the text names it."),
        "503": _error("No model is published yet; the text names the command that makes one."),
    }
    return {**found, "413": _error("The body is too long.")} if too_large else found


def _error(text: str) -> Schema:
    return {"description": text, "content": {"application/json": {"schema": ERROR}}}

"""The OpenAPI text of the shop's routes.

Ids are documented in the type of the served model, so the text follows a swap to a model with other ids.
"""

from __future__ import annotations

from typing import Literal

from app.documented_answers import Schema, refusal, responses, with_slashes
from app.reading import DEFAULT_K, MAX_CATEGORIES, MAX_EXCLUDE, MAX_ID_LENGTH, MAX_K, MAX_SESSION
from app.service import Text
from vitrina.serving.state import ServingState

INT64: Schema = {"type": "integer", "format": "int64", "minimum": -(2**63), "maximum": 2**63 - 1}
NUMBERS: Schema = {"type": "array", "items": {"type": ["number", "null"]}}


def text(state: ServingState | None) -> Text:
    """Of /recommendations and /similar_items."""
    return Text(_paths("int", "int") if state is None else _paths(state.user_kind, state.items.kind), {})


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
        "responses": responses(answer, too_large=True),
    }
    get = {
        "tags": ["recommendations"],
        "summary": "Items like an item",
        "operationId": "similar",
        "parameters": [_query("item_id", item), _k()],
        "responses": {**responses(similar), "404": refusal("The catalogue does not hold this item.")},
    }
    return with_slashes({"/recommendations": {"post": post}, "/similar_items": {"get": get}})


def _request(item: Schema) -> Schema:
    category = {"oneOf": [INT64, {**_list(INT64, MAX_CATEGORIES), "minItems": 1}, {"type": "null"}]}
    session = [17, 4] if item["type"] == "integer" else ["sku-17", "sku-4"]
    rules = {
        "type": ["object", "null"],
        "additionalProperties": False,
        "properties": {
            "category": {**category, "description": "A category or several; those under them count."},
            "available": {"type": ["boolean", "null"], "description": "true: only what can be bought now."},
        },
    }
    return {
        "type": "object",
        "additionalProperties": False,
        "properties": {
            "session": _optional(item, MAX_SESSION, "Items viewed just now, the most recent one last."),
            "exclude": _optional(item, MAX_EXCLUDE, "Items not to answer."),
            "filter": rules,
        },
        "example": {"session": session, "filter": {"available": True}},
    }


def _id(kind: str | Literal["int", "str"]) -> Schema:
    return INT64 if kind == "int" else {"type": "string", "minLength": 1, "maxLength": MAX_ID_LENGTH}


def _list(item: Schema, most: int) -> Schema:
    return {"type": "array", "items": item, "maxItems": most}


def _optional(item: Schema, most: int, text: str) -> Schema:
    return {**_list(item, most), "type": ["array", "null"], "description": text}


def _query(name: str, schema: Schema) -> Schema:
    return {"name": name, "in": "query", "required": True, "schema": schema}


def _k() -> Schema:
    schema = {"type": "integer", "minimum": 1, "maximum": MAX_K, "default": DEFAULT_K}
    return {"name": "k", "in": "query", "required": False, "schema": schema, "description": "How many items."}

"""Answers and refusals as OpenAPI text, alike for every route."""

from __future__ import annotations

from typing import Any

from app.accounts.guard import API_KEY, BEARER

Schema = dict[str, Any]
ERROR: Schema = {"$ref": "#/components/schemas/ErrorAnswer"}


def responses(answer: Schema, *, too_large: bool = False) -> Schema:
    """What a route that asks a model can answer; `too_large` when it takes a body."""
    found = {
        "200": {"description": "The answer.", "content": {"application/json": {"schema": answer}}},
        "422": refusal("A field of the request is wrong; the text names it."),
        "503": refusal("No model is published yet; the text names the command that makes one."),
    }
    return {**found, "413": refusal("The body is too long.")} if too_large else found


def refusal(text: str) -> Schema:
    """One that says what is wrong and what helps."""
    return {"description": text, "content": {"application/json": {"schema": ERROR}}}


def with_slashes(paths: Schema) -> Schema:
    """Each path, and the same with a final slash."""
    slash = "The same with a final slash."
    both: Schema = {}
    for path, methods in paths.items():
        both[path] = methods
        both[f"{path}/"] = {
            method: {**told, "description": slash, "operationId": f"{told['operationId']}_slash"}
            for method, told in methods.items()
        }
    return both


def behind_a_scope(paths: Schema) -> Schema:
    """The same paths, for callers with a token or an API key alone."""
    proofs: list[Schema] = [{BEARER.scheme_name: []}, {API_KEY.scheme_name: []}]
    refused = {
        "401": refusal("No token or API key, or one that proves nothing."),
        "403": refusal("The token or the API key lacks the scope of this route."),
        "429": refusal("Too many tokens and API keys that are new to the service wait to be looked up."),
    }
    return {
        path: {
            method: {**told, "security": proofs, "responses": {**told["responses"], **refused}}
            for method, told in methods.items()
        }
        for path, methods in paths.items()
    }

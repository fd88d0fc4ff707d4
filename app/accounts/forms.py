"""The OAuth2 password form: a bounded body flows in, its fields flow out."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.types import Message

from app.reading import read_body
from vitrina.errors import RequestError

MOST_FIELDS = 10
MOST_BYTES = 16_384
REMEDY = "Send a form: grant_type=password, username, password"

_FIELDS: dict[str, Any] = {
    "type": "object",
    "required": ["username", "password"],
    "properties": {
        "grant_type": {"type": "string", "enum": ["password"]},
        "username": {"type": "string", "minLength": 1},
        "password": {"type": "string", "minLength": 1, "format": "password"},
        "scope": {"type": "string", "description": "Scopes of the token, a space between; without it, all."},
    },
}
DOCUMENTED: dict[str, Any] = {
    "requestBody": {"required": True, "content": {"application/x-www-form-urlencoded": {"schema": _FIELDS}}}
}


@dataclass(frozen=True, kw_only=True)
class PasswordForm:
    """Who signs in; `scopes` None asks for all."""

    username: str
    password: str = field(repr=False)
    scopes: tuple[str, ...] | None


async def read_form(request: Request) -> PasswordForm:
    """The form of a request; `RequestError` names the field that is wrong, never what it holds."""
    body = await read_body(request.scope, request.receive, MOST_BYTES)

    async def replay() -> Message:
        return {"type": "http.request", "body": body, "more_body": False}

    try:
        async with Request(request.scope, replay).form(max_files=0, max_fields=MOST_FIELDS) as form:
            fields = {name: value for name, value in form.multi_items() if isinstance(value, str)}
            repeated = len(form.multi_items()) != len(form)
    except (HTTPException, UnicodeError) as error:  # the latter from some codecs of the caller's choice
        raise RequestError("not a form that can be read", field="body", remedy=REMEDY) from error
    if repeated:
        raise RequestError("a field is there twice", field="body", remedy="Send each field once")
    if fields.get("grant_type", "password") != "password":
        raise RequestError("not 'password'", field="grant_type", remedy="Send grant_type=password")
    for name in ("username", "password"):
        if not fields.get(name):
            raise RequestError("missing", field=name, remedy=REMEDY)
    scope = fields.get("scope", "").split()
    return PasswordForm(username=fields["username"], password=fields["password"], scopes=tuple(scope) or None)

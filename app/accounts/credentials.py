"""What a request shows of its sender: headers flow in, a bearer token or an API key flows out."""

from __future__ import annotations

import logging
from dataclasses import dataclass

from starlette.types import Scope

from app.errors import Refused
from vitrina.errors import StateError

log = logging.getLogger(__name__)
REMEDY = "Send 'Authorization: Bearer TOKEN' (POST /token gives one) or 'X-API-Key: KEY'"


@dataclass(frozen=True)
class Sent:
    """One credential, sent as an API key or as a bearer token; `text` stays out of every log."""

    text: str
    as_key: bool

    def __repr__(self) -> str:
        return "Sent(***)"


def sent(scope: Scope) -> Sent:
    """The credential of a request. 401 without one, or with several: no two readers must take different ones."""
    found = []
    for name, value in scope["headers"]:
        if name == b"authorization":
            scheme, _, credentials = value.partition(b" ")
            if scheme.lower() != b"bearer" or not credentials.strip():
                raise not_known("the header Authorization holds no bearer token", REMEDY)
            found.append(Sent(credentials.strip().decode("latin-1"), as_key=False))
        elif name == b"x-api-key":
            if not value.strip():
                raise not_known("the header X-API-Key is empty", REMEDY)
            found.append(Sent(value.strip().decode("latin-1"), as_key=True))
    if not found:
        raise Refused(401, "no token was sent", REMEDY, {"www-authenticate": "Bearer"})
    if len(found) > 1:
        raise not_known("several tokens were sent", "Send one")
    return found[0]


def not_known(reason: str, remedy: str) -> Refused:
    """401 for a credential that proves nothing."""
    return Refused(401, reason, remedy, {"www-authenticate": 'Bearer error="invalid_token"'})


def away(error: StateError) -> Refused:
    """503 while the database is away; strangers are not told where it is, the log is."""
    log.error("the accounts cannot be reached: %s", error)
    remedy = "Try again; the log of the service tells the cause"
    return Refused(503, "the accounts cannot be reached", remedy, {"retry-after": "5"})


def not_allowed(needed: str) -> Refused:
    """403 for a known caller without the scope."""
    challenge = f'Bearer error="insufficient_scope", scope="{needed}"'
    reason = f"the account has no scope {needed!r} for this route, or its token was asked for without it"
    remedy = f"Sign in to an account that has it: vitrina users change NAME --scope {needed}"
    return Refused(403, reason, remedy, {"www-authenticate": challenge})


def later(reason: str, seconds: int) -> Refused:
    """429 for what may be tried again."""
    return Refused(429, reason, f"Try again in {seconds} s", {"retry-after": str(seconds)})

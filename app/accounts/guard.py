"""The guard of routes: a request flows in, its caller flows out, or a refusal in the words of HTTP.

Every token and key is held against its account as the database has it now (at most `FRESH_SECONDS` ago), so deleting an
account, keeping it out or changing its password ends what is out. Only a token's signature is not checked again.
"""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import Request, Security
from fastapi.security import APIKeyHeader, OAuth2PasswordBearer
from starlette.types import ASGIApp, Receive, Scope, Send

from app.accounts.credentials import away, not_allowed, not_known, sent
from app.accounts.remembered import Remembered
from app.accounts.verified import VerifiedTokens
from vitrina.accounts import api_keys, tokens
from vitrina.accounts.scopes import ADMIN
from vitrina.accounts.tokens import TokenRules
from vitrina.errors import StateError, TokenError
from vitrina.storage.accounts import Account, Accounts, ApiKey, SigningKey

FRESH_SECONDS = 0.05
KEYS_FRESH_SECONDS = 5.0
UNKNOWN_KID_SECONDS = 1.0
STALE_SECONDS = 300.0
QUESTIONS_AT_ONCE = 2

BEARER = OAuth2PasswordBearer(tokenUrl="token", auto_error=False, description="What POST /token gave.")
API_KEY = APIKeyHeader(name="X-API-Key", auto_error=False, description="What `vitrina users key` gave.")
ALL = ()  # the only key of the memory of signing keys


@dataclass(frozen=True, kw_only=True)
class Caller:
    """Whom a request is from; `account` is None for the administrator's token of the settings."""

    account: Account | None
    scopes: tuple[str, ...]


class Guard:
    """One per process. `required` are the groups of routes that need a token, named as the scope that opens them;
    an `admin_token` that is not empty makes the administrator's one of them, and opens it. `now` tells ms since the
    epoch."""

    def __init__(
        self,
        *,
        accounts: Callable[[], Accounts],
        signing_keys: Callable[[], tuple[SigningKey, ...]],
        rules: TokenRules,
        now: Callable[[], int],
        required: Iterable[str] = (),
        admin_token: str | None = None,
    ) -> None:
        def memory(read: Callable[[Any], Any], fresh_seconds: float = FRESH_SECONDS) -> Remembered[Any, Any]:
            # each asks apart: made-up API keys hold up no tokens
            at_once = QUESTIONS_AT_ONCE
            return Remembered(read, fresh_seconds=fresh_seconds, stale_seconds=STALE_SECONDS, at_once=at_once)

        self._accounts: Remembered[str, Account] = memory(lambda name: accounts().account(name))
        self._api_keys: Remembered[str, tuple[ApiKey, Account]] = memory(lambda key_id: accounts().api_key(key_id))
        self._keys: Remembered[tuple[()], tuple[SigningKey, ...]] = memory(lambda _: signing_keys(), KEYS_FRESH_SECONDS)
        self._verified = VerifiedTokens()
        self._rules = rules
        self._now = now
        self.required = frozenset(required) | ({ADMIN} if admin_token else frozenset())
        self._admin_token = admin_token.encode() if admin_token else None

    async def signing_keys(self, *, younger_than: float | None = None) -> tuple[SigningKey, ...]:
        """The keys that hold now, the oldest first."""
        return await self._keys.get(ALL, younger_than=younger_than) or ()

    async def caller(self, scope: Scope) -> Caller:
        """Whom the request is from; 401 when it does not prove it, 429 when too many who are new here ask at once."""
        shown = sent(scope)
        text = shown.text
        if self._admin_token is not None and secrets.compare_digest(text.encode("latin-1"), self._admin_token):
            return Caller(account=None, scopes=(ADMIN,))
        try:
            if text.startswith(api_keys.PREFIX):
                client = scope.get("client")
                return await self._bearer_of_key(text, client[0] if client else "")
            return await self._bearer_of_token(text)
        except TokenError as error:
            reason, _, remedy = (api_keys.WRONG if shown.as_key else str(error)).partition(". ")
            raise not_known(reason, remedy) from error
        except StateError as error:
            raise away(error) from error

    async def check(self, scope: Scope, needed: str | None) -> Caller:
        """The caller, who has the scope `needed`; 401 or 403 otherwise."""
        caller = await self.caller(scope)
        if needed is not None and needed not in caller.scopes:
            raise not_allowed(needed)
        return caller

    def requires(self, needed: str | None = None) -> Callable[..., Awaitable[Caller]]:
        """A dependency for FastAPI's routes, which gives the caller and shows up in the documentation."""

        async def caller(
            request: Request,
            _bearer: Annotated[str | None, Security(BEARER)],
            _key: Annotated[str | None, Security(API_KEY)],
        ) -> Caller:
            return await self.check(request.scope, needed)

        return caller

    def dependencies(self, group: str) -> list[Any]:
        """For a router of that group: what keeps strangers out of it, nothing when the group needs no token."""
        return [Security(self.requires(group))] if group in self.required else []

    def wrap(self, app: ASGIApp, group: str) -> ASGIApp:
        """The same for a route of the group that is plain ASGI."""
        return Guarded(app, self, group) if group in self.required else app

    async def _bearer_of_token(self, text: str) -> Caller:
        claims = await self._claims(text, now=self._now())
        account = await self._accounts.get(claims.name)
        scopes = tokens.verify_account(claims, account)
        return Caller(account=account, scopes=scopes)

    async def _claims(self, text: str, *, now: int) -> tokens.Claims:
        """What a token says whose key holds now and that has not expired. `TokenError` for any other."""
        keys = await self.signing_keys()
        known = self._verified.get(text)
        if known is not None and known.key in keys and known.claims.expires > now:
            return known.claims
        kid = tokens.kid_of(text)
        key = _named(keys, kid) or _named(await self.signing_keys(younger_than=UNKNOWN_KID_SECONDS), kid)
        claims = tokens.read_token(text, key, self._rules, now=now)
        if key is not None:
            self._verified.put(text, key, claims)
        return claims

    async def _bearer_of_key(self, text: str, address: str) -> Caller:
        parsed = api_keys.parse_api_key(text)
        kept = await self._api_keys.get(parsed.key_id, address=address)
        scopes = api_keys.verify_api_key(parsed, kept, now=self._now())
        return Caller(account=kept[1] if kept else None, scopes=scopes)


class Guarded:
    """A plain ASGI route that is only reached with the scope `needed`."""

    def __init__(self, app: ASGIApp, guard: Guard, needed: str) -> None:
        self._app = app
        self._guard = guard
        self._needed = needed

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._guard.check(scope, self._needed)
        await self._app(scope, receive, send)


def _named(keys: Iterable[SigningKey], kid: str) -> SigningKey | None:
    return next((key for key in keys if key.kid == kid), None)

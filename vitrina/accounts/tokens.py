"""Access tokens: an account flows in, a signed JWT flows out, and back again. One algorithm, and a kid in each.

A token alone proves only that it was given; whether it still holds is asked of the account (`verify_account`).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import jwt

from vitrina.errors import TokenError
from vitrina.storage.accounts import Account, SigningKey

ALGORITHM: Final = "HS256"
LONGEST = 4096
CLAIMS = ("iss", "aud", "sub", "iat", "exp", "gen", "scope")
_NOT_OURS = "the token was not made by this service. Sign in anew: POST /token"
_EXPIRED = "the token has expired. Sign in anew: POST /token"
_REVOKED = "the token does not hold any more. Sign in anew: POST /token"


@dataclass(frozen=True, kw_only=True)
class TokenRules:
    """What the service writes into its tokens, and asks of those that come back."""

    lifetime_ms: int = 60 * 60 * 1000
    issuer: str = "vitrina"
    audience: str = "vitrina"


@dataclass(frozen=True, kw_only=True)
class Claims:
    """What a token with a good signature says; `expires` in ms."""

    name: str
    generation: str
    scopes: tuple[str, ...]
    expires: int


def make_token(account: Account, scopes: Iterable[str], key: SigningKey, rules: TokenRules, *, now: int) -> str:
    """A token for these scopes of the account."""
    claims = {
        "iss": rules.issuer,
        "aud": rules.audience,
        "sub": account.name,
        "iat": now // 1000,
        "exp": (now + rules.lifetime_ms) // 1000,
        "gen": account.generation,
        "scope": " ".join(scopes),
    }
    return jwt.encode(claims, key.secret, algorithm=ALGORITHM, headers={"kid": key.kid})


def kid_of(token: str) -> str:
    """Which key it says to be signed with; `TokenError` for what is no token of the one algorithm."""
    if len(token) > LONGEST or not token.isascii():
        raise TokenError(_NOT_OURS)
    try:
        header = jwt.get_unverified_header(token)
    except jwt.InvalidTokenError as error:
        raise TokenError(_NOT_OURS) from error
    kid = header.get("kid")
    if header.get("alg") != ALGORITHM or not isinstance(kid, str):
        raise TokenError(_NOT_OURS)
    return kid


def read_token(token: str, key: SigningKey | None, rules: TokenRules, *, now: int) -> Claims:
    """What it says, when the key (None: its kid is unknown) has signed it for this audience and it has not expired."""
    if key is None or len(token) > LONGEST:
        raise TokenError(_NOT_OURS)
    try:
        claims = jwt.decode(
            token,
            key.secret,
            algorithms=[ALGORITHM],
            issuer=rules.issuer,
            audience=rules.audience,
            # its times are compared below, with the service's clock
            options={"require": list(CLAIMS), "strict_aud": True, "verify_exp": False, "verify_iat": False},
        )
    except jwt.InvalidTokenError as error:
        raise TokenError(_NOT_OURS) from error
    expires, texts = claims["exp"], [claims[name] for name in ("sub", "gen", "scope")]
    if type(expires) is not int or not all(isinstance(one, str) for one in texts):
        raise TokenError(_NOT_OURS)
    if expires * 1000 <= now:
        raise TokenError(_EXPIRED)
    name, generation, scope = texts
    return Claims(name=name, generation=generation, scopes=tuple(scope.split()), expires=expires * 1000)


def verify_account(claims: Claims, account: Account | None) -> tuple[str, ...]:
    """What the bearer may do today: nothing (`TokenError`) when the account is gone, is kept out or has a new password
    since, else what the token says and the account still has."""
    if account is None or account.disabled or account.generation != claims.generation:
        raise TokenError(_REVOKED)
    return tuple(one for one in claims.scopes if one in account.scopes)

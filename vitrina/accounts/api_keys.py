"""API keys, for programs: `vtr_<id>_<secret>`. The id is looked up, of the secret only a digest is kept.

The secret has 256 random bits, so a plain SHA-256 is as good as any slow hash, and a request pays microseconds.
"""

from __future__ import annotations

import hashlib
import re
import secrets
from collections.abc import Iterable
from dataclasses import dataclass

from vitrina.accounts.registration import checked_text
from vitrina.accounts.scopes import scopes_of
from vitrina.errors import AccountError, TokenError
from vitrina.storage.accounts import Account, Accounts, ApiKey

PREFIX = "vtr_"
_FORM = re.compile(r"vtr_([0-9a-f]{12})_([A-Za-z0-9_-]{43})")
WRONG = "the API key is wrong or does not hold any more. Ask for another: vitrina users key NAME"
_NOBODY = hashlib.sha256(secrets.token_bytes(32)).hexdigest()


@dataclass(frozen=True)
class ParsedKey:
    """A key as it was sent."""

    key_id: str
    digest: str


def make_api_key(
    accounts: Accounts, account: Account, *, scopes: Iterable[str], label: str = "", expires: int | None, now: int
) -> tuple[ApiKey, str]:
    """A new key of the account, and its text, which nobody can tell again. `AccountError` for scopes beyond the
    account's own."""
    wanted = scopes_of(scopes, where="--scope") or account.scopes
    if beyond := [one for one in wanted if one not in account.scopes]:
        raise AccountError(f"the account {account.name!r} has no scope {beyond[0]!r} itself. Choose among its own")
    key_id, secret = secrets.token_hex(6), secrets.token_urlsafe(32)
    key = ApiKey(
        key_id=key_id,
        account=account.name,
        digest=_digest(secret),
        label=checked_text("--label", label),
        scopes=wanted,
        created=now,
        expires=expires,
    )
    accounts.add_api_key(key)
    return key, f"{PREFIX}{key_id}_{secret}"


def parse_api_key(text: str) -> ParsedKey:
    """The parts of a key; `TokenError` for what has not its form."""
    found = _FORM.fullmatch(text)
    if found is None:
        raise TokenError(WRONG)
    return ParsedKey(found[1], _digest(found[2]))


def verify_api_key(sent: ParsedKey, kept: tuple[ApiKey, Account] | None, *, now: int) -> tuple[str, ...]:
    """What its bearer may do; `TokenError` when it is not the kept one, has expired, or its account is kept out."""
    right = secrets.compare_digest(sent.digest, kept[0].digest if kept else _NOBODY)
    if kept is None or not right:
        raise TokenError(WRONG)
    key, account = kept
    if account.disabled or (key.expires is not None and key.expires <= now):
        raise TokenError(WRONG)
    return tuple(one for one in key.scopes if one in account.scopes)


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()

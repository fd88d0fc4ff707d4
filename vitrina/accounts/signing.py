"""The keys that sign tokens: made at random, kept by the accounts' database, replaced in turn; or given as settings."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from vitrina.errors import ConfigError
from vitrina.storage.accounts import Accounts, SigningKey

SECRET_BYTES = 32
SHORTEST_SECRET = 32
DAY = 24 * 60 * 60 * 1000


@dataclass(frozen=True, kw_only=True)
class Rotation:
    """A key signs for `every_ms`. The next one is announced `notice_ms` before it signs, so that every process knows
    it by then, and one that signs no more is kept for `keep_ms`: at least as long as a token lives."""

    every_ms: int = 30 * DAY
    notice_ms: int = 60_000
    keep_ms: int = 2 * DAY


def present_keys(accounts: Accounts, rotation: Rotation, *, now: int) -> tuple[SigningKey, ...]:
    """The keys that hold now, the oldest first. Makes the first one and those whose turn it is; deletes old ones."""
    keys = accounts.signing_keys()
    due = now - rotation.every_ms
    if not keys or keys[-1].created <= due:
        made = new_key(now, used_from=now + rotation.notice_ms if keys else now)
        keys = accounts.add_signing_key(made, known=[key.kid for key in keys])
    over = [old.kid for old, new in pairwise(keys) if new.used_from + rotation.keep_ms < now]
    if over:
        accounts.delete_signing_keys(over)
    return tuple(key for key in keys if key.kid not in over)


def replace_keys(accounts: Accounts, rotation: Rotation, *, revoke: bool, now: int) -> SigningKey:
    """Makes the next key before its turn, and returns the newest: of several who replace at once, one makes it.
    `revoke` deletes those that were there, and with them every token that they have signed."""
    before = accounts.signing_keys()
    known = [key.kid for key in before]
    if revoke or not before:
        made = new_key(now, used_from=now)
    else:
        last = before[-1]  # of a machine whose clock may be ahead
        made = new_key(max(now, last.created + 1), used_from=max(now + rotation.notice_ms, last.used_from + 1))
    present = accounts.add_signing_key(made, known=known)
    if revoke:
        accounts.delete_signing_keys(known)
    return [key for key in present if key.kid not in known][-1]


def signer(keys: Sequence[SigningKey], *, now: int) -> SigningKey:
    """The key that signs now; the first one does before its time, too, when another machine's clock is ahead."""
    ready = [key for key in keys if key.used_from <= now]
    return max(ready, key=lambda key: key.used_from) if ready else min(keys, key=lambda key: key.used_from)


def new_key(now: int, *, used_from: int) -> SigningKey:
    return SigningKey(
        kid=secrets.token_hex(8), secret=secrets.token_bytes(SECRET_BYTES), created=now, used_from=used_from
    )


def given_keys(given: Iterable[str]) -> tuple[SigningKey, ...]:
    """Keys of the operator's own, the oldest first; of those given the first one signs, and blanks around them are no
    part of them. `ConfigError` names the places of those that are too short to be secrets."""
    secrets_given = [text.strip() for text in given]
    short = [str(place) for place, text in enumerate(secrets_given, 1) if len(text) < SHORTEST_SECRET]
    if short:
        some = f"secret {short[0]} has" if len(short) == 1 else f"secrets {', '.join(short)} have"
        raise ConfigError(
            f"VITRINA_TOKEN_SECRETS: {some} under {SHORTEST_SECRET} characters. "
            "Make each at random: openssl rand -hex 32"
        )
    keys = []
    for place, text in enumerate(secrets_given):
        kid = hashlib.sha256(b"vitrina kid " + text.encode()).hexdigest()[:16]
        keys.append(SigningKey(kid=kid, secret=text.encode(), created=0, used_from=-place))
    return tuple(reversed(keys))

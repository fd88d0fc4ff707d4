"""Tokens whose signature was checked: checking it again costs ten times more than the rest of the guard's work."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from typing import NamedTuple

from vitrina.accounts.tokens import Claims
from vitrina.storage.accounts import SigningKey

MOST_REMEMBERED = 10_000


class Verified(NamedTuple):
    """What a token says, and the key that has signed it."""

    key: SigningKey
    claims: Claims


class VerifiedTokens:
    """By a digest of the token, so that none of them can be read from memory. What a token says never changes; whether
    its key, its time and its account still hold is for the caller to ask, each time."""

    def __init__(self, most: int = MOST_REMEMBERED) -> None:
        self._most = most
        self._known: OrderedDict[bytes, Verified] = OrderedDict()

    def get(self, token: str) -> Verified | None:
        """What was remembered of this very token."""
        return self._known.get(_digest(token))

    def put(self, token: str, key: SigningKey, claims: Claims) -> None:
        """Remembers a token that `key` has signed; the oldest one goes when there are too many."""
        self._known[_digest(token)] = Verified(key, claims)
        if len(self._known) > self._most:
            self._known.popitem(last=False)


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode("latin-1")).digest()

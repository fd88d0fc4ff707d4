"""Passwords: a text flows in, an argon2id hash flows out, and the same work is done for people who do not exist.

Argon2 is RFC 9106; the parameters are its second recommendation (3 rounds, 64 MiB, 4 lanes).
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from unicodedata import normalize

from pwdlib import PasswordHash
from pwdlib.exceptions import UnknownHashError
from pwdlib.hashers.argon2 import Argon2Hasher

from vitrina.errors import AccountError, StateError

LONGEST = 1024
SHORT = 8  # shorter ones are taken, with a warning


@dataclass(frozen=True, kw_only=True)
class Checked:
    """`rehashed` is the hash to keep instead, when the kept one was made with other parameters."""

    matches: bool
    rehashed: str | None = None


class Passwords:
    """Hashes and checks; making one takes as long as a check. `rounds`, `memory_kib` and `lanes` as in RFC 9106."""

    def __init__(self, *, rounds: int = 3, memory_kib: int = 65_536, lanes: int = 4) -> None:
        self._hash = PasswordHash([Argon2Hasher(time_cost=rounds, memory_cost=memory_kib, parallelism=lanes)])
        self._nobody = self._hash.hash(secrets.token_bytes(16))

    def hash(self, password: str) -> str:
        """What to keep of a password; `AccountError` for one that is empty or too long."""
        if not 0 < len(password) <= LONGEST:
            raise AccountError(f"the password is empty or over {LONGEST} characters. Choose another")
        return self._hash.hash(_bytes(password))

    def check(self, password: str, kept: str | None) -> Checked:
        """Whether it is the password of the hash; `kept` None is nobody's, which takes as long and is always wrong."""
        try:
            matches, rehashed = self._hash.verify_and_update(_bytes(password[: LONGEST + 1]), kept or self._nobody)
        except UnknownHashError as error:
            raise StateError("the hash of a password is damaged. Set it anew: vitrina users passwd NAME") from error
        return Checked(matches=matches, rehashed=rehashed) if kept else Checked(matches=False)


def _bytes(password: str) -> bytes:
    """One text, however a keyboard composes its letters."""
    return normalize("NFC", password).encode("utf-8", "surrogatepass")

"""Accounts by row: who may sign in, with what keys, and who tries to. `Accounts` is what every database offers.

Passwords arrive here as hashes and API keys as digests; times are ms since the epoch.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, TypedDict, Unpack


@dataclass(frozen=True, kw_only=True)
class Account:
    """Tokens carry the `generation` of their account: when it changes, those that are out end."""

    name: str
    full_name: str
    email: str
    password_hash: str = field(repr=False)
    scopes: tuple[str, ...]
    disabled: bool = False
    generation: str = field(repr=False)
    created: int


class AccountChanges(TypedDict, total=False):
    """What of an account can change; its name stays."""

    full_name: str
    email: str
    password_hash: str
    scopes: tuple[str, ...]
    disabled: bool
    generation: str


@dataclass(frozen=True, kw_only=True)
class ApiKey:
    """A key of an account, known by its id; `digest` is all that is kept of its secret. `expires` None: never."""

    key_id: str
    account: str
    digest: str = field(repr=False)
    label: str
    scopes: tuple[str, ...]
    created: int
    expires: int | None = None


@dataclass(frozen=True, kw_only=True)
class SigningKey:
    """A key that signs tokens from `used_from` on, until the next one does; `kid` names it inside of them."""

    kid: str
    secret: bytes = field(repr=False)
    created: int
    used_from: int


@dataclass(frozen=True, kw_only=True)
class Limit:
    """The attempt that fails as number `free` locks its bucket for `lock_ms`, each later one for twice as long as the
    one before it, `most_ms` at most. A bucket without a failure for `forget_ms` after its lock starts anew; one that
    `leaks` loses `free` failures in that time, one after the other, whether more come or not.
    """

    free: int
    lock_ms: int
    most_ms: int
    forget_ms: int
    leaks: bool = False

    def lock_after(self, failures: int) -> int:
        """For how many ms this many failures lock a bucket."""
        if failures < self.free:
            return 0
        return min(self.lock_ms << min(failures - self.free, 32), self.most_ms)

    @property
    def leak_ms(self) -> int:
        """For how long one failure stays in a bucket that leaks."""
        return self.forget_ms // self.free


class Accounts(Protocol):
    """The accounts. Every method raises StateError when the database cannot be used."""

    def add_account(self, account: Account) -> None:
        """Adds it; AccountError when the name is taken."""

    def account(self, name: str) -> Account | None:
        """The account of that very name, upper and lower case told apart."""

    def accounts(self) -> list[Account]:
        """All of them, by name."""

    def change_account(self, name: str, **changes: Unpack[AccountChanges]) -> Account:
        """Changes the named fields and returns the account as it is then; AccountError when there is none."""

    def renew_generations(self, generation: str) -> int:
        """Gives all of them this generation at once, and returns how many they are."""

    def renew_hash(self, name: str, *, before: str, after: str) -> None:
        """Keeps the same password as another hash, unless it was changed meanwhile."""

    def delete_account(self, name: str) -> None:
        """Deletes it with its API keys; AccountError when there is none."""

    def add_api_key(self, key: ApiKey) -> None:
        """Adds it; AccountError when there is no such account."""

    def api_key(self, key_id: str) -> tuple[ApiKey, Account] | None:
        """The key and whose it is."""

    def api_keys(self, account: str | None = None) -> list[ApiKey]:
        """The keys of one account, or of all, the oldest first."""

    def delete_api_key(self, key_id: str) -> None:
        """Deletes it; AccountError when there is none."""

    def signing_keys(self) -> list[SigningKey]:
        """All of them, the oldest first."""

    def add_signing_key(self, key: SigningKey, *, known: Collection[str]) -> list[SigningKey]:
        """Adds it unless there is one that is not among the `known` kids, and returns all: of several at once who know
        the same ones, one adds."""

    def delete_signing_keys(self, kids: Sequence[str]) -> None:
        """Deletes those that are there."""

    def begin_sign_in(self, buckets: Mapping[str, Limit], *, now: int) -> int:
        """Counts an attempt as failed in every bucket and returns 0; when one of them is locked, counts nothing and
        returns the ms until the last lock ends; of a lock that was set within the last second, one second at most, as
        the attempt that set it may still turn out right. Attempts of one bucket go one at a time: none slips through.
        """

    def undo_sign_in(self, buckets: Mapping[str, Limit], *, clear: Sequence[str] = (), now: int) -> None:
        """The attempt that `begin_sign_in` counted did not fail: takes it back, and forgets the buckets of `clear`."""

"""Signing in: a name, a password and the caller's address flow in; an account, a refusal or a wait flows out.

Known and unknown names cost the same work: one count, one look-up, one argon2 check. Failures lock three buckets, each
with a limit of its own: the name as tried from one network, the name from everywhere, the network for all names.
"""

from __future__ import annotations

import hashlib
import ipaddress
from dataclasses import dataclass

from vitrina.accounts.passwords import Passwords
from vitrina.accounts.registration import canonical_name
from vitrina.storage.accounts import Account, Accounts, Limit

MINUTE = 60_000


def _limit(free: int, *, leaks: bool = False) -> Limit:
    return Limit(free=free, lock_ms=MINUTE, most_ms=15 * MINUTE, forget_ms=60 * MINUTE, leaks=leaks)


@dataclass(frozen=True, kw_only=True)
class Limits:
    """`pair` is a name from one network. The others are wider: a stranger must not lock somebody out so easily, and
    many people may stand behind one address. They leak: a forgotten password that a program goes on trying with fills
    none of them."""

    pair: Limit = _limit(5)
    name: Limit = _limit(50, leaks=True)
    network: Limit = _limit(100, leaks=True)


@dataclass(frozen=True, kw_only=True)
class Wait:
    """Too many have failed; `seconds` until it may be tried again."""

    seconds: int


@dataclass(frozen=True, kw_only=True)
class SignIns:
    """What every attempt goes through."""

    accounts: Accounts
    passwords: Passwords
    limits: Limits = Limits()

    def attempt(self, name: str, password: str, address: str, *, now: int) -> Account | Wait | None:
        """The account whose password it is; None when the name, the password or the account is no good, which of
        them is not told. `StateError` when the database is away: nobody gets in uncounted."""
        canonical = canonical_name(name)
        network = network_of(address)
        pair = _bucket("pair", canonical or name, network)
        buckets = {
            pair: self.limits.pair,
            _bucket("name", canonical or name): self.limits.name,
            _bucket("network", network): self.limits.network,
        }
        if wait := self.accounts.begin_sign_in(buckets, now=now):
            return Wait(seconds=-(-wait // 1000))
        account = self.accounts.account(canonical or "")
        checked = self.passwords.check(password, account.password_hash if account else None)
        if account is None or not checked.matches or account.disabled:
            return None
        self.accounts.undo_sign_in(buckets, clear=[pair], now=now)
        if checked.rehashed is not None:
            self.accounts.renew_hash(account.name, before=account.password_hash, after=checked.rehashed)
        return account


def network_of(address: str) -> str:
    """The address, or of IPv6 the /64 that one customer of a provider has to himself."""
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return ""  # a socket of this machine has no address
    if isinstance(found, ipaddress.IPv6Address):
        if found.ipv4_mapped is not None:
            return str(found.ipv4_mapped)
        return str(ipaddress.ip_network((found.packed[:8] + bytes(8), 64)))
    return str(found)


def _bucket(*parts: str) -> str:
    """Hashed: what is typed as a name may be a password, and addresses are nobody's business."""
    return hashlib.sha256("\0".join(parts).encode("utf-8", "surrogatepass")).hexdigest()

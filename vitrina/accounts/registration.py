"""New accounts and new passwords: what a person gave flows in, checked; an account flows out."""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterable
from unicodedata import normalize

from vitrina.accounts.passwords import Passwords
from vitrina.accounts.scopes import USUAL, scopes_of
from vitrina.errors import AccountError
from vitrina.storage.accounts import Account, Accounts

LONGEST_TEXT = 200
_NAME = re.compile(r"[\w.@+-]{1,64}")


def canonical_name(name: str) -> str | None:
    """The name as it is kept, however it was typed; None for what cannot be one."""
    found = normalize("NFKC", name)
    return found if _NAME.fullmatch(found) else None


def register(
    accounts: Accounts,
    passwords: Passwords,
    *,
    name: str,
    password: str,
    full_name: str = "",
    email: str = "",
    scopes: Iterable[str] = USUAL,
    now: int,
) -> Account:
    """Adds an account. `AccountError` when the name is taken or something cannot be what it is meant to be."""
    found = canonical_name(name)
    if found is None:
        raise AccountError(f"{name!r} can be no name. Use 1 to 64 letters, digits and any of . _ - + @")
    account = Account(
        name=found,
        full_name=checked_text("--full-name", full_name),
        email=checked_text("--email", email),
        password_hash=passwords.hash(password),
        scopes=scopes_of(scopes, where="--scope"),
        generation=new_generation(),
        created=now,
    )
    accounts.add_account(account)
    return account


def change_password(accounts: Accounts, passwords: Passwords, name: str, password: str) -> Account:
    """Sets another password; tokens that are out end with it. `AccountError` when there is no such account."""
    kept = passwords.hash(password)
    return accounts.change_account(canonical_name(name) or name, password_hash=kept, generation=new_generation())


def end_all_tokens(accounts: Accounts) -> int:
    """Ends every token that is out, whichever key has signed it; API keys stay. How many accounts there are."""
    return accounts.renew_generations(new_generation())


def checked_text(option: str, text: str) -> str:
    """The text of an option, when every database and every terminal can show it; `AccountError` otherwise."""
    if not text.isprintable() or len(text) > LONGEST_TEXT:
        raise AccountError(f"{option} is over {LONGEST_TEXT} characters or holds control characters. Shorten it")
    return text


def new_generation() -> str:
    """At random, so that a name that was deleted and given again does not revive its old tokens."""
    return secrets.token_hex(8)

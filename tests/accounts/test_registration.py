"""What can be a name, a text and a scope, and what a new password changes."""

from __future__ import annotations

from typing import Any

import pytest

from vitrina.accounts.passwords import Passwords
from vitrina.accounts.registration import canonical_name, change_password, register
from vitrina.accounts.scopes import USUAL
from vitrina.errors import AccountError, ConfigError
from vitrina.storage.accounts import Account
from vitrina.storage.sql_accounts import SqlAccounts


def made(accounts: SqlAccounts, passwords: Passwords, **given: Any) -> Account:
    return register(accounts, passwords, **{"name": "ann", "password": "planted", "now": 7, **given})


def test_an_account_is_kept_as_it_was_given(accounts: SqlAccounts, passwords: Passwords) -> None:
    account = made(accounts, passwords, full_name="Анна Ж.", email="ann@shop")
    assert accounts.account("ann") == account
    assert (account.full_name, account.email, account.created) == ("Анна Ж.", "ann@shop", 7)
    assert (account.scopes, account.disabled) == (USUAL, False)
    assert passwords.check("planted", account.password_hash).matches


def test_a_name_given_again_is_another_generation(accounts: SqlAccounts, passwords: Passwords) -> None:
    first = made(accounts, passwords)
    with pytest.raises(AccountError, match="already"):
        made(accounts, passwords)
    accounts.delete_account("ann")
    assert made(accounts, passwords).generation != first.generation


@pytest.mark.parametrize("name", ["ann", "Анна", "a.b-c_d+e@shop.ru", "7", "x" * 64])
def test_names(name: str) -> None:
    assert canonical_name(name) == name


@pytest.mark.parametrize(
    "name", ["", " ", "a b", "a\nb", "a\0b", "a'b", 'a"b', "a;b", "a:b", "a/b", "x" * 65, "\ud800", "a\u202eb", "ann\n"]
)
def test_what_can_be_no_name(accounts: SqlAccounts, passwords: Passwords, name: str) -> None:
    with pytest.raises(AccountError, match="can be no name"):
        made(accounts, passwords, name=name)
    assert accounts.accounts() == []


def test_a_name_is_one_however_it_is_typed(accounts: SqlAccounts, passwords: Passwords) -> None:
    assert canonical_name("и\u0306од") == canonical_name("йод") == made(accounts, passwords, name="и\u0306од").name
    with pytest.raises(AccountError, match="already"):
        made(accounts, passwords, name="йод")


@pytest.mark.parametrize("option", ["full_name", "email"])
@pytest.mark.parametrize("text", ["a\nb", "a\x1b[31m", "a\0b", "\ud800", "x" * 201])
def test_texts_that_cannot_be_shown_are_refused(accounts: SqlAccounts, passwords: Passwords, option, text) -> None:
    with pytest.raises(AccountError, match="--" + option.replace("_", "-")):
        made(accounts, passwords, **{option: text})


def test_scopes_are_known_words(accounts: SqlAccounts, passwords: Passwords) -> None:
    assert made(accounts, passwords, scopes=["admin", "events", "admin"]).scopes == ("events", "admin")
    with pytest.raises(ConfigError, match="--scope: 'root' is not known"):
        made(accounts, passwords, name="bob", scopes=["root"])


def test_a_new_password_is_a_new_generation(accounts: SqlAccounts, passwords: Passwords) -> None:
    before = made(accounts, passwords)
    after = change_password(accounts, passwords, "ann", "another")
    assert after.generation != before.generation
    assert passwords.check("another", after.password_hash).matches
    assert not passwords.check("planted", after.password_hash).matches
    with pytest.raises(AccountError, match="no account 'eve'"):
        change_password(accounts, passwords, "eve", "another")

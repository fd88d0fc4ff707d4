"""API keys: shown once, kept as a digest, good for no more than their account."""

from __future__ import annotations

import re

import pytest

from vitrina.accounts.api_keys import make_api_key, parse_api_key, verify_api_key
from vitrina.accounts.passwords import Passwords
from vitrina.accounts.registration import register
from vitrina.errors import AccountError, ConfigError, TokenError
from vitrina.storage.accounts import Account
from vitrina.storage.sql_accounts import SqlAccounts
from vitrina.telemetry.redaction import Redaction


@pytest.fixture
def ann(accounts: SqlAccounts, passwords: Passwords) -> Account:
    return register(accounts, passwords, name="ann", password="planted", scopes=["events", "admin"], now=0)


def opened(accounts: SqlAccounts, text: str, now: int = 1) -> tuple[str, ...]:
    sent = parse_api_key(text)
    return verify_api_key(sent, accounts.api_key(sent.key_id), now=now)


def test_a_key_opens_what_it_was_made_for(accounts: SqlAccounts, ann: Account) -> None:
    _, text = make_api_key(accounts, ann, scopes=["events"], label="site", expires=None, now=5)
    assert opened(accounts, text) == ("events",)
    _, whole = make_api_key(accounts, ann, scopes=(), expires=None, now=5)
    assert opened(accounts, whole) == ("events", "admin")
    assert re.fullmatch(r"vtr_[0-9a-f]{12}_[\w-]{43}", text)
    assert Redaction()(f"given {text}!") == "given vtr_***!"


def test_its_secret_is_not_kept(accounts: SqlAccounts, ann: Account) -> None:
    key, text = make_api_key(accounts, ann, scopes=(), expires=None, now=5)
    secret = text.rpartition(key.key_id + "_")[2]
    assert secret not in str(vars(key)) and secret not in repr(parse_api_key(text))


def test_it_ends_in_its_time(accounts: SqlAccounts, ann: Account) -> None:
    _, text = make_api_key(accounts, ann, scopes=(), expires=10, now=5)
    assert opened(accounts, text, now=9)
    with pytest.raises(TokenError):
        opened(accounts, text, now=10)


def test_it_ends_with_its_account_and_follows_its_scopes(accounts: SqlAccounts, ann: Account) -> None:
    _, text = make_api_key(accounts, ann, scopes=(), expires=None, now=5)
    accounts.change_account("ann", scopes=("events",))
    assert opened(accounts, text) == ("events",)
    accounts.change_account("ann", disabled=True)
    with pytest.raises(TokenError):
        opened(accounts, text)
    accounts.change_account("ann", disabled=False)
    assert opened(accounts, text)
    accounts.delete_account("ann")
    with pytest.raises(TokenError):
        opened(accounts, text)


def test_another_secret_is_wrong(accounts: SqlAccounts, ann: Account) -> None:
    first, text = make_api_key(accounts, ann, scopes=(), expires=None, now=5)
    second, _ = make_api_key(accounts, ann, scopes=(), expires=None, now=5)
    for wrong in (text[:-1] + ("A" if text[-1] != "A" else "B"), text.replace(first.key_id, second.key_id)):
        with pytest.raises(TokenError):
            opened(accounts, wrong)


@pytest.mark.parametrize("text", ["", "vtr_", "vtr_0123456789ab_", "vtr_0123456789ab_" + "é" * 43, "x" * 100_000])
def test_what_has_not_the_form_of_a_key(text: str) -> None:
    with pytest.raises(TokenError):
        parse_api_key(text)


def test_a_key_may_do_no_more_than_its_account(accounts: SqlAccounts, ann: Account) -> None:
    with pytest.raises(AccountError, match="no scope 'recommendations' itself"):
        make_api_key(accounts, ann, scopes=["recommendations"], expires=None, now=5)
    with pytest.raises(ConfigError, match="'root' is not known"):
        make_api_key(accounts, ann, scopes=["root"], expires=None, now=5)
    with pytest.raises(AccountError, match="--label"):
        make_api_key(accounts, ann, scopes=(), label="a\nb", expires=None, now=5)
    assert accounts.api_keys() == []

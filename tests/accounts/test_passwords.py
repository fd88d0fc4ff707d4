"""Passwords are kept as argon2id, each with a salt of its own, and nobody's password is wrong at the same cost."""

from __future__ import annotations

import pytest

from vitrina.accounts.passwords import LONGEST, Passwords
from vitrina.errors import AccountError, StateError


def test_a_hash_is_argon2id_with_its_own_salt(passwords: Passwords) -> None:
    first, second = passwords.hash("planted"), passwords.hash("planted")
    assert first.startswith("$argon2id$") and first != second
    assert "planted" not in first
    assert passwords.check("planted", first).matches and passwords.check("planted", second).matches


def test_the_usual_parameters_are_those_of_the_standard() -> None:
    assert "$m=65536,t=3,p=4$" in Passwords().hash("x")


@pytest.mark.parametrize("wrong", ["", "plante", "Planted", "planted ", "planted\0", "x" * 10_000, "\ud800"])
def test_another_password_is_wrong(passwords: Passwords, wrong: str) -> None:
    assert not passwords.check(wrong, passwords.hash("planted")).matches


@pytest.mark.parametrize("word", ["a", " spaced ", "пароль", "a\0b", "\ud800", "x" * LONGEST, "🙂" * 300])
def test_any_text_can_be_one(passwords: Passwords, word: str) -> None:
    kept = passwords.hash(word)
    assert passwords.check(word, kept).matches
    assert not passwords.check(word + "x", kept).matches


def test_letters_may_be_composed_either_way(passwords: Passwords) -> None:
    assert passwords.check("и\u0306од", passwords.hash("йод")).matches


@pytest.mark.parametrize("word", ["", "x" * (LONGEST + 1)])
def test_what_cannot_be_one_is_refused(passwords: Passwords, word: str) -> None:
    with pytest.raises(AccountError, match="password"):
        passwords.hash(word)


def test_nobodys_password_is_always_wrong(passwords: Passwords) -> None:
    for word in ("", "planted", "x" * 2_000):
        assert not passwords.check(word, None).matches


def test_a_hash_with_other_parameters_is_renewed_when_the_password_is_right(passwords: Passwords) -> None:
    kept = Passwords(rounds=2, memory_kib=64, lanes=1).hash("planted")
    assert passwords.check("wrong", kept).rehashed is None
    renewed = passwords.check("planted", kept).rehashed
    assert renewed is not None and "t=1" in renewed
    assert passwords.check("planted", renewed).rehashed is None


def test_a_damaged_hash_is_told(passwords: Passwords) -> None:
    with pytest.raises(StateError, match="vitrina users passwd"):
        passwords.check("planted", "damaged")

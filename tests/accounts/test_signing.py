"""Signing keys: the first, the next in its turn, the old ones gone, and those of the settings."""

from __future__ import annotations

import pytest

from vitrina.accounts.signing import DAY, Rotation, given_keys, new_key, present_keys, replace_keys, signer
from vitrina.errors import ConfigError
from vitrina.storage.accounts import SigningKey
from vitrina.storage.sql_accounts import SqlAccounts

ROTATION = Rotation()


def test_the_first_key_is_made_at_random_and_kept(accounts: SqlAccounts, tmp_path) -> None:
    (key,) = present_keys(accounts, ROTATION, now=100)
    assert present_keys(accounts, ROTATION, now=200) == (key,)
    assert len(key.secret) == 32 and key.used_from == 100
    other = SqlAccounts.open(f"sqlite:///{tmp_path}/other.db")
    assert present_keys(other, ROTATION, now=100)[0].secret != key.secret


def test_the_next_key_is_announced_before_it_signs(accounts: SqlAccounts) -> None:
    (first,) = present_keys(accounts, ROTATION, now=0)
    turn = ROTATION.every_ms
    assert present_keys(accounts, ROTATION, now=turn - 1) == (first,)
    first_again, second = present_keys(accounts, ROTATION, now=turn)
    assert first_again == first
    assert signer([first, second], now=turn + ROTATION.notice_ms - 1) == first
    assert signer([first, second], now=turn + ROTATION.notice_ms) == second


def test_an_old_key_is_kept_as_long_as_its_tokens_may_live(accounts: SqlAccounts) -> None:
    present_keys(accounts, ROTATION, now=0)
    keys = present_keys(accounts, ROTATION, now=ROTATION.every_ms)
    over = keys[1].used_from + ROTATION.keep_ms
    assert present_keys(accounts, ROTATION, now=over) == keys
    assert present_keys(accounts, ROTATION, now=over + 1) == keys[1:]
    assert accounts.signing_keys() == [keys[1]]


def test_after_a_long_rest_there_is_always_a_signer(accounts: SqlAccounts) -> None:
    present_keys(accounts, ROTATION, now=0)
    for now in (400 * DAY, 400 * DAY + ROTATION.notice_ms, 500 * DAY):
        assert signer(present_keys(accounts, ROTATION, now=now), now=now)


def test_keys_are_replaced_out_of_turn(accounts: SqlAccounts) -> None:
    (first,) = present_keys(accounts, ROTATION, now=0)
    second = replace_keys(accounts, ROTATION, revoke=False, now=50)
    assert present_keys(accounts, ROTATION, now=50) == (first, second)
    assert second.used_from == 50 + ROTATION.notice_ms
    third = replace_keys(accounts, ROTATION, revoke=True, now=60)
    assert present_keys(accounts, ROTATION, now=60) == (third,)
    assert signer([third], now=60) == third


@pytest.mark.parametrize("notice_ms", [0, ROTATION.notice_ms])
@pytest.mark.parametrize("revoke", [False, True])
def test_a_key_of_a_machine_whose_clock_is_ahead_is_replaced(
    accounts: SqlAccounts, revoke: bool, notice_ms: int
) -> None:
    now = 1_800_000_000_000
    ahead = new_key(now + 30_000, used_from=now + 30_000 + notice_ms)
    accounts.add_signing_key(ahead, known=())
    made = replace_keys(accounts, ROTATION, revoke=revoke, now=now)
    keys = accounts.signing_keys()
    assert keys == ([made] if revoke else [ahead, made])
    late = now + 30_000 + ROTATION.notice_ms
    assert signer(keys, now=late + 1) == signer(keys, now=late + DAY) == made
    if revoke:
        assert signer(keys, now=now) == made


def test_a_key_that_took_the_place_of_one_from_the_far_future_has_its_turn_as_any(accounts: SqlAccounts) -> None:
    now = 1_800_000_000_000
    far = now + 50 * 365 * DAY
    accounts.add_signing_key(new_key(far, used_from=far), known=())
    made = replace_keys(accounts, ROTATION, revoke=True, now=now)
    assert accounts.signing_keys() == [made] and (made.created, made.used_from) == (now, now)
    turn = now + ROTATION.every_ms
    assert present_keys(accounts, ROTATION, now=turn - 1) == (made,)
    first, second = present_keys(accounts, ROTATION, now=turn)
    assert first == made and signer([first, second], now=turn + ROTATION.notice_ms) == second


@pytest.mark.parametrize("ahead", [0, 50 * 365 * DAY])
@pytest.mark.parametrize("apart", [-10, 0, 10])
@pytest.mark.parametrize("first", [True, False])
@pytest.mark.parametrize("revoke", [False, True])
def test_keys_that_are_replaced_twice_at_once_are_replaced_once(
    accounts: SqlAccounts, monkeypatch: pytest.MonkeyPatch, revoke: bool, first: bool, apart: int, ahead: int
) -> None:
    old = () if first else present_keys(accounts, ROTATION, now=10 + ahead)
    others = []

    def read_before_another() -> list[SigningKey]:
        found = read()
        monkeypatch.undo()
        others.append(replace_keys(accounts, ROTATION, revoke=revoke, now=50 + apart))
        return found

    read = accounts.signing_keys
    monkeypatch.setattr(accounts, "signing_keys", read_before_another)
    made = replace_keys(accounts, ROTATION, revoke=revoke, now=50)
    assert others == [made]
    assert accounts.signing_keys() == ([made] if revoke else [*old, made])


def test_clocks_need_not_agree(accounts: SqlAccounts) -> None:
    (first,) = present_keys(accounts, ROTATION, now=100)
    assert signer([first], now=99) == first
    later = new_key(200, used_from=300)
    assert signer([first, later], now=99) == first


def test_of_the_given_secrets_the_first_signs() -> None:
    new, old = "n" * 32, "o" * 32
    keys = given_keys([new, old])
    assert signer(keys, now=0).secret == new.encode()
    assert {key.secret for key in keys} == {new.encode(), old.encode()}
    assert {key.kid for key in given_keys([old])} < {key.kid for key in keys}, "a kid follows from its secret"
    assert new not in str(keys) and new[:8] not in keys[0].kid


def test_blanks_around_a_secret_are_no_part_of_it() -> None:
    plain = given_keys(["n" * 32, "o" * 32])
    assert given_keys(["n" * 32, " " + "o" * 32]) == given_keys(["\t" + "n" * 32 + "\n", "o" * 32 + "  "]) == plain


def test_every_short_secret_is_named_by_its_place() -> None:
    with pytest.raises(ConfigError, match="VITRINA_TOKEN_SECRETS: secrets 1, 3, 4 have under 32 characters"):
        given_keys(["x" * 31, "x" * 32, " " * 40, "x" * 31 + "   "])


@pytest.mark.parametrize("secret", ["", "changeme", "x" * 31])
def test_a_short_secret_is_refused_and_not_shown(secret: str) -> None:
    with pytest.raises(ConfigError, match="VITRINA_TOKEN_SECRETS: secret 2") as raised:
        given_keys(["x" * 32, secret])
    assert not secret or secret not in str(raised.value)

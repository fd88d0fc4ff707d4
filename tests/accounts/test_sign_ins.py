"""Who gets in, what is counted, and that nobody can tell a wrong name from a wrong password."""

from __future__ import annotations

from dataclasses import replace
from statistics import median
from time import thread_time
from typing import Any

import pytest

from vitrina.accounts.passwords import Checked, Passwords
from vitrina.accounts.registration import register
from vitrina.accounts.sign_ins import MINUTE, Limits, SignIns, Wait, network_of
from vitrina.storage.accounts import Account
from vitrina.storage.sql_accounts import SqlAccounts

HERE, THERE = "192.0.2.1", "192.0.2.2"


class Counting(Passwords):
    """Real passwords that remember how often they were checked, and against what."""

    def __init__(self, **cost: int) -> None:
        super().__init__(**cost)
        self.checked: list[str | None] = []

    def check(self, password: str, kept: str | None) -> Checked:
        self.checked.append(kept)
        return super().check(password, kept)


@pytest.fixture
def counting() -> Counting:
    return Counting(rounds=1, memory_kib=64, lanes=1)


@pytest.fixture
def ann(accounts: SqlAccounts, counting: Counting) -> Account:
    return register(accounts, counting, name="ann", password="planted", now=0)


@pytest.fixture
def sign_ins(accounts: SqlAccounts, counting: Counting, ann: Account) -> SignIns:
    return SignIns(accounts=accounts, passwords=counting)


def test_the_right_password_gets_in(sign_ins: SignIns, ann: Account) -> None:
    assert sign_ins.attempt("ann", "planted", HERE, now=1) == ann
    assert sign_ins.attempt("ann", "wrong", HERE, now=1) is None
    assert sign_ins.attempt("Ann", "planted", HERE, now=1) is None


@pytest.mark.parametrize("name", ["eve", "", "ann\0", "\ud800", "' OR '1'='1", "ann'--", "x" * 5_000, "ann\r\nX-A: b"])
def test_nobody_gets_in_by_another_name(sign_ins: SignIns, name: str) -> None:
    assert sign_ins.attempt(name, "planted", HERE, now=1) is None


def test_a_disabled_account_is_kept_out_and_told_nothing(
    sign_ins: SignIns, accounts: SqlAccounts, counting: Counting
) -> None:
    accounts.change_account("ann", disabled=True)
    assert sign_ins.attempt("ann", "planted", HERE, now=1) is None
    assert len(counting.checked) == 1


@pytest.mark.parametrize("name", ["ann", "eve", "no name at all", "ann\0"])
def test_every_refusal_costs_one_check(sign_ins: SignIns, counting: Counting, name: str) -> None:
    assert sign_ins.attempt(name, "wrong", HERE, now=1) is None
    assert len(counting.checked) == 1


def test_known_and_unknown_names_take_as_long(accounts: SqlAccounts) -> None:
    """In processor time, so that neither the disk nor the neighbours matter."""
    passwords = Passwords(rounds=2, memory_kib=16_384, lanes=1)
    register(accounts, passwords, name="ann", password="planted", now=0)
    sign_ins = SignIns(accounts=accounts, passwords=passwords)
    took: dict[str, list[float]] = {"ann": [], "eve": [], "without a check": []}
    for number in range(20):
        for name, seconds in took.items():
            begun = thread_time()
            if name == "without a check":
                accounts.begin_sign_in({name: Limits().pair}, now=0)
            else:
                assert sign_ins.attempt(name, "wrong", "", now=number * 24 * 60 * MINUTE) is None
            seconds.append(thread_time() - begun)
    known, unknown, without = (median(seconds) for seconds in took.values())
    assert 0.7 < known / unknown < 1.4, (known, unknown)
    assert without < 0.5 * known, "a check that was left out would show"


def test_a_thousand_wrong_passwords_are_throttled(sign_ins: SignIns, counting: Counting) -> None:
    found = [sign_ins.attempt("ann", f"wrong{number}", HERE, now=number * 10) for number in range(1_000)]
    assert found[:5] == [None] * 5
    assert all(isinstance(one, Wait) for one in found[5:]), "ten seconds of guessing: five guesses"
    assert found[5] == found[103] == Wait(seconds=1), "the attempt that set the lock may still turn out right"
    assert found[104] == Wait(seconds=59) and found[999] == Wait(seconds=51)
    assert len(counting.checked) == 5


def test_a_locked_name_is_locked_for_the_right_password_and_for_strangers(sign_ins: SignIns, ann: Account) -> None:
    for name in ("ann", "eve"):
        for _ in range(5):
            assert sign_ins.attempt(name, "wrong", HERE, now=1) is None
        assert sign_ins.attempt(name, "planted", HERE, now=1_001) == Wait(seconds=59)
    assert sign_ins.attempt("ann", "planted", THERE, now=2) == ann, "not from elsewhere"
    assert sign_ins.attempt("ann", "planted", HERE, now=1 + MINUTE) == ann, "nor a minute later"
    assert sign_ins.attempt("ann", "wrong", HERE, now=2 + MINUTE) is None, "and all is forgotten then"


def test_guessing_from_many_places_locks_the_name(sign_ins: SignIns) -> None:
    found = [sign_ins.attempt("ann", "wrong", f"192.0.2.{number}", now=1) for number in range(52)]
    assert found == [None] * 50 + [Wait(seconds=1)] * 2
    assert sign_ins.attempt("ann", "planted", THERE, now=1_001) == Wait(seconds=59)


def test_trying_many_names_locks_the_network(sign_ins: SignIns) -> None:
    found = [sign_ins.attempt(f"name{number}", "wrong", HERE, now=1) for number in range(102)]
    assert found == [None] * 100 + [Wait(seconds=1)] * 2
    assert sign_ins.attempt("ann", "planted", HERE, now=1_001) == Wait(seconds=59)
    assert sign_ins.attempt("ann", "wrong", THERE, now=1) is None


def test_a_day_of_guessing_is_a_hundred_guesses(sign_ins: SignIns, counting: Counting) -> None:
    now = 0
    while now < 24 * 60 * MINUTE:
        found = sign_ins.attempt("ann", "wrong", HERE, now=now)
        now += found.seconds * 1_000 if isinstance(found, Wait) else 1
    assert 90 < len(counting.checked) < 110


def test_six_hours_of_guessing_at_all_names_are_few_guesses(sign_ins: SignIns, counting: Counting) -> None:
    now = tried = 0
    while now < 6 * 60 * MINUTE:
        tried += 1
        found = sign_ins.attempt(f"name{tried}", "wrong", HERE, now=now)
        now += found.seconds * 1_000 if isinstance(found, Wait) else 1
    assert 120 < len(counting.checked) < 130


@pytest.mark.parametrize(
    ("name", "address"),
    [("cron", HERE), ("ann", "192.0.2.{}"), ("cron{}", HERE)],
    ids=["a program", "from many places", "with many names"],
)
def test_a_trickle_of_wrong_passwords_locks_nobody_else_out(
    sign_ins: SignIns, ann: Account, name: str, address: str
) -> None:
    usual = Limits()
    few = Limits(pair=usual.pair, name=replace(usual.name, free=5), network=replace(usual.network, free=10))
    sign_ins = replace(sign_ins, limits=few)
    for number in range(20):
        now = number * 30 * MINUTE
        assert sign_ins.attempt(name.format(number), "stale", address.format(100 + number), now=now) is None
        if number > 10:
            assert sign_ins.attempt("ann", "planted", HERE, now=now + 1) == ann, number


def test_a_full_bucket_leaks_from_the_end_of_its_lock_on(sign_ins: SignIns, ann: Account) -> None:
    def failing(now: int) -> int:
        tries = (sign_ins.attempt(f"name{now}-{number}", "wrong", HERE, now=now) for number in range(200))
        return next(number for number, found in enumerate(tries) if isinstance(found, Wait))

    hour = 60 * MINUTE
    assert failing(0) == 100
    assert failing(MINUTE) == 1, "the next one locks again, for two minutes"
    free = 3 * MINUTE
    assert failing(free + hour // 10) == 9, "91 of 101 are left"
    free += hour // 10 + MINUTE
    for number in range(3):
        assert sign_ins.attempt("ann", "planted", HERE, now=free + number * 1_000) == ann
    assert failing(free + hour // 100) == 1, "a right password in between neither fills nor empties it"
    assert failing(free + 9 * hour) == 100, "and in the end it is empty"


def test_who_knows_the_password_is_never_locked_out(sign_ins: SignIns, ann: Account) -> None:
    few = replace(Limits().pair, free=3)
    sign_ins = replace(sign_ins, limits=Limits(pair=few, name=few, network=few))
    for number in range(12):
        assert sign_ins.attempt("ann", "planted", HERE, now=number) == ann


def test_an_old_hash_is_renewed_at_the_next_sign_in(sign_ins: SignIns, accounts: SqlAccounts, ann: Account) -> None:
    old = Passwords(rounds=2, memory_kib=64, lanes=1).hash("planted")
    accounts.change_account("ann", password_hash=old)
    found = sign_ins.attempt("ann", "planted", HERE, now=1)
    assert isinstance(found, Account) and found.generation == ann.generation
    kept: Any = accounts.account("ann")
    assert "t=1," in kept.password_hash and kept.generation == ann.generation
    assert sign_ins.attempt("ann", "planted", HERE, now=1) == kept


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("", ""),
        ("testclient", ""),
    ],
)
def test_networks(address: str, network: str) -> None:
    assert network_of(address) == network


def test_neither_names_nor_addresses_are_kept(sign_ins: SignIns, accounts: SqlAccounts) -> None:
    sign_ins.attempt("typed-my-password-here", "wrong", HERE, now=1)
    with accounts.engine.connect() as connection:
        kept = str(connection.exec_driver_sql("SELECT * FROM sign_ins").all())
    assert "typed" not in kept and HERE not in kept

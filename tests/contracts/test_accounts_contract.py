"""One contract for every database of accounts: PostgreSQL and its embedded twin."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from vitrina.errors import AccountError, StateError
from vitrina.storage.accounts import Account, Accounts, ApiKey, Limit, SigningKey
from vitrina.storage.database import open_engine
from vitrina.storage.schema import migrate
from vitrina.storage.sql_accounts import SqlAccounts

HOSTILE = ("'; DROP TABLE accounts; --", "' OR '1'='1", 'a"b', "a\\b", "%", "Ы\u202e", "x" * 10_000)
IMPOSSIBLE = ("a\0b", "\ud800", "")
LIMIT = Limit(free=3, lock_ms=1_000, most_ms=4_000, forget_ms=60_000)


@pytest.fixture(params=["sqlite", "postgresql", "postgresql, kept connections"])
def open_accounts(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[[], Accounts]]:
    """Opens the same accounts every time it is called."""
    if request.param == "sqlite":
        uri = f"sqlite:///{tmp_path}/new folder/state.db"
    else:
        uri = request.getfixturevalue("postgres")()
        migrate(open_engine(uri))
    opened: list[SqlAccounts] = []

    def open_again() -> Accounts:
        opened.append(SqlAccounts.open(uri, keep=2 if "kept" in request.param else 0))
        return opened[-1]

    yield open_again
    for one in opened:
        one.engine.dispose()


@pytest.fixture
def accounts(open_accounts: Callable[[], Accounts]) -> Accounts:
    return open_accounts()


def account(name: str = "ann", **fields: object) -> Account:
    made = Account(
        name=name,
        full_name="Анна",
        email="ann@shop",
        password_hash="$hash",
        scopes=("recommendations", "events"),
        generation="g1",
        created=2**40,
    )
    return replace(made, **fields)  # type: ignore[arg-type]


def api_key(key_id: str = "k1", name: str = "ann", **fields: object) -> ApiKey:
    made = ApiKey(key_id=key_id, account=name, digest="d", label="site", scopes=("events",), created=7)
    return replace(made, **fields)  # type: ignore[arg-type]


def test_what_was_added_is_read_again(accounts: Accounts, open_accounts: Callable[[], Accounts]) -> None:
    bob, ann = account("bob", scopes=(), disabled=True), account("ann")
    accounts.add_account(bob)
    accounts.add_account(ann)
    again = open_accounts()
    assert (again.account("ann"), again.account("bob"), again.account("Ann")) == (ann, bob, None)
    assert again.accounts() == [ann, bob]


def test_a_name_is_given_once(accounts: Accounts, open_accounts: Callable[[], Accounts]) -> None:
    def add(number: int) -> bool:
        try:
            open_accounts().add_account(account(email=str(number)))
        except AccountError:
            return False
        return True

    with ThreadPoolExecutor(4) as pool:
        assert sorted(pool.map(add, range(4))) == [False, False, False, True]
    assert len(accounts.accounts()) == 1
    with pytest.raises(AccountError, match="'ann' already"):
        accounts.add_account(account())


def test_changes_change_what_they_name(accounts: Accounts) -> None:
    ann, bob = account(), account("bob")
    accounts.add_account(ann)
    accounts.add_account(bob)
    changed = replace(ann, disabled=True, scopes=("admin",), generation="g2")
    assert accounts.change_account("ann", disabled=True, scopes=("admin",), generation="g2") == changed
    assert accounts.accounts() == [changed, bob]
    with pytest.raises(AccountError, match="no account 'eve'"):
        accounts.change_account("eve", disabled=True)


def test_one_generation_for_all_changes_nothing_else(accounts: Accounts, open_accounts: Callable[[], Accounts]) -> None:
    assert accounts.renew_generations("g2") == 0
    ann, bob = account(), account("bob", generation="g7", disabled=True)
    accounts.add_account(ann)
    accounts.add_account(bob)
    assert open_accounts().renew_generations("g2") == 2
    assert accounts.accounts() == [replace(ann, generation="g2"), replace(bob, generation="g2")]


def test_a_hash_is_renewed_unless_the_password_was_changed(accounts: Accounts) -> None:
    accounts.add_account(account())
    accounts.renew_hash("ann", before="another", after="lost")
    assert accounts.account("ann") == account()
    accounts.renew_hash("ann", before="$hash", after="$renewed")
    assert accounts.account("ann") == account(password_hash="$renewed")


def test_a_deleted_account_is_gone_with_its_keys(accounts: Accounts) -> None:
    for name in ("ann", "bob"):
        accounts.add_account(account(name))
        accounts.add_api_key(api_key(f"of {name}", name))
    accounts.delete_account("ann")
    assert (accounts.account("ann"), accounts.api_key("of ann")) == (None, None)
    assert [one.account for one in accounts.api_keys()] == ["bob"]
    with pytest.raises(AccountError, match="no account 'ann'"):
        accounts.delete_account("ann")
    accounts.add_account(account("ann", generation="g2"))
    assert accounts.api_keys("ann") == []


def test_a_key_is_read_with_its_account(accounts: Accounts) -> None:
    accounts.add_account(account())
    first, second = api_key("k2", created=1), api_key("k1", created=2, expires=2**41, scopes=())
    accounts.add_api_key(first)
    accounts.add_api_key(second)
    assert accounts.api_key("k1") == (second, account())
    assert accounts.api_keys() == accounts.api_keys("ann") == [first, second]
    assert accounts.api_keys("bob") == []
    accounts.delete_api_key("k1")
    assert accounts.api_key("k1") is None
    with pytest.raises(AccountError, match="no API key 'k1'"):
        accounts.delete_api_key("k1")
    with pytest.raises(AccountError, match="no account 'eve'"):
        accounts.add_api_key(api_key("k3", "eve"))


def test_texts_are_values_and_never_statements(accounts: Accounts) -> None:
    for text in HOSTILE:
        accounts.add_account(account(text, full_name=text, email=text, password_hash=text, generation=text))
        accounts.add_api_key(api_key(text, text, digest=text, label=text))
        assert accounts.begin_sign_in({text: LIMIT}, now=1) == 0
    assert sorted(one.name for one in accounts.accounts()) == sorted(HOSTILE)
    for text in HOSTILE:
        found = accounts.account(text)
        assert found is not None and found.email == text
        assert accounts.api_keys(text) == [api_key(text, text, digest=text, label=text)]
        accounts.delete_account(text)
    assert (accounts.accounts(), accounts.api_keys()) == ([], [])


@pytest.mark.parametrize("text", IMPOSSIBLE)
def test_what_no_database_can_hold_is_nobodys(accounts: Accounts, text: str) -> None:
    assert (accounts.account(text), accounts.api_key(text), accounts.api_keys(text)) == (None, None, [])
    for refused in (
        accounts.delete_account,
        accounts.delete_api_key,
        lambda _: accounts.change_account(text, email=""),
    ):
        with pytest.raises(AccountError):
            refused(text)
    if text:
        with pytest.raises(AccountError):
            accounts.add_account(account(text))


def test_signing_keys_come_and_go(accounts: Accounts, open_accounts: Callable[[], Accounts]) -> None:
    first = SigningKey(kid="b", secret=bytes(range(256)), created=1, used_from=1)
    second = SigningKey(kid="a", secret=b"s", created=5, used_from=9)
    assert accounts.add_signing_key(first, known=[]) == [first]
    assert accounts.add_signing_key(second, known=["a"]) == [first], "one is there already"
    assert accounts.add_signing_key(second, known=["b", "gone"]) == [first, second]
    assert open_accounts().signing_keys() == [first, second]
    accounts.delete_signing_keys(["b", "never"])
    accounts.delete_signing_keys([])
    assert accounts.signing_keys() == [second]


def test_of_several_at_once_one_adds_a_signing_key(open_accounts: Callable[[], Accounts]) -> None:
    def add(number: int) -> list[SigningKey]:
        made = SigningKey(kid=str(number), secret=b"s", created=10, used_from=10)
        return open_accounts().add_signing_key(made, known=[])

    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(add, range(4)))
    assert all(one == found[0] for one in found) and len(found[0]) == 1


def test_failures_lock_for_longer_and_longer(accounts: Accounts) -> None:
    limit = replace(LIMIT, lock_ms=5_000, most_ms=20_000)
    now, waits = 0, []
    for _ in range(7):
        assert accounts.begin_sign_in({"ann": limit}, now=now) == 0
        wait = accounts.begin_sign_in({"ann": limit}, now=now + 1_000) if len(waits) >= 2 else 0
        waits.append(wait)
        now += 1_000 + wait
    assert waits == [0, 0, 4_000, 9_000, 19_000, 19_000, 19_000]
    assert accounts.begin_sign_in({"ann": limit}, now=now + limit.forget_ms) == 0, "forgotten"
    assert accounts.begin_sign_in({"ann": limit}, now=now + limit.forget_ms) == 0, "the second of three"


def test_a_lock_that_an_attempt_may_take_back_is_told_as_a_second(accounts: Accounts) -> None:
    limit = replace(LIMIT, lock_ms=5_000, most_ms=5_000)
    for _ in range(3):
        assert accounts.begin_sign_in({"ann": limit}, now=0) == 0
    waits = [accounts.begin_sign_in({"ann": limit}, now=now) for now in (0, 999, 1_000, 4_999)]
    assert waits == [1_000, 1_000, 4_000, 1]
    assert accounts.begin_sign_in({"network": replace(limit, free=1)}, now=2_000) == 0
    both = {"ann": limit, "network": replace(limit, free=1)}
    assert accounts.begin_sign_in(both, now=2_000) == 3_000, "the other lock stands"


def test_while_it_is_locked_nothing_counts(accounts: Accounts) -> None:
    for _ in range(3):
        accounts.begin_sign_in({"ann": LIMIT}, now=0)
    for now in (0, 400, 999):
        assert accounts.begin_sign_in({"ann": LIMIT, "network": LIMIT}, now=now) == 1_000 - now
    for _ in range(3):
        assert accounts.begin_sign_in({"network": LIMIT}, now=1_000) == 0
    assert accounts.begin_sign_in({"ann": LIMIT, "network": LIMIT}, now=1_000) == 1_000


def test_a_success_takes_its_attempt_back(accounts: Accounts) -> None:
    both = {"ann": LIMIT, "network": LIMIT}
    for now in range(10):
        assert accounts.begin_sign_in(both, now=now) == 0
        accounts.undo_sign_in(both, clear=["ann"], now=now)
    for _ in range(2):
        assert accounts.begin_sign_in(both, now=20) == 0
    assert accounts.begin_sign_in(both, now=21) == 0
    accounts.undo_sign_in(both, clear=["ann"], now=21)
    assert accounts.begin_sign_in({"network": LIMIT}, now=22) == 0, "the lock of the third attempt is gone"
    assert accounts.begin_sign_in({"network": LIMIT}, now=22) == 1_000, "the two before it still count"
    for _ in range(3):
        assert accounts.begin_sign_in({"ann": LIMIT}, now=22) == 0


def test_a_bucket_that_leaks_forgets_one_failure_after_the_other(accounts: Accounts) -> None:
    leaking = {"network": replace(LIMIT, leaks=True)}
    leak = LIMIT.forget_ms // LIMIT.free
    for number in range(10):
        assert accounts.begin_sign_in(leaking, now=number * leak) == 0, "one at a time fills nothing"
    now = 9 * leak
    for _ in range(2):
        assert accounts.begin_sign_in(leaking, now=now) == 0
    assert accounts.begin_sign_in(leaking, now=now) == LIMIT.lock_ms, "three at once do"
    accounts.undo_sign_in(leaking, now=now + 10)
    assert accounts.begin_sign_in(leaking, now=now + 10) == 0, "and two of them after the third came right"
    free = now + 10 + LIMIT.lock_ms
    assert accounts.begin_sign_in(leaking, now=free - 1) == 1
    assert accounts.begin_sign_in(leaking, now=free + leak) == 0, "one has leaked, and this one locks again"
    assert accounts.begin_sign_in(leaking, now=free + leak) == LIMIT.lock_ms


def test_attempts_at_once_do_not_slip_through(open_accounts: Callable[[], Accounts]) -> None:
    several = [open_accounts() for _ in range(4)]
    both = {"ann": LIMIT, "network": replace(LIMIT, free=100)}
    with ThreadPoolExecutor(4) as pool:
        waits = list(pool.map(lambda number: several[number % 4].begin_sign_in(both, now=0), range(40)))
    assert sorted(waits) == [0] * 3 + [1_000] * 37


def test_forgotten_buckets_are_removed(accounts: Accounts) -> None:
    for number in range(5):
        accounts.begin_sign_in({str(number): LIMIT}, now=number)
    accounts.begin_sign_in({"late": LIMIT}, now=LIMIT.forget_ms + 10)
    assert isinstance(accounts, SqlAccounts)
    with accounts.engine.connect() as connection:
        assert connection.exec_driver_sql("SELECT bucket FROM sign_ins").scalars().all() == ["late"]


def test_secrets_are_not_shown() -> None:
    signing = SigningKey(kid="k", secret=b"planted", created=1, used_from=1)
    shown = repr([account(password_hash="planted", generation="planted"), api_key(digest="planted"), signing])
    assert "planted" not in shown


def test_a_statement_that_fails_shows_no_values(accounts: Accounts) -> None:
    accounts.add_account(account())
    twice = api_key(digest="planted")
    accounts.add_api_key(twice)
    with pytest.raises(StateError) as raised:
        accounts.add_api_key(twice)
    assert "planted" not in "".join(traceback.format_exception(raised.value))


def test_a_database_that_is_away_is_a_state_error(postgres_alone, tmp_path: Path) -> None:
    uri = postgres_alone()
    migrate(open_engine(uri))
    accounts = SqlAccounts.open(uri, keep=1)
    accounts.add_account(account())
    postgres_alone.stop()
    with pytest.raises(StateError):
        accounts.account("ann")
    postgres_alone.start()
    assert accounts.account("ann") == account(), "a kept connection that broke is opened anew"
    accounts.engine.dispose()


def test_others_on_the_machine_cannot_read_the_embedded_database(tmp_path: Path) -> None:
    SqlAccounts.open(f"sqlite:///{tmp_path}/state.db").add_account(account())
    assert (tmp_path / "state.db").stat().st_mode & 0o077 == 0

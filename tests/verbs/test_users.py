"""`vitrina users`: accounts from the command line, with passwords from wherever they come."""

from __future__ import annotations

import io
import json
import os
import pty
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from typer.main import get_command

from vitrina.accounts.api_keys import parse_api_key, verify_api_key
from vitrina.accounts.passwords import Passwords
from vitrina.cli import app, main
from vitrina.storage.database import open_engine
from vitrina.storage.schema import migrate
from vitrina.storage.sql_accounts import SqlAccounts

SECRET = "planted-password"
VERBS = ("add", "del", "list", "passwd", "change", "key", "del-key", "rotate")


class Done(NamedTuple):
    code: int
    out: str
    err: str

    def json(self) -> Any:
        assert self.code == 0, self.err
        return json.loads(self.out)


Vitrina = Callable[..., Done]


@pytest.fixture
def vitrina(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Iterator[Vitrina]:
    """Runs `vitrina users ...` as the installed command does; `typed` is its standard input."""
    monkeypatch.setenv("VITRINA_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("COLUMNS", "200")
    before = signal.getsignal(signal.SIGINT)
    monkeypatch.setattr(sys, "unraisablehook", sys.unraisablehook)

    def run(*arguments: str, typed: str = "") -> Done:
        monkeypatch.setattr(sys, "argv", ["vitrina", "users", *arguments])
        monkeypatch.setattr(sys, "stdin", io.StringIO(typed))
        with pytest.raises(SystemExit) as ended:
            main()
        return Done(ended.value.code, *capfd.readouterr())

    yield run
    signal.signal(signal.SIGINT, before)


@pytest.fixture
def accounts(tmp_path: Path) -> Callable[[], SqlAccounts]:
    return lambda: SqlAccounts.open(f"sqlite:///{tmp_path}/home/state.db")


def right(accounts: SqlAccounts, name: str, password: str) -> bool:
    account = accounts.account(name)
    return account is not None and Passwords().check(password, account.password_hash).matches


def test_every_verb_and_option_has_a_help_text() -> None:
    verbs = get_command(app).commands["users"].commands  # type: ignore[attr-defined]
    assert set(verbs) == set(VERBS)
    assert all(verb.help for verb in verbs.values())
    bare = [one.name for verb in verbs.values() for one in verb.params if not getattr(one, "help", None)]
    assert bare == []


def test_an_account_from_begin_to_end(vitrina: Vitrina, accounts: Callable[[], SqlAccounts]) -> None:
    added = vitrina(
        *("add", "ann", "--password", SECRET, "--full-name", "Анна Ж.", "--email", "ann@shop", "--json")
    ).json()["user"]
    assert (added["name"], added["full_name"], added["email"]) == ("ann", "Анна Ж.", "ann@shop")
    assert (added["scopes"], added["disabled"]) == (["recommendations", "events"], False)
    assert right(accounts(), "ann", SECRET)
    assert vitrina("list", "--json").json() == {"users": [added], "keys": []}
    before = accounts().account("ann")

    vitrina("passwd", "ann", "--password", "another-password").json()
    assert right(accounts(), "ann", "another-password")
    after = accounts().account("ann")
    assert before is not None and after is not None and after.generation != before.generation

    changed = vitrina("change", "ann", "--scope", "admin", "--disable", "--email", "a@shop", "--json").json()["user"]
    assert changed == {**added, "scopes": ["admin"], "disabled": True, "email": "a@shop"}
    shown = vitrina("list").out
    assert all(text in shown for text in ("ann", "Анна Ж.", "a@shop", "admin", "disabled"))
    assert vitrina("change", "ann", "--enable", "--json").json()["user"]["disabled"] is False

    assert vitrina("del", "ann", "--json").json() == {"deleted": "ann"}
    assert vitrina("list", "--json").json()["users"] == []


def test_no_secret_is_shown(vitrina: Vitrina, accounts: Callable[[], SqlAccounts]) -> None:
    runs = [vitrina("add", "ann", "--password", SECRET), vitrina("passwd", "ann", "--password", SECRET + "2")]
    runs += [vitrina("list"), vitrina("list", "--json"), vitrina("add", "ann", "--password", SECRET, "--json")]
    account = accounts().account("ann")
    assert account is not None
    said = "".join(done.out + done.err for done in runs)
    assert SECRET not in said and "argon2" not in said and account.generation not in said


def test_a_password_comes_from_the_environment_or_standard_input(vitrina: Vitrina, accounts, monkeypatch) -> None:
    vitrina("add", "ann", typed=SECRET + "\r\nsecond line\n").json()
    assert right(accounts(), "ann", SECRET)
    monkeypatch.setenv("VITRINA_USER_PASSWORD", "from-the-environment")
    vitrina("add", "bob", typed=SECRET).json()
    assert right(accounts(), "bob", "from-the-environment")
    vitrina("passwd", "bob", "--password", SECRET).json()
    assert right(accounts(), "bob", SECRET)


def test_a_person_is_asked_twice_and_sees_nothing(tmp_path: Path) -> None:
    leader, follower = pty.openpty()
    command = [sys.executable, "-c", "from vitrina.cli import main; main()", "users", "add", "ann", "--json"]
    environment = {**os.environ, "VITRINA_HOME": str(tmp_path / "home"), "TERM": "dumb"}
    with subprocess.Popen(
        command,
        stdin=follower,
        stderr=follower,
        stdout=subprocess.PIPE,
        env=environment,
        start_new_session=True,
        cwd=Path(__file__).resolve().parents[2],
        preexec_fn=lambda: os.close(os.open(os.ttyname(0), os.O_RDWR)),  # noqa: PLW1509  makes it the session's terminal
    ) as process:
        os.close(follower)
        seen = b""
        for asked in (b"Password: ", b"Repeat for confirmation: "):
            while asked not in seen:
                seen += os.read(leader, 1_024)
            os.write(leader, SECRET.encode() + b"\n")
        out, _ = process.communicate(timeout=300)
    while True:
        try:
            seen += os.read(leader, 1_024)
        except OSError:
            break  # the terminal is gone
    os.close(leader)
    assert json.loads(out)["user"]["name"] == "ann"
    assert SECRET.encode() not in seen and b"*" not in seen
    assert right(SqlAccounts.open(f"sqlite:///{tmp_path}/home/state.db"), "ann", SECRET)


def test_a_short_password_is_taken_with_a_warning(vitrina: Vitrina) -> None:
    done = vitrina("add", "ann", "--password", "short")
    assert done.code == 0 and "under 8 characters" in done.err
    assert "under 8 characters" not in vitrina("add", "bob", "--password", "long enough").err
    assert "under 8 characters" in vitrina("passwd", "bob", "--password", "short").err


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["add", "eve", "--password", ""], "password is empty"),
        (["add", "ann", "--password", "short"], "already"),
        (["add", "a b", "--password", "short"], "can be no name"),
        (["add", "eve", "--password", "short", "--scope", "root"], "Known are"),
        (["passwd", "ann", "--password", ""], "password is empty"),
    ],
)
def test_a_password_that_is_not_kept_is_not_warned_of(vitrina: Vitrina, arguments: list[str], says: str) -> None:
    vitrina("add", "ann", "--password", SECRET).json()
    done = vitrina(*arguments)
    assert done.code == 2 and says in done.err and "under 8 characters" not in done.err


@pytest.mark.parametrize(
    ("arguments", "kind", "says"),
    [
        (["add", "ann"], "AccountError", "password is empty"),
        (["add", "a b", "--password", SECRET], "AccountError", "can be no name"),
        (["add", "ann", "--password", SECRET, "--scope", "root"], "ConfigError", "Known are: recommendations"),
        (["add", "ann", "--password", SECRET, "--email", "a\nb"], "AccountError", "--email"),
        (["add", "known", "--password", SECRET], "AccountError", "already"),
        (["del", "eve"], "AccountError", "no account 'eve'"),
        (["passwd", "eve", "--password", SECRET], "AccountError", "no account 'eve'"),
        (["change", "eve", "--disable"], "AccountError", "no account 'eve'"),
        (["change", "known"], "ConfigError", "--scope, --disable"),
        (["key", "eve"], "AccountError", "no account 'eve'"),
        (["key", "known", "--scope", "admin"], "AccountError", "no scope 'admin' itself"),
        (["key", "known", "--days", "0"], "UsageError", "--days"),
        (["del-key", "'; DROP TABLE api_keys; --"], "AccountError", "no API key"),
        (["list", "--state-uri", "nowhere"], "ConfigError", "postgresql+psycopg2://"),
        (["no-such-verb"], "UsageError", "no-such-verb"),
    ],
)
def test_bad_input_is_exit_code_2_with_a_reason(vitrina: Vitrina, arguments: list[str], kind: str, says: str) -> None:
    if "known" in arguments:
        vitrina("add", "known", "--password", SECRET).json()
    done = vitrina(*arguments, "--json")
    error = json.loads(done.out)["error"]
    assert (done.code, error["type"]) == (2, kind), done.err
    assert says in error["reason"] and SECRET not in done.out + done.err


def test_an_api_key_is_shown_once(vitrina: Vitrina, accounts: Callable[[], SqlAccounts]) -> None:
    vitrina("add", "ann", "--password", SECRET).json()
    made = vitrina("key", "ann", "--label", "site", "--scope", "events", "--days", "2", "--json").json()
    sent = parse_api_key(made["key"])
    assert sent.key_id == made["key_id"]
    assert made["expires"] - made["created"] == 2 * 24 * 60 * 60 * 1000
    assert verify_api_key(sent, accounts().api_key(sent.key_id), now=made["created"]) == ("events",)
    listed = vitrina("list")
    assert made["key_id"] in listed.out and "site" in listed.out
    assert made["key"] not in listed.out
    vitrina("del-key", made["key_id"]).json()
    assert vitrina("list", "--json").json()["keys"] == []


def test_the_signing_key_is_replaced(vitrina: Vitrina, accounts: Callable[[], SqlAccounts]) -> None:
    first = vitrina("rotate", "--json").json()
    second = vitrina("rotate", "--json").json()
    assert [key.kid for key in accounts().signing_keys()] == [first["kid"], second["kid"]]
    third = vitrina("rotate", "--revoke", "--json").json()
    assert [key.kid for key in accounts().signing_keys()] == [third["kid"]]
    assert re.fullmatch("[0-9a-f]{16}", third["kid"])


@pytest.mark.parametrize("secrets", ["", "planted-secret-" * 3])
def test_revoking_ends_the_tokens_of_every_account(vitrina: Vitrina, accounts, monkeypatch, secrets: str) -> None:
    monkeypatch.setenv("VITRINA_TOKEN_SECRETS", secrets)
    for name in ("ann", "bob"):
        vitrina("add", name, "--password", SECRET).json()
    before = [one.generation for one in accounts().accounts()]
    done = vitrina("rotate", "--revoke", "--json")
    assert (done.json()["revoked"], done.json()["accounts"]) == (True, 2)
    after = [one.generation for one in accounts().accounts()]
    assert len(after) == 2 and not set(after) & set(before)
    assert not any(one in done.out + done.err for one in after)
    assert len(accounts().signing_keys()) == (0 if secrets else 1)


def test_secrets_of_the_environment_are_not_replaced_here(vitrina: Vitrina, accounts, monkeypatch) -> None:
    monkeypatch.setenv("VITRINA_TOKEN_SECRETS", "planted-secret-" * 3)
    done = vitrina("rotate", "--json")
    error = json.loads(done.out)["error"]
    assert (done.code, error["type"]) == (2, "ConfigError")
    assert "VITRINA_TOKEN_SECRETS" in error["reason"] and "restart" in error["reason"]
    assert "planted-secret" not in done.out + done.err
    assert accounts().signing_keys() == []


def test_accounts_in_postgresql(vitrina: Vitrina, postgres) -> None:
    uri = postgres()
    refused = vitrina("list", "--state-uri", uri)
    assert refused.code == 1 and "Run: vitrina migrate" in refused.err
    migrate(open_engine(uri))
    vitrina("add", "ann", "--password", SECRET, "--state-uri", uri).json()
    assert [one["name"] for one in vitrina("list", "--state-uri", uri, "--json").json()["users"]] == ["ann"]

"""make's verbs of a small shop: what they need, and that what is given reaches Vitrina to the letter."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from vitrina.accounts.passwords import Passwords
from vitrina.storage.sql_accounts import SqlAccounts

pytestmark = pytest.mark.e2e

ROOT = Path(__file__).resolve().parents[1]
VERBS = {
    *("devel", "add_user", "del_user", "train", "run", "run-prod", "kill"),
    *("train_parallel", "load_after_parallel_train"),
}
# Of a make that calls these tests.
SETTINGS = (
    "ARGS",
    "SCENARIO",
    "HOST",
    "PORT",
    "WORKERS",
    "PATH_TO_DATA",
    "USER_NAME",
    "FULL_NAME",
    "EMAIL",
    "PASSWORD",
)
AWKWARD = '-\\Ann\'s "$HOME" $$ `id` $(shell id) ${PATH} #1; Анна *'
# The installed command; beside that it writes down what any user of the machine may see of the processes around it.
COMMAND = """#!{python}
import json, pathlib, psutil
seen = [psutil.Process(), *psutil.Process().parents()]
lines = [" ".join(one.cmdline()) for one in seen if pathlib.Path(one.name()).name != "make"]
pathlib.Path(__file__).with_name("seen.json").write_text(json.dumps(lines))
from vitrina.cli import main
main()
"""


class Done(NamedTuple):
    code: int
    out: str
    err: str


Make = Callable[..., Done]


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """make as a person calls it in the repository, with an environment that is set up already: `tmp_path`/venv."""
    if shutil.which("make") is None:
        pytest.skip("NO MAKE: the command is not installed")
    venv = tmp_path / "venv"
    (venv / "bin").mkdir(parents=True)
    (venv / "bin" / "python").symlink_to(sys.executable)
    command = venv / "bin" / "vitrina"
    command.write_text(COMMAND.format(python=sys.executable))
    command.chmod(0o755)
    (venv / ".for-use").touch()
    inherited = {name: os.environ[name] for name in os.environ if not name.startswith(("MAKE", "MFLAGS", *SETTINGS))}

    def run(*arguments: str, given: str = "", **settings: str) -> Done:
        environment = {**inherited, "VITRINA_HOME": str(tmp_path / "home"), "COLUMNS": "300", **settings}
        done = subprocess.run(
            ["make", f"VENV={venv}", *arguments],
            cwd=ROOT,
            env=environment,
            input=given,
            capture_output=True,
            text=True,
            timeout=300,
        )
        return Done(done.returncode, done.stdout, done.stderr)

    return run


@pytest.fixture
def accounts(tmp_path: Path) -> SqlAccounts:
    (tmp_path / "home").mkdir()
    return SqlAccounts.open(f"sqlite:///{tmp_path / 'home' / 'state.db'}")


def test_help_tells_every_verb(make: Make) -> None:
    lines = make("help").out.splitlines()
    told = {line.split()[1] for line in lines}
    assert told >= VERBS
    declared = " ".join(re.findall(r"^\.PHONY: (.*)$", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    assert told == set(declared.split()), "a verb that is no file is declared so, and told"


@pytest.mark.parametrize(
    ("verb", "missing"),
    [
        ("train", "PATH_TO_DATA"),
        ("train_parallel", "PATH_TO_DATA"),
        ("add_user", "USER_NAME"),
        ("del_user", "USER_NAME"),
    ],
)
def test_what_is_missing_is_named_before_anything_is_done(make: Make, tmp_path: Path, verb: str, missing: str) -> None:
    for given in ([], [f"{missing}="]):
        done = make(verb, f"VENV={tmp_path / 'none'}", *given)
        assert done.code == 2
        assert f"{missing} is missing. Write for instance: make {verb} {missing}=" in done.err
    assert not (tmp_path / "none").exists() and not (tmp_path / "home").exists()


def test_what_is_given_reaches_the_account_to_the_letter(make: Make, accounts: SqlAccounts, tmp_path: Path) -> None:
    full_name, password = AWKWARD, f"{AWKWARD} sésame-7731"
    done = make(
        *("add_user", "USER_NAME=-ann", f"PASSWORD={password}", f"FULL_NAME={full_name}", "EMAIL=ann+1@shop.example"),
        FULL_NAME="of another",
    )
    assert done.code == 0, done.err
    ann = accounts.account("-ann")
    assert ann is not None
    assert (ann.full_name, ann.email) == (full_name, "ann+1@shop.example")
    assert Passwords().check(password, ann.password_hash).matches
    seen = (tmp_path / "venv" / "bin" / "seen.json").read_text()
    assert any("users add" in line for line in json.loads(seen))
    assert "7731" not in "".join(json.loads(seen))
    assert password not in done.out + done.err
    assert make("del_user", "USER_NAME=-ann").code == 0
    assert accounts.account("-ann") is None
    gone = make("del_user", "USER_NAME=-ann")
    assert (gone.code, "there is no account" in gone.err) == (2, True)


def test_a_password_may_come_from_the_environment_or_be_typed(make: Make, accounts: SqlAccounts) -> None:
    assert make("add_user", "USER_NAME=ann", PASSWORD="from $$ the environment").code == 0
    assert make("add_user", "USER_NAME=bob", VITRINA_USER_PASSWORD="its own $(name)").code == 0
    assert make("add_user", "USER_NAME=cid", given="typed 'by' hand\n").code == 0
    for name, password in (("ann", "from $$ the environment"), ("bob", "its own $(name)"), ("cid", "typed 'by' hand")):
        account = accounts.account(name)
        assert account is not None
        assert Passwords().check(password, account.password_hash).matches, name
    done = make("add_user", "USER_NAME=dan")
    assert (done.code, "password" in done.err) == (2, True)
    assert accounts.account("dan") is None


def test_a_file_of_any_name_is_asked_for_as_it_is(make: Make, tmp_path: Path) -> None:
    for verb in ("train", "train_parallel"):
        done = make(verb, f"PATH_TO_DATA={tmp_path / AWKWARD}.csv", "SCENARIO=storefront")
        assert done.code == 2
        assert f"{tmp_path / AWKWARD}.csv" in done.err


@pytest.mark.slow
def test_a_model_that_is_not_there_yet_is_told(make: Make) -> None:
    done = make("load_after_parallel_train", "SCENARIO=storefront")
    assert (done.code, "error: " in done.err) == (2, True)


def test_a_shop_without_a_server_has_none_to_kill(make: Make, tmp_path: Path) -> None:
    done = make("kill")
    assert (done.code, done.out) == (0, "")
    assert f"no server runs in the background of {tmp_path / 'home'}" in done.err

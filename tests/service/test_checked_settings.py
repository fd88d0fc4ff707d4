"""A wrong setting ends the start with one line: the variable, its value unless it is a secret, and what to write."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import SecretStr

from app.checked_settings import check, check_proxies, read_settings
from app.settings import Settings
from vitrina.errors import ConfigError

NUMBERS = {
    "VITRINA_POLL_SECONDS": ("abc", "0", "nan", "3601"),
    "VITRINA_TOKEN_MINUTES": ("0", "1441"),
    "VITRINA_SLOW_SECONDS": ("-1",),
    "VITRINA_MAX_BODY_BYTES": ("100", "1.5"),
    "VITRINA_GRAPHITE_SECONDS": ("0", "3601"),
}
WANTED = {
    "VITRINA_POLL_SECONDS": "a number above 0, up to 3600, for instance 2.0",
    "VITRINA_TOKEN_MINUTES": "a number above 0, up to 1440, for instance 60.0",
    "VITRINA_SLOW_SECONDS": "a number above 0, for instance 0.5",
    "VITRINA_MAX_BODY_BYTES": "a whole number from 1024, for instance 65536",
    "VITRINA_GRAPHITE_SECONDS": "a whole number from 1, up to 3600, for instance 10",
    "VITRINA_ACCESS_LOG": "true or false",
    "VITRINA_GRAPHITE": "HOST:PORT, for instance carbon:2003",
}


@pytest.fixture(autouse=True)
def _nothing_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in Settings.model_fields:
        monkeypatch.delenv(f"VITRINA_{name.upper()}", raising=False)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *((name, value) for name, values in NUMBERS.items() for value in values),
        ("VITRINA_ACCESS_LOG", "maybe"),
        ("VITRINA_GRAPHITE", "nohost"),
    ],
)
def test_a_value_of_a_wrong_form(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(ConfigError) as told:
        read_settings()
    assert str(told.value) == f"{name}={value!r}: write {WANTED[name]}"


def test_every_wrong_one_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VITRINA_POLL_SECONDS", "x" * 1000)
    monkeypatch.setenv("VITRINA_ACCESS_LOG", "maybe")
    with pytest.raises(ConfigError, match=r"VITRINA_POLL_SECONDS='x{60}\.\.\.'.*; VITRINA_ACCESS_LOG='maybe'"):
        read_settings()


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"require_token": "recomendations"}, "VITRINA_REQUIRE_TOKEN: 'recomendations' is not known"),
        ({"token_secrets": SecretStr("short-one")}, "VITRINA_TOKEN_SECRETS: secret 1 has under 32 characters"),
        ({"registry_uri": "foo://u:hidden@x"}, r"VITRINA_REGISTRY_URI: registry address 'foo://u:\*\*\*@x'.*Use http"),
        ({"registry_uri": "http://["}, "VITRINA_REGISTRY_URI: "),
        ({"objects_uri": "gs://shop"}, "VITRINA_OBJECTS_URI: 'gs://shop'.*Write s3"),
        ({"objects_uri": "s3://shop"}, "VITRINA_OBJECTS_URI: .*Set VITRINA_S3_ACCESS_KEY"),
        ({"state_uri": "foo://x"}, "VITRINA_STATE_URI: foo .*Write postgresql"),
        ({"state_uri": "postgresql+psycopg2://u:hidden@h:abc/d"}, "VITRINA_STATE_URI is no address.*Write postgresql"),
        ({"graphite": "carbon:99999"}, "VITRINA_GRAPHITE='carbon:99999': write HOST:PORT"),
    ],
)
def test_a_value_that_cannot_be(tmp_path: Path, settings: dict[str, str], told: str) -> None:
    with pytest.raises(ConfigError, match=told) as refused:
        check(Settings(home=tmp_path, **settings))
    assert "hidden" not in str(refused.value) and "short-one" not in str(refused.value)


@pytest.mark.parametrize("name", ["home", "metrics_folder"])
def test_a_folder_that_cannot_be_made(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").touch()
    place = tmp_path / "file" / "folder"
    given = {"home": tmp_path, name: place}
    with pytest.raises(ConfigError, match=f"VITRINA_{name.upper()}='.*': the folder cannot be made .Not a directory"):
        check(Settings(**given))


def test_what_can_be_is_let_through(tmp_path: Path) -> None:
    """A database that nobody answers for is no wrong setting."""
    uri = "postgresql+psycopg2://u:p@127.0.0.1:1/d"
    check(Settings(home=tmp_path / "home", state_uri=uri, require_token="events, admin", graphite="carbon:2003"))
    assert (tmp_path / "home").is_dir()


@pytest.mark.parametrize("trusted", ["", "*", "127.0.0.1", "10.0.0.2, fd00::1,192.168.0.0/24,"])
def test_proxies(trusted: str) -> None:
    check_proxies(trusted)


@pytest.mark.parametrize("trusted", ["banana", "10.0.0.2,proxy", "10.0.0.1/8", "*,10.0.0.2"])
def test_what_is_no_proxys_address(trusted: str) -> None:
    with pytest.raises(ConfigError, match=r"^FORWARDED_ALLOW_IPS='.*': write addresses or networks"):
        check_proxies(trusted)


@pytest.mark.parametrize(
    ("workers", "name", "value", "told"),
    [
        ("1", "VITRINA_POLL_SECONDS", "abc", "='abc': write a number above 0, up to 3600"),
        ("2", "VITRINA_STATE_URI", "foo://x", ": foo without a file, or unknown. Write postgresql"),
        ("2", "VITRINA_LOG_LEVEL", "loud", ": 'loud' is not known. Set one of: debug"),
    ],
)
def test_the_process_ends_with_one_line(tmp_path: Path, workers: str, name: str, value: str, told: str) -> None:
    ended = started(workers, {"VITRINA_HOME": str(tmp_path), name: value})
    assert (ended.returncode, ended.stdout, ended.stderr.count("\n")) == (2, "", 1)
    assert ended.stderr.startswith(f"error: {name}{told}")


def test_it_is_json_where_log_lines_are(tmp_path: Path) -> None:
    ended = started("1", {"VITRINA_HOME": str(tmp_path), "VITRINA_LOG_FORMAT": "json", "FORWARDED_ALLOW_IPS": "banana"})
    assert ended.returncode == 2
    assert json.loads(ended.stderr)["message"].startswith("error: FORWARDED_ALLOW_IPS='banana'")


def started(workers: str, given: dict[str, str]) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "app", "--port", "1", "--workers", workers]
    return subprocess.run(
        command, env={**os.environ, **given}, capture_output=True, text=True, timeout=300, check=False
    )

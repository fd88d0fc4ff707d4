"""What is a secret in an environment, and that no line shows one."""

from __future__ import annotations

import json

import pytest

from vitrina.telemetry.redaction import Redaction, secrets_in

PLANTED = {
    "VITRINA_ADMIN_TOKEN": "planted-admin",
    "VITRINA_S3_SECRET_KEY": 'planted"s3\\key',
    "VITRINA_TELEGRAM_TOKEN": "123456:planted-telegram",
    "VITRINA_STATE_URI": "postgresql+psycopg2://vitrina:planted%40db@postgres:5432/vitrina",
    "OTEL_EXPORTER_OTLP_HEADERS": "authorization=Bearer planted-otel,x-scope=planted-scope",
}
PLAIN = {"VITRINA_S3_ACCESS_KEY": "vitrina", "VITRINA_HOME": "/home", "VITRINA_REGISTRY_URI": "http://mlflow:5000"}


def test_secrets_of_an_environment() -> None:
    assert set(secrets_in(PLANTED | PLAIN)) == {
        "planted-admin",
        'planted"s3\\key',
        "123456:planted-telegram",
        "planted%40db",
        "Bearer planted-otel",
        "planted-scope",
    }


def test_settings_that_are_only_named_like_secrets_are_none() -> None:
    assert secrets_in({"VITRINA_REQUIRE_TOKEN": "recommendations", "VITRINA_TOKEN_MINUTES": "1440"}) == ()


@pytest.mark.parametrize("given", ["planted-new,planted-old", "planted-new, planted-old "])
def test_of_several_secrets_in_one_setting_each_is_one(given: str) -> None:
    clean = Redaction(secrets_in({"VITRINA_TOKEN_SECRETS": given}))
    assert clean(f"planted-old; planted-new; {given}") == "***; ***; ***"


@pytest.mark.parametrize("name", PLANTED)
def test_a_known_secret_is_crossed_out_however_it_is_written(name: str) -> None:
    clean = Redaction(secrets_in(PLANTED))
    value = PLANTED[name]
    for text in (value, f"<{value}>", json.dumps({"text": value}), repr(value)):
        assert "planted" not in clean(text), clean(text)


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("no route to postgresql://u:p4ss@host:1/db", "no route to postgresql://u:***@host:1/db"),
        ("Authorization: Bearer abc.DEF-1", "Authorization: Bearer ***"),
        ("POST /bot123456:AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw/getMe", "POST /bot***/getMe"),
        ("http://host:80/a@b and 12:30@noon stay", "http://host:80/a@b and 12:30@noon stay"),
        ("the bearer", "the bearer"),
        ("token eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhIn0.Zm9yZ2Vk_-x is old", "token *** is old"),
        ("unsigned eyJhbGciOiJub25lIn0.eyJzdWIiOiJhIn0.", "unsigned ***"),
        (f"key vtr_0123456789ab_{'x' * 43}", "key vtr_***"),
        ("vtr_ and eyJ and eyJx.y.z stay", "vtr_ and eyJ and eyJx.y.z stay"),
    ],
)
def test_what_looks_like_a_secret_goes_and_nothing_else(text: str, clean: str) -> None:
    assert Redaction()(text) == clean


def test_short_values_are_no_secrets() -> None:
    assert Redaction(["", "a", "abc"])("abcdef") == "abcdef"


def test_the_longer_of_two_secrets_goes_whole() -> None:
    assert Redaction(["planted", "planted-admin"])("planted-admin planted") == "*** ***"


def test_values_of_json_are_cleaned_all_the_way_down() -> None:
    given = {
        "planted": [1, 0.5, True, None, "planted-admin", {"at": ("planted-admin",)}],
        "odd": ValueError("planted-admin"),
    }
    cleaned = {"planted": [1, 0.5, True, None, "***", {"at": ["***"]}], "odd": "***"}
    assert Redaction(["planted-admin"]).clean(given) == cleaned

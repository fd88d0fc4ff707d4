"""Settings from the environment: what is set, what is not, and that an empty variable is as good as none."""

from __future__ import annotations

import pytest
from pydantic import SecretStr, ValidationError

from app.settings import Settings


@pytest.fixture(autouse=True)
def _nothing_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in Settings.model_fields:
        monkeypatch.delenv(f"VITRINA_{name.upper()}", raising=False)


@pytest.mark.parametrize("value", ["", "  "])
def test_an_empty_variable_is_as_good_as_unset(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    unset = Settings()
    for name in Settings.model_fields:
        monkeypatch.setenv(f"VITRINA_{name.upper()}", value)
    assert Settings() == unset
    assert Settings(admin_token=SecretStr(value), token_secrets=value, state_uri=value) == unset


def test_other_values_are_taken_as_they_stand(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VITRINA_ADMIN_TOKEN", "planted")
    monkeypatch.setenv("VITRINA_GRAPHITE", "carbon:2003")
    monkeypatch.setenv("VITRINA_ACCESS_LOG", "false")
    settings = Settings()
    assert settings.admin_token is not None and settings.admin_token.get_secret_value() == "planted"
    assert (settings.graphite, settings.access_log) == ("carbon:2003", False)
    monkeypatch.setenv("VITRINA_GRAPHITE", "carbon")
    with pytest.raises(ValidationError, match="graphite"):
        Settings()

"""Whose address counts behind a proxy: `vitrina serve` with one worker and with several."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import httpx
import pytest
from service_process import vitrina_serve

from vitrina.registry.file_registry import FileRegistry
from vitrina.registry.registry import RunRecord

pytestmark = pytest.mark.slow
PASSWORD = "planted-password"
GUESSES = 5
"""Wrong passwords for a name from one address before it has to wait."""


@pytest.mark.parametrize("workers", [1, 2])
def test_a_trusted_proxys_word_counts_and_nobody_elses(
    toy: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, workers: int
) -> None:
    monkeypatch.delenv("FORWARDED_ALLOW_IPS", raising=False)
    registry = FileRegistry(tmp_path / "registry", name="basket")
    version = registry.register(toy.write_basket(tmp_path / "made"), RunRecord(fingerprint="f"))
    registry.promote(version.version)
    add = [sys.executable, "-c", "from vitrina.cli import main; main()", "users", "add", "ann", "--home", str(tmp_path)]
    subprocess.run(add, check=True, env={**os.environ, "VITRINA_USER_PASSWORD": PASSWORD}, stdout=subprocess.DEVNULL)

    def sign_in(url: str, forwarded: str, password: str = "wrong") -> int:
        form = {"username": "ann", "password": password}
        return httpx.post(f"{url}/token", data=form, headers={"X-Forwarded-For": forwarded}).status_code

    with vitrina_serve(tmp_path, workers=workers, FORWARDED_ALLOW_IPS="127.0.0.1") as (_, url):
        assert [sign_in(url, "192.0.2.1") for _ in range(GUESSES + 1)] == [401] * GUESSES + [429]
        assert sign_in(url, "192.0.2.9, 192.0.2.1", PASSWORD) == 429, "what a caller writes before it is not believed"
        assert sign_in(url, "192.0.2.2", PASSWORD) == 200
    with vitrina_serve(tmp_path, workers=workers, FORWARDED_ALLOW_IPS="192.0.2.250") as (_, url):
        answers = [sign_in(url, f"192.0.2.{number}") for number in range(10, 10 + GUESSES + 1)]
        assert answers == [401] * GUESSES + [429], "all come from this machine"
    with vitrina_serve(tmp_path, workers=workers) as (_, url):
        answers = [sign_in(url, f"192.0.2.{number}") for number in range(20, 20 + GUESSES + 1)]
        assert answers[-1] == 429, "without the setting nobody's word counts, a neighbour's on this machine neither"

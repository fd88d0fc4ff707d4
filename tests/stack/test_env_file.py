"""`make up` makes .env: every secret random, nothing of the user's changed."""

from __future__ import annotations

import base64
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    shutil.copy(ROOT / ".env.example", tmp_path)
    return tmp_path


def write(folder: Path) -> str:
    command = ["sh", str(ROOT / "stack" / "write_env.sh")]
    return subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True).stdout


def values(folder: Path) -> dict[str, str]:
    lines = (folder / ".env").read_text().splitlines()
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


def test_every_secret_is_random_and_nobody_else_reads_the_file(folder: Path) -> None:
    said = write(folder)
    first = values(folder)
    secrets = {name: value for name, value in first.items() if not name.startswith("VITRINA_TELEGRAM")}
    assert all(len(value) >= 32 for value in secrets.values())
    assert len(set(secrets.values())) == len(secrets)
    assert all(name in said for name in secrets)
    assert not any(value in said for value in secrets.values())
    assert len(base64.urlsafe_b64decode(first["AIRFLOW_FERNET_KEY"])) == 32
    assert (folder / ".env").stat().st_mode & 0o077 == 0
    assert write(folder) == ""
    assert values(folder) == first


def test_what_the_user_wrote_stays(folder: Path) -> None:
    (folder / ".env").write_text("POSTGRES_PASSWORD=mine\nVITRINA_DB_PASSWORD=\nVITRINA_BIND=10.0.0.1")
    write(folder)
    found = values(folder)
    assert found["POSTGRES_PASSWORD"] == "mine"
    assert found["VITRINA_BIND"] == "10.0.0.1"
    assert len(found["VITRINA_DB_PASSWORD"]) >= 32
    assert len(found["S3_ADMIN_SECRET_KEY"]) >= 32

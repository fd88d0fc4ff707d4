"""An embedded database of accounts, and passwords that are hashed in a millisecond."""

from __future__ import annotations

from pathlib import Path

import pytest

from vitrina.accounts.passwords import Passwords
from vitrina.storage.sql_accounts import SqlAccounts


@pytest.fixture
def accounts(tmp_path: Path) -> SqlAccounts:
    return SqlAccounts.open(f"sqlite:///{tmp_path}/state.db")


@pytest.fixture(scope="session")
def passwords() -> Passwords:
    return Passwords(rounds=1, memory_kib=64, lanes=1)

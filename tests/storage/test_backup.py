"""Backup and restore of the state database with the programs and options that docs/state.md names."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest
from postgresql_server import PostgresServer
from sqlalchemy import inspect

from vitrina.storage.database import open_engine
from vitrina.storage.schema import migrate
from vitrina.storage.sql_state import SqlState

PAGE = Path(__file__).resolve().parents[2] / "docs" / "state.md"


def documented(program: str) -> list[str]:
    """The options of the first command that runs `program`."""
    found = re.search(rf"postgres {program} -U postgres (.+?)(?: -d \w+| \"\$name\")", PAGE.read_text(encoding="utf-8"))
    assert found is not None
    return found[1].split()


@pytest.fixture
def told(postgres: PostgresServer) -> list[str]:
    return ["-h", "127.0.0.1", "-p", str(postgres.port), "-U", "vitrina"]


def test_what_was_dumped_comes_back_over_whatever_is_there(
    postgres: PostgresServer, told: list[str], tmp_path: Path
) -> None:
    environment = {**os.environ, "PGPASSWORD": postgres.password}
    uri = postgres()
    migrate(open_engine(uri))
    state = SqlState.open(uri)
    started = state.begin_step(scenario="shop", run_id="r1", step="prepare", as_of=7, now=1_000)
    kept = [state.finish_step(started, now=2_000, result={"rows": 7})]
    database = uri.rpartition("/")[2]
    dump = [postgres.programs / "pg_dump", *told, *documented("pg_dump"), database]
    dumped = subprocess.run(dump, env=environment, check=True, stdout=subprocess.PIPE).stdout
    (tmp_path / "vitrina.dump").write_bytes(dumped)

    state.begin_step(scenario="shop", run_id="r2", step="ranker", as_of=7, now=3_000)
    empty = postgres()
    for target in (uri, empty):
        restore = [postgres.programs / "pg_restore", *told, *documented("pg_restore"), "-d", target.rpartition("/")[2]]
        with (tmp_path / "vitrina.dump").open("rb") as file:
            subprocess.run(restore, env=environment, check=True, stdin=file)
        restored = SqlState.open(target)
        assert restored.step_runs("shop") == kept
        assert restored.begin_step(scenario="shop", run_id="r1", step="prepare", as_of=7, now=4_000).attempt == 2
    assert "step_runs" in inspect(open_engine(empty)).get_table_names()

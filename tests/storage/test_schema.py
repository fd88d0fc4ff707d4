"""Migrations: up, down, at once by several, refused when newer, and equal to the tables that the library uses."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from postgresql_server import PostgresServer
from sqlalchemy import Engine, inspect, text
from sqlalchemy.exc import IntegrityError

from vitrina.errors import ConfigError, StateError
from vitrina.storage.database import connected, open_engine, shown
from vitrina.storage.schema import VERSION_TABLE, Migration, migrate, require_newest
from vitrina.storage.sql_state import SqlState
from vitrina.storage.state_tables import metadata, step_runs

ROOT = Path(__file__).resolve().parents[2]
NEWEST = "0002"


@pytest.fixture(params=["sqlite", "postgresql"])
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Engine:
    """An engine over an empty database."""
    if request.param == "sqlite":
        return open_engine(f"sqlite:///{tmp_path}/state.db")
    return open_engine(request.getfixturevalue("postgres")())


def tables(engine: Engine) -> set[str]:
    return set(inspect(engine).get_table_names())


def differences(engine: Engine) -> list[object]:
    options = {"version_table": VERSION_TABLE, "compare_type": True, "compare_server_default": True}
    with engine.connect() as connection:
        return list(compare_metadata(MigrationContext.configure(connection, opts=options), metadata))


def test_up_and_down_and_up_again(engine: Engine) -> None:
    assert migrate(engine) == Migration(before=None, after=NEWEST)
    assert tables(engine) == {VERSION_TABLE, *metadata.tables}
    assert migrate(engine) == Migration(before=NEWEST, after=NEWEST)
    assert migrate(engine, "base") == Migration(before=NEWEST, after=None)
    assert tables(engine) == {VERSION_TABLE}
    assert migrate(engine, NEWEST) == Migration(before=None, after=NEWEST)
    require_newest(engine)


def test_the_tables_of_the_library_are_those_of_the_migrations(engine: Engine) -> None:
    migrate(engine)
    assert differences(engine) == []
    with engine.begin() as connection:
        connection.execute(text("ALTER TABLE step_runs ADD COLUMN planted INTEGER"))
    assert [change[0] for change in differences(engine)] == ["remove_column"]  # type: ignore[index]


def test_the_database_itself_refuses_impossible_rows(engine: Engine) -> None:
    migrate(engine)
    row = {"scenario": "s", "run_id": "r", "step": "p", "attempt": 1, "begun": 1, "ended": 2, "outcome": "done"}
    with engine.begin() as connection:
        connection.execute(step_runs.insert().values(row))
    for change in ({}, {"attempt": 2, "outcome": "lost"}, {"attempt": 2, "outcome": "running"}, {"step": None}):
        with pytest.raises(IntegrityError), engine.begin() as connection:
            connection.execute(step_runs.insert().values(row | change))


def test_a_migration_that_breaks_leaves_nothing_behind(engine: Engine) -> None:
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE ix_step_runs_scenario_id (a INTEGER)"))  # the name of an index to come
    with pytest.raises(StateError, match="already"):
        migrate(engine)
    assert tables(engine) == {"ix_step_runs_scenario_id"}


def test_several_at_once_migrate_once(engine: Engine) -> None:
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: migrate(open_engine(uri_of(engine))), range(4)))
    assert sorted(str(one.before) for one in found) == [NEWEST] * 3 + ["None"]
    assert differences(engine) == []


def uri_of(engine: Engine) -> str:
    return engine.url.render_as_string(hide_password=False)


def test_a_schema_that_is_missing_or_newer_is_refused_with_the_way_out(engine: Engine) -> None:
    with pytest.raises(StateError, match=r"no schema yet\. Run: vitrina migrate"):
        require_newest(engine)
    migrate(engine)
    with engine.begin() as connection:
        connection.execute(text(f"UPDATE {VERSION_TABLE} SET version_num = '9999'"))
    calls: list[Callable[[], object]] = [lambda: require_newest(engine), lambda: SqlState.open(uri_of(engine))]
    for call in (*calls, lambda: migrate(engine)):
        with pytest.raises(StateError, match=r"9999.*newer"):
            call()


def test_postgresql_is_not_migrated_unasked(postgres: PostgresServer) -> None:
    uri = postgres()
    with pytest.raises(StateError, match="vitrina migrate"):
        SqlState.open(uri)
    assert tables(open_engine(uri)) == set()


def test_an_unknown_version_is_told_with_those_that_are_known(engine: Engine) -> None:
    with pytest.raises(ConfigError, match="base, 0001"):
        migrate(engine, "42")


def test_other_programs_may_keep_their_versions_in_the_same_database(engine: Engine) -> None:
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE alembic_version (version_num VARCHAR(32))"))
        connection.execute(text("INSERT INTO alembic_version VALUES ('of mlflow')"))
    assert migrate(engine).before is None
    with connected(engine) as connection:
        assert connection.execute(text("SELECT version_num FROM alembic_version")).scalars().all() == ["of mlflow"]


@pytest.mark.parametrize("uri", ["", "nonsense", "mysql://h/d", "sqlite://", "sqlite:///:memory:", "postgres://h/d"])
def test_addresses_that_are_refused(uri: str) -> None:
    with pytest.raises(ConfigError, match="VITRINA_STATE_URI"):
        open_engine(uri)


def test_no_error_names_the_password(postgres: PostgresServer) -> None:
    uri = f"postgresql+psycopg2://vitrina:hidden@127.0.0.1:{postgres.port}/nowhere?connect_timeout=2"
    with pytest.raises(StateError) as raised:
        SqlState.open(uri)
    assert "hidden" not in str(raised.value) and f"127.0.0.1:{postgres.port}/nowhere" in str(raised.value)
    assert "hidden" not in shown(open_engine(uri))


def test_the_packages_of_the_wheel_carry_the_migrations(tmp_path: Path) -> None:
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["setuptools"]["packages"]
    for package in declared:
        place = Path(*package.split("."))
        (tmp_path / place).mkdir(parents=True, exist_ok=True)
        for module in (ROOT / place).glob("*.py"):
            shutil.copy(module, tmp_path / place)
    migrating = (
        "import sys, vitrina; from vitrina.storage.database import open_engine; "
        "from vitrina.storage.schema import migrate; "
        "print(vitrina.__file__, migrate(open_engine(sys.argv[1])).after)"
    )
    done = subprocess.run(
        [sys.executable, "-c", migrating, f"sqlite:///{tmp_path}/state.db"],
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        check=True,
        stdout=subprocess.PIPE,
        text=True,
        cwd=tmp_path,
    )
    assert done.stdout.split() == [str(tmp_path / "vitrina" / "__init__.py"), NEWEST]

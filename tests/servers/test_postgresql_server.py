"""The PostgreSQL of the tests: its databases are empty and apart, and it outlives a crash."""

from __future__ import annotations

import psycopg2
import pytest
import sqlalchemy
from postgresql_server import PostgresServer


def said(uri: str, statement: str) -> list[tuple[object, ...]]:
    engine = sqlalchemy.create_engine(uri, poolclass=sqlalchemy.NullPool)
    with engine.begin() as connection:
        result = connection.execute(sqlalchemy.text(statement))
        return [tuple(row) for row in result] if result.returns_rows else []


def test_every_database_is_new_and_owned_by_no_superuser(postgres: PostgresServer) -> None:
    one, other = postgres(), postgres()
    assert one != other
    said(one, "CREATE TABLE kept (a int)")
    assert said(other, "SELECT to_regclass('kept')") == [(None,)]
    assert said(one, "SELECT rolname, rolsuper FROM pg_roles WHERE rolname = current_user") == [("vitrina", False)]


def test_a_password_is_asked_for(postgres: PostgresServer) -> None:
    with pytest.raises(psycopg2.OperationalError, match="password"):
        psycopg2.connect(host="127.0.0.1", port=postgres.port, user="vitrina", password="wrong", dbname="postgres")


def test_what_was_committed_survives_a_crash(postgres_alone: PostgresServer) -> None:
    uri = postgres_alone()
    said(uri, "CREATE TABLE kept (a int)")
    postgres_alone.stop(crash=True)
    with pytest.raises(sqlalchemy.exc.OperationalError):
        said(uri, "SELECT 1")
    postgres_alone.start()
    assert said(uri, "SELECT count(*) FROM kept") == [(0,)]

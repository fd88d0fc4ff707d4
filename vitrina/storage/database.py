"""The way to the state database: an engine from its URI, and its errors as the library's."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, NullPool, QueuePool, create_engine, event, make_url, text
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from vitrina.errors import ConfigError, StateError

POSTGRESQL = "postgresql+psycopg2"
# Nobody waits long for a database that does not answer; what the URI says goes before these.
POSTGRESQL_DEFAULTS = {
    "connect_timeout": "3",
    "tcp_user_timeout": "5000",
    "application_name": "vitrina",
    "options": "-c lock_timeout=3000 -c statement_timeout=10000 -c timezone=UTC",
}
SQLITE_BUSY_SECONDS = 5.0
_REMEDY = "Write postgresql+psycopg2://USER:PASSWORD@HOST:PORT/DATABASE or sqlite:////FOLDER/state.db"


def open_engine(uri: str, *, keep: int = 0) -> Engine:
    """An engine that opens a connection for each use, so nothing idles during a long step; `keep` as many connections
    to PostgreSQL stay open for whoever asks often. ConfigError for a URI that names neither PostgreSQL nor a SQLite
    file."""
    url = address(uri)
    if url.get_backend_name() == "sqlite":
        return _sqlite(url)
    defaults = {name: value for name, value in POSTGRESQL_DEFAULTS.items() if name not in url.query}
    pool: dict[str, Any] = {"poolclass": NullPool}
    if keep:
        pool = {"poolclass": QueuePool, "pool_size": keep, "pool_pre_ping": True}
    return create_engine(url, connect_args=defaults, hide_parameters=True, **pool)


@contextmanager
def connected(engine: Engine) -> Iterator[Connection]:
    """A transaction that is kept when the block succeeds; whatever the database says becomes a StateError."""
    try:
        with engine.begin() as connection:
            yield connection
    except SQLAlchemyError as error:
        said = str(getattr(error, "orig", None) or error).strip().splitlines()[0]
        raise StateError(
            f"state database {shown(engine)}: {said}. See that it runs and that VITRINA_STATE_URI leads to it"
        ) from error


def one_at_a_time(connection: Connection, key: str) -> None:
    """Until the transaction ends, no other one with the same key goes on; SQLite has a single writer anyway."""
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(hashtextextended(:key, 0))"), {"key": key})


def shown(engine: Engine) -> str:
    """The address without its password."""
    return engine.url.set(query={}).render_as_string(hide_password=True)


def address(uri: str) -> URL:
    """What a URI says; nothing is opened. ConfigError as `open_engine` raises it."""
    try:
        url = make_url(uri)
    except (ArgumentError, ValueError) as error:  # the latter for a port that is no number
        raise ConfigError(f"VITRINA_STATE_URI is no address of a database. {_REMEDY}") from error
    if url.drivername in ("postgresql", POSTGRESQL):
        return url.set(drivername=POSTGRESQL)
    if url.get_backend_name() != "sqlite" or url.database in (None, "", ":memory:"):
        raise ConfigError(f"VITRINA_STATE_URI: {url.drivername} without a file, or unknown. {_REMEDY}")
    return url


def _sqlite(url: URL) -> Engine:
    file = Path(str(url.database)).absolute()
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch(mode=0o600)  # it holds hashes of passwords and the keys that sign tokens
    except OSError as error:
        raise StateError(f"state database {file}: {error}. Choose a folder that can be written") from error
    waiting = {"timeout": SQLITE_BUSY_SECONDS}
    engine = create_engine(url, poolclass=NullPool, connect_args=waiting, hide_parameters=True)

    # Python's own transactions leave out CREATE TABLE; these hold everything, and writers queue from the start.
    @event.listens_for(engine, "connect")
    def connect(connection: Any, record: object) -> None:
        connection.isolation_level = None

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    return engine

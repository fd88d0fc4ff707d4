"""The schema of the state database: the way to the newest version and back, and whether a database has it.

All steps of a migration are one transaction, on both databases. Of several at once, one works and the others wait:
PostgreSQL by an advisory lock, SQLite by its only writer.
"""

from __future__ import annotations

from dataclasses import dataclass

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import Connection, Engine, text

from vitrina.errors import ConfigError, StateError
from vitrina.storage.database import connected, shown

# Other programs (MLflow, Airflow) keep theirs in `alembic_version`, perhaps in the same database.
VERSION_TABLE = "vitrina_version"
NEWEST = "head"
EMPTY = "base"
LOCK = 0x76697472696E61  # "vitrina"


@dataclass(frozen=True, kw_only=True)
class Migration:
    """Schema versions before and after; None is a database without any of Vitrina's tables."""

    before: str | None
    after: str | None


def migrate(engine: Engine, to: str = NEWEST) -> Migration:
    """Brings the schema to a version, "head" (the newest) or "base" (no tables, and no rows any more).

    Raises ConfigError for an unknown version, and StateError for a database that a newer Vitrina has migrated.
    """
    config = _config()
    known = _versions(config)
    target = {NEWEST: known[-1], EMPTY: None}.get(to, to)
    if target is not None and target not in known:
        raise ConfigError(f"--to: no schema version {to!r}. Known are: {', '.join((EMPTY, *known, NEWEST))}")
    with connected(engine) as connection:
        if engine.dialect.name == "postgresql":
            connection.execute(text("SET LOCAL lock_timeout = 0; SET LOCAL statement_timeout = 0"))
            connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": LOCK})
        before = _version(connection)
        _refuse_newer(before, known, engine)
        config.attributes["connection"] = connection
        order = [None, *known]
        if target != before:
            move = command.upgrade if order.index(target) > order.index(before) else command.downgrade
            move(config, target or EMPTY)
        return Migration(before=before, after=_version(connection))


def require_newest(engine: Engine) -> None:
    """Raises StateError, with the way out, unless the schema is the one that this library was written for."""
    known = _versions(_config())
    with connected(engine) as connection:
        found = _version(connection)
    _refuse_newer(found, known, engine)
    if found != known[-1]:
        has = "has no schema yet" if found is None else f"has schema version {found}, and {known[-1]} is needed"
        raise StateError(f"state database {shown(engine)} {has}. Run: vitrina migrate")


def _refuse_newer(found: str | None, known: list[str], engine: Engine) -> None:
    if found is not None and found not in known:
        raise StateError(
            f"state database {shown(engine)} has schema version {found}, which this Vitrina does not know (it knows "
            f"up to {known[-1]}). Install the Vitrina that migrated it, or a newer one"
        )


def _version(connection: Connection) -> str | None:
    return MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE}).get_current_revision()


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", "vitrina.storage:migrations")
    return config


def _versions(config: Config) -> list[str]:
    """Every version, the oldest first."""
    try:
        return [one.revision for one in ScriptDirectory.from_config(config).walk_revisions()][::-1]
    except CommandError as error:
        raise StateError(
            f"the migrations of this installation cannot be read: {error}. Install Vitrina anew"
        ) from error

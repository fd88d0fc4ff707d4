"""The tables of the state database as the library uses them; `migrations` brings a database to this shape.

Times are milliseconds since the epoch, as everywhere; names follow the convention below, so that a migration can name
what an earlier one made.
"""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
)
from sqlalchemy.dialects.postgresql import JSONB

NAMING = {
    "pk": "pk_%(table_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
}

metadata = MetaData(naming_convention=NAMING)

# SQLite counts rows by itself in a column that is exactly INTEGER PRIMARY KEY.
ROW_NUMBER = BigInteger().with_variant(Integer, "sqlite")
DOCUMENT = JSON(none_as_null=True).with_variant(JSONB(none_as_null=True), "postgresql")

step_runs = Table(
    "step_runs",
    metadata,
    Column("id", ROW_NUMBER, primary_key=True),
    Column("scenario", Text, nullable=False),
    Column("run_id", Text, nullable=False),
    Column("step", Text, nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("as_of", BigInteger),
    Column("begun", BigInteger, nullable=False),
    Column("ended", BigInteger),
    Column("outcome", Text, nullable=False),
    Column("result", DOCUMENT),
    Column("error", Text),
    UniqueConstraint("scenario", "run_id", "step", "attempt"),
    CheckConstraint("outcome IN ('running', 'done', 'failed')", name="outcome"),
    CheckConstraint("(outcome = 'running') = (ended IS NULL)", name="ended"),
    Index(None, "scenario", "id"),
)

accounts = Table(
    "accounts",
    metadata,
    Column("name", Text, primary_key=True),
    Column("full_name", Text, nullable=False),
    Column("email", Text, nullable=False),
    Column("password_hash", Text, nullable=False),
    Column("scopes", DOCUMENT, nullable=False),
    Column("disabled", Boolean, nullable=False),
    Column("generation", Text, nullable=False),
    Column("created", BigInteger, nullable=False),
)

api_keys = Table(
    "api_keys",
    metadata,
    Column("key_id", Text, primary_key=True),
    Column("account", Text, ForeignKey("accounts.name", ondelete="CASCADE"), nullable=False),
    Column("digest", Text, nullable=False),
    Column("label", Text, nullable=False),
    Column("scopes", DOCUMENT, nullable=False),
    Column("created", BigInteger, nullable=False),
    Column("expires", BigInteger),
    Index(None, "account"),
)

signing_keys = Table(
    "signing_keys",
    metadata,
    Column("kid", Text, primary_key=True),
    Column("secret", LargeBinary, nullable=False),
    Column("created", BigInteger, nullable=False),
    Column("used_from", BigInteger, nullable=False),
)

sign_ins = Table(
    "sign_ins",
    metadata,
    Column("bucket", Text, primary_key=True),
    Column("failures", Integer, nullable=False),
    Column("locked_until", BigInteger, nullable=False),
    Column("forgotten", BigInteger, nullable=False),
    Index(None, "forgotten"),
)

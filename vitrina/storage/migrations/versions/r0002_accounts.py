"""Accounts, their API keys, the keys that sign tokens, and failed sign-ins."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0002"
down_revision = "0001"

DOCUMENT = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")


def upgrade() -> None:
    """Makes `accounts`, `api_keys`, `signing_keys` and `sign_ins`."""
    op.create_table(
        "accounts",
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("full_name", sa.Text, nullable=False),
        sa.Column("email", sa.Text, nullable=False),
        sa.Column("password_hash", sa.Text, nullable=False),
        sa.Column("scopes", DOCUMENT, nullable=False),
        sa.Column("disabled", sa.Boolean, nullable=False),
        sa.Column("generation", sa.Text, nullable=False),
        sa.Column("created", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_accounts")),
    )
    op.create_table(
        "api_keys",
        sa.Column("key_id", sa.Text, nullable=False),
        sa.Column("account", sa.Text, nullable=False),
        sa.Column("digest", sa.Text, nullable=False),
        sa.Column("label", sa.Text, nullable=False),
        sa.Column("scopes", DOCUMENT, nullable=False),
        sa.Column("created", sa.BigInteger, nullable=False),
        sa.Column("expires", sa.BigInteger),
        sa.PrimaryKeyConstraint("key_id", name=op.f("pk_api_keys")),
        sa.ForeignKeyConstraint(
            ["account"], ["accounts.name"], name=op.f("fk_api_keys_account_accounts"), ondelete="CASCADE"
        ),
    )
    op.create_index(op.f("ix_api_keys_account"), "api_keys", ["account"])
    op.create_table(
        "signing_keys",
        sa.Column("kid", sa.Text, nullable=False),
        sa.Column("secret", sa.LargeBinary, nullable=False),
        sa.Column("created", sa.BigInteger, nullable=False),
        sa.Column("used_from", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("kid", name=op.f("pk_signing_keys")),
    )
    op.create_table(
        "sign_ins",
        sa.Column("bucket", sa.Text, nullable=False),
        sa.Column("failures", sa.Integer, nullable=False),
        sa.Column("locked_until", sa.BigInteger, nullable=False),
        sa.Column("forgotten", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("bucket", name=op.f("pk_sign_ins")),
    )
    op.create_index(op.f("ix_sign_ins_forgotten"), "sign_ins", ["forgotten"])


def downgrade() -> None:
    """Drops them."""
    for table in ("sign_ins", "signing_keys", "api_keys", "accounts"):
        op.drop_table(table)

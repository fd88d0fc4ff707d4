"""Runs of steps."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Makes `step_runs`."""
    op.create_table(
        "step_runs",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer, "sqlite"), nullable=False),
        sa.Column("scenario", sa.Text, nullable=False),
        sa.Column("run_id", sa.Text, nullable=False),
        sa.Column("step", sa.Text, nullable=False),
        sa.Column("attempt", sa.Integer, nullable=False),
        sa.Column("as_of", sa.BigInteger),
        sa.Column("begun", sa.BigInteger, nullable=False),
        sa.Column("ended", sa.BigInteger),
        sa.Column("outcome", sa.Text, nullable=False),
        sa.Column("result", sa.JSON().with_variant(postgresql.JSONB(), "postgresql")),
        sa.Column("error", sa.Text),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_step_runs")),
        sa.UniqueConstraint(
            "scenario", "run_id", "step", "attempt", name=op.f("uq_step_runs_scenario_run_id_step_attempt")
        ),
        sa.CheckConstraint("outcome IN ('running', 'done', 'failed')", name=op.f("ck_step_runs_outcome")),
        sa.CheckConstraint("(outcome = 'running') = (ended IS NULL)", name=op.f("ck_step_runs_ended")),
    )
    op.create_index(op.f("ix_step_runs_scenario_id"), "step_runs", ["scenario", "id"])


def downgrade() -> None:
    """Drops `step_runs`."""
    op.drop_table("step_runs")

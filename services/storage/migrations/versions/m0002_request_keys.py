"""Keys by which a request that is sent twice is known; counts of tokens that need more than 32 bits."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "request_keys",
        sa.Column("owner", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("run_id", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["run_id"], ["runs.id"], name="fk_request_keys_run_id"),
        sa.PrimaryKeyConstraint("owner", "key", name="pk_request_keys"),
    )
    if op.get_context().dialect.name == "postgresql":  # SQLite's INTEGER has 64 bits
        for table in ("messages", "runs"):
            for column in ("input", "cached_input", "output", "reasoning"):
                op.alter_column(table, column, type_=sa.BigInteger())

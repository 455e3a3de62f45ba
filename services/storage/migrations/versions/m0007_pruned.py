"""Messages that left the tree for a while, and those that are copies."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("messages", sa.Column("pruned_at", sa.DateTime(timezone=True)))
    op.add_column("messages", sa.Column("picked_from", sa.Text()))
    some = sa.text("pruned_at IS NOT NULL")
    op.create_index(op.f("ix_messages_pruned_at"), "messages", ["pruned_at"], sqlite_where=some, postgresql_where=some)

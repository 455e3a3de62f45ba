"""What each run asked with beside the messages, and the texts of that."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("runs", sa.Column("recipe", sa.Text()))
    op.create_table(
        "texts",
        sa.Column("conversation_id", sa.Text(), nullable=False),
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("conversation_id", "sha256", name="pk_texts"),
        sa.ForeignKeyConstraint(["conversation_id"], ["conversations.id"], name="fk_texts_conversation_id"),
    )

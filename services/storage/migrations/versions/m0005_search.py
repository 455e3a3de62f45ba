"""What is searched, and the index that finds it."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import TSVECTOR

from services.storage import searching

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "searched",
        sa.Column("place", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False),
        sa.Column("conversation_id", sa.Text(), nullable=False),
        sa.Column("message_id", sa.Text()),
        sa.Column("words", sa.Text().with_variant(TSVECTOR(), "postgresql"), nullable=False),
        sa.PrimaryKeyConstraint("place", name="pk_searched"),
        sa.ForeignKeyConstraint(["conversation_id"], ["conversations.id"], name="fk_searched_conversation_id"),
        sa.ForeignKeyConstraint(["message_id"], ["messages.id"], name="fk_searched_message_id"),
    )
    op.create_index(op.f("ix_searched_conversation_id_message_id"), "searched", ["conversation_id", "message_id"])
    connection = op.get_bind()
    searching.put_all(connection)
    for statement in searching.make(connection):  # at the end: an index of all at once is made faster
        op.execute(statement)

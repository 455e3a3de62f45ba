"""Folders, and where each conversation is in the list: in which, pinned, archived, with which tags."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

_LIST = ["owner", "deleted_at", "archived_at", "folder_id", "pinned_at", "updated_at", "id"]


def upgrade() -> None:
    op.create_table(
        "folders",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("owner", sa.Text(), nullable=False),
        sa.Column("parent_id", sa.Text()),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("endpoint", sa.Text()),
        sa.Column("model", sa.Text()),
        sa.Column("system_prompt", sa.Text()),
        sa.Column("unfolded", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_folders"),
        sa.ForeignKeyConstraint(["parent_id"], ["folders.id"], name="fk_folders_parent_id"),
    )
    op.create_index(op.f("ix_folders_owner"), "folders", ["owner"])
    op.add_column("conversations", sa.Column("folder_id", sa.Text()))
    op.add_column("conversations", sa.Column("pinned_at", sa.DateTime(timezone=True)))
    op.add_column("conversations", sa.Column("archived_at", sa.DateTime(timezone=True)))
    op.add_column("conversations", sa.Column("tags", sa.Text()))
    op.create_index("ix_conversations_list", "conversations", _LIST)
    op.create_index(op.f("ix_conversations_owner_tags"), "conversations", ["owner", "tags"])

"""The first tables: conversations, their messages and parts, runs and their events, refused parameters."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_STATUSES = (
    "status IN ('streaming', 'complete', 'stopped', 'truncated', 'refused', 'filtered', 'interrupted', 'failed', "
    "'awaiting_approval')"
)


def upgrade() -> None:
    _create_conversations()
    _create_messages()
    _create_runs()
    op.create_table(
        "dropped_parameters",
        sa.Column("endpoint", sa.Text(), nullable=False),
        sa.Column("parameter", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("endpoint", "parameter", name="pk_dropped_parameters"),
    )


def _create_conversations() -> None:
    op.create_table(
        "conversations",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("owner", sa.Text(), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("title_source", sa.Text(), nullable=False),
        sa.Column("head_id", sa.Text()),
        sa.Column("endpoint", sa.Text()),
        sa.Column("model", sa.Text()),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("deleted_at", sa.DateTime(timezone=True)),
        sa.CheckConstraint("title_source IN ('question', 'model', 'user')", name=op.f("ck_conversations_title_source")),
        sa.PrimaryKeyConstraint("id", name="pk_conversations"),
    )
    op.create_index(
        "ix_conversations_owner_deleted_at_updated_at_id",
        "conversations",
        ["owner", "deleted_at", "updated_at", "id"],
    )


def _create_messages() -> None:
    op.create_table(
        "messages",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("conversation_id", sa.Text(), nullable=False),
        sa.Column("parent_id", sa.Text()),
        sa.Column("seq", sa.Integer(), nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("run_id", sa.Text()),
        sa.Column("endpoint", sa.Text()),
        sa.Column("model", sa.Text()),
        *_usage(),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("role IN ('user', 'assistant')", name=op.f("ck_messages_role")),
        sa.CheckConstraint(_STATUSES, name=op.f("ck_messages_status")),
        sa.UniqueConstraint("conversation_id", "seq", name="uq_messages_conversation_id_seq"),
        sa.ForeignKeyConstraint(["conversation_id"], ["conversations.id"], name="fk_messages_conversation_id"),
        sa.ForeignKeyConstraint(["parent_id"], ["messages.id"], name="fk_messages_parent_id"),
        sa.PrimaryKeyConstraint("id", name="pk_messages"),
    )
    op.create_index("ix_messages_conversation_id_parent_id_seq", "messages", ["conversation_id", "parent_id", "seq"])
    op.create_table(
        "parts",
        sa.Column("message_id", sa.Text(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("data", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["message_id"], ["messages.id"], name="fk_parts_message_id"),
        sa.PrimaryKeyConstraint("message_id", "position", name="pk_parts"),
    )


def _create_runs() -> None:
    op.create_table(
        "runs",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("conversation_id", sa.Text(), nullable=False),
        sa.Column("message_id", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("endpoint", sa.Text()),
        sa.Column("model", sa.Text()),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True)),
        sa.Column("first_token_s", sa.Float()),
        sa.Column("total_s", sa.Float()),
        sa.Column("finish_reason", sa.Text()),
        sa.Column("response_id", sa.Text()),
        sa.Column("request_id", sa.Text()),
        *_usage(),
        sa.Column("failure", sa.Text()),
        sa.CheckConstraint(_STATUSES, name=op.f("ck_runs_status")),
        sa.ForeignKeyConstraint(["conversation_id"], ["conversations.id"], name="fk_runs_conversation_id"),
        sa.ForeignKeyConstraint(["message_id"], ["messages.id"], name="fk_runs_message_id"),
        sa.PrimaryKeyConstraint("id", name="pk_runs"),
    )
    for column in ("conversation_id", "message_id", "status"):
        op.create_index(f"ix_runs_{column}", "runs", [column])
    op.create_table(
        "run_events",
        sa.Column("run_id", sa.Text(), nullable=False),
        sa.Column("seq", sa.Integer(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("data", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["run_id"], ["runs.id"], name="fk_run_events_run_id"),
        sa.PrimaryKeyConstraint("run_id", "seq", name="pk_run_events"),
    )


def _usage() -> list[sa.Column[int]]:
    return [sa.Column(name, sa.Integer()) for name in ("input", "cached_input", "output", "reasoning")]

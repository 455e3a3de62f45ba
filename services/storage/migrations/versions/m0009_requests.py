"""What requests to models measured, what may be spent, and what is reserved for runs at work."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

_KINDS = ("chat", "title", "summary")
_SCOPES = ("day", "month", "conversation", "endpoint")
_STATUSES = (
    *("streaming", "complete", "stopped", "truncated", "refused", "filtered", "interrupted", "failed"),
    "awaiting_approval",
)


def _number() -> sa.types.TypeEngine[int]:
    return sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def _one_of(column: str, words: tuple[str, ...], table: str) -> sa.CheckConstraint:
    return sa.CheckConstraint(f"{column} IN ({', '.join(map(repr, words))})", name=op.f(f"ck_{table}_{column}"))


def upgrade() -> None:
    op.create_table(
        "requests",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("at", _number(), nullable=False),
        sa.Column("owner", sa.Text(), nullable=False),
        sa.Column("conversation_id", sa.Text()),
        sa.Column("endpoint", sa.Text(), nullable=False),
        sa.Column("model", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("error", sa.Text()),
        *(sa.Column(name, _number()) for name in ("input", "cached_input", "output", "reasoning", "price")),
        *(sa.Column(name, sa.Float()) for name in ("queue_s", "first_token_s", "total_s")),
        sa.Column("retries", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_requests"),
        _one_of("kind", _KINDS, "requests"),
        _one_of("status", _STATUSES, "requests"),
    )
    op.create_index(op.f("ix_requests_owner_at_endpoint_price"), "requests", ["owner", "at", "endpoint", "price"])
    op.create_index(op.f("ix_requests_conversation_id_price"), "requests", ["conversation_id", "price"])
    op.create_table(
        "reservations",
        sa.Column("run_id", sa.Text(), nullable=False),
        sa.Column("owner", sa.Text(), nullable=False),
        sa.Column("conversation_id", sa.Text()),
        sa.Column("endpoint", sa.Text(), nullable=False),
        *(sa.Column(name, _number(), nullable=False) for name in ("at", "amount", "input_tokens")),
        sa.PrimaryKeyConstraint("run_id", name="pk_reservations"),
    )
    op.create_index(op.f("ix_reservations_owner"), "reservations", ["owner"])
    op.create_table(
        "budgets",
        sa.Column("owner", sa.Text(), nullable=False),
        sa.Column("scope", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("amount", _number(), nullable=False),
        sa.PrimaryKeyConstraint("owner", "scope", "name", name="pk_budgets"),
        _one_of("scope", _SCOPES, "budgets"),
    )

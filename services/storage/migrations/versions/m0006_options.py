"""Options beside endpoint and model: those of a conversation, and those that an answer was asked with."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for table in ("conversations", "messages"):
        op.add_column(table, sa.Column("options", sa.Text()))

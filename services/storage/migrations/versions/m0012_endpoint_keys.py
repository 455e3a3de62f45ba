"""When the keys of endpoints were seen."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    moment = sa.DateTime(timezone=True)
    op.create_table(
        "endpoint_keys",
        sa.Column("endpoint", sa.Text(), nullable=False),
        sa.Column("fingerprint", sa.Text(), nullable=False),
        sa.Column("seen_at", moment, nullable=False),
        sa.Column("used_at", moment),
        sa.Column("refused_at", moment),
        sa.PrimaryKeyConstraint("endpoint", "fingerprint", name="pk_endpoint_keys"),
    )

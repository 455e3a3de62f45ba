"""Alerts: what hours come to, rules, what was too much, and where it is told."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta

import sqlalchemy as sa
from alembic import op

from services.statistics import class_of

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None

_WATCHED = ("spend", "errors", "first_token_s", "total_s")
_SPANS = ("hour", "day")
_AGAINST = ("fixed", "past")
_THOUGHT_OUT = ("complete", "truncated", "refused", "filtered")
_COMPARED = timedelta(days=16)
_HOUR_MS = 3_600_000


def _number() -> sa.types.TypeEngine[int]:
    return sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def _one_of(column: str, words: tuple[str, ...], table: str) -> sa.CheckConstraint:
    return sa.CheckConstraint(f"{column} IN ({', '.join(map(repr, words))})", name=op.f(f"ck_{table}_{column}"))


def _rule(table: str) -> tuple[sa.schema.SchemaItem, ...]:
    return (
        *(sa.Column(name, sa.Text(), nullable=False) for name in ("watched", "span", "against")),
        sa.Column("amount", sa.Float(), nullable=False),
        _one_of("watched", _WATCHED, table),
        _one_of("span", _SPANS, table),
        _one_of("against", _AGAINST, table),
    )


def upgrade() -> None:
    hours = op.create_table(
        "hours",
        sa.Column("owner", sa.Text(), nullable=False),
        sa.Column("hour", sa.Integer(), autoincrement=False, nullable=False),
        *(sa.Column(name, _number(), nullable=False) for name in ("requests", "failed", "price")),
        sa.PrimaryKeyConstraint("owner", "hour", name="pk_hours"),
        sqlite_with_rowid=False,
    )
    timings = op.create_table(
        "hour_timings",
        sa.Column("owner", sa.Text(), nullable=False),
        sa.Column("hour", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("measure", sa.Text(), nullable=False),
        sa.Column("class", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("count", _number(), nullable=False),
        sa.PrimaryKeyConstraint("owner", "hour", "measure", "class", name="pk_hour_timings"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "alert_rules",
        sa.Column("owner", sa.Text(), nullable=False),
        *_rule("alert_rules"),
        sa.Column("enabled", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("owner", "watched", "span", "against", name="pk_alert_rules"),
    )
    op.create_table(
        "alerts",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("owner", sa.Text(), nullable=False),
        *_rule("alerts"),
        sa.Column("at", _number(), nullable=False),
        *(sa.Column(name, sa.Float(), nullable=False) for name in ("value", "level")),
        sa.Column("sentence", sa.Text(), nullable=False),
        *(sa.Column(name, _number()) for name in ("recovered_at", "dismissed_at")),
        sa.Column("delivery", sa.Text()),
        sa.PrimaryKeyConstraint("id", name="pk_alerts"),
    )
    op.create_index(op.f("ix_alerts_owner_at"), "alerts", ["owner", "at"])
    op.create_table(
        "alert_hooks",
        sa.Column("owner", sa.Text(), nullable=False),
        sa.Column("url", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("owner", name="pk_alert_hooks"),
    )
    _count(hours, timings)


def _count(hours: sa.Table, timings: sa.Table) -> None:
    """Count the hours that anything is compared with."""
    since = int((datetime.now(UTC) - _COMPARED).timestamp() * 1000)
    table = sa.table(
        "requests",
        *map(sa.column, ("owner", "at", "kind", "status", "error", "price", "first_token_s", "total_s")),
    )
    sums: Counter[tuple[str, int, str]] = Counter()
    classes: Counter[tuple[str, int, str, int]] = Counter()
    for row in op.get_bind().execute(sa.select(table).where(table.c.at >= since)):
        here = (row.owner, row.at // _HOUR_MS)
        sums[*here, "requests"] += 1
        sums[*here, "failed"] += row.error is not None
        sums[*here, "price"] += row.price or 0
        if row.kind != "chat":
            continue
        if row.first_token_s is not None:
            classes[*here, "first_token_s", class_of(row.first_token_s)] += 1
        if row.total_s is not None and row.status in _THOUGHT_OUT:
            classes[*here, "total_s", class_of(row.total_s)] += 1
    found = sorted({key[:2] for key in sums})
    names = ("requests", "failed", "price")
    op.bulk_insert(
        hours,
        [{"owner": owner, "hour": hour} | {name: sums[owner, hour, name] for name in names} for owner, hour in found],
    )
    columns = ("owner", "hour", "measure", "class", "count")
    op.bulk_insert(timings, [dict(zip(columns, (*key, count), strict=True)) for key, count in classes.items()])

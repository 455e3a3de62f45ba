"""What requests add up to by day and model, beside the table of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict
from datetime import UTC, date, datetime

import sqlalchemy as sa
from alembic import op

from services.measures import Measured
from services.statistics import Sums, day_of, sums_of, timed
from services.usage import Usage

revision = "0013"
down_revision = "0014"
branch_labels = None
depends_on = None

_KINDS = ("owner", "day", "endpoint", "model", "kind", "status", "error")
_CLASSES = ("owner", "day", "endpoint", "model", "measure", "class")
_SUMS = (
    *("requests", "failed", "untold", "unpriced", "cached", "retries"),
    *("input", "cached_input", "output", "reasoning", "price", "guessed"),
)
_AT_ONCE = 1_000


def _number() -> sa.types.TypeEngine[int]:
    return sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def _key(name: str) -> sa.Column[str]:
    return sa.Column(name, sa.Text(), nullable=False)


def _day() -> sa.Column[int]:
    return sa.Column("day", sa.Integer(), autoincrement=False, nullable=False)


def upgrade() -> None:
    tallies = op.create_table(
        "tallies",
        *(_day() if name == "day" else _key(name) for name in _KINDS),
        *(sa.Column(name, _number(), nullable=False) for name in _SUMS),
        sa.PrimaryKeyConstraint(*_KINDS, name="pk_tallies"),
        sqlite_with_rowid=False,
    )
    timings = op.create_table(
        "timings",
        *(_day() if name == "day" else _key(name) for name in _CLASSES[:-1]),
        sa.Column("class", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("count", _number(), nullable=False),
        sa.PrimaryKeyConstraint(*_CLASSES, name="pk_timings"),
        sqlite_with_rowid=False,
    )
    sums: dict[tuple[object, ...], Sums] = {}
    classes: Counter[tuple[object, ...]] = Counter()
    for owner, one in _measured(op.get_bind()):
        where = (owner, (day_of(one.at) - date(1970, 1, 1)).days, one.endpoint, one.model)
        how = (*where, one.kind, one.status, one.error or "")
        sums[how] = sums.get(how, Sums()) + sums_of(one)
        classes.update((*where, measure, number) for measure, number in timed(one).items())
    added = [(*key, *(asdict(some)[name] for name in _SUMS)) for key, some in sums.items()]
    _insert(tallies, added)
    _insert(timings, [(*key, count) for key, count in classes.items()])


def _insert(table: sa.Table, rows: list[tuple[object, ...]]) -> None:
    names = table.columns.keys()
    for start in range(0, len(rows), _AT_ONCE):
        op.bulk_insert(table, [dict(zip(names, row, strict=True)) for row in rows[start : start + _AT_ONCE]])


def _measured(connection: sa.Connection) -> Iterator[tuple[str, Measured]]:
    for row in connection.execute(sa.text("SELECT * FROM requests")):
        told = row.input is not None
        yield (
            row.owner,
            Measured(
                id=row.id,
                at=datetime.fromtimestamp(row.at / 1000, UTC),
                endpoint=row.endpoint,
                model=row.model,
                kind=row.kind,
                status=row.status,
                error=row.error,
                usage=Usage(input=row.input, cached_input=row.cached_input, output=row.output, reasoning=row.reasoning)
                if told
                else None,
                price=row.price,
                queue_s=row.queue_s,
                first_token_s=row.first_token_s,
                total_s=row.total_s,
                retries=row.retries,
            ),
        )

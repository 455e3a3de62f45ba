"""What requests add up to by day and model, beside the table of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import UTC, date, datetime
from itertools import islice

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
_CLASSES = ("owner", "endpoint", "model", "measure", "class", "day")
_COSTLY = ("owner", "conversation_id", "day", "endpoint", "model")
_COSTS = ("requests", "tokens", "price", "unpriced")
_SUMS = (
    *("requests", "failed", "untold", "unpriced", "cached", "retries"),
    *("input", "cached_input", "output", "reasoning", "price", "guessed"),
)
_AT_ONCE = 1_000


def _number() -> sa.types.TypeEngine[int]:
    return sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def _key(name: str) -> sa.Column[str] | sa.Column[int]:
    if name in {"day", "class"}:
        return sa.Column(name, sa.Integer(), autoincrement=False, nullable=False)
    return sa.Column(name, sa.Text(), nullable=False)


def _made(name: str, keys: tuple[str, ...], counts: tuple[str, ...]) -> sa.Table:
    return op.create_table(
        name,
        *map(_key, keys),
        *(sa.Column(count, _number(), nullable=False) for count in counts),
        sa.PrimaryKeyConstraint(*keys, name=f"pk_{name}"),
        sqlite_with_rowid=False,
    )


def upgrade() -> None:
    tallies = _made("tallies", _KINDS, _SUMS)
    timings = _made("timings", _CLASSES, ("count",))
    costs = _made("costs", _COSTLY, _COSTS)
    sums: dict[tuple[object, ...], Sums] = {}
    spent: dict[tuple[object, ...], Sums] = {}
    classes: Counter[tuple[object, ...]] = Counter()
    for owner, one in _measured(op.get_bind()):
        day, added = (day_of(one.at) - date(1970, 1, 1)).days, sums_of(one)
        place = (one.endpoint, one.model)
        how = (owner, day, *place, one.kind, one.status, one.error or "")
        sums[how] = sums.get(how, Sums()) + added
        where = (owner, one.conversation_id or "", day, *place)
        spent[where] = spent.get(where, Sums()) + added
        classes.update((owner, *place, measure, number, day) for measure, number in timed(one).items())
    _insert(tallies, ((*key, *(getattr(some, name) for name in _SUMS)) for key, some in sums.items()))
    _insert(costs, ((*key, *(getattr(some, name) for name in _COSTS)) for key, some in spent.items()))
    _insert(timings, ((*key, count) for key, count in classes.items()))


def _insert(table: sa.Table, rows: Iterator[tuple[object, ...]]) -> None:
    names = table.columns.keys()
    while some := list(islice(rows, _AT_ONCE)):
        op.bulk_insert(table, [dict(zip(names, row, strict=True)) for row in some])


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
                conversation_id=row.conversation_id,
            ),
        )

"""SQL on what requests measured, on budgets, and on what is reserved of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, Table, and_, delete, exists, func, insert, select

from services.measures import Measured
from services.messages import new_id
from services.spending import Budget, Hold, Period, Refused, Standing
from services.statistics import Selection
from services.storage import rows, tallies
from services.storage.engine import insert_new
from services.storage.schema import budgets, requests, reservations, runs
from services.storage.tallies import milliseconds
from services.usage import Usage

MOST_TOKENS = 10**12
"""Of one request: an endpoint may report any number, and the sum of many has to be one that databases hold."""


def append(connection: Connection, owner: str, measured: Measured) -> None:
    """Keep what a request measured; one that is there already stays as it is."""
    if measured.usage is not None:
        told = {name: min(count, MOST_TOKENS) for name, count in asdict(measured.usage).items()}
        measured = replace(measured, usage=Usage(**told))
    values = {
        "id": measured.id,
        "at": milliseconds(measured.at),
        "owner": owner,
        "conversation_id": measured.conversation_id,
        "endpoint": measured.endpoint,
        "model": measured.model,
        "kind": measured.kind,
        "status": measured.status,
        "error": measured.error,
        **rows.from_usage(measured.usage),
        "price": measured.price,
        "queue_s": measured.queue_s,
        "first_token_s": measured.first_token_s,
        "total_s": measured.total_s,
        "retries": measured.retries,
    }
    # RETURNING tells it of every database; PostgreSQL's driver is not asked how many rows an INSERT made.
    new = insert_new(connection, requests).values(values).returning(requests.c.id)
    if connection.execute(new).first() is not None:
        tallies.add(connection, owner, measured)


def page(
    connection: Connection, owner: str, selection: Selection, after: Measured | None, limit: int
) -> list[Measured]:
    """Return the next requests of a selection in the order of their times, behind one that was read before."""
    query = select(requests).where(*tallies.among(owner, selection)).order_by(requests.c.at, requests.c.id).limit(limit)
    if after is not None:
        at = milliseconds(after.at)
        query = query.where(requests.c.at >= at, (requests.c.at > at) | (requests.c.id > after.id))
    return [rows.to_measured(row) for row in connection.execute(query)]


def settle(connection: Connection, owner: str, run_id: str, measured: Measured | None) -> None:
    """Put what a run cost in the place of what was reserved for it."""
    if measured is not None:
        append(connection, owner, measured)
    connection.execute(delete(reservations).where(reservations.c.run_id == run_id))


def reserve(
    connection: Connection, owner: str, run_id: str, conversation_id: str | None, hold: Hold, now: datetime
) -> Refused | None:
    """Reserve what a run could cost at most, or say which budget has no room for it; once more changes nothing."""
    if input_tokens_of(connection, run_id) is not None:
        return None
    if not hold.beyond:
        for standing in standings(connection, owner, hold.period, conversation_id, hold.endpoint):
            if hold.worst > standing.left:
                return Refused(standing, hold.worst)
    values = {
        "run_id": run_id,
        "owner": owner,
        "conversation_id": conversation_id,
        "endpoint": hold.endpoint,
        "at": milliseconds(now),
        "amount": hold.worst,
        "input_tokens": hold.input_tokens,
    }
    connection.execute(insert_new(connection, reservations), [values])
    return None


def standings(
    connection: Connection,
    owner: str,
    period: Period,
    conversation_id: str | None = None,
    endpoint: str | None = None,
) -> list[Standing]:
    """Return how much is used of the owner's budgets: those of all conversations, and of this one and that endpoint.

    Without an endpoint, of every endpoint that has one.
    """
    found: list[Standing] = []
    for budget in every(connection, owner):
        match budget.scope:
            case "day" | "month":
                since = milliseconds(period.day if budget.scope == "day" else period.month)
                spent = _sum(connection, requests, "price", _of(requests, owner, since))
                reserved = _sum(connection, reservations, "amount", reservations.c.owner == owner)
            case "endpoint":
                if endpoint not in {None, budget.name}:
                    continue
                spent = _sum(
                    connection,
                    requests,
                    "price",
                    _of(requests, owner, milliseconds(period.month)),
                    requests.c.endpoint == budget.name,
                )
                reserved = _sum(
                    connection,
                    reservations,
                    "amount",
                    reservations.c.owner == owner,
                    reservations.c.endpoint == budget.name,
                )
            case "conversation":
                if conversation_id is None or budget.name not in {"", conversation_id}:
                    continue
                if not budget.name and any(s.budget.scope == "conversation" for s in found):
                    continue  # it has one of its own, which comes before: names are in order, the longest first
                here = requests.c.conversation_id == conversation_id
                spent = _sum(connection, requests, "price", here)
                reserved = _sum(connection, reservations, "amount", reservations.c.conversation_id == conversation_id)
        found.append(Standing(budget=budget, spent=spent, reserved=reserved))
    return found


def every(connection: Connection, owner: str) -> list[Budget]:
    """Return the owner's budgets; a conversation's own before that of each."""
    query = select(budgets).where(budgets.c.owner == owner).order_by(budgets.c.scope, budgets.c.name.desc())
    return [Budget(scope=row.scope, name=row.name, amount=row.amount) for row in connection.execute(query)]


def put_budget(connection: Connection, owner: str, budget: Budget) -> None:
    """Set a budget, in the place of what there was for the same."""
    remove_budget(connection, owner, budget)
    connection.execute(insert(budgets).values(owner=owner, scope=budget.scope, name=budget.name, amount=budget.amount))


def remove_budget(connection: Connection, owner: str, budget: Budget) -> None:
    """Remove what was set for the same as a budget is."""
    connection.execute(
        delete(budgets).where(budgets.c.owner == owner, budgets.c.scope == budget.scope, budgets.c.name == budget.name)
    )


def input_tokens_of(connection: Connection, run_id: str) -> int | None:
    """Return about how many tokens a run sent, if anything is reserved for it."""
    found: int | None = connection.scalar(select(reservations.c.input_tokens).where(reservations.c.run_id == run_id))
    return found


def settle_orphans(connection: Connection) -> list[Measured]:
    """Count what is reserved for runs that nobody works on as spent; return what is kept of them.

    For the start, when all runs of this database have ended: they are of temporary chats, and what those used is gone
    with them. So the most that they could have used counts.
    """
    live = exists().where(runs.c.id == reservations.c.run_id, runs.c.status == "streaming")
    orphans: Sequence[Row[Any]] = connection.execute(select(reservations).where(~live)).all()
    found: list[Measured] = []
    for row in orphans:
        lost = Measured(
            id=new_id(),
            at=datetime.fromtimestamp(row.at / 1000, UTC),
            endpoint=row.endpoint,
            model="",
            kind="chat",
            status="interrupted",
            error="unexpected",
            usage=None,
            price=row.amount,
            queue_s=None,
            first_token_s=None,
            total_s=None,
        )
        settle(connection, row.owner, row.run_id, lost)
        found.append(lost)
    return found


def _of(table: Table, owner: str, since: int) -> ColumnElement[bool]:
    return and_(table.c.owner == owner, table.c.at >= since)


def _sum(connection: Connection, table: Table, column: str, *where: ColumnElement[bool]) -> int:
    total = connection.scalar(select(func.coalesce(func.sum(table.c[column]), 0)).where(*where))
    return int(total or 0)

"""SQL on what leaves the tree of messages for a while: a message and all below it, to be brought back or erased."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import CTE, ColumnElement, Connection, Row, Select, func, select, update

from services.conversation import Pruned, Removed
from services.errors import InputError
from services.messages import TRANSITIONS
from services.storage import conversations, rows, trash, tree
from services.storage.schema import messages

_OPEN = [status for status, next_ones in TRANSITIONS.items() if next_ones]
"""Statuses of the answers that are not finished."""


def prune(connection: Connection, owner: str, conversation_id: str, message_id: str, now: datetime) -> Pruned:
    """Take a message and all below it out of the tree; a head among them moves to the nearest leaf that stays."""
    conversation = conversations.one(connection, owner, conversation_id)
    row = _row(connection, conversation_id, message_id)
    if row.pruned_at is not None:
        return Pruned(conversation_id, message_id, 0)
    going = _below(conversation_id, message_id, tree.KEPT)
    if connection.scalar(select(going.c.id).where(going.c.status.in_(_OPEN)).limit(1)) is not None:
        raise InputError("An answer below it is still being written. Wait for its end, or stop it first.")
    # Later than all before it, whatever the clock says: by its moment it is known what went together.
    of_it = messages.c.conversation_id == conversation_id
    last = connection.scalar(select(func.max(messages.c.pruned_at)).where(of_it))
    at = now if last is None else max(now, last + timedelta(microseconds=1))
    which = select(going.c.id)
    shown = connection.scalar(which.where(going.c.id == conversation.head_id))
    count = connection.scalar(select(func.count()).select_from(going)) or 0
    connection.execute(update(messages).where(messages.c.id.in_(which)).values(pruned_at=at))
    parent_id = row.parent_id
    if parent_id is None:
        roots = select(messages.c.id).where(of_it, messages.c.parent_id.is_(None), tree.KEPT)
        parent_id = connection.scalar(roots.order_by(messages.c.seq.desc()).limit(1))
    if parent_id is None:
        raise InputError("Nothing of the conversation would be left. Delete the conversation instead.")
    moved_to = None if shown is None else tree.newest_leaf_in(connection, conversation_id, parent_id)
    conversations.touch(connection, conversation_id, now, **({"head_id": moved_to} if moved_to else {}))
    return Pruned(conversation_id, message_id, count, shown, moved_to)


def restore(connection: Connection, owner: str, pruned: Pruned, now: datetime) -> None:
    """Put back what went with a message; a head among them is shown again, unless another one was chosen meanwhile."""
    conversation = conversations.one(connection, owner, pruned.conversation_id)
    row = _row(connection, conversation.id, pruned.message_id)
    if row.pruned_at is None:
        return
    if row.parent_id is not None and _row(connection, conversation.id, row.parent_id).pruned_at is not None:
        raise InputError("What it followed was removed later. Bring that back first.")
    coming = _below(conversation.id, pruned.message_id, messages.c.pruned_at == row.pruned_at)
    which = select(coming.c.id)
    head_id = connection.scalar(which.where(coming.c.id == pruned.head_id))
    connection.execute(update(messages).where(messages.c.id.in_(which)).values(pruned_at=None))
    shown = head_id is not None and conversation.head_id == pruned.moved_to
    conversations.touch(connection, conversation.id, now, **({"head_id": head_id} if head_id and shown else {}))


def removed(connection: Connection, owner: str, conversation_id: str, limit: int) -> list[Removed]:
    """Return what can be brought back, the last first: not what hangs on something that was itself pruned later."""
    conversations.one(connection, owner, conversation_id)
    parent, gone = messages.alias("parent"), messages.alias("gone")
    hangs = select(parent.c.id).where(parent.c.id == messages.c.parent_id, parent.c.pruned_at.is_not(None)).exists()
    query = (
        tree.noded()
        .where(messages.c.conversation_id == conversation_id, messages.c.pruned_at.is_not(None), ~hangs)
        .order_by(messages.c.pruned_at.desc())
        .limit(limit)
    )
    found = connection.execute(query).all()
    together = (
        select(gone.c.pruned_at, func.count().label("many"))
        .where(gone.c.conversation_id == conversation_id, gone.c.pruned_at.is_not(None))
        .group_by(gone.c.pruned_at)
    )
    counts = {row.pruned_at: row.many for row in connection.execute(together)}
    return [Removed(rows.to_node(row), counts[row.pruned_at], row.pruned_at) for row in found]


def erase_overdue(connection: Connection, before: datetime, limit: int) -> list[str]:
    """Remove some of the messages that left their tree before a moment; return of each in which conversation it was.

    What follows a message left with it or before it, and came later: in this order nothing that is left follows it.
    """
    order = (messages.c.pruned_at, messages.c.seq.desc())
    query = select(messages.c.id, messages.c.conversation_id).where(messages.c.pruned_at < before)
    found = connection.execute(query.order_by(*order).limit(limit)).all()
    if found:
        trash.erase_messages(connection, [row.id for row in found])
    return [row.conversation_id for row in found]


def _row(connection: Connection, conversation_id: str, message_id: str) -> Row[Any]:
    query: Select[Any] = select(messages.c.parent_id, messages.c.pruned_at)
    row: Row[Any] | None = connection.execute(
        query.where(messages.c.id == message_id, messages.c.conversation_id == conversation_id)
    ).one_or_none()
    if row is None:
        raise tree.not_found()
    return row


def _below(conversation_id: str, message_id: str, which: ColumnElement[bool]) -> CTE:
    """Return the ids and statuses of a message and all that follow it, as far as they are `which`.

    As for a path, a child is younger than its parent, which ends the walk in a circle.
    """
    columns = (messages.c.id, messages.c.seq, messages.c.status)
    of_it = messages.c.conversation_id == conversation_id
    start = select(*columns).where(of_it, messages.c.id == message_id, which).cte("below", recursive=True)
    return start.union_all(
        select(*columns).where(of_it, messages.c.parent_id == start.c.id, messages.c.seq > start.c.seq, which)
    )

"""SQL on the messages that wait in a conversation."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Connection, delete, func, insert, select, update

from services.conversation import Queued
from services.errors import InputError, NotFoundError
from services.storage import codec, conversations
from services.storage.schema import conversations as conversations_table
from services.storage.schema import queued

MAX_QUEUED = 20
"""Messages that can wait in one conversation."""

_WAITS = queued.c.removed_at.is_(None)


def waiting(connection: Connection, owner: str, conversation_id: str) -> list[Queued]:
    """Return what waits, the next one first."""
    conversations.one(connection, owner, conversation_id)
    return waiting_in(connection, conversation_id)


def waiting_in(connection: Connection, conversation_id: str) -> list[Queued]:
    """Return what waits in a conversation that was looked up, the next one first."""
    query = select(queued).where(queued.c.conversation_id == conversation_id, _WAITS).order_by(queued.c.seq)
    found = connection.execute(query)
    return [
        Queued(
            id=row.id,
            text=row.text,
            created_at=row.created_at,
            attachments=codec.attachments_from_json(row.attachments),
        )
        for row in found
    ]


def count(connection: Connection) -> int:
    """Return how many messages wait, whoever's; those of conversations in the trash wait for nothing."""
    there = queued.join(conversations_table, conversations_table.c.id == queued.c.conversation_id)
    query = select(func.count()).select_from(there).where(_WAITS, conversations_table.c.deleted_at.is_(None))
    return int(connection.scalar(query) or 0)


def add(connection: Connection, owner: str, conversation_id: str, message: Queued, request_key: str | None) -> None:
    """Put a message behind those that wait."""
    conversations.one(connection, owner, conversation_id)
    count, last = (
        connection.execute(
            select(func.count().filter(_WAITS), func.max(queued.c.seq)).where(
                queued.c.conversation_id == conversation_id
            )
        )
    ).one()
    if count >= MAX_QUEUED:
        raise InputError(f"{count} messages are waiting already. Wait for the answer, or remove one of them.")
    _insert(connection, conversation_id, message, (last or 0) + 1, request_key)


def put(connection: Connection, conversation_id: str, messages: Sequence[Queued]) -> None:
    """Put messages into a conversation in which none waited yet."""
    for seq, message in enumerate(messages, start=1):
        _insert(connection, conversation_id, message, seq, None)


def take(connection: Connection, owner: str, conversation_id: str, queued_id: str) -> str | None:
    """Take a message out and return the key of the request that brought it, if it had one."""
    conversations.one(connection, owner, conversation_id)
    which = (queued.c.id == queued_id) & (queued.c.conversation_id == conversation_id) & _WAITS
    row = connection.execute(select(queued.c.request_key).where(which)).one_or_none()
    if row is None:
        raise NotFoundError("That message does not wait any more: it was sent or removed.")
    connection.execute(delete(queued).where(which))
    key: str | None = row.request_key
    return key


def remove(connection: Connection, owner: str, conversation_id: str, queued_id: str, now: datetime) -> None:
    """Take a message back for good: its request, should it come once more, finds that it was there."""
    key = take(connection, owner, conversation_id, queued_id)
    if key is not None:
        add(connection, owner, conversation_id, Queued(id=queued_id, text="", created_at=now), key)
        connection.execute(update(queued).where(queued.c.id == queued_id).values(removed_at=now))


def _insert(connection: Connection, conversation_id: str, message: Queued, seq: int, request_key: str | None) -> None:
    connection.execute(
        insert(queued).values(
            id=message.id,
            conversation_id=conversation_id,
            seq=seq,
            text=message.text,
            request_key=request_key,
            created_at=message.created_at,
            attachments=codec.attachments_to_json(message.attachments),
        )
    )


def conversation_of(connection: Connection, owner: str, request_key: str) -> str | None:
    """Return the conversation in which the message of a request waits, or waited until a person removed it."""
    query = (
        select(queued.c.conversation_id)
        .join(conversations_table, conversations_table.c.id == queued.c.conversation_id)
        .where(conversations_table.c.owner == owner, queued.c.request_key == request_key)
    )
    found: str | None = connection.scalar(query)
    return found

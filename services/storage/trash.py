"""SQL on deleted conversations: what is there, and erasing it for good."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Connection, Select, delete, select

from services.conversation import Deleted
from services.errors import InputError, NotFoundError
from services.storage import attached, rows
from services.storage.schema import (
    conversations,
    messages,
    parts,
    queued,
    request_keys,
    run_events,
    runs,
    searched,
    texts,
)


def deleted(connection: Connection, owner: str, limit: int) -> list[Deleted]:
    """Return what the owner deleted, the last first."""
    query = (
        select(conversations)
        .where(conversations.c.owner == owner, conversations.c.deleted_at.is_not(None))
        .order_by(conversations.c.deleted_at.desc(), conversations.c.id.desc())
        .limit(limit)
    )
    return [Deleted(rows.to_conversation(row), row.deleted_at) for row in connection.execute(query)]


def overdue(connection: Connection, before: datetime, limit: int) -> list[str]:
    """Return the ids of conversations of any owner that were deleted before a moment."""
    query = select(conversations.c.id).where(conversations.c.deleted_at < before).limit(limit)
    return list(connection.scalars(query))


def require(connection: Connection, owner: str, conversation_id: str) -> None:
    """Raise NotFoundError unless it is a conversation that the owner deleted."""
    query = select(conversations.c.id).where(
        conversations.c.id == conversation_id, conversations.c.owner == owner, conversations.c.deleted_at.is_not(None)
    )
    if connection.scalar(query) is None:
        raise NotFoundError("That conversation is not in the trash any more.")


def erase(connection: Connection, ids: Sequence[str]) -> None:
    """Remove conversations for good, with all that belongs to them; their files have become orphans then."""
    files = attached.named_in(connection, ids)
    connection.execute(delete(searched).where(searched.c.conversation_id.in_(ids)))
    _erase(connection, select(messages.c.id).where(messages.c.conversation_id.in_(ids)))
    connection.execute(delete(queued).where(queued.c.conversation_id.in_(ids)))
    connection.execute(delete(texts).where(texts.c.conversation_id.in_(ids)))
    connection.execute(delete(conversations).where(conversations.c.id.in_(ids)))
    for owner, hashes in files.items():
        attached.release(connection, owner, hashes)


def erase_messages(connection: Connection, ids: Sequence[str]) -> None:
    """Remove messages for good in the same way; nothing that is kept may follow one of them."""
    files = attached.named_by(connection, ids)
    _erase(connection, select(messages.c.id).where(messages.c.id.in_(ids)))
    for owner, hashes in files.items():
        attached.release(connection, owner, hashes)


def _erase(connection: Connection, which: Select[tuple[str]]) -> None:
    theirs = select(runs.c.id).where(runs.c.message_id.in_(which))
    for gone in (
        delete(run_events).where(run_events.c.run_id.in_(theirs)),
        delete(request_keys).where(request_keys.c.run_id.in_(theirs)),
        delete(runs).where(runs.c.message_id.in_(which)),
        delete(searched).where(searched.c.message_id.in_(which)),
        delete(parts).where(parts.c.message_id.in_(which)),
        delete(messages).where(messages.c.id.in_(which)),
    ):
        connection.execute(gone)


def erase_deleted(connection: Connection, owner: str, conversation_id: str) -> None:
    """Remove one conversation that the owner deleted."""
    require(connection, owner, conversation_id)
    writing = select(runs.c.id).where(runs.c.conversation_id == conversation_id, runs.c.status == "streaming")
    if connection.scalar(writing.limit(1)) is not None:
        raise InputError("Its last answer is just being stopped. Try again in a moment.")
    erase(connection, [conversation_id])


def erase_overdue(connection: Connection, before: datetime, limit: int) -> list[str]:
    """Remove some of those that were deleted before a moment; return their ids."""
    ids = overdue(connection, before, limit)
    if ids:
        erase(connection, ids)
    return ids

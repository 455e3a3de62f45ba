"""SQL on conversations. Each function runs in the transaction of the connection it is given."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, and_, func, insert, select, tuple_, update

from services.conversation import MAX_TITLE, Conversation, TitleSource
from services.errors import NotFoundError
from services.messages import clean_text
from services.options import Options
from services.storage import folders, rows, searching
from services.storage.schema import conversations


def newest(connection: Connection, owner: str, limit: int, before: tuple[datetime, str] | None) -> list[Conversation]:
    query = select(conversations).where(conversations.c.owner == owner, conversations.c.deleted_at.is_(None))
    if before is not None:
        query = query.where(tuple_(conversations.c.updated_at, conversations.c.id) < before)
    query = query.order_by(conversations.c.updated_at.desc(), conversations.c.id.desc()).limit(limit)
    return [rows.to_conversation(row) for row in connection.execute(query)]


def one(connection: Connection, owner: str, conversation_id: str) -> Conversation:
    row = _find(connection, _visible(owner, conversation_id))
    return rows.to_conversation(row)


def owner_of(connection: Connection, conversation_id: str) -> str:
    """Return whose a conversation is, deleted or not."""
    query = select(conversations.c.owner).where(conversations.c.id == conversation_id)
    return str(connection.execute(query).scalar_one())


def add(connection: Connection, owner: str, conversation: Conversation) -> None:
    """Store the conversation unless it is there already; outside any folder if its own is gone.

    Raises:
        NotFoundError: it is there, but deleted or somebody else's.
    """
    known = connection.scalar(select(conversations.c.id).where(conversations.c.id == conversation.id))
    if known is None:
        if conversation.folder_id is not None and not folders.exists(connection, owner, conversation.folder_id):
            conversation = replace(conversation, folder_id=None)
        connection.execute(insert(conversations).values(rows.from_conversation(owner, conversation)))
        searching.put_title(connection, conversation.id)
    else:
        one(connection, owner, conversation.id)


def rename(connection: Connection, owner: str, conversation_id: str, title: str, source: TitleSource) -> Conversation:
    conversation = one(connection, owner, conversation_id)
    if source == "user" or conversation.title_source != "user":
        title = clean_text(title)[:MAX_TITLE]
        _change(connection, _visible(owner, conversation_id), title=title, title_source=source)
        searching.put_title(connection, conversation_id)
    return one(connection, owner, conversation_id)


def set_options(connection: Connection, owner: str, conversation_id: str, options: Options) -> None:
    _change(connection, _visible(owner, conversation_id), **rows.from_options(options))


def delete(connection: Connection, owner: str, conversation_id: str, at: datetime) -> None:
    _change(connection, _visible(owner, conversation_id), deleted_at=at)


def restore(connection: Connection, owner: str, conversation_id: str) -> None:
    _change(connection, _owned(owner, conversation_id), deleted_at=None)


def set_head(connection: Connection, conversation_id: str, message_id: str) -> None:
    connection.execute(update(conversations).where(conversations.c.id == conversation_id).values(head_id=message_id))


def touch(connection: Connection, conversation_id: str, now: datetime, **values: str) -> Conversation:
    """Move the conversation to the top of its owner's list, even when the clock stands still or was set back.

    What was archived comes back into the list: it is in use again. `values` are changed along with it.
    """
    owner = select(conversations.c.owner).where(conversations.c.id == conversation_id).scalar_subquery()
    latest = connection.scalar(
        select(func.max(conversations.c.updated_at)).where(
            conversations.c.owner == owner, conversations.c.deleted_at.is_(None)
        )
    )
    at = now if latest is None else max(now, latest + timedelta(microseconds=1))
    changed = connection.execute(
        update(conversations)
        .where(conversations.c.id == conversation_id)
        .values(updated_at=at, archived_at=None, **values)
        .returning(conversations)
    )
    return rows.to_conversation(changed.one())


def mark(connection: Connection, conversation_id: str) -> None:
    """Let other tabs see that something in a conversation changed; its place in the list stays."""
    here = conversations.c.id == conversation_id
    at = connection.execute(select(conversations.c.updated_at).where(here)).scalar_one()
    connection.execute(update(conversations).where(here).values(updated_at=at + timedelta(microseconds=1)))


def _owned(owner: str, conversation_id: str) -> ColumnElement[bool]:
    return and_(conversations.c.id == conversation_id, conversations.c.owner == owner)


def _visible(owner: str, conversation_id: str) -> ColumnElement[bool]:
    return and_(_owned(owner, conversation_id), conversations.c.deleted_at.is_(None))


def _find(connection: Connection, which: ColumnElement[bool]) -> Row[Any]:
    row = connection.execute(select(conversations).where(which)).one_or_none()
    if row is None:
        raise _not_found()
    return row


def _change(connection: Connection, which: ColumnElement[bool], **values: object) -> None:
    result = connection.execute(update(conversations).where(which).values(values))
    if result.rowcount == 0:
        raise _not_found()


def _not_found() -> NotFoundError:
    # The same words whether it never was, was deleted or is somebody else's: nobody learns what others have.
    return NotFoundError("This conversation does not exist or was deleted. Choose another one from the list.")

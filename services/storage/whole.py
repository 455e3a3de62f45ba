"""SQL on whole conversations, for what goes out of Panelist and comes in: nothing else reads or writes all of one."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal, TypeVar

from sqlalchemy import Connection, exists, insert, select, update

from services.conversation import Whole
from services.errors import Failure
from services.folders import path_of
from services.messages import AttachmentPart, Message, Part, derived_id
from services.storage import attached, conversations, folders, rows, runs, searching, tree
from services.storage.schema import conversations as conversations_table
from services.storage.schema import messages, parts
from services.usage import Usage

T = TypeVar("T")

Known = Literal["here", "deleted"]

_AT_ONCE = 500
"""Ids of one statement."""

_NO_USAGE = dict.fromkeys(rows.from_usage(Usage()))

LEFT = Failure(kind="unexpected", message="This answer was still being written when it was exported.")


@dataclass(frozen=True, slots=True)
class Imported:
    """What became of conversations that came in, as ids that they have here."""

    added: tuple[str, ...]
    restored: tuple[str, ...]
    """Deleted ones, which are back as they were."""
    skipped: int
    """How many were there already."""


def read(connection: Connection, owner: str, conversation_id: str) -> Whole:
    conversation = conversations.one(connection, owner, conversation_id)
    held: dict[str, list[Part]] = {}
    for row in connection.execute(
        select(parts)
        .join(messages, messages.c.id == parts.c.message_id)
        .where(messages.c.conversation_id == conversation_id, tree.KEPT)
        .order_by(parts.c.message_id, parts.c.position)
    ):
        held.setdefault(row.message_id, []).append(rows.to_part(row))
    found = connection.execute(
        select(messages).where(messages.c.conversation_id == conversation_id, tree.KEPT).order_by(messages.c.seq)
    )
    every = [rows.to_message(row, tuple(held.get(row.id, ()))) for row in found.all()]
    known = {folder.id: folder for folder in folders.every(connection, owner)} if conversation.folder_id else {}
    settled = tuple(_settled(connection, message) for message in every)
    return Whole(conversation, settled, path_of(known, conversation.folder_id))


def every_id(connection: Connection, owner: str) -> list[str]:
    mine = (conversations_table.c.owner == owner) & conversations_table.c.deleted_at.is_(None)
    order = (conversations_table.c.updated_at.desc(), conversations_table.c.id.desc())
    return list(connection.scalars(select(conversations_table.c.id).where(mine).order_by(*order)))


def has_attachments(connection: Connection, owner: str, conversation_ids: Sequence[str]) -> bool:
    query = (
        select(parts.c.message_id)
        .join(messages, messages.c.id == parts.c.message_id)
        .join(conversations_table, conversations_table.c.id == messages.c.conversation_id)
        .where(parts.c.kind == "attachment", conversations_table.c.owner == owner, tree.KEPT)
    )
    return any(
        connection.scalar(select(exists(query.where(messages.c.conversation_id.in_(some)))))
        for some in _chunks(conversation_ids)
    )


def known(connection: Connection, owner: str, conversation_ids: Sequence[str]) -> dict[str, Known]:
    """Return which of these conversations the owner has, under their own ids or those they were given here."""
    here = {derived_id(owner, id): id for id in conversation_ids}
    found: dict[str, Known] = {}
    for some in _chunks([*here, *conversation_ids]):
        query = select(conversations_table.c.id, conversations_table.c.deleted_at)
        for row in connection.execute(
            query.where(conversations_table.c.owner == owner, conversations_table.c.id.in_(some))
        ):
            found[here.get(row.id, row.id)] = "here" if row.deleted_at is None else "deleted"
    return found


def add(
    connection: Connection,
    owner: str,
    wholes: Callable[[], Iterable[Whole]],
    attachments: Sequence[AttachmentPart],
    now: datetime,
) -> Imported:
    added: list[str] = []
    restored: list[str] = []
    skipped = 0
    for whole in wholes():
        given = whole.conversation.id
        match known(connection, owner, [given]).get(given):
            case "here":
                skipped += 1
            case "deleted":
                restored.append(_bring_back(connection, owner, given))
            case _:
                added.append(_add_one(connection, owner, whole))
    attached.mark_sent(connection, owner, attachments, now)
    return Imported(tuple(added), tuple(restored), skipped)


def delete(connection: Connection, owner: str, conversation_ids: Sequence[str], now: datetime) -> None:
    mine = (conversations_table.c.owner == owner) & conversations_table.c.deleted_at.is_(None)
    for some in _chunks(conversation_ids):
        query = update(conversations_table).where(mine, conversations_table.c.id.in_(some))
        connection.execute(query.values(deleted_at=now))


def _settled(connection: Connection, message: Message) -> Message:
    """Return an answer that is not finished as it would be if it ended now."""
    if message.status == "awaiting_approval":
        return replace(message, status="interrupted")
    if message.status != "streaming" or message.run_id is None:
        return message
    reply = runs.cut_short(connection, message.run_id, LEFT)
    return replace(message, status=reply.status, parts=runs.joined(message.parts, reply.parts))


def _bring_back(connection: Connection, owner: str, given: str) -> str:
    """Restore a deleted conversation, under whichever id it has here."""
    either = [given, derived_id(owner, given)]
    query = select(conversations_table.c.id).where(
        conversations_table.c.owner == owner, conversations_table.c.id.in_(either)
    )
    id: str = connection.scalars(query).one()
    conversations.restore(connection, owner, id)
    return id


def _add_one(connection: Connection, owner: str, whole: Whole) -> str:
    if _is_taken(connection, whole):
        whole = _under_other_ids(owner, whole)
    folder_id = folders.at_path(connection, owner, whole.folder)
    conversation = replace(whole.conversation, folder_id=folder_id)
    head = {"head_id": conversation.head_id}
    connection.execute(insert(conversations_table).values(**rows.from_conversation(owner, conversation), **head))
    for some in _chunks(list(enumerate(whole.messages, start=1))):
        values = [{**_NO_USAGE, **rows.from_message(message, seq)} for seq, message in some]
        connection.execute(insert(messages), values)
        held = [value for _, message in some for value in rows.from_parts(message.id, message.parts)]
        if held:
            connection.execute(insert(parts), held)
        for _, message in some:
            searching.put_message(connection, message.id)
    searching.put_title(connection, conversation.id)
    return conversation.id


def _is_taken(connection: Connection, whole: Whole) -> bool:
    """Whether any of its ids is somebody else's, or of another conversation."""
    if connection.scalar(select(conversations_table.c.id).where(conversations_table.c.id == whole.conversation.id)):
        return True
    ids = [message.id for message in whole.messages]
    return any(
        connection.scalar(select(messages.c.id).where(messages.c.id.in_(some)).limit(1)) for some in _chunks(ids)
    )


def _under_other_ids(owner: str, whole: Whole) -> Whole:
    """Return the conversation under ids that are the same each time this owner brings it."""
    given = whole.conversation.id
    ids = {message.id: derived_id(owner, given, message.id) for message in whole.messages}
    id = derived_id(owner, given)
    head_id = whole.conversation.head_id
    moved = (
        replace(
            m,
            id=ids[m.id],
            conversation_id=id,
            parent_id=None if m.parent_id is None else ids[m.parent_id],
            picked_from=m.picked_from and ids.get(m.picked_from, m.picked_from),
        )
        for m in whole.messages
    )
    conversation = replace(whole.conversation, id=id, head_id=None if head_id is None else ids[head_id])
    return Whole(conversation, tuple(moved), whole.folder)


def _chunks(many: Sequence[T]) -> Iterator[Sequence[T]]:
    """Yield what one statement can take at a time."""
    return (many[start : start + _AT_ONCE] for start in range(0, len(many), _AT_ONCE))

"""SQL on whole conversations, for what goes out of Panelist and comes in: nothing else reads or writes all of one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal, TypeVar

from sqlalchemy import Connection, Table, exists, insert, select, update

from services.conversation import RunRecord, Whole
from services.errors import Failure
from services.folders import path_of
from services.messages import TRANSITIONS, AttachmentPart, Message, Part, TextPart, derived_id
from services.storage import attached, conversations, folders, queue, rows, runs, searching, trash, tree
from services.storage.schema import STAGED, messages, parts, queued
from services.storage.schema import conversations as conversations_table
from services.storage.schema import runs as runs_table
from services.usage import Usage

T = TypeVar("T")

Known = Literal["here", "deleted"]

_IDS = 500
"""Ids of one statement."""

AT_ONCE = 150
"""What one transaction stores of a file that comes in, in messages of some lines: a few hundredths of a second."""

_LINES = 2_000
"""Characters of a message that takes as long again to store and to index."""

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
    folders: tuple[str, ...] = ()
    """Those that were made for them, inner ones first."""


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
    wrote = connection.execute(
        select(runs_table)
        .where(runs_table.c.conversation_id == conversation_id)
        .order_by(runs_table.c.started_at, runs_table.c.id)
    )
    here = {message.id for message in every}  # a message that was pruned has its runs yet
    records = [_ended(rows.to_run(row)) for row in wrote if row.message_id in here]
    wrote_here = {record.id for record in records}
    known = {folder.id: folder for folder in folders.every(connection, owner)} if conversation.folder_id else {}
    settled = (_settled(connection, message) for message in every)
    return Whole(
        conversation,
        tuple(message if message.run_id in wrote_here else replace(message, run_id=None) for message in settled),
        tuple(records),
        tuple(queue.waiting_in(connection, conversation_id)),
        path_of(known, conversation.folder_id),
    )


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
    waiting = (
        select(queued.c.id)
        .join(conversations_table, conversations_table.c.id == queued.c.conversation_id)
        .where(queued.c.attachments.is_not(None), queued.c.removed_at.is_(None), conversations_table.c.owner == owner)
    )
    return any(
        connection.scalar(select(exists(query.where(messages.c.conversation_id.in_(some)))))
        or connection.scalar(select(exists(waiting.where(queued.c.conversation_id.in_(some)))))
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


def grown(connection: Connection, owner: str, conversation_id: str, message_ids: Sequence[str]) -> bool:
    """Return whether a conversation that the owner has lacks some of these messages, as a file names them."""
    for some in _chunks(message_ids):
        ids = {one: derived_id(owner, conversation_id, one) for one in some}
        query = (
            select(messages.c.id)
            .join(conversations_table, conversations_table.c.id == messages.c.conversation_id)
            .where(conversations_table.c.owner == owner, messages.c.id.in_([*ids, *ids.values()]))
        )
        here = set(connection.scalars(query))
        if any(one not in here and other not in here for one, other in ids.items()):
            return True
    return False


@dataclass(frozen=True, slots=True)
class Piece:
    """Some of a conversation that comes in: what one transaction takes."""

    whole: Whole
    begins: bool
    first: int
    """The number of the first of its messages."""
    messages: tuple[Message, ...]

    @property
    def weight(self) -> int:
        """About how long it takes to store, in messages of some lines."""
        texts = (part.text for message in self.messages for part in message.parts if isinstance(part, TextPart))
        return 1 + len(self.messages) + sum(map(len, texts)) // _LINES


def pieces(whole: Whole) -> Iterator[Piece]:
    """Yield a conversation in pieces of about `AT_ONCE`, each after those that it points to."""
    first, some, weight = 1, list[Message](), 0
    begins = True
    for number, message in enumerate(whole.messages, start=1):
        one = Piece(whole, False, number, (message,)).weight
        if some and weight + one > AT_ONCE:
            yield Piece(whole, begins, first, tuple(some))
            begins, first, some, weight = False, number, [], 0
        some.append(message)
        weight += one
    yield Piece(whole, begins, first, tuple(some))


def found(connection: Connection, owner: str, whole: Whole) -> Known | Whole:
    """Return what the owner has of a conversation, or if that is nothing, the conversation under ids that are free."""
    given = whole.conversation.id
    there = known(connection, owner, [given]).get(given)
    return there or (_under_other_ids(owner, whole) if _is_taken(connection, whole) else whole)


def stage(connection: Connection, owner: str, word: str, some: Sequence[Piece]) -> None:
    """Store pieces of conversations where nobody sees them until `publish`."""
    for piece in some:
        _add_piece(connection, f"{STAGED}{word}/{owner}", piece)


def publish(
    connection: Connection,
    owner: str,
    word: str,
    deleted: Sequence[str],
    attachments: Sequence[AttachmentPart],
    now: datetime,
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Give an owner all that was staged under a word, and bring deleted ones back.

    Returns:
        The ids of these, and of the folders that were made, inner ones first.
    """
    there = {folder.id for folder in folders.every(connection, owner)}
    stage = f"{STAGED}{word}/{owner}"
    staged = conversations_table.c.owner == stage
    for folder_id, path in folders.take_away(connection, stage).items():
        inside = staged & (conversations_table.c.folder_id == folder_id)
        connection.execute(
            update(conversations_table).where(inside).values(folder_id=folders.at_path(connection, owner, path))
        )
    connection.execute(update(conversations_table).where(staged).values(owner=owner))
    restored = tuple(_bring_back(connection, owner, given) for given in deleted)
    attached.mark_sent(connection, owner, attachments, now)
    now_there = {folder.id: folder for folder in folders.every(connection, owner)}
    made = sorted(now_there.keys() - there, key=lambda id: len(path_of(now_there, id)), reverse=True)
    return restored, tuple(made)


def erase_staged(connection: Connection, word: str, limit: int) -> int:
    """Remove some of what was staged under a word, or with "" under any; return how many conversations."""
    begins = f"{STAGED}{word}"
    query = select(conversations_table.c.id).where(conversations_table.c.owner.startswith(begins, autoescape=True))
    ids = list(connection.scalars(query.limit(limit)))
    if ids:
        trash.erase(connection, ids)
    else:
        folders.erase_of(connection, begins)
    return len(ids)


def delete(
    connection: Connection, owner: str, conversation_ids: Sequence[str], folder_ids: Sequence[str], now: datetime
) -> None:
    """Hide conversations, and remove those of the folders in which nothing is then, inner ones first."""
    mine = (conversations_table.c.owner == owner) & conversations_table.c.deleted_at.is_(None)
    for some in _chunks(conversation_ids):
        query = update(conversations_table).where(mine, conversations_table.c.id.in_(some))
        connection.execute(query.values(deleted_at=now))
    for id in folder_ids:
        folders.remove_empty(connection, owner, id)


def _settled(connection: Connection, message: Message) -> Message:
    """Return an answer that is not finished as it would be if it ended now."""
    if message.status == "awaiting_approval":
        return replace(message, status="interrupted")
    if message.status != "streaming" or message.run_id is None:
        return message
    reply = runs.cut_short(connection, message.run_id, LEFT)
    return replace(message, status=reply.status, parts=runs.joined(message.parts, reply.parts))


def _ended(run: RunRecord) -> RunRecord:
    """Return a run that goes on as it would be if it ended now."""
    if not TRANSITIONS[run.status]:
        return run
    return replace(run, status="interrupted", failure=LEFT)


def _bring_back(connection: Connection, owner: str, given: str) -> str:
    """Restore a deleted conversation, under whichever id it has here."""
    either = [given, derived_id(owner, given)]
    query = select(conversations_table.c.id).where(
        conversations_table.c.owner == owner, conversations_table.c.id.in_(either)
    )
    id: str = connection.scalars(query).one()
    conversations.restore(connection, owner, id)
    return id


def _add_piece(connection: Connection, owner: str, piece: Piece) -> None:
    whole = piece.whole
    if piece.begins:
        conversation = replace(whole.conversation, folder_id=folders.at_path(connection, owner, whole.folder))
        head = {"head_id": conversation.head_id}
        connection.execute(insert(conversations_table).values(**rows.from_conversation(owner, conversation), **head))
        searching.put_title(connection, conversation.id)
        queue.put(connection, conversation.id, whole.queue)
    here = {message.id for message in piece.messages}
    many: tuple[tuple[Table, list[rows.Values]], ...] = (
        (messages, [{**_NO_USAGE, **rows.from_message(m, seq)} for seq, m in enumerate(piece.messages, piece.first)]),
        (parts, [value for m in piece.messages for value in rows.from_parts(m.id, m.parts)]),
        (runs_table, [{**_NO_USAGE, **rows.from_run(run)} for run in whole.runs if run.message_id in here]),
    )
    for table, values in many:
        for some in _chunks(values):
            connection.execute(insert(table), list(some))
    for message in piece.messages:
        searching.put_message(connection, message.id)


def _is_taken(connection: Connection, whole: Whole) -> bool:
    """Whether any of its ids is somebody else's, or of another conversation."""
    if connection.scalar(select(conversations_table.c.id).where(conversations_table.c.id == whole.conversation.id)):
        return True
    return any(
        connection.scalar(select(table.c.id).where(table.c.id.in_(some)).limit(1))
        for table in (messages, runs_table, queued)
        for some in _chunks(whole.ids)
    )


def _under_other_ids(owner: str, whole: Whole) -> Whole:
    """Return the conversation under ids that are the same each time this owner brings it."""
    given = whole.conversation.id
    ids: dict[str | None, str] = {one: derived_id(owner, given, one) for one in whole.ids}
    id = derived_id(owner, given)
    moved = (
        replace(
            m,
            id=ids[m.id],
            conversation_id=id,
            parent_id=ids.get(m.parent_id),
            run_id=ids.get(m.run_id),
            picked_from=m.picked_from and ids.get(m.picked_from, m.picked_from),
        )
        for m in whole.messages
    )
    wrote = (replace(r, id=ids[r.id], conversation_id=id, message_id=ids[r.message_id]) for r in whole.runs)
    waits = (replace(q, id=ids[q.id]) for q in whole.queue)
    conversation = replace(whole.conversation, id=id, head_id=ids.get(whole.conversation.head_id))
    return Whole(conversation, tuple(moved), tuple(wrote), tuple(waits), whole.folder)


def _chunks(many: Sequence[T]) -> Iterator[Sequence[T]]:
    """Yield what one statement can take at a time."""
    return (many[start : start + _IDS] for start in range(0, len(many), _IDS))

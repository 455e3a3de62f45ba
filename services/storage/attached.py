"""SQL on who has which attachments."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from datetime import UTC, datetime

from sqlalchemy import ColumnElement, Connection, delete, insert, select, update

from services.errors import NotFoundError
from services.messages import AttachmentPart
from services.storage import codec
from services.storage.schema import attachments, conversations, messages, parts, queued

_LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)

Named = tuple[str, str]
"""A hash, and the name that a message gives it."""


def add(connection: Connection, owner: str, attachment: AttachmentPart, now: datetime) -> None:
    """Note that an owner has bytes; once more makes them new again."""
    mine = (attachments.c.owner == owner) & (attachments.c.sha256 == attachment.sha256)
    known = connection.execute(update(attachments).where(mine).values(created_at=now))
    if known.rowcount == 0:
        values = {"sha256": attachment.sha256, "media_type": attachment.media_type, "size": attachment.size}
        connection.execute(insert(attachments).values(owner=owner, created_at=now, **values))


def named(connection: Connection, owner: str, wanted: Sequence[Named]) -> list[AttachmentPart]:
    """Return the owner's attachments of these hashes, under these names."""
    query = select(attachments).where(
        attachments.c.owner == owner, attachments.c.sha256.in_([sha256 for sha256, _ in wanted])
    )
    rows = {row.sha256: row for row in connection.execute(query)}
    for sha256, name in wanted:
        if sha256 not in rows:
            raise _gone(name)
    return [AttachmentPart(sha256, name, rows[sha256].media_type, rows[sha256].size) for sha256, name in wanted]


def every(connection: Connection, owner: str) -> list[AttachmentPart]:
    """Return all that an owner has, without names."""
    mine = select(attachments).where(attachments.c.owner == owner).order_by(attachments.c.created_at)
    return [AttachmentPart(row.sha256, "", row.media_type, row.size) for row in connection.execute(mine)]


def mark_sent(connection: Connection, owner: str, sent: Sequence[AttachmentPart], now: datetime) -> None:
    """Keep attachments for good, for the message that names them.

    Raises:
        NotFoundError: the owner has no such attachment.
    """
    for attachment in sent:
        mine = (attachments.c.owner == owner) & (attachments.c.sha256 == attachment.sha256)
        if connection.execute(update(attachments).where(mine).values(sent_at=now)).rowcount == 0:
            raise _gone(attachment.name)


def named_in(connection: Connection, conversation_ids: Sequence[str]) -> dict[str, set[str]]:
    """Return the hashes of all files that conversations name, on any branch and in what waits, by owner."""
    return _by_owner(_named(connection, conversations.c.id.in_(conversation_ids)))


def named_by(connection: Connection, message_ids: Sequence[str]) -> dict[str, set[str]]:
    """Return the hashes of all files that messages name, by owner."""
    return _by_owner(_sent(connection, messages.c.id.in_(message_ids)))


def release(connection: Connection, owner: str, hashes: Collection[str]) -> None:
    """Let files become orphans at once, unless another of the owner's conversations names them."""
    if hashes:
        still = {sha256 for _, sha256 in _named(connection, conversations.c.owner == owner)}
        mine = (attachments.c.owner == owner) & attachments.c.sha256.in_(set(hashes) - still)
        connection.execute(update(attachments).where(mine).values(sent_at=None, created_at=_LONG_AGO))


def _by_owner(named: Iterable[tuple[str, str]]) -> dict[str, set[str]]:
    found: dict[str, set[str]] = defaultdict(set)
    for owner, sha256 in named:
        found[owner].add(sha256)
    return found


def _sent(connection: Connection, where: ColumnElement[bool]) -> Iterator[tuple[str, str]]:
    """Yield owner and hash of each file that some messages name."""
    query = (
        select(conversations.c.owner, parts.c.kind, parts.c.data)
        .join(messages, messages.c.conversation_id == conversations.c.id)
        .join(parts, parts.c.message_id == messages.c.id)
        .where(where, parts.c.kind == "attachment")
    )
    for owner, kind, data in connection.execute(query):
        part = codec.part_from_json(kind, data)
        if isinstance(part, AttachmentPart):
            yield owner, part.sha256


def _named(connection: Connection, where: ColumnElement[bool]) -> Iterator[tuple[str, str]]:
    """Yield owner and hash of each file that some conversations name."""
    yield from _sent(connection, where)
    waits = (
        select(conversations.c.owner, queued.c.attachments)
        .join(queued, queued.c.conversation_id == conversations.c.id)
        .where(where, queued.c.attachments.is_not(None))
    )
    for owner, text in connection.execute(waits):
        for part in codec.attachments_from_json(text):
            yield owner, part.sha256


def forget_orphans(connection: Connection, before: datetime) -> list[str]:
    """Forget what came before a moment and was never sent; return the hashes that nobody has any more."""
    orphan = attachments.c.sent_at.is_(None) & (attachments.c.created_at < before)
    gone = set(connection.scalars(select(attachments.c.sha256).where(orphan)))
    connection.execute(delete(attachments).where(orphan))
    kept = select(attachments.c.sha256).where(attachments.c.sha256.in_(gone))
    return sorted(gone - set(connection.scalars(kept)))


def _gone(name: str) -> NotFoundError:
    return NotFoundError(f"“{name}” is not on this server any more. Remove it and attach it again.")

"""SQL that arranges many conversations at once, and takes it back exactly."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, assert_never

from sqlalchemy import Connection, Row, bindparam, select, update

from services.arranging import Archive, Arrangement, Before, Delete, Field, Move, Pin, Tag
from services.folders import clean_tags, no_folder
from services.storage import folders, rows
from services.storage.schema import conversations

_AT_ONCE = 500  # ids of one statement

Value = datetime | str | None


def arrange(
    connection: Connection, owner: str, conversation_ids: Sequence[str], arrangement: Arrangement, now: datetime
) -> Before:
    """Arrange those that the owner has and that are not so already; return what they were."""
    into = arrangement.folder_id if isinstance(arrangement, Move) else None
    if into is not None and not folders.exists(connection, owner, into):
        raise no_folder()
    field, value_of = _wanted(arrangement, now)
    changed: list[tuple[str, Value, Value]] = []
    for start in range(0, len(conversation_ids), _AT_ONCE):
        some = conversation_ids[start : start + _AT_ONCE]
        mine = (conversations.c.owner == owner) & conversations.c.deleted_at.is_(None)
        for row in connection.execute(select(conversations).where(mine, conversations.c.id.in_(some))):
            was, is_now = getattr(row, field), value_of(row)
            if was != is_now:
                changed.append((row.id, was, is_now))
    _put(connection, owner, field, [(id, value) for id, _, value in changed])
    return Before(field, tuple(changed))


def put_back(connection: Connection, owner: str, before: Before) -> None:
    """Undo `arrange`, also for what was deleted since; a folder that is gone is none.

    What was changed again since then stays, but for the tags that came and went with it.
    """
    there = {None, *(folder.id for folder in folders.every(connection, owner))} if before.field == "folder_id" else None
    column = conversations.c[before.field]
    values: list[tuple[str, Value]] = []
    for start in range(0, len(before.was), _AT_ONCE):
        some = {id: (was, became) for id, was, became in before.was[start : start + _AT_ONCE]}
        mine = (conversations.c.owner == owner) & conversations.c.id.in_(some)
        for id, value in connection.execute(select(conversations.c.id, column).where(mine)):
            was, became = some[id]
            if before.field == "tags":
                values.append((id, _without(value, was, became)))
            elif value == became:
                values.append((id, was if there is None or was in there else None))
    _put(connection, owner, before.field, values)


def _without(tags: Any, was: Any, became: Any) -> str | None:
    """Return tags without the change from `was` to `became`."""
    now, before, after = (set(rows.to_tags(kept)) for kept in (tags, was, became))
    return rows.from_tags((now - (after - before)) | (before - after))


def _wanted(arrangement: Arrangement, now: datetime) -> tuple[Field, Callable[[Row[Any]], Value]]:
    """Return the field that an arrangement is about, and what it makes of a row's value."""
    match arrangement:
        case Pin(on):
            return "pinned_at", lambda row: (row.pinned_at or now) if on else None
        case Archive(on):
            return "archived_at", lambda row: (row.archived_at or now) if on else None
        case Move(folder_id):
            return "folder_id", lambda _: folder_id
        case Tag(add, remove):
            return "tags", lambda row: rows.from_tags(
                clean_tags({*rows.to_tags(row.tags), *clean_tags(add)} - {*clean_tags(remove)})
            )
        case Delete():
            return "deleted_at", lambda _: now
        case _:
            assert_never(arrangement)


def _put(connection: Connection, owner: str, field: Field, values: Sequence[tuple[str, Value]]) -> None:
    if values:
        mine = (conversations.c.owner == owner) & (conversations.c.id == bindparam("which"))
        statement = update(conversations).where(mine).values({field: bindparam("value")})
        connection.execute(statement, [{"which": id, "value": value} for id, value in values])

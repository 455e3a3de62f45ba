"""SQL on folders. Each function runs in the transaction of the connection it is given."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from sqlalchemy import ColumnElement, Connection, and_, delete, insert, select, update

from services.errors import InputError
from services.folders import (
    MAX_DEPTH,
    MAX_FOLDERS,
    Defaults,
    Folder,
    RemovedFolder,
    check_place,
    defaults_of,
    no_folder,
    path_of,
)
from services.messages import new_id
from services.storage import rows
from services.storage.schema import conversations, folders

_AT_ONCE = 500  # ids of one statement


def every(connection: Connection, owner: str) -> list[Folder]:
    return [rows.to_folder(row) for row in connection.execute(select(folders).where(folders.c.owner == owner))]


def exists(connection: Connection, owner: str, folder_id: str) -> bool:
    return connection.scalar(select(folders.c.id).where(_owned(owner, folder_id))) is not None


def defaults(connection: Connection, owner: str, folder_id: str) -> Defaults:
    """Return what holds in a folder; nothing for one that is not there any more."""
    return defaults_of({folder.id: folder for folder in every(connection, owner)}, folder_id)


def add(connection: Connection, owner: str, folder: Folder) -> None:
    """Store a folder; one that is there already stays as it is."""
    there = every(connection, owner)
    if any(one.id == folder.id for one in there):
        return
    if len(there) >= MAX_FOLDERS:
        raise InputError(f"There are {MAX_FOLDERS} folders already, which is the most. Remove one first.")
    check_place([*there, folder], folder)
    connection.execute(insert(folders).values(id=folder.id, owner=owner, **rows.from_folder(folder)))


def change(connection: Connection, owner: str, folder_id: str, by: Callable[[Folder], Folder]) -> Folder:
    """Replace a folder by what `by` makes of it; return it as it was."""
    there = every(connection, owner)
    was = next((folder for folder in there if folder.id == folder_id), None)
    if was is None:
        raise no_folder()
    now = by(was)
    if now.parent_id != was.parent_id:
        check_place(there, now)
    connection.execute(update(folders).where(_owned(owner, folder_id)).values(rows.from_folder(now)))
    return was


def remove(connection: Connection, owner: str, folder_id: str) -> RemovedFolder:
    """Remove a folder; what was in it, deleted or not, is then in the folder around it."""
    row = connection.execute(select(folders).where(_owned(owner, folder_id))).one_or_none()
    if row is None:
        raise no_folder()
    inner = and_(folders.c.owner == owner, folders.c.parent_id == folder_id)
    held = and_(conversations.c.owner == owner, conversations.c.folder_id == folder_id)
    removed = RemovedFolder(
        rows.to_folder(row),
        tuple(connection.scalars(select(folders.c.id).where(inner))),
        tuple(connection.scalars(select(conversations.c.id).where(held))),
    )
    connection.execute(update(folders).where(inner).values(parent_id=row.parent_id))
    connection.execute(update(conversations).where(held).values(folder_id=row.parent_id))
    connection.execute(delete(folders).where(_owned(owner, folder_id)))
    return removed


def remove_empty(connection: Connection, owner: str, folder_id: str) -> None:
    """Remove a folder unless something is in it that was not deleted, or it is gone."""
    inner = select(folders.c.id).where(folders.c.owner == owner, folders.c.parent_id == folder_id)
    held = select(conversations.c.id).where(
        conversations.c.owner == owner, conversations.c.folder_id == folder_id, conversations.c.deleted_at.is_(None)
    )
    if exists(connection, owner, folder_id) and not any(connection.scalar(one.limit(1)) for one in (inner, held)):
        remove(connection, owner, folder_id)


def bring_back(connection: Connection, owner: str, removed: RemovedFolder) -> None:
    """Undo `remove`; what has been moved elsewhere since then stays there."""
    folder = removed.folder
    if exists(connection, owner, folder.id):
        return
    if folder.parent_id is not None and not exists(connection, owner, folder.parent_id):
        folder = replace(folder, parent_id=None)
    add(connection, owner, folder)
    for some in _chunks(removed.folders):
        still = and_(folders.c.owner == owner, folders.c.parent_id.is_not_distinct_from(folder.parent_id))
        connection.execute(update(folders).where(still, folders.c.id.in_(some)).values(parent_id=folder.id))
    for some in _chunks(removed.conversations):
        still = and_(conversations.c.owner == owner, conversations.c.folder_id.is_not_distinct_from(folder.parent_id))
        connection.execute(update(conversations).where(still, conversations.c.id.in_(some)).values(folder_id=folder.id))
    there = every(connection, owner)
    check_place(there, next(one for one in there if one.id == folder.id))


def at_path(connection: Connection, owner: str, names: Sequence[str]) -> str | None:
    """Return the folder of a path of names, making what is not there of it as far as folders go."""
    there = every(connection, owner) if names else []
    inside: str | None = None
    for name in names[:MAX_DEPTH]:
        found = next((one for one in there if (one.parent_id, one.name) == (inside, name)), None)
        if found is None:
            if len(there) >= MAX_FOLDERS:
                break
            found = Folder(id=new_id(), name=name, parent_id=inside)
            add(connection, owner, found)
            there.append(found)
        inside = found.id
    return inside


def take_away(connection: Connection, owner: str) -> dict[str, tuple[str, ...]]:
    """Remove all folders of an owner; return the path of names of each."""
    there = {folder.id: folder for folder in every(connection, owner)}
    connection.execute(delete(folders).where(folders.c.owner == owner))
    return {id: path_of(there, id) for id in there}


def erase_of(connection: Connection, owners: str) -> None:
    """Remove all folders of the owners whose name begins so."""
    connection.execute(delete(folders).where(folders.c.owner.startswith(owners, autoescape=True)))


def _owned(owner: str, folder_id: str) -> ColumnElement[bool]:
    return and_(folders.c.id == folder_id, folders.c.owner == owner)


def _chunks(ids: Sequence[str]) -> list[Sequence[str]]:
    return [ids[start : start + _AT_ONCE] for start in range(0, len(ids), _AT_ONCE)]

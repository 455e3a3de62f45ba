"""SQL on the list of conversations: how long its sections are, and the rows that are in view."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, Select, and_, case, func, literal, select, true

from services.folders import Folder
from services.listing import DAYS, Counts, Listing, Section, View, sections_of
from services.storage import folders, rows
from services.storage.schema import conversations

_ORDER = (conversations.c.updated_at.desc(), conversations.c.id.desc())


def view(connection: Connection, owner: str, seen: View) -> Listing:
    there = tuple(folders.every(connection, owner))
    counts = _counts(connection, owner, seen)
    sections = sections_of(counts, () if seen.flat else there)
    first = min(seen.first, max(0, sum(section.count for section in sections) - seen.count))
    found = _rows(connection, select(conversations), owner, seen, sections, first, seen.count)
    listed = tuple(rows.to_conversation(row) for row in found)
    return Listing(sections, first, listed, there, _tags(connection, owner))


def ids(connection: Connection, owner: str, seen: View, first: int, count: int) -> list[str]:
    """Return the ids of these rows, in their order."""
    there: tuple[Folder, ...] = () if seen.flat else tuple(folders.every(connection, owner))
    sections = sections_of(_counts(connection, owner, seen), there)
    columns = select(conversations.c.id, conversations.c.folder_id)
    return [row.id for row in _rows(connection, columns, owner, seen, sections, first, count)]


@dataclass(frozen=True, slots=True)
class _Run:
    """Rows that follow one another in one order."""

    where: ColumnElement[bool]
    count: int
    folder_id: str | None = None


def _rows(
    connection: Connection,
    columns: Select[Any],
    owner: str,
    seen: View,
    sections: Sequence[Section],
    first: int,
    count: int,
) -> list[Row[Any]]:
    found: list[Row[Any]] = []
    last = first + count
    begins = 0
    runs = list(_runs(sections, seen))
    listed = columns.where(_listed(owner, seen))
    whole = _whole(connection, listed, runs, first, last)
    for run in runs:
        low, high = max(first, begins), min(last, begins + run.count)
        if low < high and run.folder_id in whole:
            found += whole[run.folder_id]
        elif low < high:
            query = listed.where(run.where).order_by(*_ORDER).offset(low - begins).limit(high - low)
            found += connection.execute(query).all()
        begins += run.count
    return found


def _whole(
    connection: Connection, listed: Select[Any], runs: Sequence[_Run], first: int, last: int
) -> dict[str | None, list[Row[Any]]]:
    """Return the rows of folders that are all in view, by folder: hundreds of small ones are one query."""
    found: dict[str | None, list[Row[Any]]] = {}
    begins = 0
    for run in runs:
        if run.folder_id is not None and run.count and first <= begins and begins + run.count <= last:
            found[run.folder_id] = []
        begins += run.count
    if found:
        inside = and_(conversations.c.folder_id.in_(list(found)), conversations.c.pinned_at.is_(None))
        for row in connection.execute(listed.where(inside).order_by(*_ORDER)):
            found[row.folder_id].append(row)
    return found


def _runs(sections: Sequence[Section], seen: View) -> Iterator[_Run]:
    """Yield what the sections are made of; those by day are one."""
    loose = conversations.c.pinned_at.is_(None)
    for section in sections:
        if section.kind == "pinned":
            yield _Run(conversations.c.pinned_at.is_not(None), section.count)
        elif section.kind == "folder":
            yield _Run(and_(conversations.c.folder_id == section.name, loose), section.count, section.name)
    rest = true() if seen.flat else and_(conversations.c.folder_id.is_(None), loose)
    yield _Run(rest, sum(section.count for section in sections if section.kind == "day"))


def _listed(owner: str, seen: View) -> ColumnElement[bool]:
    """Say that a conversation is in the list, in whichever section."""
    archived = conversations.c.archived_at
    found = and_(
        conversations.c.owner == owner,
        conversations.c.deleted_at.is_(None),
        archived.is_not(None) if seen.archived else archived.is_(None),
    )
    return found if seen.tag is None else and_(found, tagged(seen.tag))


def tagged(tag: str, *, open: bool = False) -> ColumnElement[bool]:
    """Say that a conversation has a tag, or with `open` one that begins so."""
    around = literal(" ").concat(conversations.c.tags).concat(" ")
    wanted = around.contains(f" {tag}" if open else f" {tag} ", autoescape=True)
    return and_(conversations.c.tags.is_not(None), wanted)


def _counts(connection: Connection, owner: str, seen: View) -> Counts:
    used = [func.count(case((conversations.c.updated_at >= day, 1))) for day in seen.days]
    every = func.count()
    query = select(every, *used).where(_listed(owner, seen))
    if seen.flat:
        all_of_them, *since = connection.execute(query).one()
        return Counts(0, {}, (*since, all_of_them))
    pinned = conversations.c.pinned_at.is_not(None)
    by_place = query.add_columns(conversations.c.folder_id, pinned.label("pinned"))
    of_pinned, of_folders, days = 0, dict[str, int](), (0,) * (len(DAYS) + 1)
    for all_of_them, *since, folder_id, is_pinned in connection.execute(
        by_place.group_by(conversations.c.folder_id, pinned)
    ):
        if is_pinned:
            of_pinned += all_of_them
        elif folder_id is not None:
            of_folders[folder_id] = all_of_them
        else:
            days = (*since, all_of_them)
    return Counts(of_pinned, of_folders, days)


def _tags(connection: Connection, owner: str) -> tuple[str, ...]:
    query = select(conversations.c.tags).distinct()
    mine = and_(
        conversations.c.owner == owner,
        conversations.c.tags.is_not(None),
        conversations.c.deleted_at.is_(None),
        conversations.c.archived_at.is_(None),
    )
    return tuple(sorted({tag for kept in connection.scalars(query.where(mine)) for tag in rows.to_tags(kept)}))

"""The list of conversations: its sections with their lengths, and the few rows of it that are in view."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from services.conversation import Conversation
from services.folders import Folder, in_order

ROWS = 60
"""Rows of a view unless it says otherwise: more than the tallest window shows."""

MAX_ROWS = 300
"""Rows of a view."""

DAYS: tuple[tuple[str, int], ...] = (("Today", 0), ("Yesterday", 1), ("Last 7 days", 7), ("Last 30 days", 30))
"""Sections by last use, each with the days before the last midnight that it begins at."""

OLDER = "Older"


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """What of the list somebody sees."""

    first: int = 0
    """The first row; headings are no rows."""
    count: int = ROWS
    archived: bool = False
    """Whether it is what was archived that is listed, without pinned ones and folders."""
    tag: str | None = None
    """List only what has this tag, without pinned ones and folders."""
    midnight: datetime
    """When the day began, where they are."""

    @property
    def flat(self) -> bool:
        return self.archived or self.tag is not None

    @property
    def days(self) -> tuple[datetime, ...]:
        """When each of `DAYS` begins."""
        return tuple(self.midnight - timedelta(days=days) for _, days in DAYS)


@dataclass(frozen=True, slots=True)
class Section:
    """A heading with rows under it."""

    kind: Literal["pinned", "folder", "day"]
    name: str
    """For a folder its id."""
    count: int
    """Rows that are shown."""
    depth: int = 0
    """For a folder, in how many others it lies."""
    holds: int = 0
    """For a folder, how many conversations are in it and what is in it, shown or not."""


@dataclass(frozen=True, slots=True)
class Listing:
    """A view of the list, all of one moment."""

    sections: tuple[Section, ...]
    first: int
    """Which row the first of `conversations` is."""
    conversations: tuple[Conversation, ...]
    folders: tuple[Folder, ...]
    tags: tuple[str, ...]
    """All that the owner's conversations have, those of archived and deleted ones not counted."""


@dataclass(frozen=True, slots=True)
class Counts:
    """How many conversations are where."""

    pinned: int
    folders: Mapping[str, int]
    """Without those that are pinned."""
    days: tuple[int, ...]
    """Of the rest, for each of `DAYS` how many were used since it began; then all of them."""


def sections_of(counts: Counts, folders: Sequence[Folder]) -> tuple[Section, ...]:
    """Return the headings of a list, from its top."""
    found = [Section("pinned", "Pinned", counts.pinned)] if counts.pinned else []
    return (*found, *_folder_sections(counts, folders), *_day_sections(counts))


def _folder_sections(counts: Counts, folders: Sequence[Folder]) -> Iterator[Section]:
    known = {folder.id: folder for folder in folders}
    holds = {folder.id: counts.folders.get(folder.id, 0) for folder in folders}
    ordered = list(in_order(folders))
    for folder, _ in reversed(ordered):
        if folder.parent_id is not None:
            holds[folder.parent_id] += holds[folder.id]
    hidden: set[str] = set()
    for folder, depth in ordered:
        around = known.get(folder.parent_id or "")
        if around is not None and (around.id in hidden or not around.unfolded):
            hidden.add(folder.id)
        else:
            shown = counts.folders.get(folder.id, 0) if folder.unfolded else 0
            yield Section("folder", folder.id, shown, depth, holds[folder.id])


def _day_sections(counts: Counts) -> Iterator[Section]:
    before = 0
    for (name, _), since in zip((*DAYS, (OLDER, 0)), counts.days, strict=True):
        if since > before:
            yield Section("day", name, since - before)
        before = since

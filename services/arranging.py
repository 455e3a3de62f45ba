"""What can be done with many conversations at once, and what takes it back: values."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

MAX_AT_ONCE = 5_000
"""Conversations that are arranged at once."""


@dataclass(frozen=True, slots=True)
class Pin:
    """Keep at the top of the list, or not any more."""

    on: bool = True


@dataclass(frozen=True, slots=True)
class Archive:
    """Put away from the list, or back into it. Search finds what is archived."""

    on: bool = True


@dataclass(frozen=True, slots=True)
class Move:
    """Put into a folder, or with None out of any."""

    folder_id: str | None


@dataclass(frozen=True, slots=True)
class Tag:
    """Put tags on, and take tags off."""

    add: tuple[str, ...] = ()
    remove: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Delete:
    """Put into the trash."""


Arrangement = Pin | Archive | Move | Tag | Delete

Field = Literal["pinned_at", "archived_at", "folder_id", "tags", "deleted_at"]


@dataclass(frozen=True, slots=True)
class Before:
    """What an arrangement changed: one field of some conversations, each with what it was and what it became."""

    field: Field
    was: tuple[tuple[str, datetime | str | None, datetime | str | None], ...]
    """Id, value before and value after."""

    @property
    def ids(self) -> tuple[str, ...]:
        """The conversations that were changed."""
        return tuple(id for id, _, _ in self.was)

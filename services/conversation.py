"""A conversation is a tree of messages with a head; these are its values and pure functions."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from services.messages import AttachmentPart

TitleSource = Literal["question", "model", "user"]
"""Who wrote a conversation's title. What a person wrote is never overwritten."""

MAX_TITLE = 120
"""Characters of a title; longer ones are cut when they are set."""

TRASH = timedelta(days=30)
"""For which a deleted conversation can be restored."""

_TITLE_CHARS = 4_000
"""Characters of a question that are looked at for a title: to go through two million took 80 ms."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """The parameters of a conversation. Unset ones are not sent."""

    endpoint: str | None = None
    model: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Conversation:
    id: str
    title: str
    title_source: TitleSource
    head_id: str | None
    """The leaf on show; None while the conversation is empty."""
    options: Options
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class Deleted:
    """A conversation in the trash."""

    conversation: Conversation
    at: datetime
    """When it was deleted."""

    @property
    def until(self) -> datetime:
        """When it is erased."""
        return self.at + TRASH


@dataclass(frozen=True, slots=True)
class Draft:
    """What a person wants to say: a text, which may be empty beside attachments."""

    text: str
    attachments: tuple[AttachmentPart, ...] = ()

    @property
    def subject(self) -> str:
        """What a title is made of."""
        return self.text if self.text.strip() else ", ".join(part.name for part in self.attachments)


@dataclass(frozen=True, slots=True, kw_only=True)
class Queued:
    """A message that waits for the answer before it. When its turn comes it is sent under the same id."""

    id: str
    text: str
    created_at: datetime
    attachments: tuple[AttachmentPart, ...] = ()


@dataclass(frozen=True, slots=True)
class Versions:
    """Where a message stands among its siblings: `index` counts from 0, in order of creation."""

    index: int
    ids: tuple[str, ...]

    @property
    def previous(self) -> str | None:
        return self.ids[self.index - 1] if self.index > 0 else None

    @property
    def next(self) -> str | None:
        return self.ids[self.index + 1] if self.index + 1 < len(self.ids) else None


def title_from(question: str) -> str:
    """Return a title made from the first question: its first line with words, at most 60 characters."""
    question = question[:_TITLE_CHARS]
    line = next((line for line in map(str.strip, question.splitlines()) if re.search(r"\w", line)), "")
    line = re.sub(r"^[#>*\-\s`]+", "", line) or question.strip()
    line = re.sub(r"\s+", " ", line)
    if len(line) > 60:
        line = line[:60].rsplit(" ", 1)[0].rstrip(" ,;:.-") + "…"
    return line or "New chat"

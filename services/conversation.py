"""A conversation is a tree of messages with a head; these are its values and pure functions."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

TitleSource = Literal["question", "model", "user"]
"""Who wrote a conversation's title. What a person wrote is never overwritten."""

MAX_TITLE = 120
"""Characters of a title; longer ones are cut when they are set."""


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
    line = next((line for line in map(str.strip, question.splitlines()) if re.search(r"\w", line)), "")
    line = re.sub(r"^[#>*\-\s`]+", "", line) or question.strip()
    line = re.sub(r"\s+", " ", line)
    if len(line) > 60:
        line = line[:60].rsplit(" ", 1)[0].rstrip(" ,;:.-") + "…"
    return line or "New chat"

"""A conversation is a tree of messages with a head; these are its values and pure functions."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from difflib import SequenceMatcher
from typing import Literal

from services.messages import AttachmentPart, Message
from services.options import Options

TitleSource = Literal["question", "model", "user"]
"""Who wrote a conversation's title. What a person wrote is never overwritten."""

MAX_TITLE = 120
"""Characters of a title; longer ones are cut when they are set."""

TRASH = timedelta(days=30)
"""For which a deleted conversation can be restored."""

_TITLE_CHARS = 4_000
"""Characters of a question that are looked at for a title: to go through two million took 80 ms."""


_MOST_COMPARED = 2_000_000
"""Words before times words after of a stretch that is compared word by word: some tenths of a second."""


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
class Whole:
    """A conversation with all its branches: what goes out and comes in as one."""

    conversation: Conversation
    messages: tuple[Message, ...]
    """In order of creation, so a parent comes before its children and the eldest sibling first."""

    @property
    def path(self) -> tuple[Message, ...]:
        """The messages on show, from the root to the head."""
        by_id = {message.id: message for message in self.messages}
        found: list[Message] = []
        at = self.conversation.head_id
        while at is not None and at in by_id and len(found) < len(by_id):
            found.append(by_id[at])
            at = by_id[at].parent_id
        return tuple(reversed(found))


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


@dataclass(frozen=True, slots=True)
class Change:
    """A stretch of text that two versions have in common, or that one of them has."""

    kind: Literal["same", "removed", "added"]
    text: str


def compare(before: str, after: str) -> tuple[Change, ...]:
    """Return what became of a text, word by word.

    The stretches that are not *added* make up `before`, those that are not *removed* make up `after`. Lines are
    compared first, and the words of those that changed, where that is not too much: Ratcliff and Obershelp's way
    (https://docs.python.org/3/library/difflib.html) takes as long as one text times the other.
    """
    found: list[Change] = []
    for change in _by_line(before, after):
        if found and found[-1].kind == change.kind:
            found[-1] = Change(change.kind, found[-1].text + change.text)
        elif change.text:
            found.append(change)
    return tuple(found)


def _by_line(before: str, after: str) -> Iterator[Change]:
    old, new = before.splitlines(keepends=True), after.splitlines(keepends=True)
    matcher = SequenceMatcher(None, old, new, autojunk=len(old) * len(new) > _MOST_COMPARED)
    for kind, i1, i2, j1, j2 in matcher.get_opcodes():
        was, now = "".join(old[i1:i2]), "".join(new[j1:j2])
        if kind == "equal":
            yield Change("same", was)
        else:
            yield from _by_word(was, now)


def _by_word(was: str, now: str) -> Iterator[Change]:
    old, new = (re.findall(r"\w+\s*|[^\w\s]\s*|\s+", text) for text in (was, now))
    if not was or not now or len(old) * len(new) > _MOST_COMPARED:
        yield Change("removed", was)
        yield Change("added", now)
        return
    for kind, i1, i2, j1, j2 in SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if kind == "equal":
            yield Change("same", "".join(old[i1:i2]))
        else:
            yield Change("removed", "".join(old[i1:i2]))
            yield Change("added", "".join(new[j1:j2]))

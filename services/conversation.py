"""A conversation is a tree of messages with a head; these are its values and pure functions."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from services.messages import Message

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


def path_to(head_id: str | None, messages: Mapping[str, Message]) -> list[Message]:
    """Return the messages from the root to `head_id`.

    Raises:
        ValueError: a parent is missing or the links form a cycle.
    """
    path: list[Message] = []
    seen: set[str] = set()
    while head_id is not None:
        if head_id in seen:
            raise ValueError(f"message {head_id!r} is its own ancestor")
        if head_id not in messages:
            raise ValueError(f"message {head_id!r} is not in the conversation")
        seen.add(head_id)
        path.append(messages[head_id])
        head_id = messages[head_id].parent_id
    return path[::-1]


def versions_of(message: Message, siblings: Iterable[Message]) -> Versions:
    """Return the place of `message` among the messages that share its parent. Ids sort by time."""
    ids = tuple(sorted(m.id for m in siblings if m.parent_id == message.parent_id))
    return Versions(ids.index(message.id), ids)


def newest_leaf(message_id: str, messages: Iterable[Message]) -> str:
    """Return the leaf that is reached from `message_id` by always following the newest child."""
    newest: dict[str, str] = {}
    for message in messages:
        parent = message.parent_id
        if parent is not None and message.id > newest.get(parent, ""):
            newest[parent] = message.id
    while message_id in newest:
        message_id = newest[message_id]
    return message_id


def title_from(question: str) -> str:
    """Return a title made from the first question: its first line with words, at most 60 characters."""
    line = next((line for line in map(str.strip, question.splitlines()) if re.search(r"\w", line)), "")
    line = re.sub(r"^[#>*\-\s`]+", "", line) or question.strip()
    line = re.sub(r"\s+", " ", line)
    if len(line) > 60:
        line = line[:60].rsplit(" ", 1)[0].rstrip(" ,;:.-") + "…"
    return line or "New chat"

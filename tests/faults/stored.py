"""What a database holds, read with SQL alone: nothing of the code that wrote it takes part."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from services.storage.engine_sqlite import read_only


@dataclass
class Row:
    """A message."""

    id: str
    conversation: str
    parent: str | None
    seq: int
    role: str
    status: str
    text: str = ""
    runs: list[str] = field(default_factory=list)
    """The runs that wrote it, the earliest first."""
    pending: str = ""
    """What the events hold of a run that has not ended."""


@dataclass
class Stored:
    heads: dict[str, str]
    """By conversation, the one that changed last first; without those that were deleted."""
    messages: dict[str, Row]
    queues: dict[str, list[tuple[str, str]]]
    """By conversation: id and text of what waits, the next one first."""
    streaming: set[str]
    """Runs that have not ended."""

    @classmethod
    def read(cls, path: Path) -> Stored:
        with closing(read_only(path)) as database:
            ask = database.execute
            ask("BEGIN")
            query = "SELECT id, head_id FROM conversations WHERE deleted_at IS NULL ORDER BY updated_at DESC, id DESC"
            heads = dict(ask(query).fetchall())
            query = (
                "SELECT id, conversation_id, parent_id, seq, role, status FROM messages ORDER BY conversation_id, seq"
            )
            messages = {row[0]: Row(*row) for row in ask(query)}
            for message, data in ask("SELECT message_id, data FROM parts WHERE kind = 'text' ORDER BY position"):
                messages[message].text += json.loads(data)["text"]
            streaming = set()
            wrote = {}
            for run, message, status in ask("SELECT id, message_id, status FROM runs ORDER BY rowid"):
                wrote[run] = messages[message]
                messages[message].runs.append(run)
                if status == "streaming":
                    streaming.add(run)
            query = "SELECT run_id, data FROM run_events WHERE kind = 'text_delta' ORDER BY run_id, seq"
            for run, data in ask(query):
                wrote[run].pending += json.loads(data)["text"]
            queues: dict[str, list[tuple[str, str]]] = {}
            waiting = "FROM queued WHERE removed_at IS NULL ORDER BY conversation_id, seq"
            for where, id, text in ask(f"SELECT conversation_id, id, text {waiting}"):
                queues.setdefault(where, []).append((id, text))
        return cls(heads, messages, queues, streaming)

    def path(self, conversation: str) -> list[Row]:
        found, at = [], self.messages.get(self.heads[conversation] or "")
        while at is not None:
            found.append(at)
            at = self.messages.get(at.parent or "")
        return found[::-1]

    def siblings(self, row: Row) -> tuple[str, ...]:
        return tuple(
            other.id
            for other in self.messages.values()
            if (other.conversation, other.parent) == (row.conversation, row.parent)
        )

    def torn(self) -> Iterator[str]:
        """Yield where messages do not form conversations in which one question follows one answer."""
        for row in self.messages.values():
            parent = self.messages.get(row.parent or "")
            if (row.parent is None) != (row.role == "user" and row.seq == 1):
                yield f"{row} has a place that is not its own"
            elif parent is not None and (
                parent.role == row.role or parent.conversation != row.conversation or parent.seq >= row.seq
            ):
                yield f"{row} follows {parent}"
            if row.role == "user" and len(self.siblings(row)) > 1:
                yield f"{row} is one of several that follow the same answer"
            if row.role == "user" and not any(other.parent == row.id for other in self.messages.values()):
                yield f"{row} has no answer"
            if (row.status == "streaming") != bool(self.streaming & set(row.runs)):
                yield f"{row} and its runs are not of one mind, open are {self.streaming}"
        writing = [row.conversation for row in self.messages.values() if row.status == "streaming"]
        if len(writing) != len(set(writing)):
            yield f"two answers are written in one conversation: {writing}"

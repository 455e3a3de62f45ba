"""Values for the storage tests."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from services.conversation import Conversation, Options
from services.events import Numbered, Reply, RunEvent, RunFinished, StepFinished, StepStarted, TextDelta
from services.messages import Message, TextPart, new_id
from services.storage.store import Store

WHEN = datetime(2026, 11, 1, 12, tzinfo=UTC)
ANN = "ann"
BEN = "ben"


def conversation(title: str = "Rain") -> Conversation:
    return Conversation(
        id=new_id(),
        title=title,
        title_source="question",
        head_id=None,
        options=Options(endpoint="local", model="tiny"),
        created_at=WHEN,
        updated_at=WHEN,
    )


@dataclass(frozen=True)
class Exchange:
    """A question, its answer and the run between them."""

    conversation: Conversation
    question: Message
    answer: Message

    @property
    def run_id(self) -> str:
        assert self.answer.run_id is not None
        return self.answer.run_id


def exchange(where: Conversation, text: str = "Why does it rain?", after: str | None = None) -> Exchange:
    asked = Message(
        id=new_id(),
        conversation_id=where.id,
        parent_id=after,
        role="user",
        parts=(TextPart(text),),
        status="complete",
        created_at=WHEN,
    )
    return Exchange(where, asked, answer_to(asked))


def answer_to(question: Message) -> Message:
    return Message(
        id=new_id(),
        conversation_id=question.conversation_id,
        parent_id=question.id,
        role="assistant",
        parts=(),
        status="streaming",
        created_at=WHEN,
        run_id=new_id(),
        endpoint="local",
        model="tiny",
    )


async def begin(store: Store, new: Exchange, owner: str = ANN) -> None:
    await store.begin_run(
        owner, conversation=new.conversation, question=new.question, answer=new.answer, run_id=new.run_id
    )


async def again(store: Store, earlier: Exchange) -> Exchange:
    """Answer an existing question once more."""
    new = Exchange(earlier.conversation, earlier.question, answer_to(earlier.question))
    await store.begin_run(ANN, conversation=new.conversation, question=None, answer=new.answer, run_id=new.run_id)
    return new


async def asked(store: Store, text: str = "Why does it rain?", owner: str = ANN) -> Exchange:
    """Begin a run in a conversation of its own."""
    new = exchange(conversation(), text)
    await begin(store, new, owner)
    return new


def numbered(*events: RunEvent, start: int = 1) -> list[Numbered]:
    return [Numbered(seq, event) for seq, event in enumerate(events, start)]


def told(text: str) -> tuple[RunEvent, ...]:
    """All events of a run that answers `text`."""
    return (
        StepStarted("local", "tiny"),
        TextDelta(text[:3]),
        TextDelta(text[3:]),
        StepFinished("stop", "stop"),
        RunFinished("complete"),
    )


def folded(*events: RunEvent) -> Reply:
    reply = Reply()
    for event in events:
        reply.apply(event)
    return reply


async def finish(store: Store, run_id: str, text: str = "Because of clouds.") -> None:
    await store.finish_run(run_id, reply=folded(*told(text)), first_token_s=0.5, total_s=2.0)


def count_rows(path: Path) -> dict[str, int]:
    """Count what a database holds, by a connection of our own."""
    connection = sqlite3.connect(path)
    try:
        tables = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        found: dict[str, Any] = {name: connection.execute(f"SELECT count(*) FROM {name}").fetchone() for name in tables}
        return {name: count for name, (count,) in found.items() if name != "alembic_version"}
    finally:
        connection.close()

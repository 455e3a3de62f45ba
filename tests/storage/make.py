"""Values for the storage tests."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import create_engine, func, make_url, select, text
from sqlalchemy.pool import NullPool

from services.conversation import Conversation
from services.events import Numbered, Reply, RunEvent, RunFinished, StepFinished, StepStarted, TextDelta
from services.messages import Message, TextPart, new_id
from services.options import Options
from services.storage.schema import metadata
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
    await store.begin_run(owner, conversation=new.conversation, question=new.question, answers=[new.answer])


async def again(store: Store, earlier: Exchange) -> Exchange:
    """Answer an existing question once more."""
    new = Exchange(earlier.conversation, earlier.question, answer_to(earlier.question))
    await store.begin_run(ANN, conversation=new.conversation, question=None, answers=[new.answer])
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


async def stop(store: Store, run_id: str, said: str) -> None:
    """End a run as a person does who has read enough."""
    reply = folded(TextDelta(said), RunFinished("stopped"))
    await store.finish_run(run_id, reply=reply, first_token_s=0.5, total_s=2.0)


class Rows:
    """What a database holds, by connections of our own."""

    def __init__(self, where: Path | str) -> None:
        url = make_url(f"sqlite:///{where}") if isinstance(where, Path) else make_url(where)
        if not isinstance(where, Path):
            url = url.set(drivername="postgresql+psycopg")
        self.engine = create_engine(url, poolclass=NullPool)

    def count(self) -> dict[str, int]:
        """Return the number of rows of each table."""
        with self.engine.connect() as connection:
            return {
                table.name: connection.execute(select(func.count()).select_from(table)).scalar_one()
                for table in metadata.sorted_tables
            }

    def execute(self, sql: str, *values: Mapping[str, object]) -> None:
        with self.engine.begin() as connection:
            connection.execute(text(sql), list(values) or None)

    def clear(self) -> None:
        with self.engine.begin() as connection:
            for table in reversed(metadata.sorted_tables):
                connection.execute(table.delete())

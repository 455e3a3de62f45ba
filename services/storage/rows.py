"""Rows of the tables as values, and back. No SQL is run here."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, field, fields, replace
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Row

from services.conversation import BEGINNING, MAX_TITLE, Conversation, Node, Queued, RunRecord, Versions
from services.events import Numbered
from services.folders import Folder
from services.measures import Measured
from services.messages import Message, Part, clean_text
from services.options import Options
from services.spending import Refused
from services.storage import codec
from services.usage import Usage

_MOST = 2**63 - 1
"""The largest number a column takes; an endpoint that reports more must not cost the answer."""

Values = dict[str, Any]
"""Column names and what goes into them. Stays inside this room."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A conversation at one moment."""

    conversation: Conversation
    path: tuple[Message, ...]
    versions: dict[str, Versions]
    """Of every message that has siblings."""
    queue: tuple[Queued, ...]
    together: tuple[Message, ...] = ()
    """The answers that stand side by side at the end of the path, its own among them; none where there is but one."""


@dataclass(frozen=True, slots=True)
class Begun:
    """What beginning a run came to."""

    conversation: Conversation
    """As it is then."""
    runs: tuple[str, ...]
    """Each writes an answer, the first that of the head; none when the message of the request waits for its turn."""
    fresh: bool
    """False when the request had come before: nothing was stored now, and these are the runs of that first time."""
    refused: dict[str, Refused] = field(default_factory=dict)
    """By run, why it is not to ask a model: a budget has no room for it."""

    @property
    def run_id(self) -> str | None:
        """The first run."""
        return next(iter(self.runs), None)


def to_conversation(row: Row[Any]) -> Conversation:
    return Conversation(
        id=row.id,
        title=row.title,
        title_source=row.title_source,
        head_id=row.head_id,
        options=replace(codec.options_from_json(row.options, row.endpoint), model=row.model),
        created_at=row.created_at,
        updated_at=row.updated_at,
        folder_id=row.folder_id,
        pinned_at=row.pinned_at,
        archived_at=row.archived_at,
        tags=to_tags(row.tags),
    )


def to_tags(kept: str | None) -> tuple[str, ...]:
    return tuple(kept.split()) if kept else ()


def from_tags(tags: Iterable[str]) -> str | None:
    return " ".join(sorted(tags)) or None


def to_folder(row: Row[Any]) -> Folder:
    return Folder(
        id=row.id,
        name=row.name,
        parent_id=row.parent_id,
        options=Options(endpoint=row.endpoint, model=row.model),
        system_prompt=row.system_prompt,
        unfolded=row.unfolded,
    )


def from_folder(folder: Folder) -> Values:
    return {
        "parent_id": folder.parent_id,
        "name": folder.name,
        "endpoint": folder.options.endpoint,
        "model": folder.options.model,
        "system_prompt": folder.system_prompt,
        "unfolded": folder.unfolded,
    }


def from_conversation(owner: str, conversation: Conversation) -> Values:
    return {
        "id": conversation.id,
        "owner": owner,
        "title": clean_text(conversation.title)[:MAX_TITLE],
        "title_source": conversation.title_source,
        **from_options(conversation.options),
        "created_at": conversation.created_at,
        "updated_at": conversation.updated_at,
        "folder_id": conversation.folder_id,
        "pinned_at": conversation.pinned_at,
        "archived_at": conversation.archived_at,
        "tags": from_tags(conversation.tags),
    }


def from_options(options: Options) -> Values:
    return {"endpoint": options.endpoint, "model": options.model, "options": codec.options_to_json(options)}


def to_message(row: Row[Any], parts: tuple[Part, ...]) -> Message:
    return Message(
        id=row.id,
        conversation_id=row.conversation_id,
        parent_id=row.parent_id,
        role=row.role,
        parts=parts,
        status=row.status,
        created_at=row.created_at,
        run_id=row.run_id,
        endpoint=row.endpoint,
        model=row.model,
        options=None if row.options is None else codec.options_from_json(row.options, row.endpoint),
        usage=to_usage(row),
        picked_from=row.picked_from,
        memory=codec.memory_from_json(row.memory),
        processed=codec.processed_from_json(row.processed),
        together=row.together,
    )


def from_message(message: Message, seq: int) -> Values:
    return {
        "id": message.id,
        "conversation_id": message.conversation_id,
        "parent_id": message.parent_id,
        "seq": seq,
        "role": message.role,
        "status": message.status,
        "run_id": message.run_id,
        "endpoint": message.endpoint,
        "model": message.model,
        "options": codec.options_to_json(message.options),
        **from_usage(message.usage),
        "created_at": message.created_at,
        "picked_from": message.picked_from,
        "memory": codec.memory_to_json(message.memory),
        "processed": codec.processed_to_json(message.processed),
        "together": message.together,
    }


def to_node(row: Row[Any]) -> Node:
    words = " ".join(codec.beginning_from_json(row.cut or "").split())
    return Node(
        id=row.id,
        parent_id=row.parent_id,
        role=row.role,
        status=row.status,
        endpoint=row.endpoint,
        model=row.model,
        created_at=row.created_at,
        beginning=words if len(words) <= BEGINNING else f"{words[: BEGINNING - 1]}…",
        picked_from=row.picked_from,
    )


def to_part(row: Row[Any]) -> Part:
    return codec.part_from_json(row.kind, row.data)


def from_parts(message_id: str, parts: tuple[Part, ...]) -> list[Values]:
    return [
        {"message_id": message_id, "position": position, "kind": part.kind, "data": codec.part_to_json(part)}
        for position, part in enumerate(parts)
    ]


def to_numbered(row: Row[Any]) -> Numbered:
    return Numbered(row.seq, codec.event_from_json(row.kind, row.data))


def from_numbered(run_id: str, numbered: Numbered) -> Values:
    event = numbered.event
    return {"run_id": run_id, "seq": numbered.seq, "kind": event.kind, "data": codec.event_to_json(event)}


def to_run(row: Row[Any]) -> RunRecord:
    return RunRecord(
        id=row.id,
        conversation_id=row.conversation_id,
        message_id=row.message_id,
        status=row.status,
        endpoint=row.endpoint,
        model=row.model,
        started_at=row.started_at,
        finished_at=row.finished_at,
        first_token_s=row.first_token_s,
        total_s=row.total_s,
        finish_reason=row.finish_reason,
        response_id=row.response_id,
        request_id=row.request_id,
        usage=to_usage(row),
        failure=None if row.failure is None else codec.failure_from_json(row.failure),
        probabilities=codec.tokens_from_json(row.probabilities),
    )


def from_run(run: RunRecord) -> Values:
    return {
        "id": run.id,
        "conversation_id": run.conversation_id,
        "message_id": run.message_id,
        "status": run.status,
        "endpoint": run.endpoint,
        "model": run.model,
        "started_at": run.started_at,
        "finished_at": run.finished_at,
        "first_token_s": run.first_token_s,
        "total_s": run.total_s,
        "finish_reason": run.finish_reason,
        "response_id": run.response_id,
        "request_id": run.request_id,
        **from_usage(run.usage),
        "failure": None if run.failure is None else codec.failure_to_json(run.failure),
        "probabilities": codec.tokens_to_json(run.probabilities),
    }


def from_usage(usage: Usage | None) -> Values:
    """Return the usage columns; unknown usage is NULL in all of them, never 0."""
    if usage is None:
        return {field.name: None for field in fields(Usage)}
    return {name: min(count, _MOST) for name, count in asdict(usage).items()}


def to_usage(row: Row[Any]) -> Usage | None:
    if row.input is None:
        return None
    return Usage(input=row.input, cached_input=row.cached_input, output=row.output, reasoning=row.reasoning)


def to_measured(row: Row[Any]) -> Measured:
    return Measured(
        id=row.id,
        at=datetime.fromtimestamp(row.at / 1000, UTC),
        endpoint=row.endpoint,
        model=row.model,
        kind=row.kind,
        status=row.status,
        error=row.error,
        usage=to_usage(row),
        price=row.price,
        queue_s=row.queue_s,
        first_token_s=row.first_token_s,
        total_s=row.total_s,
        retries=row.retries,
        conversation_id=row.conversation_id,
    )

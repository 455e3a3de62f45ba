"""Conversations of any shape, for whatever takes all of one."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import get_args

from hypothesis import strategies as st

from services.conversation import MAX_TITLE, Conversation, Queued, RunRecord, TitleSource, Whole
from services.errors import Failure, FailureKind, NextStep
from services.events import FinishReason
from services.exporting import beginning, ending, json_of
from services.folders import MAX_DEPTH, clean_tags
from services.importing import opened
from services.messages import (
    MESSAGE_STATUSES,
    TRANSITIONS,
    AttachmentPart,
    ErrorPart,
    Memory,
    Message,
    Part,
    Processed,
    ProviderMetadata,
    ReasoningPart,
    TextPart,
    ToolCallPart,
    clean_text,
    new_id,
)
from services.options import Options
from services.usage import Usage

NOTE = b"Rain falls.\n"
NOTE_PART = AttachmentPart(hashlib.sha256(NOTE).hexdigest(), "note.txt", "text/plain", len(NOTE))

_texts = st.text(st.characters(exclude_categories=()), max_size=30).map(clean_text)
_counts = st.integers(0, 2**53)
_times = st.datetimes(datetime(1971, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001
_names = st.none() | _texts
_usages = st.none() | st.builds(Usage, input=_counts, cached_input=_counts, output=_counts, reasoning=_counts)
_failures = st.builds(
    Failure,
    kind=st.sampled_from(get_args(FailureKind)),
    message=_texts,
    next_step=st.sampled_from(get_args(NextStep)),
    retry_after_s=st.none() | st.floats(0, 1e6),
    status_code=st.none() | _counts,
    detail=_names,
)
_parts: st.SearchStrategy[Part] = st.one_of(
    st.builds(TextPart, _texts),
    st.builds(
        ReasoningPart,
        _texts,
        st.none()
        | st.builds(ProviderMetadata, _texts, _texts.map(lambda text: json.dumps({"type": "reasoning", "id": text}))),
        seconds=st.none() | st.floats(0, 1e6),
    ),
    st.builds(ToolCallPart, _texts, _texts, _texts),
    st.builds(ErrorPart, _failures),
    st.just(NOTE_PART),
)
_options = st.builds(
    Options,
    endpoint=_names,
    model=_names,
    temperature=st.none() | st.floats(0, 2),
    max_output_tokens=st.none() | st.integers(1, 10_000),
    frequency_penalty=st.none() | st.floats(-2, 2),
    stop=st.none() | st.just(("\t;", "END")),
    seed=st.none() | st.integers(-(2**63), 2**63 - 1),
    reasoning_effort=st.none() | st.sampled_from(("low", "high")),
    output=st.none() | st.just("json"),
    post=st.none() | st.just(()) | st.just(("trim", "my-own.step")),
)
_FINAL = [status for status in MESSAGE_STATUSES if not TRANSITIONS[status]]


def _processed(texts: int) -> st.SearchStrategy[Processed]:
    """Return what can have been made of a message with so many texts."""
    return st.builds(
        Processed,
        texts=st.tuples(*[_texts] * texts),
        steps=st.sampled_from(((), ("trim",), ("typography", "mine"))),
        problems=st.sampled_from(((), ("It was left out.",))),
        shown=st.booleans(),
    )


def _runs(conversation_id: str, message_id: str) -> st.SearchStrategy[RunRecord]:
    return st.builds(
        RunRecord,
        id=st.builds(new_id),
        conversation_id=st.just(conversation_id),
        message_id=st.just(message_id),
        status=st.sampled_from(_FINAL),
        endpoint=_names,
        model=_names,
        started_at=_times,
        finished_at=st.none() | _times,
        first_token_s=st.none() | st.floats(0, 1e6),
        total_s=st.none() | st.floats(0, 1e6),
        finish_reason=st.none() | st.sampled_from(get_args(FinishReason)),
        response_id=_names,
        request_id=_names,
        usage=_usages,
        failure=st.none() | _failures,
    )


@st.composite
def wholes(draw: st.DrawFn) -> Whole:
    """Any tree of up to ten messages, roots that are siblings among them."""
    id = new_id()
    messages: list[Message] = []
    for _ in range(draw(st.integers(0, 10))):
        parent = draw(st.none() | st.sampled_from(messages)) if messages else None
        endpoint = draw(_names)
        held = tuple(draw(st.lists(_parts, max_size=3)))
        one = Message(
            id=new_id(),
            conversation_id=id,
            parent_id=parent.id if parent else None,
            role=draw(st.sampled_from(("user", "assistant"))),
            parts=held,
            status=draw(st.sampled_from(_FINAL)),
            created_at=draw(_times),
            endpoint=endpoint,
            model=draw(_names),
            options=draw(st.none() | _options.map(lambda given, at=endpoint: replace(given, endpoint=at))),
            usage=draw(_usages),
            picked_from=draw(st.none() | st.sampled_from([m.id for m in messages])) if messages else None,
            processed=draw(st.none() | _processed(sum(isinstance(part, TextPart) for part in held))),
            together=draw(st.none() | st.sampled_from([m.id for m in messages])) if messages else None,
            memory=draw(st.none() | st.builds(Memory, summary=st.none() | _texts, model=_names, at=_times)),
        )
        messages.append(one)
    conversation = Conversation(
        id=id,
        title=draw(_texts)[:MAX_TITLE],
        title_source=draw(st.sampled_from(get_args(TitleSource))),
        head_id=draw(st.sampled_from(messages)).id if messages else None,
        options=draw(_options),
        created_at=draw(_times),
        updated_at=draw(_times),
        pinned_at=draw(st.none() | _times),
        archived_at=draw(st.none() | _times),
        tags=clean_tags(draw(st.lists(_texts, max_size=3))),
    )
    answers = [message for message in messages if message.role == "assistant"]
    runs = [draw(_runs(id, message.id)) for message in answers for _ in range(draw(st.integers(0, 2)))]
    runs.sort(key=lambda run: (run.started_at, run.id))
    by_message = {run.message_id: run.id for run in runs}
    wrote = tuple(replace(message, run_id=by_message.get(message.id)) for message in messages)
    queue = [
        Queued(
            id=new_id(),
            text=draw(_texts),
            created_at=draw(_times),
            attachments=draw(st.sampled_from(((), (NOTE_PART,)))),
        )
        for _ in range(draw(st.integers(0, 3)))
    ]
    folder = draw(st.lists(st.sampled_from(("Work", "Käse <b>", "2026")), max_size=MAX_DEPTH))
    return Whole(conversation, wrote, tuple(runs), tuple(queue), tuple(folder))


def exported(conversations: Sequence[Whole]) -> str:
    """Return conversations as a JSON file."""
    return beginning() + "".join(json_of(one, first=n == 0) for n, one in enumerate(conversations)) + ending()


def read(file: Path) -> list[Whole]:
    """Return the conversations of a file."""
    with opened(file) as source:
        return [found.whole for found in source.conversations() if found.whole is not None]


def plain(*conversations: Whole) -> dict[str, object]:
    """Return a JSON file as values, to be spoilt."""
    value: dict[str, object] = json.loads(exported(conversations))
    return value

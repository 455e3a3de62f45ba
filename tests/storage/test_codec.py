from __future__ import annotations

import json
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.errors import Failure, FailureKind, NextStep, StorageError
from services.events import (
    Completing,
    FinishReason,
    KeyRefused,
    ModelNamed,
    ReasoningDelta,
    ReasoningEnded,
    ReasoningStarted,
    RequestSent,
    RetryScheduled,
    RunEvent,
    RunFinished,
    StepFinished,
    StepStarted,
    TextDelta,
    TokensScored,
    ToolCallRequested,
    UsageReported,
    is_delta,
)
from services.messages import (
    MESSAGE_STATUSES,
    AttachmentPart,
    ErrorPart,
    Part,
    ReasoningPart,
    TextPart,
    ToolCallPart,
    clean_text,
)
from services.probabilities import MOST_CHARS, Token
from services.storage import codec
from services.usage import Usage

anything = st.text(st.characters(exclude_categories=()))
texts = anything.map(clean_text)
counts = st.integers(min_value=0, max_value=2**53)
usages = st.builds(Usage, input=counts, cached_input=counts, output=counts, reasoning=counts)
failures = st.builds(
    Failure,
    kind=st.sampled_from(get_args(FailureKind)),
    message=texts,
    next_step=st.sampled_from(get_args(NextStep)),
    retry_after_s=st.none() | st.floats(0, 1e6),
    parameter=st.none() | texts,
    status_code=st.none() | counts,
    request_id=st.none() | texts,
    detail=st.none() | texts,
)
PARTS = [
    st.builds(TextPart, texts),
    st.builds(ReasoningPart, texts, seconds=st.none() | st.floats(0, 1e6)),
    st.builds(ToolCallPart, texts, texts, texts),
    st.builds(ErrorPart, failures),
    st.builds(AttachmentPart, texts, texts, texts, counts),
]
pieces = st.builds(
    Token,
    texts.map(lambda text: text[:MOST_CHARS]),
    st.floats(-1000, 0).map(lambda value: round(value, 4)),
)
EVENTS = [
    st.builds(StepStarted, texts, texts),
    st.builds(RequestSent, texts),
    st.builds(KeyRefused, texts, failures),
    st.builds(ModelNamed, st.none() | texts, st.none() | texts, st.none() | texts),
    st.builds(ReasoningStarted, st.floats(0, 1e12)),
    st.builds(ReasoningEnded, st.floats(0, 1e6)),
    st.builds(ReasoningDelta, texts),
    st.builds(TextDelta, texts),
    st.builds(TokensScored, st.lists(pieces, max_size=3).map(tuple)),
    st.builds(ToolCallRequested, texts, texts, texts),
    st.builds(UsageReported, usages),
    st.builds(StepFinished, st.sampled_from(get_args(FinishReason)), texts),
    st.builds(RetryScheduled, counts, counts, st.floats(0, 1e12), failures),
    st.builds(Completing),
    st.builds(RunFinished, st.sampled_from(MESSAGE_STATUSES), st.none() | failures),
]
parts: st.SearchStrategy[Part] = st.one_of(*PARTS)
events: st.SearchStrategy[RunEvent] = st.one_of(*EVENTS)


def test_the_strategies_know_every_part_and_event() -> None:
    assert len(PARTS) == len(get_args(Part))
    assert len(EVENTS) == len(get_args(RunEvent))


@given(parts)
def test_a_part_comes_back_as_it_was(part: Part) -> None:
    assert codec.part_from_json(part.kind, codec.part_to_json(part)) == part


@given(events)
def test_an_event_comes_back_as_it_was(event: RunEvent) -> None:
    assert codec.event_from_json(event.kind, codec.event_to_json(event)) == event


@given(failures)
def test_a_failure_comes_back_as_it_was(failure: Failure) -> None:
    assert codec.failure_from_json(codec.failure_to_json(failure)) == failure


@given(anything)
def test_text_that_nobody_cleaned_is_cleaned_rather_than_refused(text: str) -> None:
    stored = codec.part_to_json(TextPart(text))
    stored.encode()
    assert codec.part_from_json("text", stored) == TextPart(clean_text(text))


@given(anything)
def test_text_inside_a_failure_is_cleaned_too(text: str) -> None:
    stored = codec.event_to_json(RunFinished("failed", Failure(kind="server", message=text)))
    stored.encode()
    assert codec.event_from_json("run_finished", stored) == RunFinished(
        "failed", Failure(kind="server", message=clean_text(text))
    )


@given(events)
def test_delta_kinds_are_the_deltas(event: RunEvent) -> None:
    assert (event.kind in codec.DELTA_KINDS) == is_delta(event)


def test_kinds_and_words_from_a_newer_version_say_so() -> None:
    with pytest.raises(StorageError, match=r"part of the kind 'hologram'.*Update Panelist"):
        codec.part_from_json("hologram", "{}")
    with pytest.raises(StorageError, match=r"event of the kind 'rewound'.*Update Panelist"):
        codec.event_from_json("rewound", "{}")
    with pytest.raises(StorageError, match=r"status 'dreaming'.*Update Panelist"):
        codec.event_from_json("run_finished", '{"status": "dreaming"}')
    with pytest.raises(StorageError, match=r"kind 'karma'.*Update Panelist"):
        codec.part_from_json("error", '{"kind": "karma", "message": "x", "next_step": "retry"}')


def test_a_field_that_a_newer_version_added_is_ignored() -> None:
    assert codec.part_from_json("text", json.dumps({"text": "a", "language": "en"})) == TextPart("a")


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("text_delta", ""),
        ("text_delta", "[]"),
        ("text_delta", '{"text": "cut of'),
        ("text_delta", "{}"),
        ("text_delta", '{"text": 1}'),
        ("usage_reported", '{"input": "many"}'),
        ("run_finished", '{"status": "failed", "failure": []}'),
        (
            "run_finished",
            '{"status": "failed", "failure": {"kind": "server", "message": "", "next_step": "retry", "detail": 1}}',
        ),
        ("model_named", '{"model": 3}'),
        ("key_refused", '{"key": "old"}'),
        ("retry_scheduled", '{"attempt": 2, "of": 3, "at": 1.5}'),
    ],
)
def test_damaged_text_is_named(kind: str, text: str) -> None:
    with pytest.raises(StorageError, match="damaged"):
        codec.event_from_json(kind, text)


@given(st.lists(PARTS[-1], max_size=3))
def test_what_waits_keeps_its_attachments(attachments: list[AttachmentPart]) -> None:
    text = codec.attachments_to_json(attachments)
    assert (text is None) is (not attachments)
    assert codec.attachments_from_json(text) == tuple(attachments)


@pytest.mark.parametrize("text", ["", "[]", '{"attachments": 1}', '{"attachments": [1]}', '{"attachments": [{}]}'])
def test_damaged_attachments_are_told(text: str) -> None:
    with pytest.raises(StorageError, match="damaged"):
        codec.attachments_from_json(text)

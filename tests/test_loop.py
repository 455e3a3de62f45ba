"""How a run ends: only the model's own finish reason makes an answer complete."""

from __future__ import annotations

import asyncio

import pytest

from services.endpoints import Endpoint
from services.events import (
    ReasoningDelta,
    ReasoningEnded,
    ReasoningStarted,
    Reply,
    RunEvent,
    RunFinished,
    StepFinished,
    StepStarted,
    TextDelta,
    ToolCallRequested,
)
from services.loop import Deadlines, run_loop
from services.messages import ReasoningPart
from services.providers.base import ModelRequest
from tests.scripted import ScriptedProvider, Step, answer, refusal, thoughtful

ENDPOINT = Endpoint(name="here", base_url="http://127.0.0.1:9/v1")
REQUEST = ModelRequest(endpoint=ENDPOINT, model="model-a", messages=())


async def events_of(script: list[Step], deadlines: Deadlines | None = None) -> list[RunEvent]:
    provider = ScriptedProvider(script)
    events = [event async for event in run_loop(provider, REQUEST, deadlines or Deadlines())]
    assert provider.closed_streams == 1
    return events


async def end_of(script: list[Step], deadlines: Deadlines | None = None) -> RunFinished:
    events = await events_of(script, deadlines)
    assert isinstance(events[0], StepStarted)
    assert sum(isinstance(event, RunFinished) for event in events) == 1
    end = events[-1]
    assert isinstance(end, RunFinished)
    return end


async def test_a_whole_answer_is_complete() -> None:
    events = await events_of(answer("Hel", "lo"))
    assert events == [
        StepStarted("here", "model-a"),
        TextDelta("Hel"),
        TextDelta("lo"),
        StepFinished("stop", "stop"),
        RunFinished("complete"),
    ]


@pytest.mark.parametrize(
    ("script", "status", "kind"),
    [
        (["Hel"], "interrupted", "garbled"),
        ([], "failed", "garbled"),
        (answer(), "failed", "garbled"),
        (answer("cut", reason="length"), "truncated", None),
        (answer("bad", reason="content_filter"), "filtered", "filtered"),
        (answer("no", reason="refusal"), "refused", None),
        (["Hel", refusal("unreachable")], "interrupted", "unreachable"),
        ([refusal("auth")], "failed", "auth"),
        (thoughtful("hm", "ok"), "complete", None),
        (thoughtful("hm")[:1], "interrupted", "garbled"),
        ([*answer("whole"), refusal("server")], "complete", None),
        ([ToolCallRequested("1", "rm", "{}"), StepFinished("tool_calls", "tool_calls")], "failed", "garbled"),
        (["I will ", ToolCallRequested("1", "rm", "{}"), *answer(reason="tool_calls")], "interrupted", "garbled"),
    ],
)
async def test_no_cut_answer_looks_complete(script: list[Step], status: str, kind: str | None) -> None:
    end = await end_of(script)
    assert end.status == status
    assert (end.failure.kind if end.failure else None) == kind


@pytest.mark.parametrize(
    ("script", "kinds"),
    [
        (thoughtful("hm", "ok"), "started reasoning ended text"),
        ([ReasoningDelta("h"), ReasoningDelta("m"), *answer("ok")], "started reasoning reasoning ended text"),
        ([*thoughtful("hm", "I")[:2], *thoughtful("hm", "see")], " ".join(["started reasoning ended text"] * 2)),
        ([ReasoningDelta("hm")], "started reasoning ended"),
        ([ReasoningDelta("hm"), refusal()], "started reasoning ended"),
        (answer("ok"), "text"),
    ],
)
async def test_thinking_is_timed_from_its_first_sign_to_what_follows(script: list[Step], kinds: str) -> None:
    words = {ReasoningStarted: "started", ReasoningDelta: "reasoning", ReasoningEnded: "ended", TextDelta: "text"}
    events = await events_of(script)
    assert " ".join(words[type(event)] for event in events if type(event) in words) == kinds
    reply = Reply()
    for event in events:
        reply.apply(event)
    ended = [event.seconds for event in events if isinstance(event, ReasoningEnded)]
    assert [part.seconds for part in reply.parts if isinstance(part, ReasoningPart)] == ended


async def test_silence_before_the_first_word_ends_the_run() -> None:
    end = await end_of([asyncio.Event()], Deadlines(first_token_s=0.01))
    assert end.status == "failed"
    assert end.failure is not None
    assert end.failure.message == "here did not begin to answer within 0.01 s."


async def test_silence_in_the_middle_keeps_what_came() -> None:
    end = await end_of(["Hel", asyncio.Event()], Deadlines(stall_s=0.01))
    assert end.status == "interrupted"
    assert end.failure is not None
    assert "went silent for 0.01 s" in end.failure.message


async def test_a_run_has_a_last_moment() -> None:
    end = await end_of(["Hel", asyncio.Event()], Deadlines(run_s=0.02))
    assert end.failure is not None
    assert "longer than 0.02 s" in end.failure.message


async def test_closing_the_loop_closes_the_stream() -> None:
    provider = ScriptedProvider(["Hel", asyncio.Event()])
    events = run_loop(provider, REQUEST, Deadlines())
    assert isinstance(await anext(events), StepStarted)
    assert await anext(events) == TextDelta("Hel")
    await events.aclose()
    assert provider.closed_streams == 1


async def test_a_model_that_says_it_thinks_may_be_silent_for_longer() -> None:
    deadlines = Deadlines(first_token_s=0.02)
    events = await events_of([ReasoningStarted(1.0), ReasoningDelta("hm"), *answer("ok")], deadlines)
    assert [type(event) for event in events].count(ReasoningStarted) == 1
    reply = Reply()
    for event in await events_of([ReasoningStarted(1.0), *answer("ok")]):
        reply.apply(event)
    hidden = reply.parts[0]
    assert isinstance(hidden, ReasoningPart)
    assert (hidden.text, hidden.seconds is None) == ("", False)

    async def late() -> None:
        await asyncio.sleep(0.05)
        gate.set()

    gate = asyncio.Event()
    waiting = asyncio.create_task(late())
    end = await end_of([ReasoningStarted(1.0), gate, *answer("ok")], deadlines)
    await waiting
    assert end.status == "complete"
    end = await end_of([ReasoningStarted(1.0), asyncio.Event()], deadlines)
    assert end.failure is not None
    assert "within 0.1 s" in end.failure.message

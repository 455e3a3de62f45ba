"""The Responses API of servers that nobody here wrote."""

from __future__ import annotations

import dataclasses

import pytest

from services.errors import Failure
from services.events import ReasoningDelta, Reply, RunEvent, StepFinished, TextDelta, UsageReported
from services.messages import Message, TextPart
from services.providers.base import ModelRequest
from tests.providers.asking import ask, provider, request
from tests.providers.folding import calls, finish, text

pytestmark = pytest.mark.server


def asking(base_url: str, question: str, *before: Message, model: str = "o3-mock") -> ModelRequest:
    one = request(base_url, profile="openai")
    last = dataclasses.replace(one.messages[0], parts=(TextPart(question),))
    return dataclasses.replace(one, model=model, messages=(*before, last), system_prompt="Be brief.")


async def answer(asked: ModelRequest) -> tuple[list[RunEvent], Failure | None]:
    async with provider() as made:
        return await ask(made, asked)


async def test_aimock_answers_and_gets_its_reasoning_back(aimock: str) -> None:
    asked = asking(aimock, "think first")
    events, failure = await answer(asked)
    assert failure is None
    assert text(events) == "Forty-two."
    assert isinstance(events[-1], StepFinished)
    assert "".join(event.text for event in events if isinstance(event, ReasoningDelta)) == "Six times seven."
    reply = Reply()
    for event in events:
        reply.apply(event)
    assert any(getattr(part, "provider_metadata", None) for part in reply.parts)
    earlier = dataclasses.replace(asked.messages[0], role="assistant", parts=reply.parts)
    events, failure = await answer(asking(aimock, "say hello", asked.messages[0], earlier))
    assert (text(events), finish(events), failure) == ("Hello from aimock.", "stop", None)


async def test_aimock_asks_for_tools(aimock: str) -> None:
    events, failure = await answer(asking(aimock, "the weather", model="gpt-mock"))
    assert failure is None
    assert calls(events) == [("call_w1", "get_weather", '{"city":"Paris"}')]
    assert finish(events) == "tool_calls"


@pytest.mark.parametrize(
    ("question", "kind"),
    [
        ("limit me", "rate_limit"),
        ("break down", "server"),
        ("refuse my key", "auth"),
        ("garble it", "garbled"),
        ("hang up", "unreachable"),
        ("cut it", "unreachable"),
        ("be long", "server"),  # aimock gives no reason for being incomplete
    ],
)
async def test_aimock_fails_in_words(aimock: str, question: str, kind: str) -> None:
    events, failure = await answer(asking(aimock, question))
    assert finish(events) is None
    assert failure is not None
    assert failure.kind == kind


async def test_llamacpp_answers(llamacpp_brief: str) -> None:
    asked = asking(llamacpp_brief, "Hello", model="panelist-tiny")
    events, failure = await answer(asked)
    assert failure is None
    assert any(isinstance(event, TextDelta) for event in events)
    assert any(isinstance(event, UsageReported) and event.usage.output > 0 for event in events)
    assert finish(events) == "stop"
    reply = Reply()
    for event in events:
        reply.apply(event)
    earlier = dataclasses.replace(asked.messages[0], role="assistant", parts=reply.parts)
    _, failure = await answer(asking(llamacpp_brief, "And?", asked.messages[0], earlier, model="panelist-tiny"))
    assert failure is None

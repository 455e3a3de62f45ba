"""What a terminal asks comes to the same through both doors."""

from __future__ import annotations

import asyncio
from typing import get_type_hints

import pytest

from services.attachments import Piece
from services.door import Door, Question, with_set
from services.door.wire import CALLS
from services.errors import InputError, ModelError, NotFoundError
from services.events import (
    ReasoningDelta,
    RunFinished,
    StepFinished,
    StepStarted,
    TextDelta,
    ToolCallRequested,
    UsageReported,
)
from services.messages import ProviderMetadata
from services.options import Options
from services.settings import LOCAL_OWNER
from services.usage import Usage
from tests.conftest import until
from tests.door.conftest import OpenHouse, followed
from tests.scripted import ScriptedProvider, answer, refusal, thoughtful

USED = UsageReported(Usage(input=3, output=5, reasoning=2))


def test_everything_can_be_asked_from_elsewhere() -> None:
    methods = {name for name in vars(Door) if not name.startswith("_")}
    assert methods == {*CALLS, "follow"}
    for name, takes in CALLS.items():
        assert takes == get_type_hints(getattr(Door, name))


async def test_a_question_is_answered(open_house: OpenHouse) -> None:
    script = [ReasoningDelta("Hm ", ProviderMetadata("x", "{}")), "Ünd 🙂", " so.", USED, StepFinished("stop", "stop")]
    house = await open_house(script)
    begun = await house.door.ask(Question(text="Why?\n", options=Options(model="model-b", system_prompt="Be brief.")))
    happened = await followed(house.door, begun)
    events = [event for one in happened for event in one.events]
    assert isinstance(events[0], StepStarted)
    assert "".join(event.text for event in events if isinstance(event, TextDelta)) == "Ünd 🙂 so."
    assert ReasoningDelta("Hm ", ProviderMetadata("x", "{}")) in events
    assert events[-1] == RunFinished("complete")
    assert [one.upto for one in happened] == sorted(one.upto for one in happened)
    told = await house.door.answer(begun.conversation_id, begun.message_id, begun.warned)
    assert (told.status, told.text, told.reasoning) == ("complete", "Ünd 🙂 so.", "Hm ")
    assert (told.model, told.finish_reason, told.usage) == ("model-b", "stop", USED.usage)
    assert told.failure is told.price is told.warning is told.request_id is None
    assert told.total_s is not None
    shown = await house.app.chat.open(LOCAL_OWNER, begun.conversation_id)
    assert [message.text for message in shown.path] == ["Why?", "Ünd 🙂 so."], "the page has it, too"
    assert house.app.chat.changes.version(LOCAL_OWNER) > 0


async def test_an_answer_that_fails_says_why(open_house: OpenHouse) -> None:
    house = await open_house(
        [ToolCallRequested("1", "look", '{"a'), StepFinished("tool_calls", "tool_calls")], [refusal("quota")]
    )
    begun = await house.door.ask(Question(text="One"))
    await followed(house.door, begun)
    told = await house.door.answer(begun.conversation_id, begun.message_id)
    assert [(call.name, call.arguments) for call in told.tool_calls] == [("look", '{"a')]
    begun = await house.door.retry(begun.conversation_id, begun.message_id)
    await followed(house.door, begun)
    told = await house.door.answer(begun.conversation_id, begun.message_id)
    assert told.failure is not None
    assert (told.status, told.failure.kind, told.text, told.reasoning) == ("failed", "quota", "", None)


async def test_a_run_is_stopped_and_what_came_is_kept(open_house: OpenHouse) -> None:
    house = await open_house(["Half", asyncio.Event()])
    begun = await house.door.ask(Question(text="One"))
    async for happened in house.door.follow(begun.run_id or ""):
        if any(isinstance(event, TextDelta) for event in happened.events):
            await house.door.stop(begun.run_id or "")
    told = await house.door.answer(begun.conversation_id, begun.message_id)
    assert (told.status, told.text) == ("stopped", "Half")


async def test_who_leaves_stops_nothing_and_can_come_back(open_house: OpenHouse) -> None:
    gate = asyncio.Event()
    house = await open_house(["Half ", gate, "done.", StepFinished("stop", "stop")])
    begun = await house.door.ask(Question(text="One", request_key="k"))
    stream = house.door.follow(begun.run_id or "")
    upto = 0
    async for happened in stream:
        upto = happened.upto
        if any(isinstance(event, TextDelta) for event in happened.events):
            break
    await stream.aclose()
    gate.set()
    again = await house.door.ask(Question(text="One", request_key="k"))
    assert (again.conversation_id, again.message_id) == (begun.conversation_id, begun.message_id)
    late = [event async for one in house.door.follow(begun.run_id or "", upto) for event in one.events]
    assert all(not isinstance(event, TextDelta) or "Half" not in event.text for event in late)
    await until(lambda: not house.app.busy)
    told = await house.door.answer(begun.conversation_id, begun.message_id)
    assert (told.status, told.text) == ("complete", "Half done.")


async def test_options_that_are_set_hold_from_then_on(open_house: OpenHouse) -> None:
    house = await open_house(*(answer("So.") for _ in range(3)))
    begun = await house.door.ask(Question(text="One", options=Options(model="model-a", temperature=0.5)))
    await followed(house.door, begun)
    here = begun.conversation_id
    more = Question(text="Two", conversation_id=here, options=Options(temperature=1.0, verbosity="low"))
    begun = await house.door.ask(more)
    assert begun.left_out == ("verbosity",), "a server that nobody knows does not take it"
    await followed(house.door, begun)
    await followed(house.door, await house.door.ask(Question(text="Three", conversation_id=here)))
    provider = house.app.provider
    assert isinstance(provider, ScriptedProvider)
    assert [request.options.temperature for request in provider.requests] == [0.5, 1.0, 1.0]
    told = await house.door.conversation(here)
    assert told.options == Options(model="model-a", temperature=1.0, verbosity="low")
    assert await house.door.conversations(5) == (told,)
    await house.door.set_options(here, Options())
    assert (await house.door.conversation(here)).options == Options()


def test_another_endpoint_leaves_the_model_behind() -> None:
    before = Options(endpoint="one", model="m", seed=1)
    assert with_set(before, Options(endpoint="two")) == Options(endpoint="two", seed=1)
    assert with_set(before, Options(endpoint="one")) == before
    assert with_set(before, Options(endpoint="two", model="n")) == Options(endpoint="two", model="n", seed=1)


async def test_what_is_said_last_is_told(open_house: OpenHouse) -> None:
    house = await open_house(answer("So."), answer("And so."))
    begun = await house.door.ask(Question(text="One"))
    await followed(house.door, begun)
    await followed(house.door, await house.door.ask(Question(text="Two", conversation_id=begun.conversation_id)))
    said = await house.door.said(begun.conversation_id, 3)
    assert [(one.role, one.text, one.status) for one in said] == [
        ("assistant", "So.", "complete"),
        ("user", "Two", "complete"),
        ("assistant", "And so.", "complete"),
    ]
    assert len(await house.door.said(begun.conversation_id, 99)) == 4
    assert await house.door.said(begun.conversation_id, 0) == ()


async def test_a_busy_conversation_takes_no_second_question(open_house: OpenHouse) -> None:
    gate = asyncio.Event()
    house = await open_house(["Half ", gate, "done.", StepFinished("stop", "stop")])
    begun = await house.door.ask(Question(text="One"))
    with pytest.raises(InputError, match="still being written"):
        await house.door.ask(Question(text="Two", conversation_id=begun.conversation_id))
    gate.set()
    await followed(house.door, begun)
    shown = await house.app.chat.open(LOCAL_OWNER, begun.conversation_id)
    assert (len(shown.path), shown.waiting.messages) == (2, ())


async def test_two_at_the_same_moment_leave_nothing_waiting(open_house: OpenHouse) -> None:
    house = await open_house(answer("So."), answer("So."), answer("So."))
    begun = await house.door.ask(Question(text="One"))
    await followed(house.door, begun)
    here = begun.conversation_id
    both = [house.door.ask(Question(text=text, conversation_id=here)) for text in ("Two", "Three")]
    done = await asyncio.gather(*both, return_exceptions=True)
    await until(lambda: not house.app.busy)
    shown = await house.app.chat.open(LOCAL_OWNER, here)
    refused = [one for one in done if isinstance(one, BaseException)]
    assert all(isinstance(one, InputError) for one in refused)
    assert len(shown.path) == 2 + 2 * (2 - len(refused))
    assert shown.waiting.messages == ()


async def test_files_go_along(open_house: OpenHouse) -> None:
    house = await open_house(answer("So."))
    data = "Räin\n".encode()
    progress = await house.door.attach(Piece(id="a", name="rain.txt", size=len(data), offset=0, data=data))
    assert progress.attachment is not None
    named = (progress.attachment.sha256, "rain.txt")
    begun = await house.door.ask(Question(text="What is it?", attachments=(named,)))
    await followed(house.door, begun)
    assert (await house.door.said(begun.conversation_id, 9))[0].files == ("rain.txt",)
    with pytest.raises(InputError, match="neither"):
        await house.door.attach(Piece(id="b", name="x.bin", size=20, offset=0, data=b"\0" * 20))


async def test_models_and_endpoints(open_house: OpenHouse) -> None:
    house = await open_house()
    [first, last] = await house.door.endpoints()
    assert last == "demo"
    assert await house.door.models(None) == await house.door.models(first) == ("model-a", "model-b")
    with pytest.raises(ModelError, match="not set up"):
        await house.door.models("gone")
    assert await house.door.trouble() is None


async def test_what_cannot_be_done_is_a_sentence_of_its_kind(open_house: OpenHouse) -> None:
    house = await open_house()
    with pytest.raises(InputError, match="nothing to send"):
        await house.door.ask(Question(text=" "))
    with pytest.raises(InputError, match="Did you mean demo"):
        await house.door.ask(Question(text="One", options=Options(endpoint="dmo")))
    with pytest.raises(InputError, match=r"There are: 127\.0\.0\.1:9, demo\."):
        await house.door.ask(Question(text="One", options=Options(endpoint="somewhere")))
    for call in (
        house.door.ask(Question(text="One", conversation_id="gone")),
        house.door.conversation("gone"),
        house.door.said("gone", 1),
        house.door.answer("gone", "gone"),
        house.door.retry("gone", "gone"),
        house.door.set_options("gone", Options()),
    ):
        with pytest.raises(NotFoundError):
            await call
    assert [happened async for happened in house.door.follow("gone")] == []
    await house.door.stop("gone")
    assert await house.door.conversations(5) == ()


async def test_without_a_key_only_the_demo_that_was_named_answers(open_house: OpenHouse) -> None:
    house = await open_house(thoughtful("Hm", "So."), answer("So."), environ={})
    with pytest.raises(ModelError, match="OPENAI_API_KEY") as error:
        await house.door.ask(Question(text="One"))
    assert error.value.failure.kind == "auth"
    begun = await house.door.ask(Question(text="One", options=Options(endpoint="demo")))
    await followed(house.door, begun)
    await followed(house.door, await house.door.ask(Question(text="Two", conversation_id=begun.conversation_id)))
    assert len(await house.door.said(begun.conversation_id, 9)) == 4

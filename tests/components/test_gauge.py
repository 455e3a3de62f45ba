"""How long a draft is, as the text box asks for it, and what is offered when that is too long; without a browser."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.chat.composer import held_because
from components.chat.gauge import Gauge, choices_view, progress_words, weight_view
from components.chat.views import message_view
from components.fitting import NotNowError
from components.state import ConversationState
from services import tokens
from services.conversation import remembers_from
from services.errors import Failure
from services.estimates import Estimate
from services.fitting import Choices, Progress
from services.messages import ErrorPart
from services.options import Options
from tests.components.test_composer import Box
from tests.components.test_state import becomes
from tests.conftest import OWNER, OpenRuntime, until
from tests.scripted import ScriptedProvider, Step, answer, refusal
from tests.test_estimates import say
from tests.test_fitting import LONG, SMALL, replies

FOUND = Estimate(
    model="m", system=0, history=10, attachments=0, question=5, room=50, window=1_000, price=1_200_000, factor=1.0
)


Make = Callable[..., Awaitable[Box]]


@pytest.fixture
async def make(open_app: OpenRuntime, tmp_path: Path) -> AsyncGenerator[Make, None]:
    """Make a text box on an endpoint whose models take 2,000 tokens, but for one."""
    (tmp_path / "endpoints.toml").write_text(SMALL)
    states: list[ConversationState] = []

    async def make_one(*scripts: list[Step]) -> Box:
        provider = ScriptedProvider(*scripts, models=("m", "large"))
        environ = {"OPENAI_BASE_URL": "", "PANELIST_ENDPOINTS": "endpoints.toml", "PANELIST_MODEL": "m"}
        app = await open_app(provider, **environ)
        state = ConversationState(app.chat, app.connections, OWNER, app.temporary)
        states.append(state)
        await state.start()
        await becomes(state, lambda: bool(state.choices))
        box = Box(state)
        await box.says(type="ready")
        return box

    yield make_one
    for state in states:
        state.close()


def last(box: Box, kind: str) -> dict[str, Any]:
    return next(told for told in reversed(box.told) if told["type"] == kind)


def heard(box: Box, kind: str) -> int:
    return sum(told["type"] == kind for told in box.told)


def here(box: Box) -> str | None:
    return box._state.conversation.id if box._state.conversation else None


async def weighs(box: Box, text: str, number: int = 1, *, of: int = 0, at: int = 0, cut: int = 0, **more: Any) -> None:
    change = {"of": of, "at": at, "cut": cut, "text": text}
    await box.says(**{"type": "weigh", "number": number, "conversation": here(box), "files": [], **change, **more})


async def talk(box: Box, *questions: str) -> None:
    for question in questions:
        await box._state.send(question)
        await becomes(box._state, lambda: box._state.run_id is None)


async def test_what_has_changed_of_a_draft_is_enough(make: Make) -> None:
    box = await make()
    await weighs(box, "Hello 🌧 wrld", 1)
    await weighs(box, "o", 2, of=13, at=10)
    assert box._gauge._text == "Hello 🌧 world"
    told = last(box, "weight")
    assert told["number"] == 2
    count = tokens.count("Hello 🌧 world") + 4
    assert dict(told["view"]["parts"])["This message"] == count
    assert told["view"]["say"] == f"about {count + 3:,} tokens, about $0.000{(count + 3) * 2:03}".rstrip("0")


async def test_a_page_that_has_another_text_is_asked_for_all_of_it(make: Make) -> None:
    box = await make()
    await weighs(box, "Hello", 1)
    wrong = ({"of": 4}, {"of": 5, "at": 6}, {"of": 5, "at": 2, "cut": 9}, {"of": 5, "at": -1}, {"of": 5, "cut": -1})
    for change in wrong:
        before = heard(box, "weigh_again")
        await weighs(box, "x", 2, **change)
        assert heard(box, "weigh_again") == before + 1
        await weighs(box, "Hello", 3)
        assert box._gauge._text == "Hello"
    box._gauge.sent()
    await weighs(box, "Next", 4)
    assert box._gauge._text == "Next", "what was sent is no draft any more"


@given(st.text("a🌧é\ud83c ", max_size=12), st.text("a🌧é\udf27 ", max_size=12), st.data())
def test_any_change_leads_from_one_text_to_another(before: str, after: str, data: st.DataObject) -> None:
    gauge = object.__new__(Gauge)
    gauge._draft = b""
    old, new = (text.encode("utf-16-le", "surrogatepass") for text in (before, after))
    assert gauge._change(0, 0, 0, before)
    same = 0
    while same < min(len(old), len(new)) and old[same : same + 2] == new[same : same + 2]:
        same += 2
    at = data.draw(st.integers(0, same // 2))
    put_in = new[2 * at :].decode("utf-16-le", "surrogatepass")
    assert gauge._change(len(old) // 2, at, len(old) // 2 - at, put_in)
    assert gauge._draft == new


async def test_it_is_measured_anew_when_something_else_changes(make: Make) -> None:
    box = await make(answer("Rain."), answer("Snow."))
    await weighs(box, "Why?")
    assert last(box, "weight")["view"]["window"] == 2_000
    box._gauge.sent()
    await talk(box, "Why does it rain?")
    await weighs(box, "", 2)
    history = dict(last(box, "weight")["view"]["parts"])["History"]
    assert history == 3 + 8 + tokens.count("Why does it rain?") + tokens.count("Rain.")
    await talk(box, "And snow?")
    await until(lambda: dict(last(box, "weight")["view"]["parts"])["History"] > history)
    await box._state.choose("large · here")
    await until(lambda: last(box, "weight")["view"]["window"] == 100_000)


async def test_a_page_elsewhere_is_told_when_both_are_at_the_same_place(make: Make) -> None:
    box = await make(answer("Rain."))
    await weighs(box, "Why?", conversation="another")
    assert heard(box, "weight") == 0
    await box.says(type="choices", conversation="another")
    assert heard(box, "choices") == 0


async def test_nothing_is_said_of_nothing(make: Make) -> None:
    box = await make()
    await weighs(box, "")
    assert last(box, "weight")["view"]["say"] == ""


async def test_what_cannot_be_measured_is_told_as_unknown(make: Make) -> None:
    box = await make()
    await box._state.set_options(Options(endpoint="gone", model="m"))
    await weighs(box, "Hello")
    assert last(box, "weight") == {"type": "weight", "number": 1, "view": None}
    await weighs(box, "!", 2, of=5, at=5, files=[{"id": "0" * 64, "name": "a.txt"}, 7])
    assert last(box, "weight")["number"] == 2


async def test_of_several_requests_the_last_is_answered(make: Make) -> None:
    box = await make()
    async with box._gauge._measuring:
        told = (weighs(box, "word", 1), weighs(box, "s", 2, of=4, at=4), weighs(box, "!", 3, of=5, at=5))
        asked = [asyncio.create_task(one) for one in told]
        await asyncio.sleep(0)
    await asyncio.gather(*asked)
    assert [told["number"] for told in box.told if told["type"] == "weight"] == [3]


async def test_a_draft_that_is_too_long_is_offered_what_helps(make: Make) -> None:
    box = await make(*replies(3), answer("In short."))
    await talk(box, LONG + "1", LONG + "2", LONG + "3")
    await weighs(box, LONG + LONG + "4", 5)
    assert last(box, "weight")["view"]["over"]
    await box.says(type="choices", conversation=here(box))
    told = last(box, "choices")
    assert told["say"].startswith("This would be about 2,0")
    assert told["say"].endswith(" tokens, and m takes 2,000.")
    assert [act["label"] for act in told["list"]] == [
        "Leave out the oldest 4 messages",
        "Summarise the oldest 6 messages",
        "Switch to large · here (100,000 tokens)",
        "Choose another model",
    ]
    await box.says(type="shorten", how="trim", conversation=here(box), model=None)
    assert last(box, "fitted") == {"type": "fitted", "why": "", "list": []}
    state = box._state
    assert [message.memory is not None for message in state.path] == [False, False, False, True, False, False]
    assert state.notice is not None
    assert state.notice.text == "The oldest 4 messages are not sent any more."
    assert state.notice.undo is not None
    await state.notice.undo()
    assert not any(message.memory for message in state.path)

    await box.says(type="shorten", how="summarise", conversation=here(box), model=None)
    said = [told["say"] for told in box.told if told["type"] == "summing"]
    assert said[0] == "Summarising the oldest 6 messages…"
    assert said[-1] == ""
    assert state.path[5].memory is not None
    assert state.path[5].memory.summary == "In short."
    remembers = remembers_from(state.path)
    assert remembers is state.path[5]
    await state.fitting.tell_all(state.path[5].id)
    assert remembers_from(state.path) is None
    assert state.notice.undo is not None
    await state.notice.undo()
    assert remembers_from(state.path) is not None


async def test_another_model_is_a_way_out(make: Make) -> None:
    box = await make(*replies(1))
    await talk(box, LONG)
    await weighs(box, LONG * 5, 2)
    await box.says(type="choices", conversation=here(box))
    assert [act["how"] for act in last(box, "choices")["list"]] == ["model", "picker"]
    assert "Nothing before it can be left out for that." in last(box, "choices")["say"]
    await box.says(type="shorten", how="model", conversation=here(box), model="large · here")
    assert box._state.choice is not None
    assert box._state.choice.model == "large"
    await box.says(type="shorten", how="picker", conversation=None, model=None)
    assert box.called == ["choose model"]


async def test_why_it_was_not_done_is_told_with_what_else_there_is(make: Make) -> None:
    box = await make(*replies(2), [refusal("server", "It is down.")], ["Half", asyncio.Event()])
    await talk(box, LONG + "1", LONG + "2")
    await weighs(box, LONG * 3, 2)
    await box.says(type="shorten", how="summarise", conversation=here(box), model=None)
    told = last(box, "fitted")
    assert told["why"] == "It is down."
    assert [act["how"] for act in told["list"]] == ["trim", "summarise", "model", "picker"]
    writing = asyncio.create_task(box.says(type="shorten", how="summarise", conversation=here(box), model=None))
    await until(lambda: last(box, "summing")["say"] == "Summarising the oldest 4 messages… 1 word")
    await box.says(type="shorten", how="trim", conversation="elsewhere", model=None)
    assert last(box, "fitted")["why"] == "The page shows another conversation by now."
    await box.says(type="shorten", how="summarise", conversation=here(box), model=None)
    assert "is being written already" in last(box, "fitted")["why"]
    await box.says(type="shorten", how="stop")
    await writing
    assert last(box, "fitted")["why"] == "The summary was stopped, and nothing was changed."
    assert not any(message.memory for message in box._state.path)


async def test_a_tab_that_is_closed_stops_its_summary(make: Make) -> None:
    box = await make(*replies(2), ["Half", asyncio.Event()])
    await talk(box, LONG + "1", LONG + "2")
    await weighs(box, LONG * 3, 2)
    writing = asyncio.create_task(box.says(type="shorten", how="summarise", conversation=here(box), model=None))
    await until(lambda: box._state.fitting.progress is not None)
    box._state.close()
    await writing
    assert box._state.fitting.progress is None


async def test_an_answer_that_failed_for_its_length_is_asked_for_again(make: Make) -> None:
    failed = [refusal("too_long", "It is too long.", tokens=3_000, window=2_000)]
    box = await make(*replies(2), failed, answer("Well."))
    await talk(box, LONG + "1", LONG + "2", LONG + "3")
    state = box._state
    assert state.path[-1].status == "failed"
    await state.fitting.fit_answer(state.path[-1].id, "trim")
    await becomes(state, lambda: state.run_id is None and state.path[-1].status == "complete")
    assert state.path[-1].text == "Well."
    assert any(message.memory for message in state.path)


def test_an_answer_that_is_too_long_offers_what_helps_where_something_can_be_left_out() -> None:
    failure = Failure(kind="too_long", message="Too long.", next_step="shorten")
    failed = say("assistant", "", "1", status="failed", parts=(ErrorPart(failure),))
    assert [how for how, _ in message_view(failed, None)["alert"]["fits"]] == ["trim", "summarise", "picker"]
    assert message_view(failed, None, first=True)["alert"]["fits"] == ()
    other = replace(failed, parts=(ErrorPart(replace(failure, kind="server")),))
    assert message_view(other, None)["alert"]["fits"] == ()


class TestWords:
    def test_unknown_is_never_nothing(self) -> None:
        unknown = replace(FOUND, window=None, price=None, model=None)
        view = weight_view(unknown, empty=False)
        assert view["say"] == "about 15 tokens, price unknown"
        assert (view["window"], view["room"], view["over"]) == (None, None, False)
        assert "is unknown" in view["about"]
        assert "Free" not in dict(view["parts"])

    def test_what_is_free_is_free(self) -> None:
        assert weight_view(replace(FOUND, price=0), empty=False)["say"] == "about 15 tokens, free"
        assert weight_view(FOUND, empty=False)["say"] == "about 15 tokens, about $0.0012"
        assert dict(weight_view(FOUND, empty=False)["parts"])["Free"] == 935
        assert weight_view(FOUND, empty=False)["room"] == 940

    def test_too_little_for_an_answer_is_told_apart(self) -> None:
        say = choices_view(Choices(estimate=replace(FOUND, history=950)), {})["say"]
        assert "about 955 tokens, and m takes 1,000: less than 50 would be left for the answer." in say

    def test_progress_is_told_in_parts(self) -> None:
        assert progress_words(Progress(1, 1, 1, 0)) == "Summarising the oldest message…"
        said = progress_words(Progress(1_200, 2, 3, 12))
        assert said == "Summarising the oldest 1,200 messages, part 2 of 3… 12 words"
        assert progress_words(Progress(2, 1, 1, 1)) == "Summarising the oldest 2 messages… 1 word"


async def offered(box: Box) -> dict[str, Any]:
    """Wait until something else than the draft waits for a decision, and return what the page is told of it."""
    await until(lambda: box._state.fitting.offer is not None)
    return last(box, "asks")


async def held(box: Box) -> None:
    """Wait until the answer has ended and the message behind it waits for a decision."""
    state = box._state
    await until(lambda: state.run_id is None and state.waiting.too_long is not None and state.fitting.offer is not None)


async def settled(box: Box) -> None:
    await becomes(box._state, lambda: box._state.run_id is None)


async def test_an_edit_that_is_too_long_waits_for_a_decision(make: Make) -> None:
    box = await make(*replies(4))
    await talk(box, LONG + "1", LONG + "2", LONG + "3")
    state = box._state
    editing = asyncio.create_task(state.edit(state.path[4].id, LONG * 3 + "4", "key"))
    told = await offered(box)
    assert told["say"].endswith(" tokens, and m takes 2,000.")
    assert [act["how"] for act in told["list"]] == ["trim", "summarise", "model", "picker"]
    assert told["focus"]
    assert len(state.path) == 6
    await box.says(type="decide", how="trim", model=None)
    await editing
    await settled(box)
    assert last(box, "asks")["say"] == ""
    assert [message.memory is not None for message in state.path] == [False, True, False, False, False, False]
    assert (state.path[-2].text, state.path[-1].text) == (LONG * 3 + "4", "Answer 3.")


async def test_who_decides_against_it_or_goes_elsewhere_changes_nothing(make: Make) -> None:
    box = await make(*replies(3))
    await talk(box, LONG + "1", LONG + "2", LONG + "3")
    state = box._state
    path = state.path

    async def leave() -> None:
        await state.open(None)

    for done in (partial(box.says, type="decide", how="no", model=None), leave):
        await state.open(path[0].conversation_id)
        editing = asyncio.create_task(state.edit(path[4].id, LONG * 3 + "4", "key"))
        await offered(box)
        await done()
        with pytest.raises(NotNowError):
            await editing
        assert last(box, "asks")["say"] == ""
    await state.open(path[0].conversation_id)
    assert state.path == path
    assert state.notice is None


async def test_of_two_that_are_too_long_the_last_is_decided(make: Make) -> None:
    box = await make(*replies(4))
    await talk(box, LONG + "1", LONG + "2", LONG + "3")
    state = box._state
    first = asyncio.create_task(state.edit(state.path[4].id, LONG * 3 + "4", "one"))
    await offered(box)
    second = asyncio.create_task(state.edit(state.path[4].id, LONG * 3 + "5", "two"))
    with pytest.raises(NotNowError):
        await first
    await offered(box)
    await box.says(type="decide", how="anyway", model=None)
    await second
    await settled(box)
    assert state.path[-2].text == LONG * 3 + "5"


async def test_another_answer_can_go_to_a_larger_model(make: Make) -> None:
    box = await make(*replies(6))
    state = box._state
    await state.choose("large")
    await talk(box, LONG + "1", LONG * 5 + "2")
    await state.choose("m")
    before = state.path[-1].id
    retrying = asyncio.create_task(state.retry(before))
    [label] = [act["model"] for act in (await offered(box))["list"] if act["how"] == "model"]
    await box.says(type="decide", how="model", model=label)
    await retrying
    await settled(box)
    assert (state.path[-1].model, state.options.model) == ("large", "large"), "and so the next one goes there, too"
    await state.choose("m")
    retrying = asyncio.create_task(state.retry(state.path[-1].id, options=replace(state.options, temperature=0.5)))
    await offered(box)
    await box.says(type="decide", how="model", model=label)
    await retrying
    await settled(box)
    assert (state.path[-1].model, state.options.model) == ("large", "m"), "what was for one time is for one time"
    assert state.path[-1].options is not None
    assert state.path[-1].options.temperature == 0.5


async def test_an_answer_that_is_gone_on_with_stays_with_its_model(make: Make) -> None:
    box = await make(answer("Fine."), answer("word " * 1_700, reason="length"), answer("Done."))
    await talk(box, LONG + "1", LONG + "2")
    state = box._state
    going_on = asyncio.create_task(state.go_on(state.path[-1].id))
    assert "model" not in [act["how"] for act in (await offered(box))["list"]]
    await box.says(type="decide", how="anyway", model=None)
    await going_on
    await settled(box)
    assert state.path[-1].text.endswith("Done.")


async def test_why_a_choice_was_not_carried_out_is_told_with_the_rest(make: Make) -> None:
    box = await make(*replies(3), [refusal("server", "It failed.")])
    await talk(box, LONG + "1", LONG + "2", LONG + "3")
    state = box._state
    editing = asyncio.create_task(state.edit(state.path[4].id, LONG * 3 + "4", "key"))
    first = await offered(box)
    await box.says(type="decide", how="summarise", model=None)
    await until(lambda: last(box, "asks") != first)
    told = last(box, "asks")
    assert told["say"].startswith("It failed.")
    assert told["list"] == first["list"]
    await box.says(type="decide", how="no", model=None)
    with pytest.raises(NotNowError):
        await editing


async def test_a_waiting_message_that_is_too_long_is_offered_when_its_turn_has_come(make: Make) -> None:
    gate = asyncio.Event()
    box = await make(answer("One."), [gate, *answer("Two.")], answer("Three."))
    await talk(box, LONG + "1")
    state = box._state
    await state.send(LONG + "2")
    await state.send(LONG * 3 + "3")
    gate.set()
    await held(box)
    assert not last(box, "asks")["focus"], "nobody has asked for it just now"
    assert held_because(state) == "Not sent, because it would be too long for the model:"
    await box.says(type="decide", how="trim", model=None)
    await becomes(state, lambda: not state.waiting.messages)
    await settled(box)
    assert [message.text for message in state.path[-2:]] == [LONG * 3 + "3", "Three."]
    assert state.fitting.offer is None


async def test_the_offer_for_a_waiting_message_goes_with_it(make: Make) -> None:
    gate = asyncio.Event()
    box = await make([gate, *answer("One.")])
    state = box._state
    await state.send(LONG + "1")
    await state.send(LONG * 5 + "2")
    gate.set()
    await held(box)
    await state.unqueue(state.waiting.messages[0].id)
    await until(lambda: state.fitting.offer is None)
    assert last(box, "asks")["say"] == ""
    assert state.run_id is None

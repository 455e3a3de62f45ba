"""The dialog of options: what is typed is checked before anything changes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Any

import panel_material_ui as pmui
import pytest
from panel.models.esm import DataEvent

from components.chat.replaying import Replaying
from components.sidebar.options import OptionsView
from components.state import ConversationState
from services.conversation import Versions
from services.options import Options
from tests.conftest import OWNER, OpenRuntime, until
from tests.scripted import ScriptedProvider, answer, refusal

Make = Callable[..., Awaitable[OptionsView]]


@pytest.fixture
async def make(open_app: OpenRuntime) -> AsyncGenerator[Make, None]:
    states: list[ConversationState] = []

    async def make_one(*scripts: object) -> OptionsView:
        app = await open_app(ScriptedProvider(*scripts))  # type: ignore[arg-type]
        state = ConversationState(app.chat, app.connections, OWNER)
        states.append(state)
        await state.start()
        return OptionsView(state)

    yield make_one
    for state in states:
        state.close()


def field(view: OptionsView, label: str) -> pmui.TextInput:
    return next(one for one in view._inputs if one.label == label)


def fill(view: OptionsView, **values: str) -> None:
    for label, value in values.items():
        one = field(view, label.replace("_", " "))
        one.param.update(value=value) if isinstance(one, pmui.Select) else one.param.update(value_input=value)


async def test_what_is_saved_is_shown_again_and_asked_with(make: Make) -> None:
    view = await make(answer("Yes"))
    await view.open()
    assert field(view, "Output").options == ["The model's own", "json"]
    fill(view, Temperature="0,5", Max_output_tokens="1,000", Output="json", Stop_at="END\n\\n\\n")
    fill(view, System_prompt="Be brief.\nIn JSON.\n")
    await view._on_save(None)
    expected = Options(
        temperature=0.5,
        max_output_tokens=1000,
        output="json",
        stop=("END", "\n\n"),
        system_prompt="Be brief.\nIn JSON.",
    )
    assert (view._state.options, view.dialog.open) == (expected, False)
    await view._state.send("Go")
    await until(lambda: view._state.run_id is None)
    assert view._state.conversation is not None
    assert view._state.conversation.options == expected
    await view.open()
    assert field(view, "Temperature").value == "0.5"
    assert field(view, "Stop at").value == "END\n\\n\\n"
    view._fill(Options())
    await view._on_save(None)
    assert view._state.conversation.options == Options()


async def test_what_is_wrong_is_marked_and_nothing_changes(make: Make) -> None:
    view = await make()
    await view.open()
    fill(view, Temperature="hot", Max_output_tokens="10")
    await view._on_save(None)
    assert (view.dialog.open, view._state.options) == (True, Options())
    assert field(view, "Temperature").error_state
    assert field(view, "Temperature").helper_text == "Temperature is a number from 0 to 2."
    assert not field(view, "Max output tokens").error_state
    fill(view, Temperature="1")
    await view._on_save(None)
    assert view._state.options == Options(temperature=1.0, max_output_tokens=10)
    assert not field(view, "Temperature").error_state


async def test_one_more_answer_leaves_the_conversation_as_it_is(make: Make) -> None:
    view = await make(answer("One"), answer("Two"))
    state = view._state
    await state.send("Go")
    await until(lambda: state.run_id is None)
    await view.open(state.path[1].id)
    fill(view, Temperature="2")
    await view._on_save(None)
    await until(lambda: state.run_id is None and state.path[1].text == "Two")
    assert state.path[1].options is not None
    assert state.path[1].options.temperature == 2
    assert state.conversation is not None
    assert state.conversation.options.temperature is None


async def test_another_tab_shows_them_and_changes_others_alone(make: Make, open_app: OpenRuntime) -> None:
    view = await make(answer("One"))
    here = view._state
    await here.send("Go")
    await until(lambda: here.run_id is None)
    assert here.conversation is not None
    there = ConversationState(here._chat, here._connections, OWNER)
    await there.start(here.conversation.id)
    await view.open()
    await there.set_options(Options(model="model-b", temperature=1.0))
    await until(lambda: here.options == there.options)
    assert here.choice is not None
    assert here.choice.model == "model-b"
    fill(view, Top_p="0.5")
    await view._on_save(None)
    await until(lambda: there.options == Options(model="model-b", temperature=1.0, top_p=0.5))
    there.close()


async def test_the_model_may_change_and_the_rest_stays(make: Make) -> None:
    view = await make()
    await view._state.set_options(Options(temperature=1.0))
    await view._state.choose("model-b")
    assert (view._state.options.model, view._state.options.temperature) == ("model-b", 1.0)


async def test_an_answer_is_asked_for_again_with_a_change(make: Make) -> None:
    view = await make(answer("One"), answer("Two"), answer("Three"))
    state = view._state
    compared: list[tuple[Versions, tuple[int, int]]] = []
    replaying = Replaying(state, lambda versions, places: compared.append((versions, places)))
    await state.set_options(Options(temperature=1.0, system_prompt="Rhyme."))
    await state.send("Go")
    await until(lambda: state.run_id is None)
    first = state.path[1]
    await state.set_options(Options(temperature=0.0, system_prompt="Be brief."))
    options = await state.details.options(first.id, first.run_id or "")
    assert options is not None
    await view.open_again(first.id, options, replaying.ask)
    assert (field(view, "Temperature").value, field(view, "System prompt").value) == ("1", "Rhyme.")
    assert view._model.value == state.choice.label if state.choice else False
    assert "When it is empty, nothing is." in field(view, "System prompt").helper_text
    fill(view, Temperature="0.5", System_prompt="")
    view._model.value = "model-b"
    await view._on_save(None)
    await until(lambda: state.run_id is None and state.path[1].text == "Two")
    assert [places for _, places in compared] == [(0, 1)]
    assert compared[0][0].ids == (first.id, state.path[1].id)
    differ = await state.details.differences(first.id, state.path[1].id)
    assert [(each.option, each.before, each.after) for each in differ] == [
        ("model", "model-a", "model-b"),
        ("System prompt", "“Rhyme.”", None),
        ("Temperature", "1", "0.5"),
    ]
    assert state.conversation is not None
    assert state.conversation.options.temperature == 0, "the conversation keeps its own"
    view._again = None
    await view.open()
    assert not view._model.visible
    assert field(view, "System prompt").value == "Be brief."


async def test_who_went_elsewhere_is_not_called_back_to_compare(make: Make) -> None:
    gate = asyncio.Event()
    view = await make(answer("One"), [gate, *answer("Two")], [refusal()])
    state = view._state
    compared: list[Versions] = []
    replaying = Replaying(state, lambda versions, _: compared.append(versions))
    await state.send("Go")
    await until(lambda: state.run_id is None)
    here, first = state.conversation, state.path[1]
    await replaying.ask(first.id, Options(model="model-b"))
    await state.open(None)
    gate.set()
    assert here is not None

    async def ended() -> bool:
        return (await state._stored.open(OWNER, here.id)).run_id is None

    await until(ended)
    await state.open(here.id)
    assert state.path[1].text == "Two"
    await replaying.ask(first.id, Options(model="model-b"))
    await until(lambda: state.run_id is None and state.path[1].status == "failed")
    assert compared == [], "what failed says so itself, and there is nothing to compare"


async def test_an_endpoint_that_takes_others_shows_its_own(make: Make) -> None:
    view = await make(answer("One"))
    state = view._state
    await state.send("Go")
    await until(lambda: state.run_id is None)

    async def nothing(message_id: str, options: Options) -> None:
        pytest.fail("nothing was asked")

    await view.open_again(state.path[1].id, Options(endpoint="demo", model="panelist-demo"), nothing)
    assert [one.label for one in view._inputs] == ["System prompt", "Answers", "Max output tokens"]
    fill(view, System_prompt="Typed")
    assert state.choice is not None
    view._model.value = state.choice.label
    assert field(view, "Temperature").value == ""
    assert field(view, "System prompt").value_input == "Typed", "what was typed stays"
    view._model.param.update(value="", value_input="")
    await view._on_save(None)
    assert view.dialog.open


async def test_steps_are_kept_in_the_order_of_a_person(make: Make) -> None:
    view = await make(answer("Yes"))
    await view._state.set_options(Options(post=("gone", "typography")))
    await view.open()
    said = view._steps
    told: list[dict[str, Any]] = []
    said.tell = told.append  # type: ignore[method-assign]
    await said._on_message(DataEvent(model=None, data={"type": "ready"}))
    assert [step["name"] for step in told[-1]["steps"]] == ["trim", "typography", "grammar", "gone"]
    assert told[-1]["steps"][-1]["why_not"] == "There is no step of this name here."
    assert said.names == ("gone", "typography")
    for sent in (["typography", "trim"], ["<script>"], 7, ["trim", 5]):
        await said._on_message(DataEvent(model=None, data={"type": "chosen", "names": sent}))
    await view._on_save(None)
    assert view._state.options == Options(post=("typography", "trim"))
    await view.open()
    view._fill(Options())
    await view._on_save(None)
    assert view._state.options == Options()

"""The dialog of options: what is typed is checked before anything changes."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable

import panel_material_ui as pmui
import pytest

from components.sidebar.options import DEFAULT, OptionsView
from components.state import ConversationState
from services.options import Options
from tests.conftest import OWNER, OpenRuntime, until
from tests.scripted import ScriptedProvider, answer

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
    assert field(view, "Output").options == [DEFAULT, "json"]
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

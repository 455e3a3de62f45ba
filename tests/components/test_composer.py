"""The text box's door to the state, without a browser: commands, earlier questions, previews."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Awaitable, Callable
from types import SimpleNamespace
from typing import Any

import pytest

from components.chat.commands import NO_ANSWER, NOTHING_OPEN, WRITING, Commands
from components.chat.composer import PREVIEW_CHARS, Composer
from components.state import ConversationState
from services.render import render_markdown
from tests.components.test_state import becomes
from tests.conftest import OWNER, OpenRuntime
from tests.scripted import ScriptedProvider, Step, answer


class Box(Composer):
    """A text box whose page is a list of what it was told."""

    def __init__(self, state: ConversationState) -> None:
        self.told: list[dict[str, Any]] = []
        self.called: list[str] = []
        commands = Commands(
            state,
            on_connect=lambda: self.called.append("connect"),
            on_choose_model=lambda: self.called.append("choose model"),
            on_theme=lambda name: self.called.append(f"theme {name}".strip()),
            on_help=lambda: self.called.append("help"),
            on_options=lambda: self.called.append("options"),
            on_budgets=lambda: self.called.append("budgets"),
            on_alerts=lambda: self.called.append("alerts"),
            on_keys=lambda: self.called.append("keys"),
            on_details=lambda id: self.called.append(f"details {id}"),
            on_trash=lambda: self.called.append("trash"),
            on_usage=lambda: self.called.append("usage"),
            on_map=lambda: self.called.append("map"),
            on_download=lambda address: self.called.append(f"download {address}"),
            on_import=lambda: self.called.append("import"),
            on_share=lambda: self.called.append("share"),
        )

        async def nothing() -> None:
            """Stand in for the model picker, in which nothing was typed."""

        super().__init__(
            state,
            commands,
            on_help=lambda: None,
            on_options=lambda: self.called.append("options"),
            on_search=lambda: None,
            on_send=nothing,
        )

    def _send_msg(self, data: dict[str, Any]) -> None:
        self.told.append(data)

    async def says(self, **data: Any) -> None:
        """Let the browser send a message."""
        await self._on_message(SimpleNamespace(data=data))  # type: ignore[arg-type]

    async def runs(self, name: str, argument: str = "", **more: Any) -> None:
        here = self._state.conversation.id if self._state.conversation else None
        await self.says(**{"type": "command", "name": name, "argument": argument, "conversation": here, **more})

    @property
    def reasons(self) -> dict[str, str]:
        return dict(self.view["cannot"])


Make = Callable[..., Awaitable[Box]]


@pytest.fixture
async def make(open_app: OpenRuntime) -> AsyncGenerator[Make, None]:
    states: list[ConversationState] = []

    async def make_one(*scripts: list[Step]) -> Box:
        app = await open_app(ScriptedProvider(*scripts))
        state = ConversationState(app.chat, app.connections, OWNER)
        states.append(state)
        await state.start()
        await becomes(state, lambda: bool(state.choices))
        return Box(state)

    yield make_one
    for state in states:
        state.close()


async def asked(box: Box, text: str) -> None:
    await box._state.send(text)
    await becomes(box._state, lambda: box._state.run_id is None)


async def test_a_command_that_cannot_be_done_says_why(make: Make) -> None:
    gate = asyncio.Event()
    box = await make([gate, *answer("Half an", reason="length")], answer(" answer."), answer("Another."))
    names = {command["name"] for command in box.view["commands"] if command["where"] != "box"}
    assert len(names) == len(box.view["commands"])
    assert box.reasons.keys() <= names
    for name in ("/retry", "/copy", "/continue", "/details"):
        assert box.reasons[name] == NO_ANSWER
    assert box.reasons["/delete"] == box.reasons["/rename"] == NOTHING_OPEN
    await box._state.send("Go")
    assert "/stop" not in box.reasons
    assert box.reasons["/retry"] == box.reasons["/continue"] == WRITING
    gate.set()
    await becomes(box._state, lambda: box._state.run_id is None)
    assert box.reasons.keys() == {"/stop", "/outline", "/keep"}
    await box.runs("/continue")
    await becomes(box._state, lambda: box._state.path[1].text == "Half an answer.")
    assert "/continue" in box.reasons
    await asked(box, "Again")
    assert "/outline" not in box.reasons
    await box.runs("/continue")
    assert box._state.notice is not None
    assert box._state.notice.text.startswith("/continue was not done.")


async def test_a_question_without_an_answer_is_answered_and_the_map_opened(make: Make) -> None:
    box = await make(answer("One"), answer("Two"))
    state = box._state
    assert box.reasons["/map"] == NOTHING_OPEN
    await asked(box, "Go")
    await state.branching.pick(state.path[0].id)
    assert [m.text for m in state.path] == ["Go", "One", "Go"]
    assert "/retry" not in box.reasons
    await box.runs("/retry")
    await becomes(state, lambda: state.path[-1].text == "Two")
    assert [m.text for m in state.path] == ["Go", "One", "Go", "Two"]
    await box.runs("/map")
    await box.runs("/details")
    assert box.called == ["map", f"details {state.path[-1].id}"]


async def test_commands_do_what_the_buttons_do(make: Make) -> None:
    gate = asyncio.Event()
    box = await make([*answer("One")[:1], gate], answer("Two"))
    state = box._state
    await state.send("Go")
    await becomes(state, lambda: state.delta is not None)
    await box.runs("/stop")
    await becomes(state, lambda: state.run_id is None)
    assert state.path[-1].status == "stopped"
    await box.runs("/retry")
    await becomes(state, lambda: state.path[-1].text == "Two")
    await box.runs("/rename", "A  title")
    assert [c.title for c in state.catalogue.conversations] == ["A title"]
    for name, argument in (("/connect", ""), ("/help", ""), ("/model", ""), ("/theme", ""), ("/theme", "Dark")):
        await box.runs(name, argument)
    assert box.called == ["connect", "help", "choose model", "theme", "theme dark"]
    box.called.clear()
    for argument in ("", "HTML", "notebook", "all", "all Markdown"):
        await box.runs("/export", argument)
    await box.runs("/import")
    assert state.conversation is not None
    here = f"?c={state.conversation.id}"
    of_one = (f"markdown{here}", f"html{here}", f"notebook{here}")
    exports = [f"download exports/{what}" for what in (*of_one, "json", "markdown")]
    assert box.called == [*exports, "import"]
    await box.runs("/theme", "pink")
    assert state.notice is not None
    assert "light or dark" in state.notice.text
    await box.runs("/model", "model-b")
    assert state.choice is not None
    assert state.choice.model == "model-b"
    assert state.notice.text == "model-b answers from now on."
    await box.runs("/delete")
    assert (state.conversation, state.catalogue.conversations) == (None, ())
    assert state.notice.undo is not None
    await state.notice.undo()
    assert [c.title for c in state.catalogue.conversations] == ["A title"]


async def test_what_takes_something_away_is_marked(make: Make) -> None:
    box = await make()
    marked = {command["name"] for command in box.view["commands"] if command["takes_away"]}
    assert marked == {"/stop", "/delete", "/archive", "/move"}


@pytest.mark.parametrize(
    ("name", "argument"),
    [
        ("/model", "trains are fun"),
        ("/model", "m" * 10_000),
        ("/rename", "word " * 500),
        ("/theme", "pink"),
        ("/export", "pdf"),
    ],
)
async def test_what_was_typed_behind_a_refused_command_comes_back(make: Make, name: str, argument: str) -> None:
    box = await make(answer("One"))
    await asked(box, "Go")
    await becomes(box._state, lambda: bool(box._state.catalogue.conversations))
    before, title = box._state.choice, box._state.catalogue.conversations[0].title
    await box.runs(name, argument)
    assert box.told == [{"type": "fill", "text": f"{name} {argument}", "files": []}]
    assert box._state.notice is not None
    assert box._state.notice.kind == "error"
    assert (box._state.choice, box._state.catalogue.conversations[0].title) == (before, title)
    box.told.clear()
    await box.runs("/delete", conversation="another")
    await box.runs("/rename", "Done")
    assert not box.told, "a word alone is none to keep, nor what was done"


async def test_a_title_for_a_conversation_that_was_left_comes_back(make: Make) -> None:
    box = await make(answer("One"))
    await asked(box, "Go")
    await box.runs("/rename", "A title", conversation="another")
    assert box.told == [{"type": "fill", "text": "/rename A title", "files": []}]


async def test_a_command_is_for_the_conversation_it_was_typed_in(make: Make) -> None:
    box = await make(answer("One"))
    await asked(box, "Go")
    here = box._state.conversation
    assert here is not None
    await box.runs("/delete", conversation=None)
    await box.runs("/delete", conversation="another")
    assert box._state.conversation is not None
    assert box._state.notice is not None
    assert "another conversation" in box._state.notice.text
    await box.runs("/nothing of ours")
    await box.runs("/new")  # the page's own
    assert box._state.conversation == here


async def test_the_demo_says_itself_what_it_knows(open_app: OpenRuntime) -> None:
    app = await open_app(None, OPENAI_BASE_URL="")
    state = ConversationState(app.chat, app.connections, OWNER)
    try:
        await state.start()
        await becomes(state, lambda: state.choice is not None)
        offered = {command["name"] for command in Box(state).view["commands"] if command["where"] == "box"}
    finally:
        state.close()
    assert {"/slow", "/long", "/fail", "/fail 429", "/fail cut"} <= offered


async def test_earlier_questions_are_given_whole(make: Make) -> None:
    gate = asyncio.Event()
    long = "A long one. " * 1000
    box = await make(answer("One"), [gate, *answer("Two")], answer("Three"))
    await asked(box, long)
    await box._state.send("Second")
    await box._state.send("Waiting " * 100)
    here = box._state.conversation
    assert here is not None

    async def question(index: int, conversation: str = here.id) -> str | None:
        await box.says(type="question", index=index, conversation=conversation)
        told = box.told[-1]
        assert (told["type"], told["index"], told["conversation"]) == ("question", index, conversation)
        text: str | None = told["text"]
        return text

    assert [await question(index) for index in range(3)] == [long, "Second", "Waiting " * 100]
    assert [await question(-1), await question(3), await question(0, "another")] == [None] * 3
    gate.set()
    await becomes(box._state, lambda: box._state.run_id is None and len(box._state.path) == 6)
    assert await question(2) == "Waiting " * 100


async def test_a_preview_is_what_the_one_renderer_makes(make: Make) -> None:
    box = await make()
    hostile = "# Hi\n\n<img src=x onerror=alert(1)> \ud83d \0 $x$"
    await box.says(type="preview", number=1, text=hostile, style=True)
    await box.says(type="preview", number=2, text="more " * PREVIEW_CHARS, style=False)
    first, second = box.told
    assert first["html"] == render_markdown("# Hi\n\n<img src=x onerror=alert(1)> \ufffd  $x$")
    assert ".markdown" in first["style"]
    assert "style" not in second
    assert second["html"] == render_markdown(("more " * PREVIEW_CHARS)[:PREVIEW_CHARS])


async def test_of_previews_that_wait_only_the_last_is_made(make: Make) -> None:
    box = await make()
    texts = [f"# {number}\n\n" + "Some *words*. " * 3000 for number in range(4)]
    async with asyncio.TaskGroup() as group:
        for number, text in enumerate(texts):
            group.create_task(box.says(type="preview", number=number, text=text, style=False))
    numbers = [told["number"] for told in box.told]
    assert numbers[-1] == 3
    assert len(numbers) < len(texts)


async def test_a_preview_that_fails_says_so(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    box = await make()

    def broken(text: str) -> str:
        raise RecursionError

    monkeypatch.setattr("components.chat.composer.render_markdown", broken)
    await box.says(type="preview", number=1, text="x", style=False)
    assert box.told == [{"type": "preview", "number": 1, "html": None}]


async def test_a_piece_that_is_garbled_is_answered_and_may_come_again(make: Make) -> None:
    box = await make()
    piece = {"type": "piece", "chat": None, "id": "u", "name": "a.txt", "size": 3, "offset": 0}
    for garbled in ("é", "\ud800", "YQ", "a b=", "\0"):
        await box.says(**piece, data=garbled)
        told = box.told[-1]
        assert (told["type"], told["id"], told["again"]) == ("unattached", "u", True)
        assert "garbled" in told["text"]
    await box.says(**piece, data="YWJj")
    assert box.told[-1]["type"] == "attached"


async def test_a_waiting_message_of_nothing_but_files_has_no_text_to_recall(make: Make) -> None:
    gate = asyncio.Event()
    box = await make([gate, *answer("One")], answer("Two"))
    await box._state.send("First")
    await box.says(type="piece", chat=None, id="u", name="a.txt", size=3, offset=0, data="YWJj")
    file = box.told[-1]["file"]
    await box._state.send("", attachments=[(file["id"], "a.txt")])
    [waiting] = box.view["queue"]
    assert (waiting["text"], waiting["files"]) == ("", "a.txt")
    gate.set()


async def test_a_page_is_told_everything_when_it_is_there_and_then_what_changed(make: Make) -> None:
    gate = asyncio.Event()
    box = await make([gate, *answer("One")])
    begun = json.loads(box.shown)
    await box.says(type="ready")
    assert box.told == [{"type": "shown", "set": begun}]
    await box._state.send("First")
    box._update()
    changed = [told["set"] for told in box.told[1:]]
    assert [one["writing"] for one in changed if "writing" in one] == [True]
    assert [one["conversation"] for one in changed if "conversation" in one] == [box._state.path[0].conversation_id]
    assert not any("placeholder" in one or "queue" in one for one in changed)
    assert json.loads(box.shown) == begun, "the page does not hear of it in two ways"
    gate.set()
    await becomes(box._state, lambda: box._state.run_id is None)
    assert box.told[-1]["set"]["writing"] is False

"""What the dialog of details is told, without a browser."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from components.chat.details import MOST_SHOWN, UNKNOWN, DetailsView, details_view
from components.state import ConversationState
from services.details import AnswerDetails
from services.options import Options
from services.runtime import Runtime
from services.usage import Usage
from tests.components.test_state import becomes
from tests.conftest import OWNER, OpenRuntime, whole_run
from tests.scripted import ScriptedProvider, answer, refusal
from tests.storage import make
from tests.test_details import PRICED, of_last, priced, told
from tests.test_uploads import PNG, attached


class Dialog(DetailsView):
    """Keeps what the page would be told."""

    def __init__(self, state: ConversationState) -> None:
        self.told: list[dict[str, Any]] = []
        self.again: list[Options] = []
        super().__init__(state, lambda _, options: self.again.append(options))

    def tell(self, message: dict[str, Any]) -> None:
        self.told.append(message)


def facts(view: dict[str, Any]) -> dict[str, str]:
    rows = [*view["rows"], *(row for section in view["sections"] for row in section["rows"])]
    return {row["label"]: row["value"] for row in rows}


async def shown(app: Runtime, conversation_id: str) -> dict[str, Any]:
    return details_view(await of_last(app, conversation_id))


async def test_what_is_known_is_said_in_words(open_app: OpenRuntime, tmp_path: Path) -> None:
    app = await priced(open_app, tmp_path, told("Hi"))
    done = await whole_run(app.chat, await app.chat.send(OWNER, "Hello?", options=PRICED))
    view = await shown(app, done.conversation.id)
    said = facts(view)
    assert said["Model"] == "model-a-2026, asked was model-a"
    assert next(row for row in view["rows"] if row["label"] == "Model")["mark"] == "a version of the one asked"
    assert said["Finish reason"] == "stop, in the endpoint's words “end_turn”"
    assert said["Input tokens"] == "1,000, of them 200 cached"
    assert said["Output tokens"] == "50, of them 10 reasoning"
    assert (said["Price"], said["Options"], said["Ended"]) == ("$0.0012", "Temperature 0.5", "Complete")
    assert said["Response id"] == "resp_Hi"
    assert [section["title"] for section in view["sections"]] == [None]
    assert view["note"] is None


async def test_another_model_than_the_one_asked_is_marked(open_app: OpenRuntime, tmp_path: Path) -> None:
    app = await priced(open_app, tmp_path, told("Hi", model="cheap-b"), told("Hi", model="model-a"))
    done = await whole_run(app.chat, await app.chat.send(OWNER, "Hello?", options=PRICED))
    [model, *_] = (await shown(app, done.conversation.id))["rows"]
    assert (model["value"], model["mark"]) == ("cheap-b, asked was model-a", "another than the one asked")
    await whole_run(app.chat, await app.chat.retry(OWNER, done.conversation.id, done.path[-1].id))
    [model, *_] = (await shown(app, done.conversation.id))["rows"]
    assert (model["value"], model.get("mark")) == ("model-a", None)


async def test_what_nobody_knows_is_unknown_and_never_nothing(open_app: OpenRuntime) -> None:
    app = await open_app(ScriptedProvider([refusal(message="No.", request_id="req_9")]))
    done = await whole_run(app.chat, await app.chat.send(OWNER, "Hello?", options=Options(model="m")))
    said = facts(await shown(app, done.conversation.id))
    for label in ("First token after", "Speed", "Tokens", "Price", "Response id"):
        assert said[label] == UNKNOWN
    assert (said["Ended"], said["Failure"], said["Finish reason"]) == ("Failed", "No.", "none came")
    assert said["Request id"] == "req_9", "which is what a server's support asks for"


def test_what_came_from_elsewhere_says_so() -> None:
    new = make.exchange(make.conversation())
    written = make.answer_to(new.question)
    message = replace(written, status="complete", run_id=None, usage=Usage(input=3, output=4))
    view = details_view(AnswerDetails(message=message, runs=(), price=None))
    assert "written elsewhere" in view["note"]
    assert facts(view)["Output tokens"] == "4, of them 0 reasoning"
    assert facts(view)["Price"] == UNKNOWN


async def test_an_answer_by_hand_asked_nobody(open_app: OpenRuntime) -> None:
    app = await open_app(ScriptedProvider(answer("One")))
    done = await whole_run(app.chat, await app.chat.send(OWNER, "First"))
    await app.chat.edit(OWNER, done.conversation.id, done.path[-1].id, "Mine")
    view = await shown(app, done.conversation.id)
    assert view["note"].startswith("You wrote this answer")
    assert [row["label"] for row in view["rows"]] == ["Written"]


async def test_the_dialog_follows_the_answer_to_its_end(open_app: OpenRuntime) -> None:
    gate = asyncio.Event()
    app = await open_app(ScriptedProvider([gate, *answer("One")]))
    state = ConversationState(app.chat, app.connections, OWNER)
    await state.start()
    await state.send("First")
    dialog = Dialog(state)
    await dialog.open(state.path[-1].id)
    assert [message["type"] for message in dialog.told] == ["wait", "details"]
    assert facts(dialog.told[-1])["Ended"] == "Being written"
    gate.set()
    await becomes(state, lambda: state.run_id is None)
    await asyncio.wait_for(_told(dialog, "Complete"), 10)
    dialog.dialog.open = False
    before = len(dialog.told)
    await state.open(None)
    assert len(dialog.told) == before, "a closed dialog asks nothing"
    await dialog._on_message(SimpleNamespace(data={"type": "ready"}))  # type: ignore[arg-type]
    state.close()


async def _told(dialog: Dialog, ended: str) -> None:
    while dialog.told[-1]["type"] != "details" or facts(dialog.told[-1])["Ended"] != ended:
        await asyncio.sleep(0.01)


async def test_a_request_is_shown_short_and_says_whether_it_is_what_was_sent(open_app: OpenRuntime) -> None:
    app = await open_app(ScriptedProvider(answer("One"), answer("Two")))
    picture = await attached(app.chat, PNG + b"x" * 5_000, "a.png")
    state = ConversationState(app.chat, app.connections, OWNER)
    await state.start()
    await state.send("Look", attachments=[(picture.sha256, "a.png")])
    await becomes(state, lambda: state.run_id is None)
    dialog = Dialog(state)
    await dialog.open(state.path[-1].id)
    run_id = dialog.told[-1]["sections"][0]["run"]
    await dialog._on_message(SimpleNamespace(data={"type": "request", "run": run_id}))  # type: ignore[arg-type]
    view = dialog.told[-1]
    assert view["note"] == "This did not go out.", "the scripted provider sends nothing"
    assert view["whole"] == {"json": False, "python": False, "curl": False}
    assert all("in all)" in text and len(text) < 2_000 for text in view["texts"].values())
    assert view["addresses"]["python"].startswith("requests/python?c=")
    await state.send("x" * (MOST_SHOWN + 1))
    await becomes(state, lambda: state.run_id is None)
    await dialog.open(state.path[-1].id)
    run_id = dialog.told[-1]["sections"][0]["run"]
    await dialog._on_message(SimpleNamespace(data={"type": "request", "run": run_id}))  # type: ignore[arg-type]
    assert dialog.told[-1]["texts"]["json"].endswith("… The file has the rest.")
    await dialog._on_message(SimpleNamespace(data={"type": "request", "run": "another"}))  # type: ignore[arg-type]
    assert dialog.told[-1]["refused"] == "What was asked for this answer is not known any more."
    await dialog._on_message(SimpleNamespace(data={"type": "again", "run": run_id}))  # type: ignore[arg-type]
    assert [options.model for options in dialog.again] == ["model-a"]
    assert not dialog.dialog.open
    state.close()

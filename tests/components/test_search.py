"""The search box's side of the server, without a browser."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Any

import pytest
from panel.models.esm import DataEvent

from components.catalogue import HITS
from components.chat.transcript import Transcript
from components.sidebar.conversations import ConversationList
from components.state import ConversationState
from services.errors import StorageError
from services.messages import Message
from tests.components.test_state import becomes
from tests.conftest import OWNER, OpenRuntime, whole_run
from tests.scripted import ScriptedProvider, answer

Make = Callable[..., Awaitable[ConversationState]]


@pytest.fixture
async def make(open_app: OpenRuntime) -> AsyncGenerator[Make, None]:
    states: list[ConversationState] = []

    async def make_one(*scripts: Any, questions: tuple[str, ...] = ()) -> ConversationState:
        app = await open_app(ScriptedProvider(*scripts))
        for question in questions:
            await whole_run(app.chat, await app.chat.send(OWNER, question))
        state = ConversationState(app.chat, app.connections, OWNER)
        states.append(state)
        await state.start()
        return state

    yield make_one
    for state in states:
        state.close()


class Sidebar(ConversationList):
    """Keeps what the page would be told."""

    def __init__(self, state: ConversationState) -> None:
        self.said: list[list[Any]] = []
        super().__init__(
            state, on_close=lambda: None, on_trash=lambda: None, on_usage=lambda: None, on_download=lambda _: None
        )

    def say(self, data: list[Any]) -> None:
        self.said.append(data)

    async def asks(self, **data: Any) -> list[Any]:
        await self._on_message(DataEvent(None, data={"type": "search", "number": 1, "west": 0, **data}))
        return self.said[-1]


async def test_hits_go_to_the_page_as_text_with_the_places_of_what_was_found(make: Make) -> None:
    state = await make(answer("Clouds & <b>rain</b>"), questions=("Why?",))
    number, rows, more = (await Sidebar(state).asks(text="rain"))[1:]
    [hit] = json.loads(rows)
    assert (number, more) == (1, False)
    assert (hit["id"], hit["title"], hit["role"]) == (state.catalogue.conversations[0].id, "Why?", "assistant")
    assert hit["pieces"] == [["Clouds & <b>", False], ["rain", True], ["</b>", False]]


async def test_more_hits_come_when_they_are_asked_for(make: Make) -> None:
    questions = tuple(f"rain {number}" for number in range(HITS))
    state = await make(*(answer("So.") for _ in questions), questions=questions)
    sidebar = Sidebar(state)
    seen: list[tuple[str, str | None]] = []
    before: dict[str, str] = {}
    while True:
        _, _, rows, more = await sidebar.asks(text="rain", **before)
        hits = json.loads(rows)
        seen += [(hit["id"], hit["at"]) for hit in hits]
        if not more or not hits:
            break
        before = {"before": hits[-1]["place"]}
    assert len(seen) == len(set(seen)) == 2 * HITS  # each title and each question


@pytest.mark.parametrize("before", ["", "x", "9" * 40, "-", "1.5", None, 7, ["1"]])
@pytest.mark.parametrize("west", [0, -840, 10**9, -(10**9)])
async def test_a_forged_search_is_only_a_search(make: Make, before: object, west: int) -> None:
    state = await make(answer("So."), questions=("rain",))
    assert (await Sidebar(state).asks(text="rain after:2026-11-21", west=west, before=before))[0] == "hits"


async def test_what_is_wrong_is_said_in_a_sentence(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    state = await make()

    async def fails(*_: object, **__: object) -> None:
        raise StorageError("The disk is away.")

    monkeypatch.setattr(state.catalogue, "search", fails)
    assert await Sidebar(state).asks(text="rain") == ["refused", 1, "The disk is away."]


async def two_versions(make: Make, *then: object) -> tuple[ConversationState, Message, Message]:
    """Return a state with one question open, and its two answers, the later one on show; `then`: the next script."""
    state = await make(answer("First rain"), answer("Second rain"), [*then, *answer("On")])
    await state.send("Why?")
    await becomes(state, lambda: state.run_id is None)
    first = state.path[-1]
    await state.retry(first.id)
    await becomes(state, lambda: state.run_id is None)
    return state, first, state.path[-1]


async def test_a_hit_opens_the_branch_that_holds_it(make: Make) -> None:
    state, first, second = await two_versions(make)
    stood: list[str] = []

    async def stand_at(message_id: str) -> None:
        assert message_id in {message.id for message in state.path}
        stood.append(message_id)

    state.stand_at = stand_at
    await state.open(None)
    [hit] = await state.catalogue.search("first")
    assert (hit.conversation_id, hit.message_id) == (first.conversation_id, first.id)
    await state.open_at(hit.conversation_id, first.id)
    assert state.path[-1].id == first.id
    await state.open_at(hit.conversation_id, second.id)
    assert state.path[-1].id == second.id
    await state.open_at(hit.conversation_id, second.parent_id or "")
    assert state.path[-1].id == second.id, "what is on show already is not left"
    assert stood == [first.id, second.id, second.parent_id]


async def test_another_branch_is_not_opened_while_an_answer_is_written(make: Make) -> None:
    gate = asyncio.Event()
    state, first, second = await two_versions(make, gate)
    await state.send("Go on")
    await state.open_at(first.conversation_id, first.id)
    assert state.notice is not None
    assert "still being written" in state.notice.text
    assert second.id in {message.id for message in state.path}
    gate.set()
    await becomes(state, lambda: state.run_id is None)


async def test_a_hit_that_is_gone_says_so(make: Make) -> None:
    state, first, _ = await two_versions(make)
    await state.open_at(first.conversation_id, "nothing")
    assert state.notice is not None
    assert "not here any more" in state.notice.text


async def test_the_transcript_goes_to_the_message(make: Make) -> None:
    state, first, _ = await two_versions(make)
    told: list[Any] = []

    class Page(Transcript):
        def _send_msg(self, data: Any) -> None:
            told.append(data)

    page = Page(
        state,
        on_connect=lambda: None,
        on_choose_model=lambda: None,
        on_compare=lambda _: None,
        on_options=lambda _: None,
        on_details=lambda _: None,
        on_map=lambda: None,
        on_share=lambda: None,
        on_screen=lambda *_: None,
    )
    await page._on_message(DataEvent(None, data={"type": "ready", "dark": False, "narrow": False, "opened": False}))
    await state.open_at(first.conversation_id, first.id)
    assert [said["id"] for said in told if said.get("type") == "stand"] == [first.id]

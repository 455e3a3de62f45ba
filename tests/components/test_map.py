"""The map's data and intents, without a browser."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from components.chat.map import PORTION, ConversationMap
from components.state import ConversationState
from tests.components.test_state import becomes
from tests.conftest import OWNER, OpenRuntime
from tests.scripted import ScriptedProvider, answer


class Map(ConversationMap):
    """A map whose page is a list of what it was told."""

    def __init__(self, state: ConversationState) -> None:
        self.told: list[dict[str, Any]] = []
        self.asked: list[str] = []
        super().__init__(state, self.asked.append)

    def _send_msg(self, data: dict[str, Any]) -> None:
        self.told.append(data)

    async def says(self, **data: Any) -> None:
        await self._on_message(SimpleNamespace(data=data))  # type: ignore[arg-type]

    def last(self, kind: str) -> dict[str, Any]:
        return next(message for message in reversed(self.told) if message["type"] == kind)

    @property
    def texts(self) -> list[str]:
        return [row[5] for row in self.last("nodes")["rows"]]


@pytest.fixture
async def map_of(open_app: OpenRuntime):  # type: ignore[no-untyped-def]
    states: list[ConversationState] = []

    async def make(*said: str) -> Map:
        app = await open_app(ScriptedProvider(*(answer(f"Answer {n}") for n in range(10))))
        state = ConversationState(app.chat, app.connections, OWNER)
        states.append(state)
        await state.start()
        for text in said:
            await state.send(text)
            await becomes(state, lambda: state.run_id is None)
        return Map(state)

    yield make
    for state in states:
        state.close()


async def _branched(map_of: Any) -> Map:
    """Two answers to one question, and another question after the first of them; the second answer is on show."""
    view: Map = await map_of("First", "Second")
    state = view._state
    await state.retry(state.path[1].id)
    await becomes(state, lambda: state.run_id is None)
    await view.open()
    return view


async def test_the_page_is_given_every_branch_and_what_is_on_show(map_of) -> None:
    view = await _branched(map_of)
    told = view.last("nodes")
    assert view.texts == ["First", "Answer 0", "Second", "Answer 1", "Answer 2"]
    assert [row[1] for row in told["rows"]] == [-1, 0, 1, 2, 0]
    assert [row[2:5] for row in told["rows"]][:2] == [["user", "complete", ""], ["assistant", "complete", "model-a"]]
    assert told["head"] == told["rows"][4][0] == view._state.path[-1].id
    assert (told["start"], told["count"]) == (0, 5)


async def test_without_a_conversation_there_is_nothing_to_draw(map_of) -> None:
    view = await map_of()
    await view.open()
    assert view.told[-1] == {"type": "empty"}
    await view.says(type="restore", id="x")
    for nonsense in ({"type": "go", "id": "x"}, {"type": "prune", "id": "x"}, {"type": "pick", "id": "x"}):
        await view.says(**nonsense)
    assert view._state.notice is None


async def test_a_large_tree_comes_in_portions(map_of) -> None:
    from services.conversation import Node, Outline, Removed
    from tests.storage import make

    view = await map_of()
    nodes = tuple(
        Node(
            id=str(n),
            parent_id=str(n - 1) if n else None,
            role="user",
            status="complete",
            endpoint=None,
            model=None,
            created_at=make.WHEN,
            beginning="",
            picked_from=None,
        )
        for n in range(2 * PORTION + 1)
    )

    class Door:
        async def map(self) -> Outline:
            return Outline(make.conversation(), nodes)

        async def removed(self) -> list[Removed]:
            return []

    view._state.branching = Door()
    await view.open()
    portions = [message for message in view.told if message["type"] == "nodes"]
    assert [(message["start"], len(message["rows"])) for message in portions] == [
        (0, PORTION),
        (PORTION, PORTION),
        (2 * PORTION, 1),
    ]
    assert [row[1] for message in portions for row in message["rows"]] == list(range(-1, 2 * PORTION))


async def test_going_there_shows_that_branch_and_closes_the_map(map_of) -> None:
    view = await _branched(map_of)
    second = view.last("nodes")["rows"][2][0]
    await view.says(type="go", id=second)
    assert not view.dialog.open
    assert [m.text for m in view._state.path] == ["First", "Answer 0", "Second", "Answer 1"]


async def test_what_is_removed_goes_and_its_undo_brings_it_back(map_of) -> None:
    view = await _branched(map_of)
    rows = view.last("nodes")["rows"]
    await view.says(type="prune", id=rows[4][0])
    assert [m.text for m in view._state.path] == ["First", "Answer 0", "Second", "Answer 1"]
    notice = view.last("notice")
    assert notice["text"] == "Removed a message."
    await view.says(type="ready")
    assert view.texts == ["First", "Answer 0", "Second", "Answer 1"]
    await view.says(type="undo", mark="another")
    await view.says(type="undo", mark=notice["undo"])
    assert [m.text for m in view._state.path] == ["First", "Answer 2"]
    await view.says(type="prune", id=rows[1][0])
    assert view.last("notice")["text"] == "Removed 3 messages."
    await view.says(type="prune", id=rows[0][0])
    assert view.last("notice")["kind"] == "error"
    assert [m.text for m in view._state.path] == ["First", "Answer 2"]


async def test_what_was_removed_can_be_brought_back_later(map_of) -> None:
    view = await _branched(map_of)
    await view.says(type="prune", id=view.last("nodes")["rows"][1][0])
    await view.says(type="ready")
    [row] = view.last("removed")["rows"]
    assert (row["text"], row["count"]) == ("Answer 0", 3)
    await view.says(type="restore", id=row["id"])
    await view.says(type="ready")
    assert view.last("removed")["rows"] == []
    assert len(view.texts) == 5


async def test_a_copy_goes_behind_the_shown_branch_and_its_undo_takes_it_away(map_of) -> None:
    view = await _branched(map_of)
    rows = view.last("nodes")["rows"]
    await view.says(type="pick", id=rows[2][0])
    assert [m.text for m in view._state.path] == ["First", "Answer 2", "Second"]
    mark = view.last("notice")["undo"]
    await view.says(type="ready")
    assert view.last("nodes")["rows"][5][7] is True, "it is marked as a copy"
    await view.says(type="undo", mark=mark)
    assert [m.text for m in view._state.path] == ["First", "Answer 2"]
    await view.says(type="pick", id=rows[1][0])
    assert "ends with an answer" in view.last("notice")["text"]


async def test_branches_side_by_side(map_of) -> None:
    view = await _branched(map_of)
    rows = view.last("nodes")["rows"]
    await view.says(type="compare", ids=[rows[4][0], rows[2][0]])
    told = view.last("compared")
    assert (told["common"], told["left_out"]) == (rows[0][0], 0)
    first, second = told["steps"]
    assert first["changes"] == [["same", "Answer "], ["removed", "2"], ["added", "0"]]
    assert first["options"] == []
    assert second["by"] == [None, "You"]
    assert second["changes"] == [["added", "Second"]]
    await view.says(type="compare", ids=[rows[4][0], "gone"])
    assert view.last("compared")["steps"] is None

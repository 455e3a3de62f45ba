"""The list's side of the server, without a browser: what the page may say, and what it is told."""

from __future__ import annotations

import json
from typing import Any

from panel.models.esm import DataEvent

from services.folders import Defaults
from services.listing import MAX_ROWS
from services.options import Options
from tests.components.test_search import Make, Sidebar, make  # noqa: F401 - a fixture
from tests.scripted import answer


async def says(sidebar: Sidebar, **data: Any) -> None:
    await sidebar._on_message(DataEvent(None, data=data))


def rows(sidebar: Sidebar) -> dict[str, Any]:
    told = [said for said in sidebar.said if said[0] == "rows"]
    listed: dict[str, Any] = json.loads(told[-1][1])
    return listed


async def test_whatever_the_page_says_it_sees_it_is_answered(make: Make) -> None:  # noqa: F811
    state = await make(answer("So."), questions=("<b>Why?</b>",))
    sidebar = Sidebar(state)
    await says(sidebar, type="ready", first=0, count=60, midnight=0)
    assert [row["title"] for row in rows(sidebar)["rows"]] == ["<b>Why?</b>"]
    for first, count, midnight in ((-5, -5, -5), (10**30, 10**30, 10**30), (0, 1, 1)):
        sidebar.said.clear()
        await says(sidebar, type="see", first=first, count=count, midnight=midnight, tag=None, archived=False)
        assert [row["title"] for row in rows(sidebar)["rows"]] == ["<b>Why?</b>"]
        assert 1 <= state.catalogue.seen.count <= MAX_ROWS
    for nonsense in ({"type": "see", "first": "x"}, {"type": "pin", "ids": "x", "on": True}, {"type": "none"}, {}):
        await says(sidebar, **nonsense)
    await says(sidebar, type="pin", ids=[1, None, "unknown"], on=True)
    assert state.notice is not None
    assert state.notice.undo is None, "nothing was changed, so there is nothing to take back"


async def test_what_is_done_is_taken_back_from_the_notice(make: Make) -> None:  # noqa: F811
    state = await make(answer("So."), questions=("Why?",))
    sidebar = Sidebar(state)
    await says(sidebar, type="ready", first=0, count=60, midnight=0)
    [conversation] = state.catalogue.conversations
    await state.open(conversation.id)
    await says(sidebar, type="add_folder", name="Work", parent=None)
    [folder] = state.catalogue.listing.folders
    for said, words in (
        ({"type": "move", "folder": folder.id}, "Moved “Why?” to “Work”."),
        ({"type": "tag", "add": ["a", 5], "remove": []}, "Changed the tags of “Why?”."),
        ({"type": "archive", "on": True}, "Archived “Why?”."),
        ({"type": "delete"}, "Deleted “Why?”."),
    ):
        await says(sidebar, ids=[conversation.id], **said)
        assert (state.notice is not None, state.notice and state.notice.text) == (True, words)
        assert state.notice is not None
        assert state.notice.undo is not None
        assert state.catalogue.conversations != (conversation,)
        await state.notice.undo()
        assert state.catalogue.conversations == (conversation,)
    assert state.conversation is not None, "a deleted one that was open is open again"


async def test_a_new_chat_in_a_folder_has_its_model_until_another_is_chosen(make: Make) -> None:  # noqa: F811
    state = await make()
    sidebar = Sidebar(state)
    folder = await state.catalogue.add_folder("Work")
    assert folder is not None
    await says(sidebar, type="set", id=folder.id, model="tiny", prompt=" Be brief. ")
    assert await state.catalogue.defaults(folder.id) == Defaults(
        state.catalogue.listing.folders[0].options, "Be brief."
    )
    await state.open(None, folder_id=folder.id)
    assert (state.choice and state.choice.model, state.folder and state.folder.id) == ("tiny", folder.id)
    await state.choose("mine")
    assert state.choice is not None
    assert state.choice.model == "mine"
    await state.open(None)
    assert state.folder is None
    await says(sidebar, type="settings", id=folder.id)
    told = json.loads(sidebar.said[-1][1])
    assert (told["model"].split(" · ")[0], told["prompt"]) == ("tiny", "Be brief.")


async def test_settings_that_are_saved_as_they_were_change_nothing(make: Make) -> None:  # noqa: F811
    state = await make()
    sidebar = Sidebar(state)
    folder = await state.catalogue.add_folder("Work")
    assert folder is not None
    far = Options(endpoint="not-set-up-now", model="big")
    await state.catalogue.set_defaults(folder.id, Defaults(far, ""))
    await says(sidebar, type="settings", id=folder.id)
    model = json.loads(sidebar.said[-1][1])["model"]
    await says(sidebar, type="set", id=folder.id, model=model, prompt="Be brief.")
    assert await state.catalogue.defaults(folder.id) == Defaults(far, "Be brief.")

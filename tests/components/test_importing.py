"""What a person sees of an import, without a browser."""

from __future__ import annotations

import asyncio
from typing import cast

import pytest
from panel.models.esm import DataEvent

from components.catalogue import CatalogueState
from components.importing import TITLES, ImportView, preview_html
from components.state import ConversationState
from services.catalogue import Catalogue
from services.errors import InputError, StorageError
from services.exchange import Preview
from services.importing import Listed
from services.listing import Listing
from tests.conftest import OWNER, OpenRuntime
from tests.scripted import ScriptedProvider
from tests.test_exchange import received
from tests.test_exporting import told
from tests.trees import exported


def test_a_preview_counts_and_its_titles_are_text() -> None:
    many = tuple(Listed(str(number), f"Title {number}", ("a", "b")) for number in range(TITLES + 1_000))
    hostile = Listed("x", "<img src=x onerror=alert(1)>", ("c",))
    html = preview_html(Preview("ChatGPT", many, (), (hostile,), {"picture": 2, "<b>": 1}, 1))
    assert f"{TITLES + 1_000:,} conversations to import" in html
    assert "… and 1,000 more" in html
    assert f"Title {TITLES}" not in html
    assert "1 conversation here already, left as it is:" in html
    assert "&lt;img src=x" in html
    assert "<img" not in html
    assert "Cannot come along: 2 pictures, 1 &lt;b&gt;." in html
    assert "1 of them has new messages in this file, which stay out." in html
    assert "deleted" not in html


async def test_an_import_is_told_and_undone(open_app: OpenRuntime) -> None:
    app = await open_app(ScriptedProvider())
    state = ConversationState(app.chat, app.connections, OWNER)
    try:
        data = exported([told("Why?", "Because.")]).encode()
        await state.catalogue.import_(await received(app.chat, data))
        assert state.notice is not None
        assert state.notice.text == "Imported 1 conversation."
        assert [one.title for one in state.catalogue.conversations] == ["Rain <b> & *more*"]
        await state.catalogue.import_(await received(app.chat, data))
        assert (state.notice.text, state.notice.undo) == ("Imported 0 conversations; 1 had come before.", None)
        await state.catalogue.delete(state.catalogue.conversations[0].id)
        await state.catalogue.import_(await received(app.chat, data))
        assert len(state.catalogue.conversations) == 1, "it is back"
        assert state.notice.undo is not None
        await state.notice.undo()
        assert await app.chat.catalogue.conversations(OWNER) == ()
        word = await received(app.chat, b"{}")
        with pytest.raises(InputError, match="Nothing was changed"):
            await state.catalogue.preview_import(word)
        await state.catalogue.drop_import(word)
        with pytest.raises(InputError, match="Choose it again"):
            await state.catalogue.import_(word)
    finally:
        state.close()


class Unlisted:
    """A door at which everything works but the list."""

    def __init__(self, door: Catalogue) -> None:
        self._door = door

    def __getattr__(self, name: str) -> object:
        return getattr(self._door, name)

    async def listing(self, *_: object) -> Listing:
        raise StorageError("The list cannot be read.")


async def test_an_import_can_be_undone_where_the_list_cannot_be_read(open_app: OpenRuntime) -> None:
    app = await open_app(ScriptedProvider())
    state = ConversationState(app.chat, app.connections, OWNER)
    try:
        listed = CatalogueState(cast(Catalogue, Unlisted(app.chat.catalogue)), OWNER, state)
        await listed.import_(await received(app.chat, exported([told("Why?", "Because.")]).encode()))
        assert state.notice is not None
        assert state.notice.text == "Imported 1 conversation."
        assert state.notice.undo is not None
        await state.notice.undo()
        assert await app.chat.catalogue.conversations(OWNER) == ()
    finally:
        state.close()


async def test_the_end_of_an_import_leaves_another_file_alone(open_app: OpenRuntime) -> None:
    app = await open_app(ScriptedProvider())
    state = ConversationState(app.chat, app.connections, OWNER)
    view = ImportView(state)

    async def told_by_page(**data: str) -> None:
        await view._on_message(DataEvent(view._chooser, data))

    try:
        view.dialog.open = True
        first, second = exported([told("Why?", "Because.")]).encode(), exported([told("How?", "So.")]).encode()
        await told_by_page(type="came", word=await received(app.chat, first))
        coming = asyncio.create_task(view._on_import(None))
        await asyncio.sleep(0)
        await told_by_page(type="chosen")
        await told_by_page(type="came", word=await received(app.chat, second))
        await coming
        assert view.dialog.open
        assert not view._import.disabled
        await view._on_import(None)
        assert not view.dialog.open
        assert len(await app.chat.catalogue.conversations(OWNER)) == 2
    finally:
        state.close()

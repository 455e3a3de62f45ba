"""Folders and many conversations at once, through the door: what a model is asked with, and what is refused."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

import pytest

from services.arranging import MAX_AT_ONCE, Archive, Delete, Move, Pin
from services.errors import InputError
from services.folders import MAX_NAME, Defaults
from services.listing import View
from services.options import Options
from tests.conftest import OWNER, OpenRuntime, until, whole_run
from tests.scripted import ScriptedProvider, answer


async def test_a_new_conversation_begins_with_what_its_folder_says(open_app: OpenRuntime) -> None:
    provider = ScriptedProvider(*(answer("So.") for _ in range(4)))
    app = await open_app(provider, PANELIST_SYSTEM_PROMPT="Everywhere.", PANELIST_MODEL="model-a")
    catalogue = app.chat.catalogue
    endpoint = app.connections.default.name
    outer = await catalogue.add_folder(OWNER, "  Work  ")
    inner = await catalogue.add_folder(OWNER, "Trips", outer.id)
    assert outer.name == "Work"
    tiny = Defaults(Options(endpoint=endpoint, model="tiny"), "Be brief.")
    await catalogue.set_defaults(OWNER, outer.id, tiny)

    begun = await whole_run(app.chat, await app.chat.send(OWNER, "One", folder_id=inner.id))
    assert (begun.conversation.folder_id, begun.conversation.options) == (inner.id, tiny.options)
    own = Options(endpoint=endpoint, model="mine")
    chosen = await whole_run(app.chat, await app.chat.send(OWNER, "Two", folder_id=inner.id, options=own))
    assert chosen.conversation.options == own, "what was chosen for it wins"
    plain = await whole_run(app.chat, await app.chat.send(OWNER, "Three", folder_id="gone"))
    assert plain.conversation.folder_id is None
    asked = [(request.model, request.system_prompt) for request in provider.requests]
    assert asked == [("tiny", "Be brief."), ("mine", "Be brief."), ("model-a", "Everywhere.")]

    await catalogue.arrange(OWNER, [begun.conversation.id], Move(None))
    await whole_run(app.chat, await app.chat.send(OWNER, "Four", conversation_id=begun.conversation.id))
    request = provider.requests[-1]
    assert (request.model, request.system_prompt) == ("tiny", "Everywhere."), "options stay, the prompt follows"


async def test_a_conversation_may_have_a_system_prompt_of_its_own(open_app: OpenRuntime) -> None:
    provider = ScriptedProvider(["Half"], answer("So."), answer("So."), answer("So."))
    app = await open_app(provider, PANELIST_SYSTEM_PROMPT="Everywhere.", PANELIST_MODEL="model-a")
    folder = await app.chat.catalogue.add_folder(OWNER, "Work")
    await app.chat.catalogue.set_defaults(OWNER, folder.id, Defaults(system_prompt="In the folder."))
    own = Options(system_prompt="Here.")
    begun = await whole_run(app.chat, await app.chat.send(OWNER, "One", folder_id=folder.id, options=own))
    answered = begun.path[-1]
    assert answered.options is not None
    assert (begun.conversation.options.system_prompt, answered.options.system_prompt) == ("Here.", "Here.")

    await app.chat.set_options(OWNER, begun.conversation.id, Options(system_prompt="Since then."))
    await whole_run(app.chat, await app.chat.go_on(OWNER, begun.conversation.id, answered.id))
    await whole_run(app.chat, await app.chat.send(OWNER, "Two", conversation_id=begun.conversation.id))
    exported = await app.chat.catalogue.export(OWNER, [begun.conversation.id], "notebook")
    assert b"Since then." in b"".join([piece async for piece in exported.pieces])
    await app.chat.set_options(OWNER, begun.conversation.id, Options())
    await whole_run(app.chat, await app.chat.send(OWNER, "Three", conversation_id=begun.conversation.id))
    told = [request.system_prompt for request in provider.requests]
    assert told == ["Here.", "Here.", "Since then.", "In the folder."], "an answer goes on as it was begun"

    await app.chat.set_options(OWNER, begun.conversation.id, own)
    export = await app.chat.catalogue.export(OWNER, None, "json")
    word = await app.chat.catalogue.receive_import("ben", export.pieces)
    [id] = (await app.chat.catalogue.import_("ben", word)).added
    theirs = await app.chat.open("ben", id)
    assert theirs.conversation.options.system_prompt == "Here."
    assert [m.options.system_prompt for m in theirs.path if m.options] == ["Here.", "Since then.", None]


async def test_deleting_many_stops_what_is_written_in_them(open_app: OpenRuntime) -> None:
    gate = asyncio.Event()
    app = await open_app(ScriptedProvider(["Half", gate], answer("So.")))
    writing = await app.chat.send(OWNER, "One")
    done = await whole_run(app.chat, await app.chat.send(OWNER, "Two"))
    ids = [writing.conversation.id, done.conversation.id]
    heard = app.chat.changes.listen(OWNER)
    before = await app.chat.catalogue.arrange(OWNER, ids, Delete())
    await until(lambda: not app.chat.busy)
    assert await anext(heard) is not None
    assert await app.chat.catalogue.conversations(OWNER) == ()
    await app.chat.catalogue.put_back(OWNER, before)
    assert {c.id for c in await app.chat.catalogue.conversations(OWNER)} == {*ids}
    assert (await app.chat.open(OWNER, ids[0])).path[-1].text == "Half"


async def test_what_is_refused_changes_nothing(open_app: OpenRuntime) -> None:
    app = await open_app(ScriptedProvider(answer("So.")))
    done = await whole_run(app.chat, await app.chat.send(OWNER, "One"))
    catalogue = app.chat.catalogue
    folder = await catalogue.add_folder(OWNER, "Work")
    with pytest.raises(InputError, match="5,000 conversations are the most"):
        await catalogue.arrange(OWNER, [done.conversation.id] * (MAX_AT_ONCE + 1), Archive())
    for name in ("", " \n", "x" * (MAX_NAME + 1)):
        with pytest.raises(InputError):
            await catalogue.rename_folder(OWNER, folder.id, name)
        with pytest.raises(InputError):
            await catalogue.add_folder(OWNER, name)
    with pytest.raises(InputError, match="at most 20,000 characters"):
        await catalogue.set_defaults(OWNER, folder.id, Defaults(system_prompt="x" * 20_001))
    seen = View(midnight=datetime(2026, 1, 1, tzinfo=UTC))
    listing = await catalogue.listing(OWNER, seen)
    assert (listing.folders, listing.conversations) == ((folder,), (done.conversation,))


async def test_a_notebook_says_what_the_model_was_told(open_app: OpenRuntime) -> None:
    app = await open_app(ScriptedProvider(answer("So.")))
    folder = await app.chat.catalogue.add_folder(OWNER, "Work")
    await app.chat.catalogue.set_defaults(OWNER, folder.id, Defaults(system_prompt="Be brief."))
    begun = await whole_run(app.chat, await app.chat.send(OWNER, "One", folder_id=folder.id))
    export = await app.chat.catalogue.export(OWNER, [begun.conversation.id], "notebook")
    assert b"Be brief." in b"".join([piece async for piece in export.pieces])


async def test_export_and_import_carry_the_order_along(open_app: OpenRuntime) -> None:
    app = await open_app(ScriptedProvider(answer("So.")))
    catalogue = app.chat.catalogue
    outer = await catalogue.add_folder(OWNER, "Work")
    inner = await catalogue.add_folder(OWNER, "Trips", outer.id)
    begun = await whole_run(app.chat, await app.chat.send(OWNER, "One", folder_id=inner.id))
    await catalogue.arrange(OWNER, [begun.conversation.id], Pin())
    export = await catalogue.export(OWNER, None, "json")
    word = await catalogue.receive_import("ben", export.pieces)
    [id] = (await catalogue.import_("ben", word)).added
    theirs = await catalogue.conversation("ben", id)
    names = {folder.id: folder for folder in (await catalogue.listing("ben", _seen())).folders}
    assert theirs.folder_id is not None
    assert names[theirs.folder_id].name == "Trips"
    assert names[names[theirs.folder_id].parent_id or ""].name == "Work"
    assert theirs.pinned_at == (await catalogue.conversation(OWNER, begun.conversation.id)).pinned_at


def _seen() -> View:
    return View(midnight=datetime(2026, 1, 1, tzinfo=UTC))

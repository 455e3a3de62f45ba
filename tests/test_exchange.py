"""Out of one Panelist and into another, through the door."""

from __future__ import annotations

import asyncio
import io
import json
import sqlite3
import zipfile
from collections.abc import AsyncIterator, Sequence
from contextlib import closing
from pathlib import Path

import pytest

from services import exchange, importing
from services.attachments import MAX_TEXT_FILE
from services.catalogue import Imported
from services.chat import ChatService, Opened
from services.errors import InputError, NotFoundError
from services.events import ModelNamed
from services.exporting import Kind
from services.runtime import Runtime
from tests.conftest import OWNER, OpenRuntime, whole_run
from tests.scripted import ScriptedProvider, answer
from tests.test_uploads import PNG, attached

TITLE = "Why does it rain?"


async def file_of(chat: ChatService, ids: Sequence[str] | None, kind: Kind = "json") -> tuple[str, bytes]:
    export = await chat.catalogue.export(OWNER, ids, kind)
    return export.name, b"".join([piece async for piece in export.pieces])


async def pieces(data: bytes) -> AsyncIterator[bytes]:
    for start in range(0, len(data), 1000):
        yield data[start : start + 1000]


async def received(chat: ChatService, data: bytes, owner: str = OWNER) -> str:
    return await chat.catalogue.receive_import(owner, pieces(data))


def unpacked(data: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


async def with_picture(app: Runtime) -> Opened:
    """Have a question with a picture answered twice, and go back to the first answer."""
    picture = await attached(app.chat, PNG, "rain.png", OWNER)
    opened = await app.chat.send(OWNER, TITLE, attachments=[(picture.sha256, picture.name)])
    first = await whole_run(app.chat, opened)
    await whole_run(app.chat, await app.chat.retry(OWNER, first.conversation.id, first.path[-1].id))
    return await app.chat.show_version(OWNER, first.conversation.id, first.path[-1].id)


async def two_apps(open_app: OpenRuntime, folder: Path) -> tuple[Runtime, Runtime]:
    one = await open_app(ScriptedProvider(answer("Clouds."), answer("Drops."), answer("Hi")))
    return one, await open_app(ScriptedProvider(answer("More.")), PANELIST_DATA_DIR=str(folder))


async def test_a_conversation_goes_over_to_another_panelist(open_app: OpenRuntime, tmp_path: Path) -> None:
    one, other = await two_apps(open_app, tmp_path / "other")
    shown = await with_picture(one)
    name, data = await file_of(one.chat, None)
    assert name.startswith("Panelist-2")
    assert name.endswith(".zip")
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        [picture] = shown.path[0].attachments
        assert archive.namelist() == ["conversations.json", f"attachments/{picture.sha256}"]
        assert archive.testzip() is None
    word = await received(other.chat, data)
    preview = await other.chat.catalogue.preview_import(OWNER, word)
    assert [(one.title, len(one.messages)) for one in preview.new] == [(TITLE, 3)]
    assert (preview.source, preview.here, preview.deleted, preview.left_out) == ("Panelist", (), (), {})
    assert await other.chat.catalogue.conversations(OWNER) == (), "it was only looked at"
    imported = await other.chat.catalogue.import_(OWNER, word)
    assert imported.added == (shown.conversation.id,)
    there = await other.chat.open(OWNER, shown.conversation.id)
    assert [(m.id, m.parts, m.status, m.usage) for m in there.path] == [
        (m.id, m.parts, m.status, m.usage) for m in shown.path
    ]
    assert there.versions == shown.versions
    assert await other.chat.attachment(OWNER, picture.sha256) == ("image/png", PNG)
    assert unpacked((await file_of(other.chat, None))[1]) == unpacked(data)
    more = await other.chat.send(OWNER, "More?", conversation_id=shown.conversation.id)
    assert (await whole_run(other.chat, more)).path[-1].text == "More."


async def test_twice_adds_nothing_and_can_be_undone(open_app: OpenRuntime, tmp_path: Path) -> None:
    one, other = await two_apps(open_app, tmp_path / "other")
    await with_picture(one)
    await whole_run(one.chat, await one.chat.send(OWNER, "Hello"))
    _, data = await file_of(one.chat, None)
    word = await received(other.chat, data)
    first = await other.chat.catalogue.import_(OWNER, word)
    assert len(first.added) == 2
    with pytest.raises(InputError, match="Choose it again"):
        await other.chat.catalogue.import_(OWNER, word)
    again = await received(other.chat, data)
    assert len((await other.chat.catalogue.preview_import(OWNER, again)).here) == 2
    assert (await other.chat.catalogue.import_(OWNER, again)).skipped == 2
    await other.chat.catalogue.undo_import(OWNER, first)
    assert await other.chat.catalogue.conversations(OWNER) == ()
    again = await received(other.chat, data)
    assert len((await other.chat.catalogue.preview_import(OWNER, again)).deleted) == 2
    assert set((await other.chat.catalogue.import_(OWNER, again)).restored) == set(first.added)
    assert len(await other.chat.catalogue.conversations(OWNER)) == 2


async def test_what_cannot_be_imported_changes_nothing(open_app: OpenRuntime, tmp_path: Path) -> None:
    one, other = await two_apps(open_app, tmp_path / "other")
    await with_picture(one)
    _, data = await file_of(one.chat, None)
    for spoilt in (data[:-30], data.replace(PNG[-8:], b"\0" * 8), b"{}"):
        word = await received(other.chat, spoilt)
        with pytest.raises(InputError, match="Nothing was changed"):
            await other.chat.catalogue.import_(OWNER, word)
        await other.chat.catalogue.drop_import(OWNER, word)
    assert await other.chat.catalogue.conversations(OWNER) == ()
    word = await received(other.chat, data)
    with pytest.raises(InputError, match="Choose it again"):
        await other.chat.catalogue.preview_import("ben", word)
    uploading = tmp_path / "other" / "attachments" / "uploading"
    assert len(list(uploading.iterdir())) == 1
    await other.chat.catalogue.drop_import(OWNER, word)
    assert list(uploading.iterdir()) == []


async def test_what_is_received_is_limited(open_app: OpenRuntime, tmp_path: Path) -> None:
    app = await open_app(ScriptedProvider())
    words = [await received(app.chat, b"x") for _ in range(7)]
    with pytest.raises(InputError, match="Choose it again"):
        await app.chat.catalogue.preview_import(OWNER, words[1])
    assert len(list((tmp_path / "data" / "attachments" / "uploading").iterdir())) == 5


async def test_what_nobody_comes_back_to_is_removed(
    open_app: OpenRuntime, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = await open_app(ScriptedProvider())
    monkeypatch.setattr(exchange, "KEPT_S", 0.01)
    word = await received(app.chat, b"x")
    uploading = tmp_path / "data" / "attachments" / "uploading"
    async with asyncio.timeout(20):
        while list(uploading.iterdir()):
            await asyncio.sleep(0.01)
    with pytest.raises(InputError, match="Choose it again"):
        await app.chat.catalogue.preview_import(OWNER, word)


async def test_documents_of_one_and_of_several(open_app: OpenRuntime, tmp_path: Path) -> None:
    one, _ = await two_apps(open_app, tmp_path / "other")
    shown = await with_picture(one)
    ids = [shown.conversation.id]
    name, data = await file_of(one.chat, ids, "markdown")
    assert name == "Why-does-it-rain.md"
    assert "\n\nAttached: rain.png" in data.decode()
    assert "Clouds." in data.decode()
    assert "Drops." not in data.decode()
    name, data = await file_of(one.chat, ids, "html")
    assert name == "Why-does-it-rain.html"
    assert b'<p dir="auto">Clouds.</p>' in data
    name, data = await file_of(one.chat, ids, "notebook")
    assert name == "Why-does-it-rain.ipynb"
    assert "ask('Why does it rain?', model='model-a')" in json.loads(data)["cells"][3]["source"]
    await whole_run(one.chat, await one.chat.send(OWNER, "Hello"))
    _, data = await file_of(one.chat, None, "markdown")
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        assert archive.namelist() == ["001-Hello.md", "002-Why-does-it-rain.md"]
    with pytest.raises(InputError, match="no conversation to export"):
        await one.chat.catalogue.export("ben", None, "json")
    with pytest.raises(InputError, match="no conversation to export"):
        await one.chat.catalogue.export(OWNER, [], "json")
    with pytest.raises(NotFoundError):
        await one.chat.catalogue.export(OWNER, [*ids, "missing"], "json")
    assert await file_of(one.chat, ids * 2) == await file_of(one.chat, ids)
    with pytest.raises(NotFoundError):
        await one.chat.catalogue.export("ben", ids, "json")


async def test_a_file_that_is_damaged_here_does_not_keep_the_rest(open_app: OpenRuntime, tmp_path: Path) -> None:
    one, other = await two_apps(open_app, tmp_path / "other")
    shown = await with_picture(one)
    [picture] = shown.path[0].attachments
    (tmp_path / "data" / "attachments" / picture.sha256[:2] / picture.sha256).write_bytes(b"")
    _, data = await file_of(one.chat, None)
    word = await received(other.chat, data)
    assert (await other.chat.catalogue.preview_import(OWNER, word)).left_out == {"missing attached file": 1}
    await other.chat.catalogue.import_(OWNER, word)
    assert (await other.chat.open(OWNER, shown.conversation.id)).path[0].attachments == (picture,)


async def test_a_conversation_that_is_damaged_here_does_not_keep_the_rest(
    open_app: OpenRuntime, tmp_path: Path
) -> None:
    one, other = await two_apps(open_app, tmp_path / "other")
    shown = await with_picture(one)
    hello = await whole_run(one.chat, await one.chat.send(OWNER, "Hello"))
    with closing(sqlite3.connect(tmp_path / "data" / "panelist.db")) as database, database:
        database.execute("UPDATE parts SET data = '{' WHERE message_id = ?", [shown.path[0].id])
    _, data = await file_of(one.chat, None)
    assert json.loads(unpacked(data)["conversations.json"])["damaged"] == [shown.conversation.id]
    imported = await other.chat.catalogue.import_(OWNER, await received(other.chat, data))
    assert imported.added == (hello.conversation.id,)
    _, data = await file_of(one.chat, None, "markdown")
    documents = unpacked(data)
    assert list(documents) == ["001-Hello.md", "damaged.txt"]
    assert shown.conversation.id in documents["damaged.txt"].decode()
    _, data = await file_of(one.chat, [hello.conversation.id])
    assert b"damaged" not in data


async def test_two_imports_of_one_file_are_one(open_app: OpenRuntime, tmp_path: Path) -> None:
    one, other = await two_apps(open_app, tmp_path / "other")
    shown = await with_picture(one)
    _, data = await file_of(one.chat, None)
    word = await received(other.chat, data)
    catalogue = other.chat.catalogue
    done = await asyncio.gather(*(catalogue.import_(OWNER, word) for _ in range(3)), return_exceptions=True)
    assert [one.added for one in done if isinstance(one, Imported)] == [(shown.conversation.id,)]
    assert [str(error)[-22:] for error in done if isinstance(error, InputError)] == ["more. Choose it again."] * 2
    await catalogue.undo_import(OWNER, next(one for one in done if isinstance(one, Imported)))
    word = await received(other.chat, data)
    importing = asyncio.create_task(catalogue.import_(OWNER, word))
    await asyncio.sleep(0)
    for _ in range(6):
        await received(other.chat, b"x")
    assert (await importing).restored == (shown.conversation.id,), "newer files do not push it out"


async def test_of_a_refused_file_nothing_is_kept(
    open_app: OpenRuntime, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, other = await two_apps(open_app, tmp_path / "other")
    files = [await attached(one.chat, text, f"{text[:3].decode()}.txt", OWNER) for text in (b"Rain", b"Snow")]
    await whole_run(one.chat, await one.chat.send(OWNER, TITLE, attachments=[(f.sha256, f.name) for f in files]))
    _, data = await file_of(one.chat, None)
    entries = unpacked(data)
    entries[f"attachments/{files[1].sha256}"] = b"Hail"
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, content in entries.items():
            archive.writestr(name, content)
    with pytest.raises(InputError, match="not what it is said to be"):
        await other.chat.catalogue.import_(OWNER, await received(other.chat, out.getvalue()))
    kept = [path for path in (tmp_path / "other" / "attachments").rglob("*") if path.is_file()]
    assert [path.parent.name for path in kept] == ["uploading"], "only the file itself, which can be tried again"
    monkeypatch.setattr(importing, "MAX_UNPACKED", 7)
    word = await received(other.chat, data)
    with pytest.raises(InputError, match="attached files in it have more than"):
        await other.chat.catalogue.preview_import(OWNER, word)


async def test_what_is_long_here_comes_back(open_app: OpenRuntime, tmp_path: Path) -> None:
    name = "m" * 600
    provider = ScriptedProvider([ModelNamed(name, name, None), *answer("Clouds.")])
    one = await open_app(provider)
    other = await open_app(ScriptedProvider(), PANELIST_DATA_DIR=str(tmp_path / "other"))
    text = "雨" * 2_000_000  # 4 MB in UTF-16, 6 MB in UTF-8
    file = await attached(one.chat, text.encode("utf-16"), "rain.txt", OWNER)
    assert file.size > MAX_TEXT_FILE
    await whole_run(one.chat, await one.chat.send(OWNER, TITLE, attachments=[(file.sha256, file.name)]))
    _, data = await file_of(one.chat, None)
    imported = await other.chat.catalogue.import_(OWNER, await received(other.chat, data))
    assert len(imported.added) == 1
    assert await other.chat.attachment(OWNER, file.sha256) == ("text/plain", text.encode())


async def test_what_is_new_in_a_conversation_that_is_here_is_told(open_app: OpenRuntime, tmp_path: Path) -> None:
    one, other = await two_apps(open_app, tmp_path / "other")
    shown = await with_picture(one)
    _, early = await file_of(one.chat, None)
    await whole_run(one.chat, await one.chat.send(OWNER, "More?", conversation_id=shown.conversation.id))
    _, late = await file_of(one.chat, None)
    catalogue = other.chat.catalogue
    for owner in (OWNER, "ben"):  # to ben they come under other ids
        await catalogue.import_(owner, await received(other.chat, early, owner))
        again = await catalogue.preview_import(owner, await received(other.chat, early, owner))
        assert (len(again.here), again.grown) == (1, 0)
        later = await catalogue.preview_import(owner, await received(other.chat, late, owner))
        assert (len(later.here), later.grown) == (1, 1)


async def test_undoing_an_import_stops_what_is_written_in_it(open_app: OpenRuntime, tmp_path: Path) -> None:
    one = await open_app(ScriptedProvider(answer("Clouds.")))
    other = await open_app(ScriptedProvider(["Half", asyncio.Event()]), PANELIST_DATA_DIR=str(tmp_path / "other"))
    shown = await whole_run(one.chat, await one.chat.send(OWNER, TITLE))
    _, data = await file_of(one.chat, None)
    imported = await other.chat.catalogue.import_(OWNER, await received(other.chat, data))
    asked = await other.chat.send(OWNER, "More?", conversation_id=shown.conversation.id)
    await other.chat.catalogue.undo_import(OWNER, imported)
    assert asked.run_id
    async for _ in other.chat.follow(OWNER, asked.run_id):
        pass
    await other.chat.catalogue.restore(OWNER, shown.conversation.id)
    assert (await other.chat.open(OWNER, shown.conversation.id)).path[-1].status == "stopped"

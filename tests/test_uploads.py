"""Files that come in pieces: in any order, twice, from two tabs, never to an end."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from services.attachments import MAX_ATTACHMENTS, MAX_PIECE, Piece, Progress
from services.chat import ChatService
from services.errors import InputError, NotFoundError, StorageError
from services.messages import AttachmentPart
from services.runtime import Runtime
from services.uploads import MAX_UPLOADS
from tests.conftest import OWNER, OpenRuntime, until, whole_run
from tests.scripted import ScriptedProvider, answer, refusal

PNG = b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 4


def piece(whole: bytes, start: int = 0, end: int | None = None, *, id: str = "u", **more: object) -> Piece:
    given = {"name": "a.txt", "size": len(whole), "offset": start, "data": whole[start:end], **more}
    return Piece(id=id, **given)  # type: ignore[arg-type]


async def attached(chat: ChatService, data: bytes, name: str = "a.txt", owner: str = OWNER) -> AttachmentPart:
    id = os.urandom(8).hex()
    done = None
    for start in range(0, max(1, len(data)), MAX_PIECE):
        done = await chat.attach(owner, piece(data, start, start + MAX_PIECE, id=id, name=name))
    assert done is not None
    assert done.attachment is not None
    return done.attachment


def named(*attachments: AttachmentPart) -> list[tuple[str, str]]:
    return [(one.sha256, one.name) for one in attachments]


@pytest.fixture
async def app(open_app: OpenRuntime) -> Runtime:
    return await open_app(ScriptedProvider(answer("One"), answer("Two"), answer("Three")))


def on_the_way(folder: Path) -> int:
    return len(list((folder / "data" / "attachments" / "uploading").iterdir()))


async def test_pieces_may_come_twice_and_out_of_order(app: Runtime, tmp_path: Path) -> None:
    data = "Grüße!".encode() * 100
    take = app.chat.attach
    assert await take(OWNER, piece(data, 100, 200)) == Progress(0), "it begins at its beginning"
    assert await take(OWNER, piece(data, 0, 101)) == Progress(101)  # in the middle of a letter
    assert await take(OWNER, piece(data, 0, 101)) == Progress(101)
    assert await take(OWNER, piece(data, 500, 600)) == Progress(101)
    last = await take(OWNER, piece(data, 101))
    assert last.attachment is not None
    assert (last.attachment.name, last.attachment.size) == ("a.txt", len(data))
    assert await take(OWNER, piece(data, 101)) == last, "the word that it is kept may have been lost"
    assert await app.chat.attachment(OWNER, last.attachment.sha256) == ("text/plain", data)
    assert on_the_way(tmp_path) == 0


async def test_a_piece_that_comes_twice_at_once_is_taken_once(app: Runtime) -> None:
    data = b"x" * 1000
    await asyncio.gather(*(app.chat.attach(OWNER, piece(data, 0, 500)) for _ in range(5)))
    ends = await asyncio.gather(*(app.chat.attach(OWNER, piece(data, 500)) for _ in range(5)))
    assert len(set(ends)) == 1
    assert ends[0].attachment is not None


async def test_two_tabs_send_the_same_file_at_once(app: Runtime) -> None:
    one, two = await asyncio.gather(*(attached(app.chat, PNG, name) for name in ("a.png", "b.png")))
    assert (one.sha256, one.media_type) == (two.sha256, "image/png")
    assert (one.name, two.name) == ("a.png", "b.png")
    opened = await app.chat.send(OWNER, "Both?", attachments=named(one, two))
    assert opened.path[0].attachments == (one, two)


async def test_text_is_kept_in_utf_8(app: Runtime) -> None:
    one = await attached(app.chat, "Grüße".encode("utf-16"))
    assert await app.chat.attachment(OWNER, one.sha256) == ("text/plain", "Grüße".encode())
    assert one.size == 7


@pytest.mark.parametrize(
    ("sent", "said"),
    [
        (piece(b""), "is empty"),
        (piece(b"%PDF-1.7 and more"), "is a PDF"),
        (piece(b"text, and then \0 more"), "reads text and images"),
        (piece(b"x" * 100, 0, 50, size=5_000_001), "5.0 MB is the most for a text file"),
        (piece(PNG, 0, 50, size=20_000_001), "20.0 MB is the most for a picture"),
        (piece(b"x" * 100, 0, 5), "did not arrive"),
        (piece(b"x" * 100, size=50), "did not arrive"),
        (piece(b"x" * 100, size=-5), "did not arrive"),
        (piece(b"x" * (MAX_PIECE + 1)), "did not arrive"),
        (piece(b"Gr\xfc\xdfe"), "older encoding"),
    ],
)
async def test_what_is_refused_leaves_nothing(app: Runtime, tmp_path: Path, sent: Piece, said: str) -> None:
    await app.chat.attach(OWNER, piece(b"other", id="other"))
    with pytest.raises(InputError, match=said):
        await app.chat.attach(OWNER, sent)
    assert on_the_way(tmp_path) == 0


async def test_a_file_that_changes_on_its_way_is_refused(app: Runtime, tmp_path: Path) -> None:
    data = b"x" * 1000
    for change in ({"size": 900}, {"name": "b.txt"}, {"data": b""}):
        await app.chat.attach(OWNER, piece(data, 0, 500))
        with pytest.raises(InputError, match="did not arrive"):
            await app.chat.attach(OWNER, piece(data, 500, **change))
    assert on_the_way(tmp_path) == 0


async def test_only_so_many_at_once(app: Runtime, tmp_path: Path) -> None:
    for n in range(MAX_UPLOADS):
        await app.chat.attach(OWNER, piece(b"x" * 100, 0, 50, id=str(n)))
    with pytest.raises(InputError, match="on their way already"):
        await app.chat.attach(OWNER, piece(b"x" * 100, 0, 50))
    await app.chat.attach("somebody else", piece(b"x" * 100, 0, 50))
    await app.chat.attach(OWNER, piece(b"x" * 100, 50, id="0"))
    await app.chat.attach(OWNER, piece(b"x" * 100, 0, 50))
    assert on_the_way(tmp_path) == MAX_UPLOADS + 1


async def test_only_so_many_begin_at_the_same_moment(app: Runtime, tmp_path: Path) -> None:
    begun = [app.chat.attach(OWNER, piece(b"x" * 100, 0, 50, id=str(n))) for n in range(5 * MAX_UPLOADS)]
    ends = await asyncio.gather(*begun, return_exceptions=True)
    assert ends.count(Progress(50)) == on_the_way(tmp_path) == MAX_UPLOADS
    assert {type(end) for end in ends} == {Progress, InputError}


async def test_what_is_idle_makes_room_unless_a_piece_of_it_is_being_taken(
    app: Runtime, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    take, store, data = app.chat.attach, app.chat._store, b"x" * 100
    for id in ("busy", "idle"):
        await take(OWNER, piece(data, 0, 50, id=id))
    gate, write, began = asyncio.Event(), store.write_upload, asyncio.Event()

    async def slow(path: Path, offset: int, data: bytes) -> None:
        if offset == 50:
            began.set()
            await gate.wait()
        await write(path, offset, data)

    monkeypatch.setattr(store, "write_upload", slow)
    last = asyncio.create_task(take(OWNER, piece(data, 50, id="busy")))
    await began.wait()
    monkeypatch.setattr("services.uploads.IDLE_S", -1.0)
    await take(OWNER, piece(data, 0, 50, id="new"))
    assert on_the_way(tmp_path) == 2
    gate.set()
    assert (await last).attachment is not None
    assert await take(OWNER, piece(data, 50, id="idle")) == Progress(0)


async def test_where_it_cannot_be_written_it_is_told_and_begins_again(app: Runtime, tmp_path: Path) -> None:
    data = b"x" * 1000
    await app.chat.attach(OWNER, piece(data, 0, 500))
    [file] = (tmp_path / "data" / "attachments" / "uploading").iterdir()
    file.unlink()
    with pytest.raises(StorageError, match="cannot be written"):
        await app.chat.attach(OWNER, piece(data, 500))
    assert await app.chat.attach(OWNER, piece(data, 500)) == Progress(0)
    assert (await app.chat.attach(OWNER, piece(data))).attachment is not None


async def test_a_message_may_be_nothing_but_attachments(app: Runtime) -> None:
    one = await attached(app.chat, b"Rain\n", "rain notes.md")
    opened = await whole_run(app.chat, await app.chat.send(OWNER, " \n", attachments=named(one)))
    assert opened.conversation.title == "rain notes.md"
    assert [opened.path[0].parts, opened.path[1].text] == [(one,), "One"]
    for text in ("", "\u200b"):
        with pytest.raises(InputError, match="nothing to send"):
            await app.chat.send(OWNER, text)


async def test_names_are_cleaned_and_only_ones_own_are_sent(app: Runtime) -> None:
    one = await attached(app.chat, b"x")
    opened = await app.chat.send(OWNER, "Hi", attachments=[(one.sha256, "../\u202e" + "n" * 10_000)])
    assert opened.path[0].attachments[0].name.startswith("nnn")
    assert len(opened.path[0].attachments[0].name) <= 120
    for owner, sha256 in [("ben", one.sha256), (OWNER, "0" * 64), (OWNER, "../../etc/passwd"), (OWNER, "\ud800")]:
        with pytest.raises(InputError):
            await app.chat.send(owner, "Hi", attachments=[(sha256, "a")])
        with pytest.raises(NotFoundError):
            await app.chat.attachment(owner, sha256)
    with pytest.raises(InputError, match=f"{MAX_ATTACHMENTS} is the most"):
        await app.chat.send(OWNER, "Hi", attachments=named(one) * (MAX_ATTACHMENTS + 1))


async def test_a_message_has_so_much_together_and_older_files_are_not_read(
    open_app: OpenRuntime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.attachments.MAX_TOGETHER", 3_000)
    monkeypatch.setattr("services.context.MAX_TOGETHER", 3_000)
    provider = ScriptedProvider(answer("One"), answer("Two"))
    app = await open_app(provider)
    old, new = await attached(app.chat, PNG, "old.png"), await attached(app.chat, b"x" * 2_500, "new.txt")
    with pytest.raises(InputError, match=r"3 KB is the most of one message\. Send them in parts"):
        await app.chat.send(OWNER, "Hi", attachments=named(old, new))
    opened = await whole_run(app.chat, await app.chat.send(OWNER, "Hi", attachments=named(old)))
    read: list[str] = []
    monkeypatch.setattr(app.chat._store._files, "read", lambda sha256: read.append(sha256) or b"x" * 2_500)
    here = opened.conversation.id
    await whole_run(app.chat, await app.chat.send(OWNER, "And?", attachments=named(new), conversation_id=here))
    assert read == [new.sha256]
    assert "“old.png”, was attached here. You cannot see it" in provider.requests[1].messages[0].text


async def test_what_is_sent_twice_is_stored_once(app: Runtime) -> None:
    one = await attached(app.chat, b"x")
    first = await app.chat.send(OWNER, "", attachments=named(one), request_key="k")
    again = await app.chat.send(OWNER, "", attachments=named(one), request_key="k")
    assert again.conversation.id == first.conversation.id
    assert len(again.path) == 2


async def test_files_wait_with_their_message_and_reach_the_model(open_app: OpenRuntime) -> None:
    gate = asyncio.Event()
    provider = ScriptedProvider([gate, *answer("One")], answer("Two"), answer("Three"))
    app = await open_app(provider)
    here = (await app.chat.send(OWNER, "First")).conversation.id
    picture, text = await attached(app.chat, PNG, "a.png"), await attached(app.chat, b"Rain\n")
    waits = await app.chat.send(OWNER, "", attachments=named(text, picture), conversation_id=here)
    assert waits.waiting.messages[0].attachments == (text, picture)
    gate.set()

    async def ended() -> bool:
        path = (await app.chat.open(OWNER, here)).path
        return len(path) == 4 and path[-1].status == "complete"

    await until(ended)
    opened = await app.chat.open(OWNER, here)
    assert opened.path[2].attachments == (text, picture)
    said = provider.requests[1].pieces(provider.requests[1].messages[-1])
    assert "Attached file “a.txt” (5 bytes):\n```\nRain\n```" in str(said[0])
    assert list(provider.requests[1].images) == [picture.sha256]
    await whole_run(app.chat, await app.chat.retry(OWNER, here, opened.path[3].id))
    assert provider.requests[2].messages[-1].parts == provider.requests[1].messages[-1].parts


async def test_going_on_has_the_files_still(open_app: OpenRuntime) -> None:
    provider = ScriptedProvider(["Half", refusal()], answer(" and half"))
    app = await open_app(provider)
    opened = await app.chat.send(OWNER, "", attachments=named(await attached(app.chat, PNG, "a.png")))
    opened = await whole_run(app.chat, opened)
    await whole_run(app.chat, await app.chat.go_on(OWNER, opened.conversation.id, opened.path[-1].id))
    assert provider.requests[1].images == provider.requests[0].images != {}


async def test_a_picture_for_a_model_that_takes_none_is_not_sent(open_app: OpenRuntime) -> None:
    provider = ScriptedProvider()
    app = await open_app(provider, OPENAI_BASE_URL="https://api.deepseek.com", OPENAI_API_KEY="k")
    opened = await app.chat.send(OWNER, "See?", attachments=named(await attached(app.chat, PNG, "a.png")))
    opened = await whole_run(app.chat, opened)
    assert opened.path[1].status == "failed"
    assert provider.requests == []

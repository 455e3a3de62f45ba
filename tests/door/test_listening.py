"""The socket: who may come in, what is left behind, and what becomes of a call that is cut off."""

from __future__ import annotations

import asyncio
import json
import socket
import stat
from collections.abc import AsyncGenerator
from contextlib import closing
from pathlib import Path

import pytest

from services.door import LostError, Question
from services.door.listening import Listening
from services.door.remote import RemoteDoor
from services.door.wire import VERSION, OtherVersionError, line_of, places
from services.errors import StorageError
from services.events import StepFinished, TextDelta
from services.runtime import Runtime, open_runtime
from services.settings import Settings, read_settings
from tests.conftest import until
from tests.door.conftest import ENVIRON, followed
from tests.scripted import ScriptedProvider, answer


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return read_settings(ENVIRON, tmp_path)


@pytest.fixture
async def app(settings: Settings) -> AsyncGenerator[Runtime, None]:
    gate = asyncio.Event()
    provider = ScriptedProvider(["Half ", gate, "done.", StepFinished("stop", "stop")], answer("So."))
    app = await open_runtime(settings, provider=provider, listen=True)
    yield app
    gate.set()
    await app.close()


async def found(settings: Settings) -> RemoteDoor:
    door = await RemoteDoor.find(places(settings))
    assert door is not None
    return door


async def said(settings: Settings, line: bytes) -> bytes:
    """Return what is answered to a line."""
    reader, writer = await asyncio.open_unix_connection(places(settings)[0])
    with closing(writer):
        writer.write(line)
        writer.write_eof()
        return await reader.read()


def test_nobody_listens_where_no_server_runs(settings: Settings) -> None:
    assert asyncio.run(RemoteDoor.find(places(settings))) is None


async def test_only_the_same_person_can_come_in(app: Runtime, settings: Settings) -> None:
    path = places(settings)[0]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    path.parent.chmod(0o755)
    assert await RemoteDoor.find([path]) is None, "it could be anybody's"


async def test_the_socket_goes_with_the_server(settings: Settings) -> None:
    app = await open_runtime(settings, provider=ScriptedProvider(), listen=True)
    door = await found(settings)
    await app.close()
    assert not places(settings)[0].exists()
    with pytest.raises(LostError):
        await door.trouble()
    assert await RemoteDoor.find(places(settings)) is None


async def test_what_a_crash_left_behind_is_replaced(settings: Settings) -> None:
    path = places(settings)[0]
    path.parent.mkdir(mode=0o700, parents=True)
    with closing(socket.socket(socket.AF_UNIX)) as dead:
        dead.bind(str(path))
    assert await RemoteDoor.find(places(settings)) is None
    app = await open_runtime(settings, provider=ScriptedProvider(), listen=True)
    assert await (await found(settings)).trouble() is None
    await app.close()


async def test_where_no_socket_can_be_another_place_is_taken(settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "door").write_text("in the way")
    app = await open_runtime(settings, provider=ScriptedProvider(), listen=True)
    try:
        assert await (await found(settings)).trouble() is None
        assert places(settings)[1].exists()
    finally:
        await app.close()
    assert not places(settings)[1].exists()


async def test_without_any_place_everything_else_goes_on(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    listening = await Listening.at(RemoteDoor(tmp_path), [tmp_path / "file" / "panelist.sock"])
    assert not listening.busy
    await listening.close()


@pytest.mark.parametrize(
    "line", [b"", b"hello\n", b"[]\n", b"null\n", b'{"do": "ask"}\n', b"\xff\xfe\n", b'{"a', b"[" * 99_999 + b"\n"]
)
async def test_what_is_no_call_is_answered_and_harms_nobody(app: Runtime, settings: Settings, line: bytes) -> None:
    answered = await said(settings, line)
    assert (answered == b"") == (line == b"") or json.loads(answered)["error"]
    assert await (await found(settings)).trouble() is None


@pytest.mark.parametrize(
    "call",
    [
        {"do": "erase", "conversation_id": "x"},
        {"do": "__init__"},
        {"do": "follow"},
        {"do": "said", "conversation_id": 1, "last": 1},
        {"do": "ask", "question": {"text": "x", "owner": "ben"}},
        {"do": ["ask"]},
    ],
)
async def test_what_nobody_knows_is_not_done(app: Runtime, settings: Settings, call: dict[str, object]) -> None:
    answered = json.loads(await said(settings, line_of({"version": VERSION, **call})))
    assert answered["error"]


async def test_another_version_is_told_apart(app: Runtime, settings: Settings) -> None:
    assert json.loads(await said(settings, b'{"version": 0, "do": "trouble"}\n')) == {"error": "version"}


async def test_what_another_version_says_is_a_sentence(settings: Settings) -> None:
    path = places(settings)[0]
    path.parent.mkdir(mode=0o700, parents=True)

    async def strange(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        writer.write(b'{"hello": 1}\n')
        writer.close()

    async with await asyncio.start_unix_server(strange, path):
        with pytest.raises(OtherVersionError, match="Restart it"):
            await RemoteDoor.find(places(settings))


async def test_a_server_that_ends_says_so_to_its_terminals(app: Runtime, settings: Settings) -> None:
    door = await found(settings)
    begun = await door.ask(Question(text="One"))
    stream = door.follow(begun.run_id or "")
    await until_text(stream)
    closing_ = asyncio.create_task(app.close())
    rest = [event async for happened in stream for event in happened.events]
    assert rest[-1].kind == "run_finished"
    await closing_
    with pytest.raises(LostError):
        await door.ask(Question(text="Two"))


async def test_a_server_that_is_gone_in_the_middle_is_told(settings: Settings) -> None:
    path = places(settings)[0]
    path.parent.mkdir(mode=0o700, parents=True)

    async def dies(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        writer.write(line_of({"upto": 1, "events": []}) + b'{"upto": 2, "ev')
        writer.close()

    async with await asyncio.start_unix_server(dies, path):
        with pytest.raises(LostError):
            _ = [one async for one in RemoteDoor(path).follow("run")]
        with pytest.raises(OtherVersionError):
            await RemoteDoor(path).trouble()


async def test_a_call_that_is_cut_off_is_carried_out(app: Runtime, settings: Settings) -> None:
    _, writer = await asyncio.open_unix_connection(places(settings)[0])
    writer.write(line_of({"version": VERSION, "do": "ask", "question": Question(text="One")}))
    await writer.drain()
    writer.close()

    async def asked() -> bool:
        return len(await app.chat.catalogue.conversations("local")) == 1

    await until(asked)


async def test_an_unforeseen_failure_is_told_without_its_details(settings: Settings, tmp_path: Path) -> None:
    class Broken(RemoteDoor):
        async def trouble(self) -> str | None:
            raise RuntimeError("secret")

    path = places(settings)[0]
    listening = await Listening.at(Broken(tmp_path), [path])
    try:
        with pytest.raises(StorageError, match="its log says more") as error:
            await RemoteDoor(path).trouble()
        assert "secret" not in str(error.value)
    finally:
        await listening.close()


async def until_text(stream: object) -> None:
    async for happened in stream:  # type: ignore[attr-defined]
        if any(isinstance(event, TextDelta) for event in happened.events):
            return


async def test_many_come_in_at_once(settings: Settings) -> None:
    app = await open_runtime(settings, provider=ScriptedProvider(*(answer("So.") for _ in range(30))), listen=True)
    try:
        door = await found(settings)

        async def ask(number: int) -> str:
            begun = await door.ask(Question(text=f"Number {number}"))
            await followed(door, begun)
            return (await door.answer(begun.conversation_id, begun.message_id)).text

        assert await asyncio.gather(*map(ask, range(30))) == ["So."] * 30
    finally:
        await app.close()

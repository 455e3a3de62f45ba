"""What was asked, made again from what is stored: byte by byte what a server on a real socket received."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AsyncExitStack, closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.chat import Opened
from services.details import Rebuilt
from services.errors import InputError, NotFoundError
from services.folders import Defaults
from services.messages import AttachmentPart, ErrorPart, Memory, Message, Part, ReasoningPart, TextPart
from services.options import Options
from services.providers.bodies import written
from services.recipes import as_it_was, kept_of
from services.runtime import Runtime, open_runtime
from services.settings import read_settings
from services.snippets import snippet
from services.storage.runs import STOPPED, joined
from tests.conftest import OWNER, OpenRuntime, whole_run
from tests.keyed import PLAIN
from tests.pictures import png
from tests.providers.asking import ANSWER, data
from tests.providers.sockets import CHUNKED, Script, Server, chunk, head, sending, serving, stay
from tests.scripted import ScriptedProvider, answer
from tests.storage import make
from tests.test_uploads import attached

KEY = f"{PLAIN}-of-the-house"


def streaming(*pieces: str, cut: bool = False) -> Script:
    """Answer with a stream; a cut one ends in the middle."""
    body = [CHUNKED, *map(chunk, pieces)]
    return sending(*body) if cut else sending(*body, b"0\r\n\r\n", then=stay)


@dataclass
class House:
    """Panelist with a server that keeps what it received."""

    app: Runtime
    server: Server
    scripts: list[Script]
    again: Callable[..., Awaitable[Runtime]]

    @property
    def last(self) -> bytes:
        """The body of the last request."""
        return self.server.requests[-1].partition(b"\r\n\r\n")[2]

    async def ask(self, text: str, *, after: Opened | None = None, **more: Any) -> Opened:
        here = after.conversation.id if after else None
        return await whole_run(self.app.chat, await self.app.chat.send(OWNER, text, conversation_id=here, **more))

    async def rebuilt(self, opened: Opened, run: int = -1, message: Message | None = None) -> Rebuilt:
        details, here = self.app.chat.details, opened.conversation.id
        id = (message or opened.path[-1]).id
        runs = (await details.of(OWNER, here, id)).runs
        return await details.request(OWNER, here, id, runs[run].run.id)


@pytest.fixture
async def house(tmp_path: Path) -> AsyncGenerator[House, None]:
    async with AsyncExitStack() as stack:
        scripts: list[Script] = []

        async def play(writer: asyncio.StreamWriter) -> None:
            await (scripts.pop(0) if scripts else streaming(ANSWER))(writer)

        server = await stack.enter_async_context(serving(play))

        async def open_again(**environ: str) -> Runtime:
            environ = {
                "OPENAI_BASE_URL": server.url,
                "OPENAI_API_KEY": KEY,
                "PANELIST_MODEL": "m1",
                "PANELIST_TITLES": "off",
                "PANELIST_TRIES": "1",
                **environ,
            }
            runtime = await open_runtime(read_settings(environ, tmp_path))
            stack.push_async_callback(runtime.close)
            return runtime

        yield House(await open_again(PANELIST_SYSTEM_PROMPT="Be brief."), server, scripts, open_again)


def body(rebuilt: Rebuilt) -> bytes:
    return bytes(written(dict(rebuilt.asked.body)))


async def test_what_was_sent_is_made_again_to_the_byte(house: House) -> None:
    options = Options(temperature=0.25, stop=("\n", "🥊"), seed=7)
    first = await house.ask('Zwölf “Boxkämpfer” 🥊\\ "$(x)"\n```', options=options)
    one = await house.rebuilt(first)
    assert (body(one), one.truth) == (house.last, "same")
    second = await house.ask("And then?", after=first)
    two = await house.rebuilt(second)
    assert (body(two), two.truth) == (house.last, "same")
    assert body(await house.rebuilt(first, message=first.path[-1])) == body(one), "what came later does not change it"


async def test_what_changed_meanwhile_does_not_change_it(house: House, tmp_path: Path) -> None:
    catalogue = house.app.chat.catalogue
    folder = await catalogue.add_folder(OWNER, "Poems")
    await catalogue.set_defaults(OWNER, folder.id, Defaults(system_prompt="Rhyme. 漢"))
    first = await house.ask("Go", folder_id=folder.id)
    sent = house.last
    assert json.loads(sent)["messages"][0]["content"] == "Rhyme. 漢"
    await catalogue.set_defaults(OWNER, folder.id, Defaults(system_prompt="Never rhyme."))
    await house.app.connections.drop_parameter(house.app.connections.default.name, "stream_options")
    await house.app.chat.set_options(OWNER, first.conversation.id, Options(model="other", temperature=2.0))
    second = await house.ask("Again", after=first)
    assert json.loads(house.last)["messages"][0]["content"] == "Never rhyme."
    assert "stream_options" not in json.loads(house.last)
    found = await house.rebuilt(first, message=first.path[-1])
    assert (body(found), found.truth) == (sent, "same")
    assert body(await house.rebuilt(second)) == house.last
    await catalogue.remove_folder(OWNER, folder.id)
    await house.app.close()
    house.app = await house.again(PANELIST_SYSTEM_PROMPT="Quite another one")
    found = await house.rebuilt(first, message=first.path[-1])
    assert (body(found), found.truth) == (sent, "same"), "also after a restart with other settings"
    with closing(sqlite3.connect(tmp_path / "data" / "panelist.db")) as database:
        assert database.execute("select text from texts order by text").fetchall() == [
            ("Never rhyme.",),
            ("Rhyme. 漢",),
        ]


async def test_what_a_model_had_forgotten_then_it_has_forgotten_for_good(house: House) -> None:
    store = house.app.store
    first = await house.ask("One", options=Options(system_prompt="Speak of rain."))
    here, id = first.conversation.id, first.path[-1].id
    await store.remember(OWNER, here, id, Memory(summary="They spoke of rain. 漢", at=make.WHEN))
    second = await house.ask("Two", after=first)
    sent = [house.last]
    assert b"They spoke of rain." in house.last
    assert b'"One"' not in house.last
    await store.remember(OWNER, here, id, Memory(summary=None, at=make.WHEN))
    third = await house.ask("Three", after=first)
    sent.append(house.last)
    assert b"They spoke of rain." not in house.last
    await store.remember(OWNER, here, id, None)
    for opened, expected in zip((second, third), sent, strict=True):
        found = await house.rebuilt(opened)
        assert (body(found), found.truth) == (expected, "same")
    await house.ask("Four", after=first)
    assert b'"One"' in house.last
    assert body(await house.rebuilt(await house.app.chat.open(OWNER, here))) == house.last


async def test_a_prompt_is_kept_once_and_goes_with_its_conversation(house: House, tmp_path: Path) -> None:
    first = await house.ask("One")
    for text in ("Two", "Three"):
        await house.ask(text, after=first)

    def texts() -> int:
        with closing(sqlite3.connect(tmp_path / "data" / "panelist.db")) as database:
            return int(database.execute("select count(*) from texts").fetchone()[0])

    assert texts() == 1
    await house.app.chat.catalogue.delete(OWNER, first.conversation.id)
    await house.app.chat.catalogue.erase(OWNER, first.conversation.id)
    assert texts() == 0


async def test_each_run_of_an_answer_has_its_own_request(house: House) -> None:
    house.scripts += [streaming(data("Half"), cut=True), streaming(data(" more"), cut=True)]
    opened = await house.ask("Go")
    sent = [house.last]
    for _ in range(2):
        here = opened.conversation.id
        opened = await whole_run(house.app.chat, await house.app.chat.go_on(OWNER, here, opened.path[-1].id))
        sent.append(house.last)
    assert opened.path[-1].text == "Half moreHello"
    assert [json.loads(one)["messages"][-2]["content"] for one in sent[1:]] == ["Half", "Half more"]
    found = [await house.rebuilt(opened, run) for run in range(3)]
    assert [body(one) for one in found] == sent
    assert {one.truth for one in found} == {"same"}


async def test_files_are_in_it_and_it_is_said_when_one_is_gone(house: House, tmp_path: Path) -> None:
    picture = await attached(house.app.chat, png(), "a.png")
    note = await attached(house.app.chat, "Zwölf\n```".encode(), "note.txt")
    named = [(picture.sha256, "a.png"), (note.sha256, "note.txt")]
    first = await house.ask("Look", attachments=named)
    found = await house.rebuilt(first)
    assert (body(found), found.truth) == (house.last, "same")
    second = await house.ask("And now?", after=first)
    assert body(await house.rebuilt(second)) == house.last
    for file in (tmp_path / "data" / "attachments").rglob(f"*{picture.sha256[2:]}*"):
        file.unlink()
    found = await house.rebuilt(second)
    assert found.truth == "different"
    with pytest.raises(InputError, match=r"cannot be made again: “a\.png” cannot be read"):
        await house.rebuilt(first, message=first.path[-1])


async def test_a_model_that_refused_pictures_is_remembered(house: House) -> None:
    picture = await attached(house.app.chat, png(), "a.png")
    refusal = b'{"error": {"message": "This model does not support image input."}}'
    top = head("400 No", "application/json", f"Content-Length: {len(refusal)}")
    first = await house.ask("Look", attachments=[(picture.sha256, "a.png")])
    house.scripts.append(sending(top, refusal, then=stay))
    refused = await house.ask("Look again", after=first, attachments=[(picture.sha256, "a.png")])
    assert refused.path[-1].status == "failed"
    found = await house.rebuilt(refused)
    assert (body(found), found.truth) == (house.last, "same"), "what was refused was sent all the same"
    blind = await house.ask("Without", after=refused)
    assert b"data:image" not in house.last
    assert body(await house.rebuilt(blind)) == house.last


async def test_copies_ask_what_their_originals_asked(house: House) -> None:
    first = await house.ask("One")
    sent = house.last
    second = await house.ask("Two", after=first)
    fork = await house.app.chat.fork(OWNER, first.conversation.id, first.path[-1].id)
    assert body(await house.rebuilt(fork)) == sent
    await house.app.chat.branching.prune(OWNER, first.conversation.id, second.path[2].id)
    again = await house.ask("Three", after=first)
    sent = house.last
    copy_id = await house.app.chat.branching.pick(OWNER, first.conversation.id, first.path[0].id)
    assert copy_id
    picked = await house.app.chat.branching.pick(OWNER, first.conversation.id, again.path[-1].id)
    opened = await house.app.chat.open(OWNER, first.conversation.id)
    assert opened.path[-1].id == picked
    assert body(await house.rebuilt(opened)) == sent


async def test_what_never_went_out_says_so(tmp_path: Path, house: House) -> None:
    house.server.requests.clear()
    other = {"PANELIST_DATA_DIR": str(tmp_path / "other"), "OPENAI_BASE_URL": "https://api.mistral.ai/v1"}
    app = await house.again(**other, OPENAI_API_KEY="")
    opened = await whole_run(app.chat, await app.chat.send(OWNER, "Go"))
    assert opened.path[-1].status == "failed"
    [one] = (await app.chat.details.of(OWNER, opened.conversation.id, opened.path[-1].id)).runs
    found = await app.chat.details.request(OWNER, opened.conversation.id, opened.path[-1].id, one.run.id)
    assert found.truth == "unsent"
    assert house.server.requests == []


async def test_of_older_runs_what_would_be_sent_today_is_shown_as_such(house: House, tmp_path: Path) -> None:
    opened = await house.ask("Go", options=Options(model="m1", temperature=0.5))
    with closing(sqlite3.connect(tmp_path / "data" / "panelist.db")) as database, database:
        database.execute("update runs set recipe = null")
    found = await house.rebuilt(opened)
    assert found.truth == "guessed"
    assert json.loads(body(found))["temperature"] == 0.5
    with closing(sqlite3.connect(tmp_path / "data" / "panelist.db")) as database, database:
        database.execute("update runs set recipe = '{\"endpoint\": 7}'")
    assert (await house.rebuilt(opened)).truth == "guessed", "what is damaged hides nothing else"


async def test_no_key_is_in_any_of_it(house: House, tmp_path: Path) -> None:
    opened = await house.ask("Go")
    assert f"authorization: bearer {KEY}" in house.server.requests[-1].decode().lower()
    found = await house.rebuilt(opened)
    for language in ("json", "python", "curl"):
        assert KEY not in snippet(found.asked, language)
    assert KEY not in repr(found)
    await house.app.close()
    for file in (tmp_path / "data").rglob("*"):
        assert not file.is_file() or KEY.encode() not in file.read_bytes()


async def test_nobody_sees_what_another_asked(house: House) -> None:
    opened = await house.ask("Go")
    here, reply = opened.conversation.id, opened.path[-1]
    details = house.app.chat.details
    for owner, message, run in (
        ("eve", reply.id, reply.run_id),
        (OWNER, reply.id, "another"),
        (OWNER, opened.path[0].id, reply.run_id),
    ):
        with pytest.raises(NotFoundError):
            await details.request(owner, here, message, run or "")


async def test_what_is_about_to_be_asked_has_no_request_yet(open_app: OpenRuntime) -> None:
    gate = asyncio.Event()
    provider = ScriptedProvider([gate, *answer("Hi")])
    app = await open_app(provider)
    opened = await app.chat.send(OWNER, "Go")
    while not provider.requests:
        await asyncio.sleep(0)
    [one] = (await app.chat.details.of(OWNER, opened.conversation.id, opened.path[-1].id)).runs
    found = await app.chat.details.request(OWNER, opened.conversation.id, opened.path[-1].id, one.run.id)
    assert found.asked.body["messages"] == [{"role": "user", "content": "Go"}]
    gate.set()
    await whole_run(app.chat, opened)


words = st.text(max_size=6)
anything: st.SearchStrategy[Part] = st.one_of(
    st.builds(TextPart, words),
    st.builds(ReasoningPart, words, seconds=st.none() | st.just(1.0)),
    st.just(AttachmentPart("a" * 64, "a", "text/plain", 1)),
)


@given(st.lists(anything, max_size=4), st.lists(anything, max_size=4), st.lists(anything, max_size=4))
def test_an_answer_can_be_cut_back_to_what_it_was(first: list[Part], second: list[Part], third: list[Part]) -> None:
    new = replace(make.answer_to(make.exchange(make.conversation()).question), parts=tuple(first))
    before = kept_of(new)
    later = replace(new, parts=joined(joined(tuple(first), second), third))
    assert as_it_was(later, before).parts == tuple(first)
    failed = replace(later, parts=(*later.parts, ErrorPart(STOPPED)))
    assert as_it_was(failed, before).parts == tuple(first)
    assert kept_of(failed) == kept_of(later)

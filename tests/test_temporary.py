"""Temporary chats: everything works in them, and nothing of them is written anywhere."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path
from typing import Any

import pytest

from components.state import ConversationState
from components.temporary import BLANK, TemporaryTab
from services import temporary
from services.attachments import Piece
from services.errors import InputError, NotFoundError, PanelistError
from services.runtime import Runtime
from services.storage.store import Store
from tests.components.test_state import becomes, shown
from tests.conftest import OWNER, OpenRuntime, until, whole_run
from tests.scripted import ScriptedProvider, answer, refusal
from tests.storage.make import asked

CANARY = "xylophonic-canary-7715"


async def tab(app: Runtime, *, owner: str = OWNER) -> ConversationState:
    state = ConversationState(app.chat, app.connections, owner, app.temporary)
    await state.start()
    return state


async def ended(state: ConversationState) -> None:
    await becomes(state, lambda: state.run_id is None and bool(state.path))


async def attach(state: ConversationState, text: str) -> tuple[str, str]:
    data = text.encode()
    done = await state.attach(Piece(id=text[:20], name=f"{CANARY}.txt", size=len(data), offset=0, data=data), BLANK)
    assert done.attachment is not None
    return done.attachment.sha256, done.attachment.name


def traces(folder: Path) -> list[str]:
    """Return the files under a folder whose name or content has the canary in it, in any of the usual encodings."""
    words = [CANARY.encode(form) for form in ("utf-8", "utf-16-le", "utf-16-be")]
    files = [path for path in folder.rglob("*") if path.is_file()]
    return [str(path) for path in files if CANARY in path.name or any(word in path.read_bytes() for word in words)]


async def test_nothing_of_a_temporary_chat_is_written(
    open_app: OpenRuntime, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    provider = ScriptedProvider(
        answer(f"An answer with {CANARY}."),
        answer(f"Another one with {CANARY}."),
        [f"half {CANARY}", refusal(message=f"It failed: {CANARY}.")],
        answer("stored"),
    )
    app = await open_app(provider, PANELIST_TITLES="on")
    state = await tab(app)
    await state.open(BLANK)
    assert state.temporary
    file = await attach(state, f"a file with {CANARY}")
    await state.send(f"A question with {CANARY}", "k1", attachments=[file])
    await ended(state)
    assert CANARY in state.path[-1].text
    assert f"a file with {CANARY}" in str(provider.requests[0])  # the model got it
    await state.retry(state.path[-1].id)
    await ended(state)
    await state.edit(state.path[0].id, f"Put differently: {CANARY}", "k2")
    await ended(state)
    assert state.path[-1].status == "interrupted"
    assert len(provider.requests) == 3, "and no title was asked for"
    assert state.catalogue.conversations == ()
    assert traces(tmp_path) == []  # while it is open: neither database, nor its log, nor attachments, nor uploads
    assert CANARY not in caplog.text
    await state.open(None)
    await state.send("An ordinary question", "k3")
    await ended(state)
    state.close()
    await app.close()
    assert traces(tmp_path) == []
    assert b"An ordinary question" in (tmp_path / "data" / "panelist.db").read_bytes(), "that is how it is found"


async def test_it_works_like_any_other(open_app: OpenRuntime) -> None:
    gate = asyncio.Event()
    app = await open_app(ScriptedProvider(["One", gate], answer("Two"), ["Thr", gate, *answer("ee")], answer("Four")))
    state = await tab(app)
    await state.open(BLANK)
    await state.send("First")
    assert state.conversation is not None
    here = state.conversation.id
    assert temporary.is_temporary(here)
    await becomes(state, lambda: "One" in (state.delta.text if state.delta else ""))
    state.stop()
    await ended(state)
    assert shown(state)[-1] == ("assistant", "One", "stopped")
    await state.retry(state.path[-1].id)
    await ended(state)
    assert shown(state)[-1] == ("assistant", "Two", "complete")
    first = state.versions[state.path[-1].id].ids[0]
    await state.show_version(first)
    assert shown(state)[-1] == ("assistant", "One", "stopped")
    outline = await state.branching.map()
    assert outline is not None
    assert [node.beginning for node in outline.nodes] == ["First", "One", "Two"]
    await state.show_version(state.versions[first].ids[1])
    await state.send("Second", to=here)
    await state.send("Third, which waits", to=here)
    await becomes(state, lambda: bool(state.waiting.messages))
    gate.set()
    await becomes(state, lambda: state.run_id is None and len(state.path) == 6)
    assert [text for _, text, _ in shown(state)[2:]] == ["Second", "Three", "Third, which waits", "Four"]
    state.close()


async def test_who_leaves_it_can_come_back_for_a_while(open_app: OpenRuntime) -> None:
    app = await open_app(ScriptedProvider(answer("Here"), answer("There")))
    state = await tab(app)
    await state.open(BLANK)
    await state.send("A secret")
    await ended(state)
    before = shown(state)
    await state.open(None)
    assert (state.temporary, state.path) == (False, ())
    assert state.notice is not None
    assert state.notice.undo is not None
    await state.notice.undo()
    assert (state.temporary, shown(state)) == (True, before)
    await state.open(BLANK)  # another one, and the first can still be come back to
    assert state.notice.undo is not None
    undo = state.notice.undo
    await state.send("Another secret")
    await ended(state)
    await state.open(None)
    await undo()  # of the notice before: what comes back is the last one that was left
    assert [text for _, text, _ in shown(state)] == ["Another secret", "There"]
    state.close()


@pytest.mark.parametrize("another", [False, True], ids=["a new chat", "another temporary one"])
async def test_one_that_is_left_before_its_question_shows_is_closed(open_app: OpenRuntime, another: bool) -> None:
    app = await open_app(ScriptedProvider(answer("Here"), answer("There")))
    state = await tab(app)
    await state.open(BLANK)
    sending = asyncio.create_task(state.send("A secret", to=BLANK))
    await until(lambda: app.temporary._opening == 1)
    await state.open(None)
    if another:
        await state.open(BLANK)
    here = await sending
    assert (state.temporary, state.conversation, state.notice is not None) == (another, None, True)
    assert state.notice is not None
    assert state.notice.undo is not None
    assert state._aside.shown is None
    if another:
        await state.send("Another secret", to=BLANK)
        await ended(state)
        assert len(app.temporary._rooms) == 2
        for room in app.temporary._rooms:
            assert len(await room.chat.catalogue.conversations(OWNER)) == 1
    else:
        await state.notice.undo()
        await ended(state)
        assert (state.temporary, state.path[0].text) == (True, "A secret")
        assert state.conversation is not None
        assert state.conversation.id == here
    state.close()


async def test_a_blank_one_is_never_where_something_was_said(open_app: OpenRuntime) -> None:
    app = await open_app(ScriptedProvider(answer("Here")))
    aside = TemporaryTab(app.temporary, OWNER)
    chat = await aside.door(blank=True)
    assert await aside.door(blank=True) is chat, "nothing was said in it yet"
    opened = await whole_run(chat, await chat.send(OWNER, "A secret"))
    assert await aside.door() is chat
    assert await aside.door(blank=True) is not chat
    assert await aside.come_back() == opened.conversation.id
    aside.close()


async def test_it_is_gone_with_its_tab(open_app: OpenRuntime) -> None:
    app = await open_app(ScriptedProvider(answer("Here")))
    state, other, foreign = await tab(app), await tab(app), await tab(app, owner="eve")
    await state.open(BLANK)
    await state.send("A secret")
    await ended(state)
    assert state.conversation is not None
    here = state.conversation.id
    for stranger in (other, foreign):
        await stranger.open(here)
        assert (stranger.path, stranger.temporary) == ((), False)
    with pytest.raises(NotFoundError):
        await app.temporary.holding("eve", here)
    assert await app.temporary.holding(OWNER, here)
    state.close()
    with pytest.raises(NotFoundError):
        await app.temporary.holding(OWNER, here)
    other.close()
    foreign.close()


async def test_a_tab_that_is_closed_while_its_room_opens_leaves_none(open_app: OpenRuntime) -> None:
    app = await open_app(ScriptedProvider(answer("Here")))
    state = await tab(app)
    await state.open(BLANK)
    sending = asyncio.create_task(state.send("A secret", to=BLANK))
    await until(lambda: app.temporary._opening == 1)
    state.close()
    with pytest.raises(NotFoundError):
        await sending
    assert app.temporary._rooms == []


async def test_keeping_it_makes_it_an_ordinary_conversation(open_app: OpenRuntime) -> None:
    app = await open_app(ScriptedProvider(answer("One"), answer("Two"), answer("Three")))
    state = await tab(app)
    await state.open(BLANK)
    draft = await attach(state, "for the next question")
    await state.send("Keep me", attachments=[await attach(state, "with the first question")])
    await ended(state)
    await state.retry(state.path[-1].id)
    await ended(state)
    before, here = shown(state), state.conversation
    assert here is not None
    await state.keep()
    assert state.conversation is not None
    assert state.kept == (here.id, state.conversation.id)
    assert (state.temporary, shown(state)) == (False, before)
    assert [c.id for c in state.catalogue.conversations] == [state.conversation.id]
    assert len(state.versions[state.path[-1].id].ids) == 2
    await state.send("And on", to=state.conversation.id, attachments=[draft])
    await ended(state)
    assert state.path[-1].text == "Three"
    [part] = state.path[0].attachments
    assert await app.chat.attachment(OWNER, part.sha256) == ("text/plain", b"with the first question")
    await until(lambda: not app.temporary.busy)
    state.close()


async def test_it_is_not_kept_while_an_answer_is_written(open_app: OpenRuntime) -> None:
    gate = asyncio.Event()
    app = await open_app(ScriptedProvider(["One", gate, *answer("!")]))
    state = await tab(app)
    await state.open(BLANK)
    await state.send("Wait")
    await state.keep()
    assert state.notice is not None
    assert "still being written" in state.notice.text
    assert state.temporary
    gate.set()
    await ended(state)
    state.close()


class Held:
    """A store that waits with one of its calls until it may go on."""

    def __init__(self, store: Store, call: str) -> None:
        self._store = store
        self._call = call
        self.reached = asyncio.Event()
        self.gate = asyncio.Event()

    def __getattr__(self, name: str) -> Any:
        return self._waiting if name == self._call else getattr(self._store, name)

    async def _waiting(self, *args: Any, **more: Any) -> Any:
        self.reached.set()
        await self.gate.wait()
        return await getattr(self._store, self._call)(*args, **more)


async def test_what_begins_while_its_files_are_kept_is_kept_too(open_app: OpenRuntime) -> None:
    gate = asyncio.Event()
    app = await open_app(ScriptedProvider(answer("One"), ["Tw", gate, *answer("o")]))
    state = await tab(app)
    await state.open(BLANK)
    await state.send("Keep me", attachments=[await attach(state, "a file")])
    await ended(state)
    held = app.temporary._stored = Held(app.store, "add_attachment")  # type: ignore[assignment]
    keeping = asyncio.create_task(state.keep())
    await held.reached.wait()
    await state.edit(state.path[-1].id, "Put right", "k1")
    held.gate.set()
    await keeping
    assert not state.temporary
    assert [text for _, text, _ in shown(state)] == ["Keep me", "Put right"]

    await state.open(BLANK)
    await state.send("Keep me not yet", attachments=[await attach(state, "another file")])
    await becomes(state, lambda: "Tw" in (state.delta.text if state.delta else ""))
    state.stop()
    await ended(state)
    app.temporary._stored = held = Held(app.store, "add_attachment")  # type: ignore[assignment]
    keeping = asyncio.create_task(state.keep())
    await held.reached.wait()
    app.provider.scripts.append(["Thr", gate, *answer("ee")])  # type: ignore[attr-defined]
    await state.retry(state.path[-1].id)
    held.gate.set()
    await keeping
    assert state.notice is not None
    assert "still being written" in state.notice.text
    assert state.temporary
    gate.set()
    await ended(state)
    assert shown(state)[-1] == ("assistant", "Three", "complete")
    state.close()


async def test_nothing_begins_in_it_once_it_is_kept(open_app: OpenRuntime) -> None:
    app = await open_app(ScriptedProvider(answer("One")))
    room = await app.temporary.open(OWNER)
    opened = await whole_run(room.chat, await room.chat.send(OWNER, "Keep me"))
    here, question, last = opened.conversation.id, *(message.id for message in opened.path)
    held = Held(app.store, "add_wholes")
    keeping = asyncio.create_task(room.keep(held))  # type: ignore[arg-type]
    await held.reached.wait()
    begun = [
        asyncio.create_task(work)
        for work in (
            room.chat.send(OWNER, "One more", conversation_id=here),
            room.chat.edit(OWNER, here, question, "Put differently"),
            room.chat.retry(OWNER, here, last),
            room.chat.go_on(OWNER, here, last),
            room.chat.branching.pick(OWNER, here, question),
            room.chat.branching.prune(OWNER, here, last),
        )
    ]
    held.gate.set()
    kept = await keeping
    for refused in await asyncio.gather(*begun, return_exceptions=True):
        assert isinstance(refused, InputError)
        assert "kept meanwhile" in str(refused)
    assert [message.text for message in (await app.chat.open(OWNER, kept)).path] == ["Keep me", "One"]
    app.temporary.drop(room)


@pytest.mark.parametrize("what", ["remove", "copy"])
@pytest.mark.parametrize(("first", "then"), [(None, BLANK), (BLANK, None)], ids=["stored", "temporary"])
async def test_an_undo_goes_to_the_conversation_that_it_is_of(
    open_app: OpenRuntime, first: str | None, then: str | None, what: str
) -> None:
    app = await open_app(ScriptedProvider(answer("One"), answer("Two"), answer("Elsewhere")))
    state = await tab(app)
    await state.open(first)
    await state.send("A question")
    await ended(state)
    question, one = (message.id for message in state.path)
    await state.retry(one)
    await ended(state)
    assert state.conversation is not None
    here, chat = state.conversation.id, state._chat
    before = await chat.branching.map(OWNER, here)
    await (state.branching.prune(one) if what == "remove" else state.branching.pick(question))
    assert await chat.branching.map(OWNER, here) != before
    assert state.notice is not None
    assert state.notice.undo is not None
    undo = state.notice.undo
    await state.open(then)
    await state.send("Another question")
    await ended(state)
    shows = shown(state)
    state.notice = None
    await undo()
    assert state.notice is None, "no word of a failure"
    assert [node.id for node in (await chat.branching.map(OWNER, here)).nodes] == [node.id for node in before.nodes]
    assert shown(state) == shows
    state.close()


async def test_a_full_one_ends_its_answer_takes_no_more_and_can_be_kept(open_app: OpenRuntime) -> None:
    gate = asyncio.Event()
    long = "many words " * 200_000
    app = await open_app(ScriptedProvider(["So", gate, *answer(long)]))
    store = await Store.in_memory(most=1_000_000, most_files=1_000)
    room = temporary.Room(OWNER, store, app.temporary._wire(store))
    chat = room.chat
    try:
        here = (await chat.send(OWNER, "Tell me all")).conversation.id
        await chat.send(OWNER, "And then?", conversation_id=here)
        gate.set()
        await until(lambda: not chat.busy)
        assert chat.trouble is None
        opened = await chat.open(OWNER, here)
        assert (opened.path[-1].text, opened.path[-1].status) == (f"So{long}", "complete")

        async def held() -> bool:
            return (await chat.waiting(OWNER, here)).held

        await until(held)  # for a person: no more fits
        [waits] = (await chat.waiting(OWNER, here)).messages
        with pytest.raises(InputError, match="chat is full"):
            await chat.send_now(OWNER, here, waits.id)
        await chat.unqueue(OWNER, here, waits.id)
        for refused in (
            chat.send(OWNER, "More", conversation_id=here),
            chat.retry(OWNER, here, opened.path[-1].id),
            chat.edit(OWNER, here, opened.path[-1].id, "By hand"),
            store.add_attachment(OWNER, "a.txt", "text/plain", b"a file"),
        ):
            with pytest.raises(InputError, match="chat is full"):
                await refused
        kept = await room.keep(app.store)
    finally:
        await room.close()
    assert [len(message.text) for message in (await app.chat.open(OWNER, kept)).path] == [11, len(long) + 2]


async def test_what_was_sent_in_it_never_goes_anywhere_else(open_app: OpenRuntime) -> None:
    app = await open_app(ScriptedProvider(answer("Here")))
    state = await tab(app)
    with pytest.raises(InputError):  # the page was on its way to it, and has left it since
        await state.send("A secret", to=BLANK)
    await state.open(BLANK)
    await state.send("A secret")
    await ended(state)
    assert state.conversation is not None
    here = state.conversation.id
    state._aside.close()
    with pytest.raises(NotFoundError):
        await state.send("Another secret", to=here)
    assert state.catalogue.conversations == ()
    state.close()


async def test_there_is_an_end_to_what_they_take(open_app: OpenRuntime) -> None:
    app = await open_app(ScriptedProvider())
    rooms = [await app.temporary.open(OWNER) for _ in range(temporary.MAX_ROOMS)]
    with pytest.raises(InputError):
        await app.temporary.open(OWNER)
    app.temporary.drop(rooms[0])
    assert await app.temporary.open(OWNER)
    store = await Store.in_memory(most=1_000_000, most_files=1_000)
    try:
        await store.add_attachment(OWNER, "a.txt", "text/plain", b"x" * 900)
        with pytest.raises(PanelistError, match="files at most"):
            await store.add_attachment(OWNER, "b.txt", "text/plain", b"y" * 900)
        with pytest.raises(PanelistError, match="chat is full"):
            await asked(store, "x" * 2_000_000)
        assert await store.conversations(OWNER) == []
        await asked(store, "Something shorter")
    finally:
        await store.close()

"""What is sent while an answer is being written waits for its end, in order, and is never lost."""

from __future__ import annotations

import asyncio
from functools import partial

import pytest

from services.chat import Opened
from services.errors import InputError, NotFoundError, StorageError
from services.runtime import Runtime
from services.storage.queue import MAX_QUEUED
from tests.conftest import OWNER, OpenRuntime, until, whole_run
from tests.scripted import ScriptedProvider, answer, refusal


def texts(opened: Opened) -> list[str]:
    return [message.text for message in opened.path]


def waiting(opened: Opened) -> list[str]:
    return [queued.text for queued in opened.waiting.messages]


async def idle(app: Runtime, conversation_id: str) -> Opened:
    """Wait until nothing is written in the conversation and nothing is about to be."""
    found: list[Opened] = []

    async def look() -> bool:
        opened = await app.chat.open(OWNER, conversation_id)
        found.append(opened)
        settled = opened.path[-1].status != "streaming" and (not opened.waiting.messages or opened.waiting.held)
        # Twice in a row: between two of its reads the next message may have gone.
        return settled and len(found) > 1 and found[-2].path == opened.path

    await until(look)
    return found[-1]


async def begin(app: Runtime, text: str = "First") -> Opened:
    return await app.chat.send(OWNER, text)


async def test_what_is_sent_meanwhile_waits_and_follows_in_order(open_app: OpenRuntime) -> None:
    gate = asyncio.Event()
    provider = ScriptedProvider([gate, *answer("One")], answer("Two"), answer("Three"))
    app = await open_app(provider)
    here = (await begin(app)).conversation.id
    second = await app.chat.send(OWNER, "Second", conversation_id=here)
    third = await app.chat.send(OWNER, "Third", conversation_id=here)
    assert texts(third) == ["First", ""]
    assert waiting(third) == ["Second", "Third"]
    assert not third.waiting.held
    gate.set()
    done = await idle(app, here)
    assert texts(done) == ["First", "One", "Second", "Two", "Third", "Three"]
    assert waiting(done) == []
    assert done.path[2].id == second.waiting.messages[0].id, "a message keeps the id it waited under"
    assert [m.text for m in provider.requests[2].messages] == ["First", "One", "Second", "Two", "Third"]


async def test_two_tabs_that_send_at_once_are_both_answered(open_app: OpenRuntime) -> None:
    app = await open_app(ScriptedProvider(answer("One"), answer("Two"), answer("Three")))
    first = await whole_run(app.chat, await begin(app))
    here = first.conversation.id
    sent = [app.chat.send(OWNER, text, conversation_id=here) for text in ("Second", "Third")]
    await asyncio.gather(*sent)
    done = await idle(app, here)
    assert texts(done) == ["First", "One", "Second", "Two", "Third", "Three"]
    assert not any(versions.ids for versions in done.versions.values())


@pytest.mark.parametrize("script", [[refusal("auth")], ["Half"], ["Half", asyncio.Event()]])
async def test_it_is_held_when_the_answer_did_not_end_by_itself(open_app: OpenRuntime, script: list) -> None:
    gate = asyncio.Event()
    app = await open_app(ScriptedProvider([gate, *script], answer("Two"), answer("Three")))
    opened = await begin(app)
    here = opened.conversation.id
    await app.chat.send(OWNER, "Second", conversation_id=here)
    gate.set()
    if isinstance(script[-1], asyncio.Event):
        app.chat.stop(OWNER, opened.run_id or "")
    held = await idle(app, here)
    assert waiting(held) == ["Second"]
    assert held.waiting.held
    started = await app.chat.send_now(OWNER, here, held.waiting.messages[0].id)
    assert texts(started)[-2:] == ["Second", ""]
    assert texts(await idle(app, here))[-1] == "Two"


async def test_a_question_of_ones_own_goes_before_what_is_held(open_app: OpenRuntime) -> None:
    gate = asyncio.Event()
    app = await open_app(ScriptedProvider([gate, refusal()], answer("Two"), answer("Three")))
    here = (await begin(app)).conversation.id
    await app.chat.send(OWNER, "Later", conversation_id=here)
    gate.set()
    await idle(app, here)
    await app.chat.send(OWNER, "Now", conversation_id=here)
    assert texts(await idle(app, here))[-4:] == ["Now", "Two", "Later", "Three"]


async def test_send_now_stops_the_answer_and_goes_before_the_others(open_app: OpenRuntime) -> None:
    provider = ScriptedProvider(["Half", asyncio.Event()], answer("Third!"), answer("Second!"))
    app = await open_app(provider)
    here = (await begin(app)).conversation.id
    await app.chat.send(OWNER, "Second", conversation_id=here)
    opened = await app.chat.send(OWNER, "Third", conversation_id=here)
    await app.chat.send_now(OWNER, here, opened.waiting.messages[1].id)
    done = await idle(app, here)
    assert texts(done)[2:] == ["Third", "Third!", "Second", "Second!"]
    assert done.path[1].status == "stopped"


async def test_sending_with_now_is_stop_and_send(open_app: OpenRuntime) -> None:
    app = await open_app(ScriptedProvider([asyncio.Event()], answer("Two")))
    here = (await begin(app)).conversation.id
    await app.chat.send(OWNER, "Second", conversation_id=here, now=True)
    done = await idle(app, here)
    assert [(m.text, m.status) for m in done.path[1:]] == [("", "stopped"), ("Second", "complete"), ("Two", "complete")]


async def test_what_was_removed_is_not_sent_and_is_told(open_app: OpenRuntime) -> None:
    gate = asyncio.Event()
    app = await open_app(ScriptedProvider([gate, *answer("One")]))
    here = (await begin(app)).conversation.id
    opened = await app.chat.send(OWNER, "Second", conversation_id=here)
    [queued] = opened.waiting.messages
    await app.chat.unqueue(OWNER, here, queued.id)
    for again in (app.chat.unqueue(OWNER, here, queued.id), app.chat.send_now(OWNER, here, queued.id)):
        with pytest.raises(NotFoundError, match="sent or removed"):
            await again
    gate.set()
    assert texts(await idle(app, here)) == ["First", "One"]


async def test_it_waits_through_a_restart(open_app: OpenRuntime) -> None:
    app = await open_app(ScriptedProvider(["Half", asyncio.Event()]))
    here = (await begin(app)).conversation.id
    await app.chat.send(OWNER, "Second", conversation_id=here)
    await app.close()
    again = await open_app(ScriptedProvider(answer("Two")))
    held = await again.chat.open(OWNER, here)
    assert (waiting(held), held.waiting.held) == (["Second"], True)
    await again.chat.send_now(OWNER, here, held.waiting.messages[0].id)
    assert texts(await idle(again, here))[-2:] == ["Second", "Two"]


async def test_a_request_that_comes_twice_waits_once_and_is_sent_once(open_app: OpenRuntime) -> None:
    gate, second = asyncio.Event(), asyncio.Event()
    app = await open_app(ScriptedProvider([gate, *answer("One")], [second, *answer("Two")]))
    here = (await begin(app)).conversation.id
    for _ in range(2):
        opened = await app.chat.send(OWNER, "Second", conversation_id=here, request_key="k2")
    assert waiting(opened) == ["Second"]
    gate.set()
    async for _ in app.chat.follow(OWNER, opened.run_id or ""):
        pass
    while_written = await app.chat.send(OWNER, "Second", conversation_id=here, request_key="k2")
    second.set()
    await idle(app, here)
    done = await app.chat.send(OWNER, "Second", conversation_id=here, request_key="k2")
    assert waiting(while_written) == waiting(done) == []
    assert texts(done) == ["First", "One", "Second", "Two"]


async def test_a_held_request_that_comes_again_goes_on_waiting(open_app: OpenRuntime) -> None:
    gate = asyncio.Event()
    app = await open_app(ScriptedProvider([gate, refusal()]))
    here = (await begin(app)).conversation.id
    await app.chat.send(OWNER, "Second", conversation_id=here, request_key="k2")
    gate.set()
    await idle(app, here)
    again = await app.chat.send(OWNER, "Second", conversation_id=here, request_key="k2")
    assert waiting(again) == ["Second"]
    assert len(again.path) == 2


async def test_too_many_are_refused(open_app: OpenRuntime) -> None:
    app = await open_app(ScriptedProvider([asyncio.Event()]))
    here = (await begin(app)).conversation.id
    for number in range(MAX_QUEUED):
        await app.chat.send(OWNER, str(number), conversation_id=here)
    with pytest.raises(InputError, match="20 messages are waiting already"):
        await app.chat.send(OWNER, "one more", conversation_id=here)


async def test_nobody_else_sees_removes_or_sends_it(open_app: OpenRuntime) -> None:
    app = await open_app(ScriptedProvider([asyncio.Event()]))
    here = (await begin(app)).conversation.id
    [queued] = (await app.chat.send(OWNER, "Mine", conversation_id=here)).waiting.messages
    for intrusion in (
        app.chat.waiting("eve", here),
        app.chat.unqueue("eve", here, queued.id),
        app.chat.send_now("eve", here, queued.id),
    ):
        with pytest.raises(NotFoundError):
            await intrusion
    assert waiting(await app.chat.open(OWNER, here)) == ["Mine"]


async def test_a_deleted_conversation_keeps_what_waits_and_sends_nothing(open_app: OpenRuntime) -> None:
    app = await open_app(ScriptedProvider(["Half", asyncio.Event()]))
    opened = await begin(app)
    here = opened.conversation.id
    await app.chat.send(OWNER, "Second", conversation_id=here)
    await app.chat.catalogue.delete(OWNER, here)
    async for _ in app.chat.follow(OWNER, opened.run_id or ""):
        pass
    await app.chat.catalogue.restore(OWNER, here)
    held = await idle(app, here)
    assert (waiting(held), held.waiting.held) == (["Second"], True)


async def test_the_title_is_asked_for_after_the_last_of_them(open_app: OpenRuntime) -> None:
    gate = asyncio.Event()
    scripts = ([gate, *answer("One")], [asyncio.Event()], answer("Two"), answer("A good title"))
    app = await open_app(ScriptedProvider(*scripts), PANELIST_TITLES="on")
    here = (await begin(app)).conversation.id
    await app.chat.send(OWNER, "Second", conversation_id=here)
    gate.set()

    async def titled() -> bool:
        return (await app.chat.open(OWNER, here)).conversation.title == "A good title"

    await until(titled)


async def test_now_is_kept_when_the_answer_ends_at_that_moment(open_app: OpenRuntime) -> None:
    gate = asyncio.Event()
    scripts = ([gate, *answer("One")], answer("Urgent!"), answer("Older!"))
    app = await open_app(ScriptedProvider(*scripts))
    opened = await begin(app)
    here = opened.conversation.id
    await app.chat.send(OWNER, "Older", conversation_id=here)
    enqueue = app.store.enqueue

    async def slowly(*args, **more):
        stored = await enqueue(*args, **more)
        gate.set()
        await until_idle(app, here)
        return stored

    app.store.enqueue = slowly
    await app.chat.send(OWNER, "Urgent", conversation_id=here, now=True)
    done = await idle(app, here)
    assert [m.text for m in done.path if m.role == "user"] == ["First", "Urgent", "Older"]
    assert [m.status for m in done.path] == ["complete"] * 6


async def until_idle(app: Runtime, conversation_id: str) -> None:
    async def ended() -> bool:
        return not app.chat.writing(OWNER, conversation_id)

    await until(ended)


async def test_nothing_is_stored_for_a_sender_who_is_refused_at_the_end(open_app: OpenRuntime) -> None:
    app = await open_app(ScriptedProvider(answer("One")))
    done = await whole_run(app.chat, await begin(app))
    await app.runs.close()
    with pytest.raises(StorageError, match="shutting down"):
        await app.chat.send(OWNER, "Too late", conversation_id=done.conversation.id)
    assert (await app.chat.open(OWNER, done.conversation.id)).path == done.path


@pytest.mark.parametrize("why", ["deleted", "unreadable"])
async def test_what_is_stored_is_not_refused_when_it_cannot_be_read_back(open_app: OpenRuntime, why: str) -> None:
    gate = asyncio.Event()
    app = await open_app(ScriptedProvider([gate, *answer("One")], answer("Two"), answer("Three")))
    here = (await begin(app)).conversation.id
    snapshot = app.store.snapshot

    async def not_now(*args):
        if why == "deleted":
            await app.store.delete(OWNER, here)
            return await snapshot(*args)
        raise StorageError("The disk reported an error. Check it, then try again.")

    app.store.snapshot = not_now
    opened = await app.chat.send(OWNER, "Second", conversation_id=here)
    assert (opened.conversation.id, opened.whole) == (here, False)
    app.store.snapshot = snapshot
    await app.chat.catalogue.restore(OWNER, here)
    gate.set()
    done = await idle(app, here)
    assert (texts(done) + waiting(done)).count("Second") == 1


async def test_stop_and_send_that_comes_again_stops_nothing(open_app: OpenRuntime) -> None:
    app = await open_app(ScriptedProvider(["Half", asyncio.Event()], ["Answer", asyncio.Event()]))
    here = (await begin(app)).conversation.id
    send = partial(app.chat.send, OWNER, "Rather this", conversation_id=here, request_key="k", now=True)
    await send()

    async def answered() -> bool:
        opened = await app.chat.open(OWNER, here)
        return len(opened.path) == 4 and opened.run_id is not None

    await until(answered)
    opened = await send()  # the word that it is stored was lost
    await asyncio.sleep(0.1)
    assert texts(opened)[2] == "Rather this"
    assert (await app.chat.open(OWNER, here)).path[-1].status == "streaming"


async def test_stop_and_send_twice_at_once_is_sent_once(open_app: OpenRuntime) -> None:
    app = await open_app(ScriptedProvider(["Half", asyncio.Event()], answer("Answer")))
    here = (await begin(app)).conversation.id
    send = partial(app.chat.send, OWNER, "Rather this", conversation_id=here, request_key="k", now=True)
    await asyncio.gather(send(), send())
    assert texts(await idle(app, here))[2:] == ["Rather this", "Answer"]


async def test_it_waits_on_while_storage_is_in_trouble(open_app: OpenRuntime, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.queueing._AGAIN_S", 0.02)
    gate = asyncio.Event()
    app = await open_app(ScriptedProvider([gate, *answer("One")], answer("Two")))
    here = (await begin(app)).conversation.id
    await app.chat.send(OWNER, "Second", conversation_id=here)

    async def full(*_: object, **__: object) -> None:
        raise StorageError("The disk is full.")

    with monkeypatch.context() as trouble:
        trouble.setattr(type(app.store), "begin_run", full)
        gate.set()
        await asyncio.sleep(0.2)
        opened = await app.chat.open(OWNER, here)
        assert waiting(opened) == ["Second"]
        assert not opened.waiting.held
    assert texts(await idle(app, here)) == ["First", "One", "Second", "Two"]


async def test_what_was_removed_does_not_come_back(open_app: OpenRuntime) -> None:
    app = await open_app(ScriptedProvider(["Half", asyncio.Event()]))
    here = (await begin(app)).conversation.id
    opened = await app.chat.send(OWNER, "Second", conversation_id=here, request_key="k")
    await app.chat.unqueue(OWNER, here, opened.waiting.messages[0].id)
    opened = await app.chat.send(OWNER, "Second", conversation_id=here, request_key="k")
    assert waiting(opened) == []


async def test_nothing_is_shown_that_is_not_stored(open_app: OpenRuntime, monkeypatch: pytest.MonkeyPatch) -> None:
    app = await open_app(ScriptedProvider([asyncio.Event()], [asyncio.Event()]))
    first = await begin(app)
    here = first.conversation.id
    await app.chat.send(OWNER, "Second", conversation_id=here, request_key="k")
    app.chat.stop(OWNER, first.run_id or "")
    await idle(app, here)

    snapshot, reads = app.store.snapshot, 0

    async def not_twice(*args: str) -> object:
        nonlocal reads
        reads += 1
        if reads > 1:
            raise StorageError("The disk reported an error.")
        return await snapshot(*args)

    with monkeypatch.context() as trouble:
        trouble.setattr(app.store, "snapshot", not_twice)
        again = await app.chat.send(OWNER, "Second", conversation_id=here, request_key="k")
    assert again.path == ()

"""What would be too long for its model is caught before it is asked, whatever asks: through the door."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace

import pytest

from services.chat import Opened
from services.errors import PanelistError
from services.fitting import Asking, TooLongError
from services.options import Options
from services.runtime import Runtime
from tests.conftest import OWNER, OpenRuntime, whole_run
from tests.scripted import ScriptedProvider, answer
from tests.test_fitting import LONG, asked_with, replies, small, talk
from tests.test_queue import idle, waiting

__all__ = ["small"]

LONGER = "word " * 1_200
Begin = Callable[[Runtime, Opened, bool], Awaitable[Opened]]


async def edit(app: Runtime, done: Opened, anyway: bool) -> Opened:
    return await app.chat.edit(
        OWNER, done.conversation.id, done.path[-2].id, LONGER + "edited", request_key="k", anyway=anyway
    )


async def regenerate(app: Runtime, done: Opened, anyway: bool) -> Opened:
    return await app.chat.retry(OWNER, done.conversation.id, done.path[-1].id, anyway=anyway)


async def continue_(app: Runtime, done: Opened, anyway: bool) -> Opened:
    return await app.chat.go_on(OWNER, done.conversation.id, done.path[-1].id, anyway=anyway)


async def with_other_options(app: Runtime, done: Opened, anyway: bool) -> Opened:
    options = Options(system_prompt=LONGER)
    return await app.chat.retry(OWNER, done.conversation.id, done.path[-1].id, options=options, anyway=anyway)


async def prepared(app: Runtime, begin: Begin) -> Opened:
    """Return a conversation in which that would be too long, and nothing before it was."""
    done = await talk(app, LONG + "1", LONG + "2", LONG + "3")
    if begin in (edit, with_other_options):
        return done
    here = done.conversation.id
    await app.chat.set_options(OWNER, here, Options(model="large"))
    await whole_run(app.chat, await app.chat.send(OWNER, LONGER, conversation_id=here))
    await app.chat.set_options(OWNER, here, Options())
    return await app.chat.open(OWNER, here)


@pytest.mark.parametrize("begin", [edit, regenerate, with_other_options])
async def test_nothing_is_asked_or_stored_and_a_person_decides(
    open_app: OpenRuntime, small: dict[str, str], begin: Begin
) -> None:
    provider = ScriptedProvider(*replies(8))
    app = await open_app(provider, **small)
    done = await prepared(app, begin)
    here, asked = done.conversation.id, len(provider.requests)
    with pytest.raises(TooLongError, match=r"This would be about [\d,]+ tokens, and m takes 2,000") as refused:
        await begin(app, done, False)
    assert len(provider.requests) == asked
    assert await app.chat.open(OWNER, here) == done
    assert refused.value.failure.kind == "too_long"
    choices = await app.chat.fitting.choices(OWNER, refused.value.asking, [("here", "large")])
    assert choices.estimate.over
    assert [model for _, model, _ in choices.larger] == ["large"]
    ended = await whole_run(app.chat, await begin(app, done, True))
    assert (ended.path[-1].status, len(provider.requests)) == ("complete", asked + 1)


@pytest.mark.parametrize("begin", [edit, regenerate])
async def test_what_was_made_to_fit_is_asked(open_app: OpenRuntime, small: dict[str, str], begin: Begin) -> None:
    provider = ScriptedProvider(*replies(8))
    app = await open_app(provider, **small)
    done = await prepared(app, begin)
    with pytest.raises(TooLongError) as refused:
        await begin(app, done, False)
    await app.chat.fitting.trim(OWNER, refused.value.asking)
    ended = await whole_run(app.chat, await begin(app, done, False))
    assert ended.path[-1].status == "complete"
    assert LONG + "1" not in asked_with(provider), "the oldest are left out"


async def test_an_answer_that_is_gone_on_with_is_measured_with_what_it_has(
    open_app: OpenRuntime, small: dict[str, str]
) -> None:
    provider = ScriptedProvider(answer("Fine."), answer("word " * 1_700, reason="length"), answer("Done."))
    app = await open_app(provider, **small)
    done = await talk(app, LONG + "1", LONG + "2")
    assert done.path[-1].status == "truncated"
    with pytest.raises(TooLongError) as refused:
        await continue_(app, done, False)
    assert refused.value.asking.go_on == done.path[-1].id
    assert (await app.chat.open(OWNER, done.conversation.id)) == done
    ended = await whole_run(app.chat, await continue_(app, done, True))
    assert ended.path[-1].text.endswith("Done.")


@pytest.mark.parametrize("now", [False, True], ids=["in its turn", "at once"])
async def test_a_message_that_waits_is_held(open_app: OpenRuntime, small: dict[str, str], now: bool) -> None:
    gate = asyncio.Event()
    provider = ScriptedProvider(answer("One."), [gate, *answer("Two.")], *replies(3))
    app = await open_app(provider, **small)
    here = (await talk(app, LONG + "1")).conversation.id
    await app.chat.send(OWNER, LONG + "2", conversation_id=here)
    first = await app.chat.send(OWNER, LONGER + "3", conversation_id=here, now=now)
    [queued] = first.waiting.messages
    assert first.waiting.too_long is None, "nobody knows yet how long it will be"
    await app.chat.send(OWNER, "4", conversation_id=here)
    gate.set()
    held = await idle(app, here)
    assert waiting(held) == [LONGER + "3", "4"]
    assert (held.waiting.held, held.waiting.too_long) == (True, queued.id)
    assert len(provider.requests) == 2
    with pytest.raises(TooLongError) as refused:
        await app.chat.send_now(OWNER, here, queued.id)
    assert waiting(await app.chat.open(OWNER, here)) == [LONGER + "3", "4"]
    await app.chat.fitting.trim(OWNER, refused.value.asking)
    await app.chat.send_now(OWNER, here, queued.id)
    done = await idle(app, here)
    assert waiting(done) == []
    assert done.waiting.too_long is None
    assert [message.text for message in done.path[-2:]] == ["4", "Answer 1."], "and what waited behind it followed"


async def test_a_held_message_can_be_sent_anyway_or_taken_back(open_app: OpenRuntime, small: dict[str, str]) -> None:
    gates = [asyncio.Event(), asyncio.Event()]
    provider = ScriptedProvider(*([gate, *answer("Fine.")] for gate in gates), *replies(1))
    app = await open_app(provider, **small)
    here = (await app.chat.send(OWNER, LONG + "1")).conversation.id
    for text in (LONGER + LONGER, LONGER + LONG):
        await app.chat.send(OWNER, text, conversation_id=here)
    gates[0].set()
    gates[1].set()
    held = await idle(app, here)
    long, other = held.waiting.messages
    await app.chat.unqueue(OWNER, here, long.id)
    assert (await app.chat.open(OWNER, here)).waiting.too_long is None
    await app.chat.send_now(OWNER, here, other.id, anyway=True)
    done = await idle(app, here)
    assert (waiting(done), done.path[-1].status) == ([], "complete")


async def test_what_surely_fits_is_not_counted(
    open_app: OpenRuntime, small: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    app = await open_app(ScriptedProvider(*replies(3)), **small)
    done = await talk(app, "Why?")
    monkeypatch.setattr("services.tokens.Counter.count", _never)
    again = await whole_run(app.chat, await regenerate(app, done, False))
    assert again.path[-1].text == "Answer 1."


async def test_where_nobody_can_count_the_question_goes(
    open_app: OpenRuntime, small: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    app = await open_app(ScriptedProvider(*replies(3)), **small)
    done = await talk(app, LONG + "1", LONG + "2")
    monkeypatch.setattr("services.tokens.Counter.count", _never)
    again = await whole_run(app.chat, await edit(app, done, False))
    assert again.path[-1].status == "complete"


def _never(*_: object) -> int:
    raise PanelistError("Nobody can count here.")


async def test_a_picture_and_a_file_count_as_what_they_are(open_app: OpenRuntime, small: dict[str, str]) -> None:
    app = await open_app(ScriptedProvider(*replies(2)), **small)
    kept = await app.store.add_attachment(OWNER, "a.txt", "text/plain", LONGER.encode() * 2)
    sent = await app.chat.send(OWNER, "Read", attachments=((kept.sha256, "a.txt"),), options=Options(model="large"))
    done = await whole_run(app.chat, sent)
    asking = Asking(conversation_id=done.conversation.id, again=done.path[-1].id, options=Options(model="large"))
    await app.chat.fitting.check(OWNER, asking)
    with pytest.raises(TooLongError):
        await app.chat.fitting.check(OWNER, replace(asking, options=Options(model="m")))

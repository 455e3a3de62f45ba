"""The tree of a conversation through the door: what leaves it, what is copied, what is compared."""

from __future__ import annotations

import asyncio

import pytest

from services.chat import Opened
from services.errors import InputError, NotFoundError
from tests.conftest import OWNER, OpenRuntime, whole_run
from tests.scripted import ScriptedProvider, answer


async def test_what_is_pruned_is_neither_shown_sent_found_nor_exported(open_app: OpenRuntime) -> None:
    provider = ScriptedProvider(*(answer(text) for text in ("One", "Wrong turning", "Three")))
    app = await open_app(provider)
    chat, branching = app.chat, app.chat.branching
    first = await whole_run(chat, await chat.send(OWNER, "First"))
    here = first.conversation.id
    second = await whole_run(chat, await chat.send(OWNER, "Second", conversation_id=here))
    heard = chat.changes.version(OWNER)
    pruned = await branching.prune(OWNER, here, second.path[2].id)
    assert (pruned.count, chat.changes.version(OWNER) > heard) == (2, True)
    assert (await chat.open(OWNER, here)).path == first.path
    assert [node.id for node in (await branching.map(OWNER, here)).nodes] == [m.id for m in first.path]
    assert await app.chat.catalogue.search(OWNER, "wrong") == ()
    export = await chat.catalogue.export(OWNER, [here], "json")
    assert "Wrong" not in b"".join([piece async for piece in export.pieces]).decode()
    await whole_run(chat, await chat.send(OWNER, "Third", conversation_id=here))
    assert [m.text for m in provider.requests[2].messages] == ["First", "One", "Third"]
    await branching.unprune(OWNER, pruned)
    assert [m.text for m in (await chat.open(OWNER, here)).path] == ["First", "One", "Third", "Three"]
    assert [m.text for m in (await chat.show_version(OWNER, here, second.path[3].id)).path][2:] == [
        "Second",
        "Wrong turning",
    ]
    assert len(await app.chat.catalogue.search(OWNER, "wrong")) == 1


async def test_twice_at_once_is_once(open_app: OpenRuntime) -> None:
    app = await open_app(ScriptedProvider(answer("One"), answer("Two")))
    first = await whole_run(app.chat, await app.chat.send(OWNER, "First"))
    here = first.conversation.id
    await whole_run(app.chat, await app.chat.send(OWNER, "Second", conversation_id=here))
    copies = await asyncio.gather(*(app.chat.branching.pick(OWNER, here, first.path[0].id) for _ in range(3)))
    assert len(set(copies)) == 1
    assert len((await app.chat.open(OWNER, here)).path) == 5
    counts = [(await app.chat.branching.prune(OWNER, here, copies[0])).count for _ in range(2)]
    assert counts == [1, 0]
    assert len((await app.chat.open(OWNER, here)).path) == 4


async def test_a_copy_that_was_put_right_is_none_any_more(open_app: OpenRuntime) -> None:
    app = await open_app(ScriptedProvider(*(answer(text) for text in ("One", "Two"))))
    first = await whole_run(app.chat, await app.chat.send(OWNER, "First"))
    here = first.conversation.id
    await app.chat.branching.pick(OWNER, here, first.path[0].id)
    copy = await app.chat.branching.pick(OWNER, here, first.path[1].id)
    mine = (await app.chat.edit(OWNER, here, copy, "One, put right")).path[-1]
    assert mine.picked_from is None
    with pytest.raises(InputError):  # an answer behind an answer; it is not taken for the copy that is there already
        await app.chat.branching.pick(OWNER, here, first.path[1].id)
    assert (await app.chat.open(OWNER, here)).path[-1] == mine


async def test_a_copied_question_is_answered_when_that_is_asked_for(open_app: OpenRuntime) -> None:
    provider = ScriptedProvider(*(answer(text) for text in ("One", "Two", "Once more")))
    app = await open_app(provider)
    first = await whole_run(app.chat, await app.chat.send(OWNER, "First"))
    here = first.conversation.id
    await whole_run(app.chat, await app.chat.send(OWNER, "Second", conversation_id=here))
    copy = await app.chat.branching.pick(OWNER, here, first.path[0].id)
    assert len(provider.requests) == 2, "nothing is asked by itself"
    done = await whole_run(app.chat, await app.chat.retry(OWNER, here, copy))
    assert [m.text for m in done.path] == ["First", "One", "Second", "Two", "First", "Once more"]
    assert [m.text for m in provider.requests[2].messages] == ["First", "One", "Second", "Two", "First"]


async def test_while_an_answer_is_written_only_other_branches_can_go(open_app: OpenRuntime) -> None:
    gate = asyncio.Event()
    app = await open_app(ScriptedProvider(answer("One"), answer("Other"), [gate, *answer("Two")]))
    first = await whole_run(app.chat, await app.chat.send(OWNER, "First"))
    here = first.conversation.id
    await whole_run(app.chat, await app.chat.retry(OWNER, here, first.path[1].id))
    opened = await app.chat.send(OWNER, "Second", conversation_id=here)
    for id in (opened.path[0].id, opened.path[-1].id):
        with pytest.raises(InputError, match="still being written"):
            await app.chat.branching.prune(OWNER, here, id)
    with pytest.raises(InputError, match="still being written"):
        await app.chat.branching.pick(OWNER, here, opened.path[0].id)
    pruned = await app.chat.branching.prune(OWNER, here, first.path[1].id)
    gate.set()
    done = await whole_run(app.chat, opened)
    assert [m.text for m in done.path] == ["First", "Other", "Second", "Two"]
    assert done.versions == {}
    await app.chat.branching.unprune(OWNER, pruned)
    assert len((await app.chat.open(OWNER, here)).versions) == 1


async def test_branches_are_compared_from_where_they_part(open_app: OpenRuntime) -> None:
    app = await open_app(ScriptedProvider(answer("One"), answer("Other")))
    first = await whole_run(app.chat, await app.chat.send(OWNER, "First"))
    here = first.conversation.id
    again = await whole_run(app.chat, await app.chat.retry(OWNER, here, first.path[1].id))
    found = await app.chat.branching.branches(OWNER, here, first.path[1].id, again.path[1].id)
    assert found.common_id == first.path[0].id
    assert found.pairs == ((first.path[1], again.path[1]),)


async def test_nobody_sees_or_changes_the_tree_of_another(open_app: OpenRuntime) -> None:
    app = await open_app(ScriptedProvider(answer("One"), answer("Other")))
    first: Opened = await whole_run(app.chat, await app.chat.send(OWNER, "First"))
    here, branching = first.conversation.id, app.chat.branching
    await whole_run(app.chat, await app.chat.retry(OWNER, here, first.path[1].id))
    one, other = first.path[0].id, first.path[1].id
    pruned = await branching.prune(OWNER, here, other)
    for call in (
        branching.map("eve", here),
        branching.removed("eve", here),
        branching.branches("eve", here, one, other),
        branching.prune("eve", here, one),
        branching.unprune("eve", pruned),
        branching.pick("eve", here, one),
    ):
        with pytest.raises(NotFoundError):
            await call
    assert len((await branching.map(OWNER, here)).nodes) == 2

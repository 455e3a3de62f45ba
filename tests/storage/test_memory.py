"""Where a model's memory begins: kept with the message behind which it does."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from services.errors import InputError, NotFoundError, StorageError
from services.messages import Memory
from services.storage import codec
from services.storage.store import Store
from tests.storage import make
from tests.storage.make import ANN, BEN

AT = datetime(2026, 11, 2, 9, 30, 0, 123456, tzinfo=UTC)
SHORT = Memory(summary="It rained. \U0001f327 ", model="tiny", at=AT)
NOTHING = Memory(at=AT)


async def two(store: Store) -> tuple[make.Exchange, make.Exchange]:
    first = await make.asked(store)
    await make.finish(store, first.run_id)
    second = make.exchange(first.conversation, "And snow?", after=first.answer.id)
    await make.begin(store, second)
    return first, second


@pytest.mark.parametrize("memory", [SHORT, NOTHING])
async def test_it_is_read_with_the_path_also_where_that_was_read_before(store: Store, memory: Memory) -> None:
    first, second = await two(store)
    here = first.conversation.id
    await store.path(ANN, here)  # which is remembered
    before = await store.conversation(ANN, here)
    assert await store.remember(ANN, here, first.answer.id, memory) is None
    assert [message.memory for message in await store.path(ANN, here)] == [None, memory, None, None]
    assert (await store.message(ANN, here, first.answer.id)).memory == memory
    assert (await store.snapshot(ANN, here)).path[1].memory == memory
    assert (await store.conversation(ANN, here)).updated_at > before.updated_at, "other tabs look again"
    assert await store.remember(ANN, here, first.answer.id, None) == memory
    assert [message.memory for message in await store.path(ANN, here)] == [None] * 4
    await make.finish(store, second.run_id)


async def test_a_fork_has_it_and_a_copy_of_the_message_does_not(store: Store) -> None:
    first, second = await two(store)
    await make.finish(store, second.run_id)
    here = first.conversation.id
    await store.remember(ANN, here, first.answer.id, SHORT)
    forked = await store.fork(ANN, make.conversation(), here, second.answer.id)
    assert [message.memory for message in await store.path(ANN, forked.id)] == [None, SHORT, None, None]
    third = make.exchange(first.conversation, "And hail?", after=first.answer.id)
    await make.begin(store, third)
    await make.finish(store, third.run_id)
    asked = make.exchange(first.conversation, "Once more?", after=third.answer.id)
    await make.begin(store, asked)
    await make.finish(store, asked.run_id)
    with pytest.raises(InputError):
        await store.pick(ANN, here, first.answer.id)  # behind an answer
    copy = await store.pick(ANN, here, first.question.id)
    picked = await store.pick(ANN, here, first.answer.id)
    assert copy != picked
    assert (await store.path(ANN, here))[-1].memory is None


async def test_an_export_and_an_import_keep_it(store: Store) -> None:
    first, second = await two(store)
    await make.finish(store, second.run_id)
    await store.remember(ANN, first.conversation.id, first.answer.id, SHORT)
    whole = await store.whole(ANN, first.conversation.id)
    await store.add_wholes(BEN, lambda: [whole], [])
    [brought] = await store.conversations(BEN)
    assert [message.memory for message in await store.path(BEN, brought.id)] == [None, SHORT, None, None]


async def test_an_answer_that_is_gone_on_with_is_told_again(store: Store) -> None:
    first = await make.asked(store)
    await make.stop(store, first.run_id, "Because")
    await store.remember(ANN, first.conversation.id, first.answer.id, SHORT)
    await store.resume_run(ANN, first.conversation.id, first.answer.id, "again")
    assert (await store.path(ANN, first.conversation.id))[-1].memory is None


async def test_not_behind_what_is_being_written_nor_for_anybody_else(store: Store) -> None:
    first, second = await two(store)
    here = first.conversation.id
    with pytest.raises(InputError, match="still being written"):
        await store.remember(ANN, here, second.answer.id, SHORT)
    for owner, where, message in ((BEN, here, first.answer.id), (ANN, here, "nowhere"), (ANN, "none", "x")):
        with pytest.raises(NotFoundError):
            await store.remember(owner, where, message, SHORT)
    assert all(message.memory is None for message in await store.path(ANN, here))


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{}", '{"at": 3}', '{"at": "soon"}', '{"at": "2026-11-01T00:00:00"}', '{"at": "x", "summary": 1}'],
)
def test_a_damaged_one_is_told(text: str) -> None:
    with pytest.raises(StorageError, match="damaged"):
        codec.memory_from_json(text)


def test_what_is_written_is_read_back() -> None:
    for memory in (SHORT, NOTHING, None):
        assert codec.memory_from_json(codec.memory_to_json(memory)) == memory
    odd = replace(SHORT, summary="\ud83c\udf27\x00")
    assert codec.memory_from_json(codec.memory_to_json(odd)) == replace(SHORT, summary="🌧")

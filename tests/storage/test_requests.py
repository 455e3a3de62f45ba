"""A request that arrives twice is stored once."""

from __future__ import annotations

import asyncio

import pytest

from services.errors import InputError, NotFoundError
from services.messages import new_id
from services.storage.store import MAX_KEY, Begun, Store
from tests.storage import make
from tests.storage.make import ANN, BEN


async def _begin(store: Store, new: make.Exchange, key: str | None, owner: str = ANN) -> Begun:
    return await store.begin_run(
        owner,
        conversation=new.conversation,
        question=new.question,
        answers=[new.answer],
        request_key=key,
    )


async def test_the_second_time_stores_nothing_and_tells_of_the_first(store: Store, rows: make.Rows) -> None:
    new = make.exchange(make.conversation())
    first = await _begin(store, new, "k1")
    assert first == Begun(await store.conversation(ANN, new.conversation.id), (new.run_id,), fresh=True)
    before = rows.count()
    again = await _begin(store, make.exchange(make.conversation()), "k1")  # new ids: the page knows only its key
    assert again == Begun(first.conversation, (new.run_id,), fresh=False)
    assert rows.count() == before
    await make.finish(store, new.run_id)
    assert not (await _begin(store, make.exchange(new.conversation, after=new.answer.id), "k1")).fresh


async def test_other_keys_and_no_key_are_other_requests(store: Store) -> None:
    for key in ("k1", "k2", "K1", None, None):
        assert (await _begin(store, make.exchange(make.conversation()), key)).fresh
    assert len(await store.conversations(ANN)) == 5


async def test_a_key_belongs_to_its_owner(store: Store) -> None:
    await _begin(store, make.exchange(make.conversation()), "k1")
    assert (await _begin(store, make.exchange(make.conversation()), "k1", BEN)).fresh
    assert len(await store.conversations(BEN)) == 1


async def test_duplicates_at_once_are_one(store: Store) -> None:
    where = (await make.asked(store)).conversation
    new = [make.exchange(make.conversation()) for _ in range(4)] + [make.exchange(where) for _ in range(4)]
    begun = await asyncio.gather(*(_begin(store, one, "k1") for one in new))
    assert sum(one.fresh for one in begun) == 1
    assert len({one.run_id for one in begun}) == 1
    assert len({one.conversation.id for one in begun}) == 1


async def test_what_failed_used_no_key(store: Store) -> None:
    first = await make.asked(store)
    with pytest.raises(NotFoundError):
        await _begin(store, make.exchange(first.conversation, after="unknown"), "k1")
    assert (await _begin(store, make.exchange(make.conversation()), "k1")).fresh


async def test_a_request_into_a_conversation_deleted_since_is_not_found(store: Store) -> None:
    new = make.exchange(make.conversation())
    await _begin(store, new, "k1")
    await store.delete(ANN, new.conversation.id)
    with pytest.raises(NotFoundError):
        await _begin(store, new, "k1")


@pytest.mark.parametrize("key", ["", "a\x00b", "a\nb", "\ud800", "x" * (MAX_KEY + 1)])
async def test_a_key_that_is_no_word_is_refused(store: Store, rows: make.Rows, key: str) -> None:
    with pytest.raises(InputError, match="Reload the page"):
        await _begin(store, make.exchange(make.conversation()), key)
    assert set(rows.count().values()) == {0}


async def test_going_on_twice_is_once(store: Store) -> None:
    new = await make.asked(store)
    await make.stop(store, new.run_id, "Beca")
    where, answer = new.conversation.id, new.answer.id
    begun = await asyncio.gather(
        *(store.resume_run(ANN, where, answer, new_id(), request_key="k1") for _ in range(3)),
    )
    assert sum(one.fresh for one in begun) == 1
    assert len({one.run_id for one in begun}) == 1

"""Messages that wait for the answer before them."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from services.conversation import Queued
from services.errors import InputError, NotFoundError
from services.messages import Message, new_id
from services.storage.queue import MAX_QUEUED
from services.storage.store import Store
from tests.storage import make
from tests.storage.make import ANN, BEN, WHEN


def message(text: str = "And then?") -> Queued:
    return Queued(id=new_id(), text=text, created_at=WHEN)


async def asked(store: Store, *texts: str) -> tuple[make.Exchange, list[Queued]]:
    """Begin a run, with messages that wait for it."""
    new = await make.asked(store)
    queue = [message(text) for text in texts]
    for one in queue:
        await store.enqueue(ANN, new.conversation.id, one)
    return new, queue


def sent(before: make.Exchange, queued: Queued) -> tuple[Message, Message]:
    """Return a waiting message as a question behind an exchange, and its empty answer."""
    question = replace(make.exchange(before.conversation, queued.text, after=before.answer.id).question, id=queued.id)
    return question, make.answer_to(question)


async def send(store: Store, before: make.Exchange, queued: Queued, owner: str = ANN):
    question, answer = sent(before, queued)
    return await store.begin_run(
        owner,
        conversation=before.conversation,
        question=question,
        answers=[answer],
        waited=True,
    )


async def test_they_come_in_order_and_are_no_messages_yet(store: Store) -> None:
    new, queue = await asked(store, "one", "two 😀", "three")
    here = new.conversation.id
    assert await store.queue(ANN, here) == queue
    assert len(await store.path(ANN, here)) == 2
    assert await store.queue(ANN, (await make.asked(store)).conversation.id) == []


async def test_sending_one_takes_it_out_and_makes_it_the_head(store: Store) -> None:
    new, queue = await asked(store, "one", "two")
    await make.finish(store, new.run_id)
    begun = await send(store, new, queue[0])
    assert begun.fresh
    assert await store.queue(ANN, new.conversation.id) == queue[1:]
    path = await store.path(ANN, new.conversation.id)
    assert [m.text for m in path] == ["Why does it rain?", "Because of clouds.", "one", ""]
    assert path[2].id == queue[0].id
    assert begun.conversation.head_id == path[3].id


async def test_one_that_was_removed_or_sent_cannot_be_sent(store: Store, rows: make.Rows) -> None:
    new, queue = await asked(store, "one", "two")
    await store.unqueue(ANN, new.conversation.id, queue[0].id)
    await send(store, new, queue[1])
    before = rows.count()
    for gone in queue:
        with pytest.raises(NotFoundError, match="sent or removed"):
            await send(store, new, gone)
        with pytest.raises(NotFoundError, match="sent or removed"):
            await store.unqueue(ANN, new.conversation.id, gone.id)
    assert rows.count() == before


async def test_sent_and_removed_at_once_is_one_of_both(store: Store) -> None:
    new, [queued] = await asked(store, "one")
    work = (send(store, new, queued), store.unqueue(ANN, new.conversation.id, queued.id))
    results = await asyncio.gather(*work, return_exceptions=True)
    assert sum(isinstance(result, NotFoundError) for result in results) == 1
    was_sent = not isinstance(results[0], NotFoundError)
    assert len(await store.path(ANN, new.conversation.id)) == (4 if was_sent else 2)


async def test_its_request_is_known_while_it_waits_and_after(store: Store, rows: make.Rows) -> None:
    new = await make.asked(store)
    here, queued = new.conversation.id, message()
    for _ in range(2):
        await store.enqueue(ANN, here, queued if not rows.count()["queued"] else message(), request_key="k")
    assert await store.queue(ANN, here) == [queued]
    question, answer = sent(new, message())
    again = await store.begin_run(
        ANN,
        conversation=new.conversation,
        question=question,
        answers=[answer],
        request_key="k",
    )
    assert (again.conversation.id, again.run_id, again.fresh) == (here, None, False)
    begun = await send(store, new, queued)
    await store.enqueue(ANN, here, message(), request_key="k")
    assert await store.queue(ANN, here) == []
    await store.enqueue(BEN, (await make.asked(store, owner=BEN)).conversation.id, message(), request_key="k")
    assert begun.fresh


async def test_too_many_are_refused(store: Store) -> None:
    new, _ = await asked(store, *map(str, range(MAX_QUEUED)))
    with pytest.raises(InputError, match="waiting already"):
        await store.enqueue(ANN, new.conversation.id, message())


@pytest.mark.parametrize("owner", [BEN, ""])
async def test_nobody_else_has_it(store: Store, owner: str) -> None:
    new, [queued] = await asked(store, "one")
    here = new.conversation.id
    for intrusion in (
        store.queue(owner, here),
        store.enqueue(owner, here, message()),
        store.unqueue(owner, here, queued.id),
        send(store, new, queued, owner),
    ):
        with pytest.raises(NotFoundError):
            await intrusion
    assert await store.queue(ANN, here) == [queued]


async def test_it_is_not_of_another_conversation(store: Store) -> None:
    _, [queued] = await asked(store, "one")
    other = await make.asked(store)
    with pytest.raises(NotFoundError):
        await store.unqueue(ANN, other.conversation.id, queued.id)

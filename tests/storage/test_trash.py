"""What was deleted can be restored for a month, and erasing leaves nothing behind."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from services.conversation import TRASH, Queued, Whole
from services.errors import InputError, NotFoundError
from services.messages import Message, TextPart, new_id
from services.storage.store import Store
from tests.storage import make
from tests.storage.make import ANN, BEN


async def finished(store: Store, text: str = "Why?") -> make.Exchange:
    new = await make.asked(store, text)
    await make.finish(store, new.run_id)
    return new


async def test_the_trash_holds_what_was_deleted_the_last_first(store: Store) -> None:
    kept, one, two = [await finished(store, text) for text in ("kept", "one", "two")]
    assert await store.trash(ANN) == []
    for gone in (one, two):
        await store.delete(ANN, gone.conversation.id)
    held = await store.trash(ANN)
    assert [deleted.conversation.id for deleted in held] == [two.conversation.id, one.conversation.id]
    assert held[0].until - held[0].at == TRASH
    assert await store.trash(BEN) == []
    await store.restore(ANN, two.conversation.id)
    assert [deleted.conversation.id for deleted in await store.trash(ANN)] == [one.conversation.id]
    assert {c.id for c in await store.conversations(ANN)} == {kept.conversation.id, two.conversation.id}


async def test_what_is_erased_leaves_nothing_behind_and_takes_nothing_else_along(store: Store, rows: make.Rows) -> None:
    other = await finished(store, "stays")
    before = rows.count()
    new = make.exchange(make.conversation(), "goes")
    await store.begin_run(
        ANN, conversation=new.conversation, question=new.question, answers=[new.answer], request_key="k"
    )
    await store.append_events(new.run_id, make.numbered(*make.told("Because.")))
    await make.finish(store, new.run_id)
    again = await make.again(store, new)
    await make.stop(store, again.run_id, "Half")
    waits = Queued(id=new_id(), text="And then?", created_at=make.WHEN)
    await store.enqueue(ANN, new.conversation.id, waits, request_key="k2")
    await store.delete(ANN, new.conversation.id)
    await store.erase(ANN, new.conversation.id)
    assert rows.count() == before
    assert await store.trash(ANN) == []
    for again_or_theirs in (ANN, BEN):
        with pytest.raises(NotFoundError):
            await store.erase(again_or_theirs, new.conversation.id)
    with pytest.raises(NotFoundError):
        await store.restore(ANN, new.conversation.id)
    assert (await store.path(ANN, other.conversation.id))[-1].text == "Because of clouds."


async def test_only_what_the_owner_deleted_is_erased(store: Store, rows: make.Rows) -> None:
    new = await finished(store)
    before = rows.count()
    with pytest.raises(NotFoundError):
        await store.erase(ANN, new.conversation.id)
    await store.delete(ANN, new.conversation.id)
    for stranger in (BEN, "", "ANN", "ann\x00", "%"):
        with pytest.raises(NotFoundError):
            await store.erase(stranger, new.conversation.id)
    assert rows.count() == before


async def test_an_answer_that_is_just_being_stopped_is_waited_for(store: Store) -> None:
    new = await make.asked(store)
    await store.delete(ANN, new.conversation.id)
    with pytest.raises(InputError, match="Try again"):
        await store.erase(ANN, new.conversation.id)
    await make.stop(store, new.run_id, "Half")
    await store.erase(ANN, new.conversation.id)
    assert await store.trash(ANN) == []


@pytest.fixture
def clock(store: Store) -> Callable[[timedelta], None]:
    """Return what moves the store's clock on."""
    began: datetime = store._now()
    passed = [timedelta(0)]
    store._now = lambda: began + passed[0]

    def move(by: timedelta) -> None:
        passed[0] += by

    return move


async def test_the_trash_empties_by_itself_after_its_time(
    store: Store, rows: make.Rows, clock: Callable[[timedelta], None]
) -> None:
    kept = await finished(store, "kept")
    before = rows.count()
    for number in range(45):  # more than go at once
        gone = await finished(store, f"old {number}")
        await store.delete(ANN, gone.conversation.id)
    clock(TRASH - timedelta(seconds=1))
    late = await finished(store, "late")
    await store.delete(ANN, late.conversation.id)
    assert await store.empty_trash() == 0
    clock(timedelta(seconds=2))
    assert await store.empty_trash() == 45
    assert [deleted.conversation.id for deleted in await store.trash(ANN)] == [late.conversation.id]
    clock(TRASH)
    assert await store.empty_trash() == 1
    assert rows.count() == before
    assert [c.id for c in await store.conversations(ANN)] == [kept.conversation.id]


@pytest.mark.parametrize("by_itself", [False, True])
async def test_what_was_erased_is_not_shown_when_its_ids_come_again(
    store: Store, clock: Callable[[timedelta], None], by_itself: bool
) -> None:
    def exchange(text: str) -> tuple[Message, ...]:
        return (
            replace(old.question, parts=(TextPart(f"{text}?"),)),
            replace(old.answer, parts=(TextPart(text),), status="complete", run_id=None),
        )

    old = await finished(store, "Secret?")
    here = old.conversation.id
    await store.path(ANN, here)
    await store.delete(ANN, here)
    if by_itself:
        clock(TRASH + timedelta(seconds=1))
        await store.empty_trash()
    else:
        await store.erase(ANN, here)
    assert (store._paths.known(here), store._paths._chars) == (None, 0)
    new = Whole(replace(old.conversation, head_id=old.answer.id), exchange("Harmless"))
    await store.add_wholes(ANN, lambda: [new])
    assert [message.text for message in await store.path(ANN, here)] == ["Harmless?", "Harmless"]

"""Answers that stand side by side, as they are stored."""

from __future__ import annotations

from dataclasses import replace

import pytest

from services.errors import InputError
from services.events import TextDelta
from services.messages import Message
from services.storage.store import Store
from tests.storage import make
from tests.storage.make import ANN


async def begun(store: Store, count: int = 3) -> tuple[make.Exchange, list[Message]]:
    new = make.exchange(make.conversation())
    made = [new.answer, *(make.answer_to(new.question) for _ in range(count - 1))]
    answers = [replace(one, together=new.answer.id) for one in made]
    await store.begin_run(ANN, conversation=new.conversation, question=new.question, answers=answers)
    return new, answers


async def test_a_crash_leaves_each_with_its_text(store: Store) -> None:
    new, answers = await begun(store)
    for word, one in zip(("Red", "Green"), answers, strict=False):
        await store.append_events(one.run_id or "", make.numbered(TextDelta(word)))
    assert (await store.interrupt_orphans()).runs == 3
    together = (await store.snapshot(ANN, new.conversation.id)).together
    assert [(one.id, one.status, one.text) for one in together] == [
        (answers[0].id, "interrupted", "Red"),
        (answers[1].id, "interrupted", "Green"),
        (answers[2].id, "interrupted", ""),
    ]


async def test_none_is_stored_where_one_does_not_belong(store: Store, rows: make.Rows) -> None:
    new = make.exchange(make.conversation())
    stranger = make.exchange(make.conversation()).answer
    with pytest.raises(ValueError, match="not of the same"):
        await store.begin_run(ANN, conversation=new.conversation, question=new.question, answers=[new.answer, stranger])
    assert set(rows.count().values()) == {0}


async def test_they_stand_side_by_side_only_while_one_of_them_is_the_head(store: Store) -> None:
    new, answers = await begun(store)
    for one in answers:
        await make.finish(store, one.run_id or "")
    here = new.conversation.id
    later = make.exchange(new.conversation, "And then?", after=answers[1].id)
    await store.set_head(ANN, here, answers[1].id)
    assert [one.id for one in (await store.snapshot(ANN, here)).together] == [one.id for one in answers]
    await make.begin(store, later)
    assert (await store.snapshot(ANN, here)).together == ()
    assert {(await store.message(ANN, here, one.id)).together for one in answers} == {None}


async def test_what_is_pruned_stands_beside_nothing(store: Store) -> None:
    new, answers = await begun(store, 2)
    for one in answers:
        await make.finish(store, one.run_id or "")
    pruned = await store.prune(ANN, new.conversation.id, answers[1].id)
    assert (await store.snapshot(ANN, new.conversation.id)).together == ()
    await store.unprune(ANN, pruned)
    assert len((await store.snapshot(ANN, new.conversation.id)).together) == 2


async def test_the_place_of_one_that_was_chosen_cannot_be_taken(store: Store) -> None:
    new, answers = await begun(store)
    for one in answers:
        await make.finish(store, one.run_id or "")
    await store.choose(ANN, new.conversation.id, answers[0].id)
    late = replace(make.answer_to(new.question), together=answers[0].id)
    with pytest.raises(InputError, match="side by side"):
        await store.begin_run(
            ANN, conversation=new.conversation, question=None, answers=[late], instead_of=answers[1].id
        )

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.errors import NotFoundError, StorageError
from services.events import ModelNamed, RunFinished, StepFinished, StepStarted, TextDelta, UsageReported
from services.messages import ErrorPart, TextPart, clean_text, new_id
from services.storage import runs
from services.storage.store import Store
from services.usage import Usage
from tests.storage import make
from tests.storage.make import ANN, BEN

ROOT = Path(__file__).parents[2]
EVENTS = make.told("Because.")


async def test_beginning_stores_question_answer_and_run(store: Store) -> None:
    new = await make.asked(store)
    assert await store.path(ANN, new.conversation.id) == [new.question, new.answer]
    run = await store.run(ANN, new.run_id)
    assert (run.status, run.message_id, run.endpoint, run.model) == ("streaming", new.answer.id, "local", "tiny")
    assert (run.finished_at, run.usage, run.failure) == (None, None, None)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30, deadline=None)
@given(question=st.text(), answer=st.text())
async def test_text_is_kept_byte_for_byte(store: Store, question: str, answer: str) -> None:
    question, answer = clean_text(question), clean_text(answer)
    new = await make.asked(store, question)
    await store.append_events(new.run_id, make.numbered(TextDelta(answer)))
    assert await store.events(ANN, new.run_id) == make.numbered(TextDelta(answer))
    reply = make.folded(TextDelta(answer), RunFinished("complete"))
    await store.finish_run(new.run_id, reply=reply, first_token_s=None, total_s=0.1)
    stored = [message.text.encode() for message in await store.path(ANN, new.conversation.id)]
    assert stored == [question.encode(), answer.encode()]


async def test_hard_texts_are_kept_byte_for_byte(store: Store) -> None:
    text = "👩‍👩‍👧‍👦 e\u0301 \r\n\t\u2028 \u202e \\u0000 '; DROP TABLE parts; -- %s {} \U0010ffff \ufeff"
    text += "漢" * 100_000
    new = await make.asked(store, text)
    assert (await store.path(ANN, new.conversation.id))[0].text.encode() == text.encode()


async def test_a_failure_in_the_middle_stores_nothing(store: Store, rows: make.Rows) -> None:
    first = await make.asked(store)
    before, head = rows.count(), await store.conversation(ANN, first.conversation.id)
    for where in (make.conversation(), first.conversation):
        new = make.exchange(where)
        new = replace(new, answer=replace(new.answer, run_id=first.run_id))  # taken: the last insert fails
        with pytest.raises(StorageError):
            await make.begin(store, new)
    assert rows.count() == before
    assert await store.conversation(ANN, first.conversation.id) == head
    assert len(await store.conversations(ANN)) == 1


async def test_a_parent_must_be_in_the_conversation(store: Store, rows: make.Rows) -> None:
    first, other = await make.asked(store), await make.asked(store)
    before = rows.count()
    for parent in ("unknown", other.answer.id):
        with pytest.raises(NotFoundError):
            await make.begin(store, make.exchange(first.conversation, after=parent))
        with pytest.raises(NotFoundError):
            await make.begin(store, make.exchange(make.conversation(), after=parent))
        answer = replace(make.answer_to(first.question), parent_id=parent)
        with pytest.raises(NotFoundError):
            await store.begin_run(ANN, conversation=first.conversation, question=None, answers=[answer])
    assert rows.count() == before


async def test_somebody_elses_conversation_takes_nothing(store: Store, rows: make.Rows) -> None:
    first = await make.asked(store)
    before = rows.count()
    with pytest.raises(NotFoundError):
        await make.begin(store, make.exchange(first.conversation, after=first.answer.id), BEN)
    with pytest.raises(NotFoundError):
        await make.begin(store, make.exchange(first.conversation), BEN)
    assert rows.count() == before


async def test_messages_that_do_not_belong_together_are_refused(store: Store, rows: make.Rows) -> None:
    new = make.exchange(make.conversation())
    for wrong in (
        replace(new, question=replace(new.question, conversation_id=new_id())),
        replace(new, question=replace(new.question, id=new_id())),
        replace(new, answer=replace(new.answer, parent_id=None)),
        replace(new, answer=replace(new.answer, status="complete")),
    ):
        with pytest.raises(ValueError, match="not"):
            await make.begin(store, wrong)
    with pytest.raises(ValueError, match="has no run"):
        await store.begin_run(
            ANN, conversation=new.conversation, question=new.question, answers=[replace(new.answer, run_id=None)]
        )
    assert set(rows.count().values()) == {0}


async def test_many_runs_beginning_at_once(store: Store) -> None:
    first = await make.asked(store)
    same = [make.exchange(first.conversation, f"q{n}", after=first.answer.id) for n in range(8)]
    await asyncio.gather(*(make.begin(store, new) for new in same), *(make.asked(store) for _ in range(8)))
    assert len(await store.conversations(ANN)) == 9
    siblings = (await store.versions(ANN, first.conversation.id, [same[0].question.id]))[same[0].question.id].ids
    assert sorted(siblings) == sorted(new.question.id for new in same)
    for new in same:
        assert len(await store.path(ANN, first.conversation.id, new.answer.id)) == 4


async def test_the_same_new_conversation_begun_twice_at_once_is_one(store: Store) -> None:
    where = make.conversation()
    await asyncio.gather(*(make.begin(store, make.exchange(where)) for _ in range(2)))
    assert len(await store.conversations(ANN)) == 1


async def test_events_are_read_after_a_number(store: Store) -> None:
    new = await make.asked(store)
    events = make.numbered(*EVENTS)
    await store.append_events(new.run_id, events[:2])
    await store.append_events(new.run_id, events[2:])
    assert await store.events(ANN, new.run_id) == events
    assert await store.events(ANN, new.run_id, after=2) == events[2:]
    assert await store.events(ANN, new.run_id, after=99) == []
    await store.append_events(new.run_id, [])
    await store.append_events(new.run_id, events)  # tried again
    assert await store.events(ANN, new.run_id) == events


async def test_events_of_several_runs_are_stored_together_or_not_at_all(store: Store) -> None:
    first, second = await make.asked(store), await make.asked(store)
    batch = make.numbered(*EVENTS)
    with pytest.raises(StorageError):
        await store.append_many({first.run_id: batch, "unknown": batch})
    assert await store.events(ANN, first.run_id) == []
    await store.append_many({first.run_id: batch, second.run_id: batch[:1]})
    assert await store.events(ANN, first.run_id) == batch
    assert await store.events(ANN, second.run_id) == batch[:1]


async def test_finishing_writes_answer_and_result_and_drops_the_deltas(store: Store) -> None:
    new = await make.asked(store)
    usage = Usage(input=10, cached_input=4, output=3, reasoning=1)
    events = (
        StepStarted("local", "tiny"),
        ModelNamed("tiny-2026", "resp_1", "req_1"),
        TextDelta("Beca"),
        TextDelta("use."),
        UsageReported(usage),
        StepFinished("length", "max_tokens"),
        RunFinished("truncated"),
    )
    await store.append_events(new.run_id, make.numbered(*events))
    await store.finish_run(new.run_id, reply=make.folded(*events), first_token_s=0.25, total_s=1.5)
    answer = (await store.path(ANN, new.conversation.id))[-1]
    assert answer == replace(
        new.answer, parts=(TextPart("Because."),), status="truncated", model="tiny-2026", usage=usage
    )
    run = await store.run(ANN, new.run_id)
    assert (run.status, run.finish_reason, run.model, run.usage) == ("truncated", "length", "tiny-2026", usage)
    assert (run.first_token_s, run.total_s, run.response_id, run.request_id) == (0.25, 1.5, "resp_1", "req_1")
    assert run.finished_at is not None
    assert run.finished_at >= run.started_at
    assert [n.seq for n in await store.events(ANN, new.run_id)] == [1, 2, 5, 6, 7]


async def test_a_finished_run_stays_as_it_is(store: Store) -> None:
    new = await make.asked(store)
    await make.finish(store, new.run_id, "first")
    before = await store.path(ANN, new.conversation.id)
    await make.finish(store, new.run_id, "second")
    await store.append_events(new.run_id, make.numbered(*EVENTS))  # a late batch
    assert await store.path(ANN, new.conversation.id) == before
    assert await store.events(ANN, new.run_id) == []


async def test_a_reply_without_an_end_cannot_finish_a_run(store: Store) -> None:
    new = await make.asked(store)
    with pytest.raises(ValueError, match="has not ended"):
        await store.finish_run(new.run_id, reply=make.folded(TextDelta("x")), first_token_s=None, total_s=1.0)
    with pytest.raises(NotFoundError):
        await make.finish(store, "unknown")


async def test_orphans_keep_their_text_and_say_what_happened(store: Store) -> None:
    empty, half, told, done = [await make.asked(store) for _ in range(4)]
    await store.append_events(half.run_id, make.numbered(*EVENTS[:3]))
    await store.append_events(told.run_id, make.numbered(*EVENTS))  # only its last write is missing
    await make.finish(store, done.run_id, "Done.")
    order = [c.id for c in await store.conversations(ANN)][1:]
    assert (await store.interrupt_orphans()).runs == 3
    assert (await store.interrupt_orphans()).runs == 0

    async def answer(new: make.Exchange) -> tuple[object, ...]:
        message = (await store.path(ANN, new.conversation.id))[-1]
        return message.status, message.parts

    assert await answer(empty) == ("interrupted", (ErrorPart(runs.STOPPED),))
    assert await answer(half) == ("interrupted", (TextPart("Because."), ErrorPart(runs.STOPPED)))
    assert await answer(told) == ("complete", (TextPart("Because."),))
    assert await answer(done) == ("complete", (TextPart("Done."),))
    assert (await store.run(ANN, half.run_id)).failure == runs.STOPPED
    assert (await store.run(ANN, half.run_id)).total_s is None
    assert [c.id for c in await store.conversations(ANN)][:3] == order


async def test_what_was_acknowledged_survives_a_kill(where: Path | str) -> None:
    process = subprocess.run(
        [sys.executable, "-c", _KILLED, type(where).__name__, str(where)], cwd=ROOT, capture_output=True, check=False
    )
    assert process.returncode == -signal.SIGKILL, process.stderr.decode()
    store = await Store.open(where)
    assert (await store.interrupt_orphans()).runs == 1
    (conversation,) = await store.conversations(ANN)
    assert [message.text for message in await store.path(ANN, conversation.id)] == ["Why?", "Because 👩‍👧"]
    await store.close()


_KILLED = """
import asyncio, os, signal, sys
from pathlib import Path
from services.events import TextDelta
from services.storage.store import Store
from tests.storage import make
async def main():
    store = await Store.open(sys.argv[2] if sys.argv[1] == 'str' else Path(sys.argv[2]))
    new = await make.asked(store, "Why?")
    await store.append_events(new.run_id, make.numbered(TextDelta("Because "), TextDelta("👩‍👧")))
    os.kill(os.getpid(), signal.SIGKILL)
asyncio.run(main())
"""

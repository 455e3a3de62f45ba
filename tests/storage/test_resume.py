"""Going on in an answer that was cut off: nothing that was there is lost, and there is no seam."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.errors import InputError, NotFoundError, StorageError
from services.events import (
    ReasoningDelta,
    RunEvent,
    RunFinished,
    StepFinished,
    StepStarted,
    TextDelta,
    TokensScored,
    ToolCallRequested,
    UsageReported,
)
from services.messages import RESUMABLE, ErrorPart, Message, MessageStatus, ReasoningPart, TextPart, new_id
from services.options import Options
from services.probabilities import Token
from services.storage import runs
from services.storage.store import Store
from services.usage import Usage
from tests.storage import make
from tests.storage.make import ANN

told: st.SearchStrategy[RunEvent] = st.one_of(
    st.builds(StepStarted, st.just("local"), st.just("tiny")),
    st.builds(TextDelta, st.text()),
    st.builds(ReasoningDelta, st.text()),
    st.builds(ToolCallRequested, st.text(), st.text(), st.text()),
)


@given(st.lists(told), st.lists(told))
def test_two_runs_leave_what_one_would_have(first: list[RunEvent], second: list[RunEvent]) -> None:
    assert runs.joined(make.folded(*first).parts, make.folded(*second).parts) == make.folded(*first, *second).parts


async def _cut(store: Store, *events: RunEvent, status: MessageStatus = "stopped") -> make.Exchange:
    new = await make.asked(store)
    reply = make.folded(*events, RunFinished(status, runs.STOPPED if status == "interrupted" else None))
    await store.finish_run(new.run_id, reply=reply, first_token_s=0.1, total_s=1.0)
    return new


async def _resume(store: Store, new: make.Exchange) -> str:
    return (await store.resume_run(ANN, new.conversation.id, new.answer.id, new_id())).run_id


async def _end(store: Store, run_id: str, *events: RunEvent) -> None:
    reply = make.folded(*events, RunFinished("complete"))
    await store.finish_run(run_id, reply=reply, first_token_s=None, total_s=1.0)


async def _answer(store: Store, new: make.Exchange) -> Message:
    return (await store.path(ANN, new.conversation.id))[-1]


@pytest.mark.parametrize("status", sorted(RESUMABLE))
async def test_the_text_goes_on_without_a_seam(store: Store, status: MessageStatus) -> None:
    new = await _cut(store, ReasoningDelta("hm"), TextDelta("Beca"), status=status)
    begun = await store.resume_run(ANN, new.conversation.id, new.answer.id, new_id())
    assert begun.fresh
    assert begun.conversation == await store.conversation(ANN, new.conversation.id)
    kept = (ReasoningPart("hm"), TextPart("Beca"))  # and no word of the old failure
    expected = replace(new.answer, status="streaming", run_id=begun.run_id, parts=kept)
    assert await _answer(store, new) == expected
    await _end(store, begun.run_id, TextDelta("use "), TextDelta("of clouds."))
    answer = await _answer(store, new)
    assert (answer.id, answer.status) == (new.answer.id, "complete")
    assert answer.parts == (ReasoningPart("hm"), TextPart("Because of clouds."))
    assert (await store.run(ANN, new.run_id)).status == status
    assert (await store.run(ANN, begun.run_id)).status == "complete"


async def test_thoughts_before_the_rest_stay_apart(store: Store) -> None:
    new = await _cut(store, TextDelta("Beca"))
    await _end(store, await _resume(store, new), ReasoningDelta("where was I"), TextDelta("use."))
    assert (await _answer(store, new)).parts == (TextPart("Beca"), ReasoningPart("where was I"), TextPart("use."))


async def test_an_answer_can_be_cut_off_any_number_of_times(store: Store) -> None:
    new = await _cut(store, TextDelta("1"))
    for text in "23":
        run_id = await _resume(store, new)
        reply = make.folded(TextDelta(text), RunFinished("interrupted", runs.STOPPED))
        await store.finish_run(run_id, reply=reply, first_token_s=None, total_s=1.0)
    assert (await _answer(store, new)).parts == (TextPart("123"), ErrorPart(runs.STOPPED))
    await _end(store, await _resume(store, new))
    assert (await _answer(store, new)).parts == (TextPart("123"),)


async def test_a_crash_while_going_on_keeps_both_texts(store: Store) -> None:
    at_once, midway, told = [await _cut(store, TextDelta("Beca")) for _ in range(3)]
    for new in (at_once, midway, told):
        await _resume(store, new)
    more = make.numbered(TextDelta("use "), TextDelta("of"))
    run_id = (await _answer(store, midway)).run_id
    assert run_id is not None
    await store.append_events(run_id, more)
    assert await store.events(ANN, run_id) == more
    run_id = (await _answer(store, told)).run_id
    assert run_id is not None
    ended = make.numbered(TextDelta("use."), StepFinished("stop", "stop"), RunFinished("complete"))
    await store.append_events(run_id, ended)
    assert (await store.interrupt_orphans()).runs == 3
    assert (await store.interrupt_orphans()).runs == 0
    assert (await _answer(store, at_once)).parts == (TextPart("Beca"), ErrorPart(runs.STOPPED))
    assert (await _answer(store, midway)).parts == (TextPart("Because of"), ErrorPart(runs.STOPPED))
    assert (await _answer(store, midway)).status == "interrupted"
    assert (await _answer(store, told)).parts == (TextPart("Because."),)
    await _end(store, await _resume(store, midway), TextDelta(" clouds."))
    assert (await _answer(store, midway)).parts == (TextPart("Because of clouds."),)


async def test_an_end_told_twice_adds_nothing(store: Store) -> None:
    new = await _cut(store, TextDelta("Beca"))
    run_id = await _resume(store, new)
    for _ in range(2):
        await _end(store, run_id, TextDelta("use."))
    await _end(store, new.run_id, TextDelta("late"))
    assert (await _answer(store, new)).text == "Because."


async def test_a_failure_in_the_middle_leaves_the_answer_as_it_was(store: Store) -> None:
    new = await _cut(store, TextDelta("Beca"), status="interrupted")
    before = await _answer(store, new)
    with pytest.raises(StorageError):
        await store.resume_run(ANN, new.conversation.id, new.answer.id, new.run_id)  # taken: the last insert fails
    assert await _answer(store, new) == before


async def test_usage_adds_up_and_is_unknown_if_any_is(store: Store) -> None:
    first, second = Usage(input=10, output=3), Usage(input=13, cached_input=10, output=5, reasoning=1)
    new = await _cut(store, TextDelta("a"), UsageReported(first), status="truncated")
    run_id = await _resume(store, new)
    await _end(store, run_id, TextDelta("b"), UsageReported(second))
    assert (await _answer(store, new)).usage == first + second
    assert (await store.run(ANN, run_id)).usage == second
    unknown = await _cut(store, TextDelta("a"))
    await _end(store, await _resume(store, unknown), UsageReported(second))
    assert (await _answer(store, unknown)).usage is None


async def test_usage_that_is_unknown_of_the_last_run_is_not_told_as_that_of_the_first(store: Store) -> None:
    new = await _cut(store, TextDelta("a"), UsageReported(Usage(input=10, output=3)), status="truncated")
    await _end(store, await _resume(store, new), TextDelta("b"))
    assert (await _answer(store, new)).usage is None


async def test_usage_adds_up_in_a_copy_too(store: Store) -> None:
    first, second = Usage(input=100, output=50), Usage(input=10, output=5)
    new = await _cut(store, TextDelta("a"), UsageReported(first), status="truncated")
    fork = await store.fork(ANN, make.conversation("Copy"), new.conversation.id, new.answer.id)
    copied = (await store.path(ANN, fork.id))[-1]
    begun = await store.resume_run(ANN, fork.id, copied.id, new_id())
    await _end(store, begun.run_id, TextDelta("b"), UsageReported(second))
    assert (await store.path(ANN, fork.id))[-1].usage == first + second
    assert (await _answer(store, new)).usage == first


async def test_another_model_may_go_on(store: Store) -> None:
    new = await _cut(store, TextDelta("a"))
    options = Options(endpoint="far", model="big")
    run_id = (await store.resume_run(ANN, new.conversation.id, new.answer.id, new_id(), options=options)).run_id
    run, answer = await store.run(ANN, run_id), await _answer(store, new)
    assert (run.endpoint, run.model) == (answer.endpoint, answer.model) == ("far", "big")


async def test_only_the_last_answer_that_was_cut_off_can_go_on(store: Store) -> None:
    done, writing = await make.asked(store), await make.asked(store)
    await make.finish(store, done.run_id)
    replied = await _cut(store, TextDelta("a"))
    await make.begin(store, make.exchange(replied.conversation, after=replied.answer.id))
    cut = await _cut(store, TextDelta("a"))
    for new, message_id, why in (
        (done, done.answer.id, "cut off"),
        (writing, writing.answer.id, "cut off"),
        (cut, cut.question.id, "cut off"),
        (replied, replied.answer.id, "gone on"),
    ):
        before = await store.path(ANN, new.conversation.id)
        with pytest.raises(InputError, match=why):
            await store.resume_run(ANN, new.conversation.id, message_id, new_id())
        assert await store.path(ANN, new.conversation.id) == before
    with pytest.raises(NotFoundError):
        await store.resume_run(ANN, cut.conversation.id, done.answer.id, new_id())


async def test_an_earlier_version_that_goes_on_comes_on_show(store: Store) -> None:
    new = await _cut(store, TextDelta("a"))
    await make.again(store, new)
    await _resume(store, new)
    assert (await store.conversation(ANN, new.conversation.id)).head_id == new.answer.id


async def test_a_crash_loses_no_probabilities(store: Store) -> None:
    rain = Token("Rain", -0.1, (("Snow", -2.5),))
    new = await make.asked(store)
    await store.append_events(new.run_id, make.numbered(TextDelta("Rain"), TokensScored((rain,))))
    await store.interrupt_orphans()
    assert (await store.run(ANN, new.run_id)).probabilities == (rain,)
    assert await store.events(ANN, new.run_id) == []

"""How answers were written, through the door."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from components.chat.details import details_view
from services.details import AnswerDetails, plain_of
from services.errors import NotFoundError
from services.events import KeyRefused, ModelNamed, StepFinished, TextDelta, UsageReported
from services.options import Options
from services.runtime import Runtime
from services.usage import Usage
from tests.conftest import OWNER, OpenRuntime, until, whole_run
from tests.scripted import ScriptedProvider, Step, answer, refusal

ENDPOINTS = """
[[endpoint]]
name = "house"
base_url = "http://127.0.0.1:9/v1"
[endpoint.price]
input = 1
output = 4
"""
PRICED = Options(endpoint="house", model="model-a", temperature=0.5)
USAGE = Usage(input=1000, cached_input=200, output=50, reasoning=10)


def told(text: str, model: str = "model-a-2026", raw: str = "end_turn") -> list[Step]:
    named = ModelNamed(model, f"resp_{text}", f"req_{text}")
    return [named, TextDelta(text), UsageReported(USAGE), StepFinished("stop", raw)]


async def priced(open_app: OpenRuntime, folder: Path, *scripts: list[Step], **environ: str) -> Runtime:
    (folder / "endpoints.toml").write_text(ENDPOINTS, "utf-8")
    return await open_app(ScriptedProvider(*scripts), PANELIST_ENDPOINTS="endpoints.toml", **environ)


async def of_last(app: Runtime, conversation_id: str) -> AnswerDetails:
    opened = await app.chat.open(OWNER, conversation_id)
    return await app.chat.details.of(OWNER, conversation_id, opened.path[-1].id)


async def test_who_was_asked_who_answered_how_long_and_for_how_much(open_app: OpenRuntime, tmp_path: Path) -> None:
    app = await priced(open_app, tmp_path, told("Hi"))
    done = await whole_run(app.chat, await app.chat.send(OWNER, "Hello?", options=PRICED))
    details = await of_last(app, done.conversation.id)
    [one] = details.runs
    assert details.message == done.path[-1]
    assert (one.asked, one.run.model, one.run.endpoint) == ("model-a", "model-a-2026", "house")
    assert (one.run.finish_reason, one.raw_reason) == ("stop", "end_turn"), "kept although it came with the end"
    assert (one.run.response_id, one.run.request_id, one.run.usage) == ("resp_Hi", "req_Hi", USAGE)
    assert one.price == details.price == 1_000_000 + 200_000
    first, total = one.run.first_token_s, one.run.total_s
    assert first is not None
    assert total is not None
    assert 0 <= first <= total
    assert one.tokens_per_s == pytest.approx((USAGE.output - USAGE.reasoning) / (total - first))
    plain = json.loads(json.dumps(plain_of(details)))
    assert (plain["price_usd"], plain["runs"][0]["asked_model"], plain["options"]["temperature"]) == (
        0.0012,
        "model-a",
        0.5,
    )


async def test_retries_are_told_with_their_reasons(open_app: OpenRuntime) -> None:
    busy = refusal(message="It is busy.", retry_after_s=0.0)
    app = await open_app(ScriptedProvider([busy], [busy], answer("At last")), PANELIST_TRIES="3")
    done = await whole_run(app.chat, await app.chat.send(OWNER, "Hello?"))
    [one] = (await of_last(app, done.conversation.id)).runs
    assert [(retry.attempt, retry.of, retry.failure.message) for retry in one.retries] == [
        (2, 3, "It is busy."),
        (3, 3, "It is busy."),
    ]
    assert one.asked == "model-a", "the endpoint's first at that time"
    assert (one.price, one.tokens_per_s, one.run.usage) == (None, None, None)


async def test_a_refused_key_is_told_by_its_name(open_app: OpenRuntime) -> None:
    refused = KeyRefused("old", refusal("auth", "acme refused the key.").failure)
    app = await open_app(ScriptedProvider([refused, *answer("Yes")]))
    done = await whole_run(app.chat, await app.chat.send(OWNER, "Hello?"))
    details = await of_last(app, done.conversation.id)
    assert details.runs[0].refused_keys == (refused,)
    assert plain_of(details)["runs"][0]["refused_keys"] == ["old"]
    rows = {row["label"]: row["value"] for row in details_view(details)["sections"][0]["rows"]}
    assert rows["With the key 'old'"] == "acme refused the key."


async def test_each_run_of_an_answer_is_told(open_app: OpenRuntime, tmp_path: Path) -> None:
    app = await priced(open_app, tmp_path, [*told("Half")[:2], asyncio.Event()], [" and", refusal()], told(" more"))
    opened = await app.chat.send(OWNER, "Go", options=PRICED)
    here, id = opened.conversation.id, opened.path[-1].id
    assert opened.run_id
    async for batch in app.chat.follow(OWNER, opened.run_id):
        if any(isinstance(numbered.event, TextDelta) for numbered in batch):
            app.chat.stop(OWNER, opened.run_id)
    for _ in range(2):
        await whole_run(app.chat, await app.chat.go_on(OWNER, here, id))
    details = await of_last(app, here)
    assert [(one.run.status, one.asked) for one in details.runs] == [
        ("stopped", "model-a"),
        ("interrupted", "model-a"),
        ("complete", "model-a"),
    ]
    assert details.runs[1].run.failure is not None
    assert details.price is None, "nobody knows what the first one came to"
    assert [one.price for one in details.runs] == [None, None, 1_200_000]


async def test_what_is_being_written_is_told_as_far_as_it_has_come(open_app: OpenRuntime, tmp_path: Path) -> None:
    gate = asyncio.Event()
    app = await priced(open_app, tmp_path, [*told("Half")[:2], gate, *told("Half")[2:]])
    opened = await app.chat.send(OWNER, "Go", options=PRICED)
    here = opened.conversation.id

    async def begun() -> bool:
        return (await of_last(app, here)).runs[0].run.first_token_s is not None

    await until(begun)
    [one] = (await of_last(app, here)).runs
    assert (one.run.status, one.run.model, one.run.response_id) == ("streaming", "model-a-2026", "resp_Half")
    assert (one.price, one.tokens_per_s, one.run.total_s) == (None, None, None)
    gate.set()
    await whole_run(app.chat, opened)
    [one] = (await of_last(app, here)).runs
    assert (one.run.status, one.price) == ("complete", 1_200_000)


async def test_copies_are_told_as_their_originals(open_app: OpenRuntime, tmp_path: Path) -> None:
    app = await priced(open_app, tmp_path, told("One"), told("Two"), [*told("Half")[:2], refusal()], told(" more"))
    first = await whole_run(app.chat, await app.chat.send(OWNER, "First", options=PRICED))
    here = first.conversation.id
    fork = await app.chat.fork(OWNER, here, first.path[-1].id)
    [copied] = (await of_last(app, fork.conversation.id)).runs
    assert (copied.run.message_id, copied.price) == (first.path[-1].id, 1_200_000)
    half = await whole_run(app.chat, await app.chat.retry(OWNER, here, first.path[-1].id))
    assert half.path[-1].text == "Two"
    cut = await whole_run(app.chat, await app.chat.retry(OWNER, here, first.path[-1].id))
    fork = await app.chat.fork(OWNER, here, cut.path[-1].id)
    await whole_run(app.chat, await app.chat.go_on(OWNER, here, cut.path[-1].id))
    assert len((await of_last(app, here)).runs) == 2
    assert len((await of_last(app, fork.conversation.id)).runs) == 1, "what came later did not write the copy"
    await app.chat.catalogue.delete(OWNER, here)
    gone = await of_last(app, fork.conversation.id)
    assert (gone.runs, gone.message.endpoint) == ((), "house")


async def test_what_a_person_wrote_and_what_was_imported_have_no_runs(open_app: OpenRuntime, tmp_path: Path) -> None:
    app = await priced(open_app, tmp_path, told("One"))
    first = await whole_run(app.chat, await app.chat.send(OWNER, "First", options=PRICED))
    here = first.conversation.id
    await app.chat.edit(OWNER, here, first.path[-1].id, "Put right")
    mine = await of_last(app, here)
    assert (mine.runs, mine.price, mine.message.by_hand) == ((), None, True)


async def test_a_temporary_answer_has_details_too(open_app: OpenRuntime) -> None:
    app = await open_app(ScriptedProvider(answer("Ghostly")))
    room = await app.temporary.open(OWNER)
    done = await whole_run(room.chat, await room.chat.send(OWNER, "Boo"))
    details = await room.chat.details.of(OWNER, done.conversation.id, done.path[-1].id)
    assert [one.run.status for one in details.runs] == ["complete"]
    with pytest.raises(NotFoundError):
        await app.chat.details.of(OWNER, done.conversation.id, done.path[-1].id)


async def test_a_crash_leaves_what_was_known(open_app: OpenRuntime, tmp_path: Path) -> None:
    app = await priced(open_app, tmp_path, [*told("Half")[:2], asyncio.Event()])
    opened = await app.chat.send(OWNER, "Go", options=PRICED)
    assert opened.run_id

    async def kept() -> bool:
        return len(await app.store.events(OWNER, opened.run_id or "")) >= 3

    await until(kept)
    assert (await app.store.interrupt_orphans()).runs == 1
    [one] = (await of_last(app, opened.conversation.id)).runs
    assert (one.asked, one.run.response_id, one.run.status) == ("model-a", "resp_Half", "interrupted")


async def test_only_answers_of_ones_own_have_details(open_app: OpenRuntime) -> None:
    app = await open_app(ScriptedProvider(answer("One")))
    done = await whole_run(app.chat, await app.chat.send(OWNER, "First"))
    question, reply = done.path
    for owner, id in (("eve", reply.id), (OWNER, question.id), (OWNER, "nothing")):
        with pytest.raises(NotFoundError):
            await app.chat.details.of(owner, done.conversation.id, id)

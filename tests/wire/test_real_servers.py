"""The whole way, from the door to servers that nobody here wrote: llama.cpp's own and aimock."""

from __future__ import annotations

import asyncio
import json
from base64 import b64encode
from collections.abc import AsyncGenerator, Awaitable, Callable
from pathlib import Path

import httpx2
import pytest

from services.errors import Failure
from services.events import TextDelta
from services.fitting import Asking
from services.keys import KeyRing
from services.messages import ErrorPart, Message, ReasoningPart
from services.options import Options
from services.runtime import Runtime, make_provider, open_runtime
from services.settings import read_settings
from services.storage.store import Named
from tests.conftest import OWNER, whole_run
from tests.keyed import KEYED, SHAPED
from tests.pictures import png

pytestmark = pytest.mark.server

OpenAt = Callable[..., Awaitable[Runtime]]


@pytest.fixture
async def open_at(tmp_path: Path) -> AsyncGenerator[OpenAt, None]:
    """Open a runtime whose default endpoint is a real server."""
    opened: list[Runtime] = []

    async def open_one(base_url: str, **environ: str) -> Runtime:
        few = {"PANELIST_TITLES": "off", "PANELIST_TRIES": "1"}
        settings = read_settings({"OPENAI_BASE_URL": base_url, **KEYED, **few, **environ}, tmp_path)
        runtime = await open_runtime(settings)
        opened.append(runtime)
        return runtime

    yield open_one
    for runtime in opened:
        await runtime.close()


async def answered(app: Runtime, question: str) -> Message:
    return (await whole_run(app.chat, await app.chat.send(OWNER, question))).path[-1]


def failure_of(message: Message) -> Failure:
    [failure] = [part.failure for part in message.parts if isinstance(part, ErrorPart)]
    return failure


async def attached(app: Runtime, name: str, media_type: str, data: bytes) -> Named:
    kept = await app.store.add_attachment(OWNER, name, media_type, data)
    return kept.sha256, kept.name


class TestLlamaCpp:
    async def test_it_lists_its_model_and_answers(self, open_at: OpenAt, llamacpp_brief: str) -> None:
        app = await open_at(llamacpp_brief)
        [model] = await app.connections.models(app.connections.default.name)
        reply = await answered(app, "Hello")
        assert reply.status == "complete"
        assert reply.text
        assert reply.model == model
        assert reply.usage is not None
        assert reply.usage.output > 0
        assert reply.usage.input > 0

    async def test_it_says_how_likely_each_piece_was(self, open_at: OpenAt, llamacpp_brief: str) -> None:
        app = await open_at(llamacpp_brief)
        opened = await app.chat.send(OWNER, "Hello", options=Options(logprobs="on"))
        done = await whole_run(app.chat, opened)
        details = await app.chat.details.of(OWNER, done.conversation.id, done.path[-1].id)
        tokens = details.runs[-1].run.probabilities
        assert "".join(token.text for token in tokens) == done.path[-1].text
        assert all(0 < token.percent <= 100 for token in tokens)
        assert {len(token.others) for token in tokens} <= {4, 5}, "the piece itself is among the five or not"

    async def test_stop_makes_its_slot_idle(self, open_at: OpenAt, llamacpp: str) -> None:
        app = await open_at(llamacpp)
        opened = await app.chat.send(OWNER, "Go on and on")
        assert opened.run_id
        async with httpx2.AsyncClient() as client:

            async def working() -> int:
                slots = (await client.get(llamacpp.removesuffix("/v1") + "/slots")).json()
                return sum(bool(slot["is_processing"]) for slot in slots)

            async for batch in app.chat.follow(OWNER, opened.run_id):
                if any(isinstance(numbered.event, TextDelta) for numbered in batch):
                    break
            assert await working() == 1
            app.chat.stop(OWNER, opened.run_id)
            done = await whole_run_or_done(app, opened.conversation.id)
            for _ in range(200):
                if await working() == 0:
                    break
                await asyncio.sleep(0.01)
            assert await working() == 0
        assert done.status == "stopped"
        assert done.text

    async def test_a_limit_of_its_own_is_a_truncated_answer(self, open_at: OpenAt, llamacpp: str) -> None:
        app = await open_at(llamacpp)
        opened = await app.chat.send(OWNER, "x " * 1900)
        reply = (await whole_run(app.chat, opened)).path[-1]
        assert reply.status == "truncated"

    async def test_too_long_is_said_and_the_question_kept(self, open_at: OpenAt, llamacpp: str) -> None:
        app = await open_at(llamacpp)
        opened = await app.chat.send(OWNER, "word " * 6_000)
        done = await whole_run(app.chat, opened)
        failure = failure_of(done.path[-1])
        assert (failure.kind, failure.next_step) == ("too_long", "shorten")
        assert done.path[0].text == ("word " * 6_000).rstrip("\n")

    async def test_its_window_is_that_of_what_it_has_loaded(self, open_at: OpenAt, llamacpp_brief: str) -> None:
        app = await open_at(llamacpp_brief)
        [model] = await app.connections.models(app.connections.default.name)
        found = await app.chat.fitting.estimate(OWNER, Asking(text="Hello", options=Options(model=model)))
        assert (found.window, found.over) == (4_096, False)
        assert found.price is None, "nobody knows one"

    async def test_below_at_and_above_its_window_is_caught_before_it_is_sent(
        self, open_at: OpenAt, llamacpp_brief: str
    ) -> None:
        app = await open_at(llamacpp_brief)
        [model] = await app.connections.models(app.connections.default.name)
        options = Options(model=model)
        learnt = await app.chat.fitting.estimate(OWNER, Asking(text="the " * 50, options=options))
        assert learnt.factor > 3, "it counts quite unlike others, and says so when it is asked"
        async with httpx2.AsyncClient(trust_env=False, timeout=60) as client:

            async def counted(text: str) -> int:
                root = llamacpp_brief.removesuffix("/v1")
                told = {"messages": [{"role": "user", "content": text}]}
                prompt = (await client.post(f"{root}/apply-template", json=told)).json()["prompt"]
                tokenize = {"content": prompt, "add_special": True, "parse_special": True}
                return len((await client.post(f"{root}/tokenize", json=tokenize)).json()["tokens"])

            async def refusal(text: str) -> int | None:
                asked = {"model": model, "messages": [{"role": "user", "content": text}], "max_tokens": 1}
                answer = await client.post(f"{llamacpp_brief}/chat/completions", json=asked)
                return answer.json()["error"]["n_prompt_tokens"] if answer.status_code == 400 else None

            for tokens in (4_095, 4_096, 4_097):
                text = "the " * 1_010
                text += "x" * (tokens - await counted(text))
                assert await counted(text) == tokens
                assert await refusal(text) == (None if tokens < 4_096 else tokens), "as it says itself"
                found = await app.chat.fitting.estimate(OWNER, Asking(text=text, options=options))
                assert found.over, f"{tokens} tokens leave no room for an answer"
                assert found.total == pytest.approx(tokens, rel=0.05)
        small = await app.chat.fitting.estimate(OWNER, Asking(text="the " * 800, options=options))
        assert not small.over

    async def test_where_nobody_knew_its_window_the_refusal_teaches_it(
        self, open_at: OpenAt, llamacpp_brief: str
    ) -> None:
        app = await open_at(llamacpp_brief, PANELIST_MODEL="any")  # which is in no list
        options = Options(model="any")
        first = await whole_run(app.chat, await app.chat.send(OWNER, "the " * 500, options=options))
        assert first.path[-1].status == "complete"
        here = first.conversation.id
        asking = Asking(conversation_id=here, text="the " * 700, options=options)
        assert (await app.chat.fitting.estimate(OWNER, asking)).window is None
        failed = await whole_run(app.chat, await app.chat.send(OWNER, "the " * 700, conversation_id=here))
        failure = failure_of(failed.path[-1])
        assert (failure.kind, failure.window) == ("too_long", 4_096)
        assert failure.tokens is not None
        assert failure.tokens > 4_096
        assert f"has {failure.tokens:,} tokens" in failure.message
        assert "takes 4,096, its answer included" in failure.message
        again = Asking(conversation_id=here, again=failed.path[-1].id, options=options)
        choices = await app.chat.fitting.choices(OWNER, again)
        assert choices.estimate.over
        assert choices.estimate.total == pytest.approx(failure.tokens, rel=0.02)
        assert choices.trim == 2
        await app.chat.fitting.trim(OWNER, again)
        done = await whole_run(app.chat, await app.chat.retry(OWNER, here, failed.path[-1].id))
        assert done.path[-1].status == "complete"
        assert len(done.path) == 4, "nothing is gone"

    async def test_a_text_file_is_read(self, open_at: OpenAt, llamacpp_brief: str) -> None:
        app = await open_at(llamacpp_brief)
        alone = await answered(app, "What is it?")
        file = await attached(app, "rain.txt", "text/plain", b"drops " * 200)
        done = await whole_run(app.chat, await app.chat.send(OWNER, "What is it?", attachments=[file]))
        assert done.path[-1].status == "complete"
        assert alone.usage is not None
        assert done.path[-1].usage is not None
        assert done.path[-1].usage.input > alone.usage.input + 200, "the file went along"

    async def test_a_picture_is_refused_in_words_and_the_talk_goes_on(
        self, open_at: OpenAt, llamacpp_brief: str
    ) -> None:
        app = await open_at(llamacpp_brief)
        file = await attached(app, "map.png", "image/png", png())
        done = await whole_run(app.chat, await app.chat.send(OWNER, "What is it?", attachments=[file]))
        [question, refused] = done.path
        failure = failure_of(refused)
        assert (refused.status, failure.next_step) == ("failed", "choose_model")
        assert failure.message.endswith("takes no images. Choose another model, or ask again without the picture.")
        assert question.text == "What is it?"
        assert await app.store.attachment_bytes(OWNER, question.attachments[0].sha256) == png()
        again = await app.chat.send(OWNER, "And without it?", conversation_id=done.conversation.id)
        on = await whole_run(app.chat, again)
        assert on.path[-1].status == "complete"
        assert [part.name for part in on.path[0].attachments] == ["map.png"], "it is still there"
        retried = await app.chat.retry(OWNER, done.conversation.id, refused.id)
        assert failure_of((await whole_run(app.chat, retried)).path[-1]).next_step == "choose_model"


async def whole_run_or_done(app: Runtime, conversation_id: str) -> Message:
    opened = await app.chat.open(OWNER, conversation_id)
    return (await whole_run(app.chat, opened) if opened.run_id else opened).path[-1]


class TestAimock:
    async def test_an_answer_with_reasoning(self, open_at: OpenAt, aimock: str) -> None:
        app = await open_at(aimock, PANELIST_MODEL="gpt-test")
        reply = await answered(app, "think first")
        assert reply.status == "complete"
        assert any(isinstance(part, ReasoningPart) and part.text for part in reply.parts)
        assert reply.text

    @pytest.mark.parametrize(
        ("question", "status", "kind", "step"),
        [
            ("be long", "truncated", None, None),
            ("be filtered", "filtered", "filtered", "shorten"),
            ("limit me", "failed", "rate_limit", "retry"),
            ("break down", "failed", "server", "retry"),
            ("refuse my key", "failed", "auth", "add_key"),
            ("cut it", "interrupted", None, "retry"),
            ("garble it", "failed", "garbled", None),
            ("hang up", "failed", "unreachable", None),
        ],
    )
    async def test_every_end_in_words(
        self, open_at: OpenAt, aimock: str, question: str, status: str, kind: str | None, step: str | None
    ) -> None:
        app = await open_at(aimock, PANELIST_MODEL="gpt-test", OPENAI_API_KEY=SHAPED)
        done = await whole_run(app.chat, await app.chat.send(OWNER, question))
        assert done.path[0].text == question
        reply = done.path[-1]
        assert reply.status == status
        if status != "truncated":
            failure = failure_of(reply)
            assert kind in (None, failure.kind)
            assert step in (None, failure.next_step)
            assert failure.message.endswith((".", "?"))
            assert "canary" not in repr(failure)
        if question == "limit me":
            assert failure.retry_after_s == 7.0

    async def test_a_picture_and_a_text_file(self, open_at: OpenAt, aimock: str) -> None:
        app = await open_at(aimock, PANELIST_MODEL="gpt-test")
        files = [
            await attached(app, "map.png", "image/png", png()),
            await attached(app, "rain.txt", "text/plain", b"drops"),
        ]
        done = await whole_run(app.chat, await app.chat.send(OWNER, "say hello", attachments=files))
        assert (done.path[-1].status, done.path[-1].text) == ("complete", "Hello from aimock.")
        assert [part.name for part in done.path[0].attachments] == ["map.png", "rain.txt"]
        async with httpx2.AsyncClient(trust_env=False) as client:
            heard = (await client.get(aimock.removesuffix("/v1") + "/__aimock/journal")).json()
        [picture] = [part for part in heard[-1]["body"]["messages"][-1]["content"] if part["type"] == "image_url"]
        assert picture["image_url"]["url"] == f"data:image/png;base64,{b64encode(png()).decode()}"
        assert "Attached file “rain.txt” (5 bytes):\n```\ndrops\n```" in json.dumps(
            heard[-1]["body"], ensure_ascii=False
        ).replace("\\n", "\n")

    @pytest.mark.parametrize("question", ["take no pictures", "see only words"])
    async def test_a_refusal_that_names_pictures(self, open_at: OpenAt, aimock: str, question: str) -> None:
        app = await open_at(aimock, PANELIST_MODEL="gpt-test")
        file = await attached(app, "map.png", "image/png", png())
        done = await whole_run(app.chat, await app.chat.send(OWNER, question, attachments=[file]))
        failure = failure_of(done.path[-1])
        assert failure.message == (
            f"The model 'gpt-test' at {app.connections.default.name} takes no images. "
            "Choose another model, or ask again without the picture."
        )
        assert (failure.next_step, failure.status_code) == ("choose_model", 400)
        again = await app.chat.send(OWNER, "say hello", conversation_id=done.conversation.id)
        on = await whole_run(app.chat, again)
        assert on.path[-1].text == "Hello from aimock."
        assert on.path[0].attachments == done.path[0].attachments

    async def test_a_retry_that_recovers(self, open_at: OpenAt, aimock: str) -> None:
        app = await open_at(aimock, PANELIST_MODEL="gpt-test")
        opened = await whole_run(app.chat, await app.chat.send(OWNER, "recover"))
        failed = opened.path[-1]
        assert failed.status == "failed"
        again = await whole_run(app.chat, await app.chat.retry(OWNER, opened.conversation.id, failed.id))
        assert again.path[-1].status == "complete"

    async def test_the_title_is_asked_for(self, open_at: OpenAt, aimock: str) -> None:
        app = await open_at(aimock, PANELIST_MODEL="gpt-test", PANELIST_TITLES="on")
        done = await whole_run(app.chat, await app.chat.send(OWNER, "say hello"))
        for _ in range(200):
            [conversation] = await app.chat.catalogue.conversations(OWNER)
            if conversation.title_source == "model":
                break
            await asyncio.sleep(0.01)
        assert conversation.title_source == "model"
        assert conversation.id == done.conversation.id


async def test_the_demo_endpoint_speaks_the_same_wire(open_at: OpenAt, tmp_path: Path) -> None:
    settings = read_settings({"PANELIST_TITLES": "off"}, tmp_path / "demo")
    (tmp_path / "demo").mkdir()
    ring = KeyRing({}, tmp_path)
    app = await open_runtime(settings, provider=make_provider(ring, demo_pace=0))
    try:
        reply = await answered(app, "hello")
        assert reply.status == "complete"
        assert "not an AI" in reply.text
        assert (await answered(app, "/fail cut")).status == "interrupted"
    finally:
        await app.close()

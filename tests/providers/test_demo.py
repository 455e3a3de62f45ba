"""The demo endpoint, through the real SDK."""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

import httpx2
import openai
import pytest
from openai.types.chat import ChatCompletionChunk

from services.attachments import pictured, quoted
from services.errors import mask_keys
from services.messages import AttachmentPart
from services.providers.demo import DEMO_COMMANDS, DEMO_MODELS, DemoTransport
from services.providers.demo_answers import NOT_AN_AI, pieces_of, prepared
from services.providers.demo_failures import FAILURES
from services.render import render_markdown
from services.titles import TITLE_PROMPT, tidy_title


@pytest.fixture
async def client() -> AsyncIterator[openai.AsyncOpenAI]:
    async with client_at(pace=0) as client:
        yield client


def client_at(pace: float) -> openai.AsyncOpenAI:
    return openai.AsyncOpenAI(
        api_key="unused",
        base_url="http://demo.invalid/v1",
        http_client=httpx2.AsyncClient(transport=DemoTransport(pace=pace)),
        max_retries=0,
    )


@dataclass
class Heard:
    """What came out of a stream before it ended."""

    chunks: list[ChatCompletionChunk]
    broken: Exception | None = None

    @property
    def text(self) -> str:
        return "".join(choice.delta.content or "" for chunk in self.chunks for choice in chunk.choices)

    @property
    def reasoning(self) -> str:
        deltas = [choice.delta.model_extra or {} for chunk in self.chunks for choice in chunk.choices]
        return "".join(delta.get("reasoning_content", "") for delta in deltas)

    @property
    def finish_reasons(self) -> list[str]:
        return [c.finish_reason for chunk in self.chunks for c in chunk.choices if c.finish_reason]


async def hear(client: openai.AsyncOpenAI, question: str, **options: Any) -> Heard:
    options = {"model": "panelist-demo", "messages": [{"role": "user", "content": question}], **options}
    heard = Heard([])
    async with await client.chat.completions.create(stream=True, **options) as stream:
        try:
            async for chunk in stream:
                heard.chunks.append(chunk)
        except (openai.APIError, json.JSONDecodeError) as error:
            heard.broken = error
    return heard


async def test_lists_its_models(client: openai.AsyncOpenAI) -> None:
    assert tuple([model.id async for model in client.models.list()]) == DEMO_MODELS


@pytest.mark.parametrize(
    ("question", "topic"),
    [
        ("Show me Markdown", "markdown"),
        ("Give me an example!", "markdown"),
        ("How do I connect a model?", "connect"),
        ("Does it work with Ollama?", "connect"),
        ("Where do I put my API key?", "connect"),
        ("What is stored where?", "stored"),
        ("How do I stop or retry?", "control"),
        ("Which keyboard shortcuts are there?", "keyboard"),
        ("What can you do?", "about"),
        ("are you an AI?", "about"),
        ("help", "about"),
        ("Hello!", "hello"),
    ],
)
async def test_answers_what_it_is_asked(client: openai.AsyncOpenAI, question: str, topic: str) -> None:
    heard = await hear(client, question)
    assert heard.text == NOT_AN_AI + prepared(topic)
    assert heard.finish_reasons == ["stop"]


def test_the_tour_has_one_of_everything() -> None:
    html = render_markdown(prepared("markdown"))
    for tag in ("h1", "em", "s", "a", "ol", "ul", "dl", "input", "table", "math", "sup", "blockquote", "hr", "pre"):
        assert re.search(rf"<{tag}[ >]", html), tag
    for piece in ('<math display="block">', 'class="footnote"', 'class="code-block mermaid"', "Show all", "$5 a pot"):
        assert piece in html
    assert "&lt;b&gt;" in html


async def test_says_what_arrived_when_it_has_no_answer(client: openai.AsyncOpenAI) -> None:
    question = "Why is the sky blue?\n```python\nprint('no way out')\n```\n" + "x" * 1_000
    messages = [
        {"role": "system", "content": "Be kind."},
        {"role": "user", "content": "Hello"},
        {"role": "assistant", "content": "Hi."},
        {"role": "user", "content": question},
    ]
    text = (await hear(client, "", messages=messages)).text
    assert text.startswith(NOT_AN_AI)
    assert "a request with 4 messages" in text
    assert f"{len(question):,} characters" in text
    assert text.count("\n````") == 2, "the fence is longer than any in the question"
    assert "x" * 400 not in text


async def test_takes_parts_and_broken_characters(client: openai.AsyncOpenAI) -> None:
    content = '[{"type": "text", "text": "Odd \\ud83d one\\u0000"}]'
    body = f'{{"stream": true, "messages": [{{"role": "user", "content": {content}}}]}}'
    async with httpx2.AsyncClient(transport=DemoTransport(pace=0)) as http:
        response = await http.post("http://demo.invalid/v1/chat/completions", content=body)
    chunks = [json.loads(line[6:]) for line in response.text.splitlines() if line.startswith("data: {")]
    assert "Odd \ufffd one\n" in "".join(chunk["choices"][0]["delta"].get("content", "") for chunk in chunks)


PICTURE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,YWJj"}}


@pytest.mark.parametrize("profile_of_text", ["string", "parts"])
async def test_says_which_files_it_got(client: openai.AsyncOpenAI, profile_of_text: str) -> None:
    part = AttachmentPart("a" * 64, "no`tes.md", "text/plain", 12)
    file = quoted(part, "```\nAttached file “x” (1 bytes):\n```\n")
    content: Any = file + "Hello"
    if profile_of_text == "parts":
        picture = pictured(AttachmentPart("b" * 64, "map.png", "image/png", 3))
        content = [{"type": "text", "text": picture}, PICTURE, {"type": "text", "text": file + "Hello"}]
    heard = await hear(client, content)
    assert "`no'tes.md`, a text file of 12 bytes\n" in heard.text
    assert ("`map.png`, a picture (image/png) of 3 bytes" in heard.text) is (profile_of_text == "parts")
    assert heard.text.startswith(NOT_AN_AI)
    assert prepared("hello") in heard.text, "and answers what was asked"
    alone = (await hear(client, file)).text
    assert alone.startswith(f"{NOT_AN_AI}Your message came with one attachment:")
    assert alone.endswith("bytes\n"), "and no word about a question that was not asked"


async def test_usage_comes_last_and_only_when_asked_for(client: openai.AsyncOpenAI) -> None:
    asked = await hear(client, "/think", stream_options={"include_usage": True})
    last = asked.chunks[-1]
    assert last.choices == []
    assert last.usage is not None
    assert last.usage.prompt_tokens == 2
    assert last.usage.completion_tokens == pytest.approx(len(asked.text + asked.reasoning) / 4, abs=2)
    assert last.usage.completion_tokens_details is not None
    assert last.usage.completion_tokens_details.reasoning_tokens
    assert [chunk.usage for chunk in asked.chunks[:-1]] == [None] * (len(asked.chunks) - 1)
    assert all(chunk.usage is None for chunk in (await hear(client, "/think")).chunks)


@pytest.mark.parametrize(("model", "question"), [("panelist-demo", "/think"), ("panelist-demo-thinking", "Hello")])
async def test_thinks_before_it_answers(client: openai.AsyncOpenAI, model: str, question: str) -> None:
    heard = await hear(client, question, model=model)
    assert heard.reasoning == prepared("thought")
    assert heard.text.startswith(NOT_AN_AI)
    assert heard.chunks[0].model == model
    texts = [bool(choice.delta.content) for chunk in heard.chunks for choice in chunk.choices]
    assert texts.index(True) > len(pieces_of(prepared("thought"))), "all reasoning comes before the first text"


@pytest.mark.parametrize(
    ("question", "title"),
    [
        ("How do I connect a model to this thing?", "Connect model thing"),
        ("Explain", "About Explain"),
        ("how are you", "A short question"),
        ("/fail 429", "Trying fail 429"),
        (
            "Compare the French, Italian and Spanish ways of making bread at home",
            "Compare French Italian Spanish ways making",
        ),
    ],
)
async def test_a_title_is_a_few_words_and_nothing_else(client: openai.AsyncOpenAI, question: str, title: str) -> None:
    messages = [{"role": "system", "content": TITLE_PROMPT}, {"role": "user", "content": question}]
    heard = await hear(client, "", messages=messages)
    assert heard.text == title == tidy_title(title)
    assert heard.finish_reasons == ["stop"]


@pytest.mark.parametrize("amount", [1, 700, 5_000])
async def test_long_writes_as_much_as_it_is_told(client: openai.AsyncOpenAI, amount: int) -> None:
    text = (await hear(client, f"/long {amount}")).text.removeprefix(NOT_AN_AI)
    assert len(pieces_of(text)) == amount


async def test_long_has_a_cap_and_a_default(client: openai.AsyncOpenAI) -> None:
    assert len(pieces_of((await hear(client, "/long 999999")).text)) < 5_100
    assert 490 < len(pieces_of((await hear(client, "/long please")).text)) < 600


async def test_max_tokens_cuts_the_answer(client: openai.AsyncOpenAI) -> None:
    heard = await hear(client, "/long 100", max_completion_tokens=10)
    assert len(pieces_of(heard.text)) == 10
    assert heard.finish_reasons == ["length"]


@pytest.mark.parametrize(
    ("name", "status", "code", "words"),
    [
        ("400", 400, None, "Invalid value"),
        ("401", 401, "invalid_api_key", "API key"),
        ("402", 429, "insufficient_quota", "quota"),
        ("403", 403, "unsupported_country_region_territory", "not supported"),
        ("404", 404, "model_not_found", "does not exist"),
        ("429", 429, "rate_limit_exceeded", "try again in 12s"),
        ("500", 500, None, "had an error"),
        ("503", 503, "overloaded", "overloaded"),
        ("529", 529, None, "Overloaded"),
        ("long", 400, "context_length_exceeded", "4096 tokens"),
        ("param", 400, "unsupported_parameter", "'stream_options'"),
        ("key", 401, "invalid_api_key", "sk-demo"),
    ],
)
async def test_refusals(client: openai.AsyncOpenAI, name: str, status: int, code: str | None, words: str) -> None:
    with pytest.raises(openai.APIStatusError) as caught:
        await hear(client, f"/fail {name}", stream_options={"include_usage": True})
    error = caught.value
    assert (error.status_code, error.code) == (status, code)
    assert isinstance(error.body, dict)
    assert words in error.body["message"]
    assert error.request_id is not None
    assert error.request_id.startswith("req_demo")
    assert error.response.headers.get("retry-after") == ("12" if name == "429" else None)


async def test_the_echoed_key_is_one_that_masking_finds(client: openai.AsyncOpenAI) -> None:
    with pytest.raises(openai.AuthenticationError) as caught:
        await hear(client, "/fail key")
    assert "sk-demo" not in mask_keys(str(caught.value))


async def test_a_dropped_parameter_is_not_refused_again(client: openai.AsyncOpenAI) -> None:
    assert "without `stream_options`" in (await hear(client, "/fail param")).text


@pytest.mark.parametrize(("name", "reason"), [("filter", "content_filter"), ("length", "length")])
async def test_answers_that_end_early(client: openai.AsyncOpenAI, name: str, reason: str) -> None:
    heard = await hear(client, f"/fail {name}")
    assert len(heard.text) > 300
    assert heard.finish_reasons == [reason]


@pytest.mark.parametrize(
    ("name", "error"),
    [
        ("cut", None),
        ("reset", openai.APIConnectionError),
        ("json", json.JSONDecodeError),
        ("error", openai.APIError),
    ],
)
async def test_streams_that_break(client: openai.AsyncOpenAI, name: str, error: type[Exception] | None) -> None:
    heard = await hear(client, f"/fail {name}")
    assert len(heard.text) > 300
    assert heard.finish_reasons == []
    assert type(heard.broken) is (error or type(None))


async def test_a_web_page_instead_of_an_answer(client: openai.AsyncOpenAI) -> None:
    raw = client.chat.completions.with_raw_response
    messages: Any = [{"role": "user", "content": "/fail html"}]
    response = await raw.create(model="panelist-demo", messages=messages, stream=True)
    assert response.headers["content-type"] == "text/html; charset=utf-8"
    assert (await hear(client, "/fail html")).chunks == []


async def test_a_stalled_stream_ends_when_it_is_closed(client: openai.AsyncOpenAI) -> None:
    messages: Any = [{"role": "user", "content": "/fail stall"}]
    stream = await client.chat.completions.create(model="panelist-demo", messages=messages, stream=True)
    pieces = 0

    async def read() -> None:
        nonlocal pieces
        async with aclosing(aiter(stream)) as chunks:
            async for _ in chunks:
                pieces += 1

    reading = asyncio.create_task(read())
    done, _ = await asyncio.wait([reading], timeout=0.2)
    assert not done
    assert pieces > 50
    await stream.close()
    await asyncio.wait_for(reading, 1)


@pytest.mark.parametrize("question", ["/fail", "/fail 418"])
async def test_fail_lists_what_it_knows(client: openai.AsyncOpenAI, question: str) -> None:
    text = (await hear(client, question)).text
    assert [name for name in FAILURES if f"`/fail {name}`" not in text] == []


async def test_every_listed_failure_fails(client: openai.AsyncOpenAI) -> None:
    for name in set(FAILURES) - {"stall"}:
        try:
            heard = await hear(client, f"/fail {name}", stream_options={"include_usage": True})
        except openai.APIStatusError:
            continue
        assert heard.finish_reasons != ["stop"], name


async def test_every_question_it_is_said_to_know_is_answered_in_its_own_way(client: openai.AsyncOpenAI) -> None:
    plain = [name for name, _ in DEMO_COMMANDS if not name.startswith("/fail ")]
    assert {"/slow", "/think", "/long", "/fail"} <= set(plain)
    for name in plain:
        assert "I cannot answer that" not in (await hear(client, name)).text, name


async def test_without_a_stream_it_answers_in_one_body(client: openai.AsyncOpenAI) -> None:
    messages: Any = [{"role": "user", "content": "/think"}]
    answer = await client.chat.completions.create(model="panelist-demo", messages=messages)
    assert answer.choices[0].message.content == NOT_AN_AI + prepared("about")
    assert answer.choices[0].finish_reason == "stop"
    assert answer.usage is not None
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens
    messages = [{"role": "user", "content": "/fail reset"}]
    with pytest.raises(openai.APIConnectionError):
        await client.chat.completions.create(model="panelist-demo", messages=messages)


@pytest.mark.parametrize("body", ["{", "[]", "{}", '{"messages": "hello"}', '{"messages": ["hello"]}'])
async def test_a_bad_request_is_refused(body: str) -> None:
    async with httpx2.AsyncClient(transport=DemoTransport(pace=0)) as http:
        response = await http.post("http://demo.invalid/v1/chat/completions", content=body)
        assert response.status_code == 400
        assert response.json()["error"]["type"] == "invalid_request_error"
        assert (await http.get("http://demo.invalid/v1/files")).status_code == 404


async def test_pace_stretches_the_delays() -> None:
    async with client_at(pace=0.2) as client:
        start = time.perf_counter()
        heard = await hear(client, "Hello!")
        seconds = time.perf_counter() - start
    told = 0.2 * (0.4 + 0.02 * len(pieces_of(heard.text)))
    assert told * 0.9 < seconds < told * 3


async def test_pace_0_waits_for_nothing() -> None:
    async with client_at(pace=0) as client:
        start = time.perf_counter()
        await hear(client, "/slow")
        assert time.perf_counter() - start < 1


async def test_closing_stops_a_slow_answer_at_once() -> None:
    async with client_at(pace=1) as client:
        messages: Any = [{"role": "user", "content": "/slow"}]
        stream = await client.chat.completions.create(model="panelist-demo", messages=messages, stream=True)
        reading = asyncio.create_task(anext(aiter(stream)))
        await asyncio.sleep(0.05)
        start = time.perf_counter()
        await stream.close()
        with pytest.raises(StopAsyncIteration):
            await reading
        assert time.perf_counter() - start < 0.5

"""What servers say of tokens, in refusals and in their lists of models."""
# ruff: noqa: E501 - tables read better with a row per line

from __future__ import annotations

import json
import time

import httpx2
import pytest

from services.endpoints import Endpoint
from services.errors import Failure
from services.providers.failures import Asked, classify_status
from services.providers.overlong import counted_in, tokenizer_in, tokens_in, windows_in
from services.storage.codec import failure_from_json, failure_to_json
from tests.providers.test_client import provider

ASKED = Asked(endpoint=Endpoint(name="acme", base_url="https://api.acme.test/v1"), model="m1")


def refused(text: str, status: int = 400, **fields: object) -> Failure:
    return classify_status(ASKED, status, {"error": {"message": text, **fields}}, {})


REFUSALS: list[tuple[str, int | None, int | None]] = [
    ("request (16381 tokens) exceeds the available context size (4096 tokens), try increasing it", 16_381, 4_096),
    ("This model's maximum context length is 8192 tokens. However, your messages resulted in 9000 tokens. Please reduce the length of the messages.", 9_000, 8_192),
    ("This model's maximum context length is 16384 tokens. However, you requested 122946 tokens (112946 in the messages, 10000 in the completion). Please reduce the length of the messages or completion.", 112_946, 16_384),
    ("This model's maximum context length is 4097 tokens, however you requested 4322 tokens (4066 in your prompt; 256 for the completion). Please reduce your prompt; or completion length.", 4_066, 4_097),
    ("This endpoint's maximum context length is 131072 tokens. However, you requested about 150000 tokens (149000 of text input).", 150_000, 131_072),
    ("'max_tokens' or 'max_completion_tokens' is too large: 500. This model's maximum context length is 4096 tokens and your request has 4050 input tokens (500 > 4096 - 4050).", 4_050, 4_096),
    ("Input tokens exceed the configured limit of 272000 tokens. Your messages resulted in 300123 tokens. Please reduce the length of the messages.", 300_123, 272_000),
    ("prompt is too long: 219898 tokens > 200000 maximum", 219_898, 200_000),
    ("Prompt contains 40000 tokens and 0 draft tokens, too large for model with 32768 maximum context length", 40_000, 32_768),
    ("The input token count (1200293) exceeds the maximum number of tokens allowed (1048576).", 1_200_293, 1_048_576),
    ("Trying to keep the first 15857 tokens when context the overflows. However, the model is loaded with context length of only 4096 tokens, which is not enough.", 15_857, 4_096),
    ("The number of tokens to keep from the initial prompt is greater than the context length (n_keep: 13055>= n_ctx: 4096).", 13_055, 4_096),
    ("Input validation error: `inputs` tokens + `max_new_tokens` must be <= 8192. Given: 9000 `inputs` tokens and 512 `max_new_tokens`", 9_000, 8_192),
    ("litellm.ContextWindowExceededError: too big", None, None),
]  # fmt: skip


@pytest.mark.parametrize(("text", "tokens", "window"), REFUSALS)
def test_the_numbers_of_a_refusal_are_read(text: str, tokens: int | None, window: int | None) -> None:
    assert tokens_in(text, {}) == (tokens, window)


@pytest.mark.parametrize(("text", "tokens", "window"), REFUSALS[:2])
def test_they_are_told_and_kept(text: str, tokens: int, window: int) -> None:
    failure = refused(text, code="context_length_exceeded")
    assert (failure.kind, failure.next_step) == ("too_long", "shorten")
    assert f"has {tokens:,} tokens, and the model 'm1' at acme takes {window:,}, its answer included" in failure.message
    assert failure_from_json(failure_to_json(failure)) == failure


def test_an_answer_that_does_not_fit_in_is_told_apart() -> None:
    failure = refused(REFUSALS[3][0], code="context_length_exceeded")
    assert failure.message.endswith("no room is left for an answer that long.")


def test_the_fields_of_llama_cpp_count_where_its_words_have_no_numbers() -> None:
    failure = refused(
        "the request exceeds the available context size", type="exceed_context_size_error", n_prompt_tokens=5, n_ctx=4
    )
    assert (failure.tokens, failure.window) == (5, 4)


@pytest.mark.parametrize(
    ("status", "text"),
    [
        (413, "Request too large for model m1 on tokens per minute (TPM): Limit 30000, Requested 50000."),
        (429, "Rate limit reached: you requested 9000 tokens, maximum context length is 10"),
        (400, "temperature is too long: 5 tokens > 3"),
    ],
)
def test_other_limits_are_no_windows(status: int, text: str) -> None:
    assert refused(text, status).window is None


@pytest.mark.parametrize(
    "text", ["maximum context length is " * 9_000, "(" * 90_000, "9," * 50_000, "n_ctx: " + "9" * 400]
)
def test_hostile_words_are_read_quickly(text: str) -> None:
    started = time.process_time()
    tokens_in(text, {"error": {"n_ctx": True, "n_prompt_tokens": -1}})
    assert time.process_time() - started < 1


@pytest.mark.parametrize(
    ("item", "window"),
    [
        ({"meta": {"n_ctx": 4096, "n_ctx_train": 8192}}, 4_096),
        ({"meta": {"n_ctx_train": 8192}}, None),
        ({"max_model_len": 32_768}, 32_768),
        ({"context_length": 131_072}, 131_072),
        ({"max_context_length": 100}, 100),
        ({"context_window": 200}, 200),
        ({"context_length": "many", "meta": [1]}, None),
        ({"context_length": True}, None),
        ({"max_model_len": None, "context_length": 10**30}, None),
    ],
)
def test_lists_of_models_say_what_they_take(item: dict[str, object], window: int | None) -> None:
    named = [{"id": "m", **item}]
    expected = {} if window is None else {"m": window}
    assert windows_in({"data": named}) == windows_in(named) == expected


@pytest.mark.parametrize(
    ("body", "server"),
    [
        ({"data": [{"id": "m", "owned_by": "llamacpp"}]}, "llamacpp"),
        ([{"id": "m", "owned_by": "vllm"}], "vllm"),
        ({"data": [{"id": "m", "owned_by": "openai"}]}, None),
        ({"data": [{"id": "m", "owned_by": ["vllm"]}]}, None),
        ({"data": []}, None),
        ("x", None),
    ],
)
def test_servers_that_count_are_known_by_their_list(body: object, server: str | None) -> None:
    assert tokenizer_in(body) == server


def test_what_they_counted_is_read() -> None:
    assert counted_in({"tokens": [1, 2, 3]}) == 3
    assert counted_in({"count": 5, "max_model_len": 9, "tokens": [1]}) == 5
    for odd in (None, [], {"tokens": 3}, {"count": "many"}, {"error": "no"}):
        assert counted_in(odd) is None


class TestCounting:
    """Through the provider: only servers on this machine are asked, and only those that can."""

    @staticmethod
    async def counted(url: str, answers: dict[str, httpx2.Response]) -> tuple[list[int | None], list[tuple[str, str]]]:
        seen: list[tuple[str, str]] = []

        def handler(sent: httpx2.Request) -> httpx2.Response:
            seen.append((sent.url.path, sent.content.decode()))
            return answers[sent.url.path]

        endpoint = Endpoint(name="here", base_url=url)
        async with provider(handler) as made:
            await made.list_models(endpoint)
            found = [await made.count_tokens(endpoint, "m", "one two") for _ in range(2)]
        return found, seen[1:]

    LIST = httpx2.Response(200, json={"data": [{"id": "m", "owned_by": "llamacpp"}]})

    async def test_a_server_here_is_asked(self) -> None:
        counts = httpx2.Response(200, json={"tokens": [1, 2]})
        found, seen = await self.counted("http://127.0.0.1:1/v1", {"/v1/models": self.LIST, "/tokenize": counts})
        assert found == [2, 2]
        assert seen[0] == ("/tokenize", '{"content": "one two"}')

    async def test_one_elsewhere_never_hears_what_is_typed(self) -> None:
        found, seen = await self.counted("https://llm.acme.test/v1", {"/v1/models": self.LIST})
        assert (found, seen) == ([None, None], [])

    async def test_one_that_fails_is_not_asked_again(self) -> None:
        broken = httpx2.Response(404, text="<html>")
        found, seen = await self.counted("http://localhost:1/v1", {"/v1/models": self.LIST, "/tokenize": broken})
        assert found == [None, None]
        assert len(seen) == 1


@pytest.mark.parametrize("body", [None, "x", [], [1], {"data": None}, {"data": [{"id": 3, "context_length": 5}]}])
def test_what_is_no_list_says_nothing(body: object) -> None:
    assert windows_in(body) == {}
    json.dumps(windows_in(body))

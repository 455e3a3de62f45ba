"""The servers themselves, raw over HTTP: what our own tests may rely on."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import httpx2
import pytest

from tests.servers.need import unavailable

pytestmark = pytest.mark.server


@pytest.fixture
def http() -> Iterator[httpx2.Client]:
    with httpx2.Client(trust_env=False, timeout=30, limits=httpx2.Limits(max_keepalive_connections=0)) as client:
        yield client


def question(text: str, **options: Any) -> dict[str, Any]:
    return {
        "model": "any",
        "stream": True,
        "stream_options": {"include_usage": True},
        "messages": [{"role": "user", "content": text}],
        **options,
    }


def chunks_of(body: str) -> list[dict[str, Any]]:
    """The chunks of a whole event stream, which must end with `[DONE]`."""
    data = [line.removeprefix("data: ") for line in body.splitlines() if line.startswith("data: ")]
    assert data[-1] == "[DONE]"
    return [json.loads(text) for text in data[:-1]]


def text_and_reason(chunks: list[dict[str, Any]]) -> tuple[str, str | None]:
    choices = [choice for chunk in chunks for choice in chunk["choices"]]
    text = "".join(choice["delta"].get("content") or "" for choice in choices)
    return text, next((choice["finish_reason"] for choice in choices if choice["finish_reason"]), None)


def busy_slots(http: httpx2.Client, base_url: str) -> int:
    slots = http.get(base_url.removesuffix("/v1") + "/slots").raise_for_status().json()
    return sum(slot["is_processing"] for slot in slots)


def wait_until_idle(http: httpx2.Client, base_url: str) -> float:
    """Return the seconds until no slot is busy; at most about 5."""
    start = time.perf_counter()
    for _ in range(250):
        if not busy_slots(http, base_url):
            return time.perf_counter() - start
        time.sleep(0.02)
    raise AssertionError("a slot is still busy after 5 s")


def test_llamacpp_lists_its_model(http: httpx2.Client, llamacpp: str) -> None:
    assert [model["id"] for model in http.get(f"{llamacpp}/models").json()["data"]] == ["panelist-tiny"]


def test_llamacpp_streams_up_to_max_tokens(http: httpx2.Client, llamacpp: str) -> None:
    response = http.post(f"{llamacpp}/chat/completions", json=question("Hello", max_tokens=20))
    chunks = chunks_of(response.text)
    text, reason = text_and_reason(chunks)
    assert response.headers["content-type"] == "text/event-stream"
    assert text
    assert reason == "length"
    assert chunks[-1]["usage"]["completion_tokens"] == 20


def test_llamacpp_brief_ends_by_itself(http: httpx2.Client, llamacpp_brief: str) -> None:
    for greeting in ("Hello", "What is the time?", "Tell me a story."):
        chunks = chunks_of(http.post(f"{llamacpp_brief}/chat/completions", json=question(greeting)).text)
        text, reason = text_and_reason(chunks)
        assert reason == "stop"
        assert text
        assert chunks[-1]["usage"]["completion_tokens"] < 1000


def test_llamacpp_slot_is_freed_by_closing_the_stream(http: httpx2.Client, llamacpp: str) -> None:
    wait_until_idle(http, llamacpp)
    with http.stream("POST", f"{llamacpp}/chat/completions", json=question("Go on for ever")) as response:
        lines = response.iter_lines()
        for _ in range(10):
            next(lines)
        assert busy_slots(http, llamacpp) == 1
    assert wait_until_idle(http, llamacpp) < 2


def test_llamacpp_names_both_numbers_when_the_prompt_is_too_long(http: httpx2.Client, llamacpp: str) -> None:
    response = http.post(f"{llamacpp}/chat/completions", json=question("x" * 10_000))
    error = response.json()["error"]
    assert response.status_code == 400
    assert error["type"] == "exceed_context_size_error"
    assert error["n_ctx"] == 4096
    assert error["n_prompt_tokens"] > 10_000


def test_aimock_lists_models(http: httpx2.Client, aimock: str) -> None:
    assert http.get(f"{aimock}/models").json()["data"]


@pytest.mark.parametrize(
    ("text", "answer", "reason"),
    [
        ("Please say hello", "Hello from aimock.", "stop"),
        ("be long", "This answer stops because", "length"),
        ("be filtered", "This answer", "content_filter"),
        ("think first", "Forty-two.", "stop"),
        ("the weather", "", "tool_calls"),
    ],
)
def test_aimock_streams(http: httpx2.Client, aimock: str, text: str, answer: str, reason: str) -> None:
    chunks = chunks_of(http.post(f"{aimock}/chat/completions", json=question(text)).text)
    assert text_and_reason(chunks) == (answer, reason)
    assert chunks[-1]["usage"]["total_tokens"] > 0


@pytest.mark.parametrize(
    ("text", "status"), [("limit me", 429), ("break down", 500), ("refuse my key", 401), ("nobody wrote this", 503)]
)
def test_aimock_fails_as_told(http: httpx2.Client, aimock: str, text: str, status: int) -> None:
    response = http.post(f"{aimock}/chat/completions", json=question(text))
    assert response.status_code == status
    assert response.json()["error"]["message"]
    assert response.headers["x-request-id"]
    assert response.headers.get("retry-after") == ("7" if status == 429 else None)


def test_aimock_cuts_an_answer_without_a_finish_reason(http: httpx2.Client, aimock: str) -> None:
    with http.stream("POST", f"{aimock}/chat/completions", json=question("cut it")) as response:
        pieces = response.iter_text()
        received = next(pieces) + next(pieces)
        with pytest.raises(httpx2.RemoteProtocolError):
            [received := received + piece for piece in pieces]
    assert "This answe" in received
    assert '"finish_reason":"' not in received


def test_aimock_garbles_and_hangs_up(http: httpx2.Client, aimock: str) -> None:
    garbled = http.post(f"{aimock}/chat/completions", json=question("garble it"))
    assert garbled.status_code == 200
    with pytest.raises(json.JSONDecodeError):
        garbled.json()
    with pytest.raises(httpx2.RemoteProtocolError):
        http.post(f"{aimock}/chat/completions", json=question("hang up"))


def test_a_missing_tool_skips_here_and_fails_in_ci(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CI", raising=False)
    with pytest.raises(pytest.skip.Exception, match="no such tool"):
        unavailable("no such tool")
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception, match="no such tool"):
        unavailable("no such tool")

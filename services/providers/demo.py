"""The demo endpoint: speaks the Chat Completions wire to the real SDK, from inside the process, without a model."""

from __future__ import annotations

import asyncio
import json
import math
import time
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

import httpx2

from services.messages import clean_text
from services.providers.demo_answers import ANSWERS, Answer, answer_to, pieces_of, prepared, title_of
from services.providers.demo_attachments import taken_apart, told_of
from services.providers.demo_failures import FAILURES, Page, Refusal, failure_of

DEMO_MODELS: tuple[str, ...] = ("panelist-demo", "panelist-demo-thinking")

DEMO_COMMANDS: tuple[tuple[str, str], ...] = (
    *ANSWERS.items(),
    ("/fail", "a choice of failures"),
    *((f"/fail {word}", meaning) for word, meaning in FAILURES.items()),
)
"""Questions that are answered in a way of their own, and what comes."""

_ENDLESS = math.inf
_TITLE_WORDS = "title for this conversation"

Step = bytes | float | httpx2.TransportError
"""Of a body: bytes to send, seconds to wait (infinite: until it is closed), or how the connection breaks."""


class DemoTransport(httpx2.AsyncBaseTransport):
    """Answers `GET /models` and `POST /chat/completions` with prepared text; nothing leaves the process."""

    def __init__(self, pace: float = 1.0) -> None:
        """`pace` multiplies every delay; 0 sends as fast as it is read."""
        self._pace = pace

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        path = request.url.path.rstrip("/")
        if request.method == "GET" and path.endswith("/models"):
            return self._respond(_json(_model_list()))
        if request.method == "POST" and path.endswith("/chat/completions"):
            return self._complete(await request.aread())
        return self._refuse(Refusal(status=404, message=f"Invalid URL ({request.method} {path})", code="unknown_url"))

    def _complete(self, body: bytes) -> httpx2.Response:
        try:
            asked = _Asked.read(body)
        except ValueError as error:
            return self._refuse(Refusal(status=400, message=str(error)))
        outcome = asked.outcome()
        if isinstance(outcome, Refusal):
            return self._refuse(outcome)
        if isinstance(outcome, Page):
            return self._respond([outcome.html.encode()], content_type="text/html; charset=utf-8")
        if asked.stream:
            return self._respond(_event_stream(asked, outcome), content_type="text/event-stream; charset=utf-8")
        return self._respond(_whole(asked, outcome))

    def _refuse(self, refusal: Refusal) -> httpx2.Response:
        error = {
            "message": refusal.message,
            "type": refusal.type,
            "param": refusal.param,
            "code": refusal.code,
        }
        return self._respond(_json({"error": error}), status=refusal.status, headers=refusal.headers)

    def _respond(
        self,
        steps: Iterator[Step] | list[bytes],
        *,
        status: int = 200,
        content_type: str = "application/json",
        headers: dict[str, str] | None = None,
    ) -> httpx2.Response:
        return httpx2.Response(
            status,
            headers={"content-type": content_type, "x-request-id": f"req_demo{uuid.uuid4().hex}", **(headers or {})},
            stream=_Body(iter(steps), self._pace),
        )


class _Body(httpx2.AsyncByteStream):
    """A body that is sent step by step, and ends at once when it is closed, whoever is waiting for it."""

    def __init__(self, steps: Iterator[Step], pace: float) -> None:
        self._steps = steps
        self._pace = pace
        self._closed = asyncio.Event()

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        for step in self._steps:
            if isinstance(step, float):
                await self._wait(step)
            if self._closed.is_set():
                break
            if isinstance(step, httpx2.TransportError):
                raise step
            if isinstance(step, bytes):
                return step
        raise StopAsyncIteration

    async def _wait(self, seconds: float) -> None:
        if seconds == _ENDLESS:
            await self._closed.wait()
        elif self._pace <= 0:
            await asyncio.sleep(0)  # not a delay: a long answer must not keep the loop to itself
        else:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._closed.wait(), seconds * self._pace)

    async def aclose(self) -> None:
        self._closed.set()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Asked:
    """What matters of a request."""

    model: str
    question: str
    """The text of the last user message, without its attachments."""
    attached: tuple[str, ...]
    """What came with it, in words."""
    first_question: str
    message_count: int
    prompt_tokens: int
    wants_title: bool
    stream: bool
    include_usage: bool
    max_tokens: int | None
    fields: frozenset[str]

    @classmethod
    def read(cls, body: bytes) -> _Asked:
        """Read a request.

        Raises:
            ValueError: it is not one; the text says why, as the API would.
        """
        try:
            request = json.loads(body)
        except ValueError as error:
            raise ValueError("We could not parse the JSON body of your request.") from error
        messages = request.get("messages") if isinstance(request, dict) else None
        if not isinstance(messages, list) or not all(isinstance(message, dict) for message in messages):
            raise ValueError("Missing required parameter: 'messages'.")
        said = [(message.get("role"), _text_of(message.get("content"))) for message in messages]
        asked = [message.get("content") for message in messages if message.get("role") == "user"] or [""]
        question, attached = taken_apart(_text_of(asked[-1]), asked[-1])
        limit = request.get("max_completion_tokens") or request.get("max_tokens")
        return cls(
            model=str(request.get("model") or DEMO_MODELS[0]),
            question=question,
            attached=attached,
            first_question=_text_of(asked[0]),
            message_count=len(messages),
            prompt_tokens=sum(_tokens(text) for _, text in said),
            wants_title=any(role in {"system", "developer"} and _TITLE_WORDS in text for role, text in said),
            stream=bool(request.get("stream")),
            include_usage=bool((request.get("stream_options") or {}).get("include_usage")),
            max_tokens=limit if isinstance(limit, int) and limit > 0 else None,
            fields=frozenset(request),
        )

    def outcome(self) -> Answer | Refusal | Page:
        if self.wants_title:
            return Answer(text=title_of(self.first_question), first_s=0.1)
        outcome = failure_of(self.question, self.fields) or answer_to(self.question, self.message_count)
        if not isinstance(outcome, Answer):
            return outcome
        if self.attached:
            outcome = replace(outcome, text=told_of(self.attached, outcome.text if self.question else ""))
        if self.model == "panelist-demo-thinking" and not outcome.reasoning:
            outcome = replace(outcome, reasoning=prepared("thought"))
        pieces = pieces_of(outcome.text)
        if self.max_tokens is not None and len(pieces) > self.max_tokens:
            outcome = replace(outcome, text="".join(pieces[: self.max_tokens]), ending="length")
        return outcome


def _event_stream(asked: _Asked, answer: Answer) -> Iterator[Step]:
    """Yield the steps of a streamed answer."""
    head = {**_head(asked, "chat.completion.chunk"), **({"usage": None} if asked.include_usage else {})}

    def chunk(delta: dict[str, str], finish_reason: str | None = None) -> bytes:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish_reason}
        return _event({**head, "choices": [choice]})

    yield answer.first_s
    yield chunk({"role": "assistant", "content": ""})
    for key, text in (("reasoning_content", answer.reasoning), ("content", answer.text)):
        for piece in pieces_of(text):
            yield chunk({key: piece})
            yield answer.gap_s
    match answer.ending:
        case "cut":
            return
        case "reset":
            yield httpx2.ReadError("Connection reset by peer")
        case "stall":
            yield _ENDLESS
        case "garbled":
            yield chunk({"content": " and then"})[:-12] + b"\n\n"
        case "error":
            yield _event({"error": {"message": "The server had an error.", "type": "server_error", "code": None}})
        case reason:
            yield chunk({}, reason)
            if asked.include_usage:
                yield _event({**head, "choices": [], "usage": _usage(asked, answer)})
    yield b"data: [DONE]\n\n"


def _whole(asked: _Asked, answer: Answer) -> Iterator[Step]:
    """Yield the steps of an answer in one piece, which takes as long as the streamed one."""
    yield answer.first_s + answer.gap_s * len(pieces_of(answer.reasoning + answer.text))
    message: dict[str, str | None] = {"role": "assistant", "content": answer.text, "refusal": None}
    if answer.reasoning:
        message["reasoning_content"] = answer.reasoning
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": answer.ending}
    body = _json({**_head(asked, "chat.completion"), "choices": [choice], "usage": _usage(asked, answer)})[0]
    match answer.ending:
        case "reset":
            yield httpx2.ReadError("Connection reset by peer")
        case "stall":
            yield _ENDLESS
        case "cut" | "garbled" | "error":
            yield body[: len(body) // 2]
        case _:
            yield body


def _head(asked: _Asked, kind: str) -> dict[str, object]:
    model = asked.model if asked.model in DEMO_MODELS else DEMO_MODELS[0]
    return {
        "id": f"chatcmpl-demo{uuid.uuid4().hex}",
        "object": kind,
        "created": int(time.time()),
        "model": model,
        "system_fingerprint": None,
    }


def _usage(asked: _Asked, answer: Answer) -> dict[str, object]:
    reasoning = _tokens(answer.reasoning)
    completion = _tokens(answer.text) + reasoning
    return {
        "prompt_tokens": asked.prompt_tokens,
        "completion_tokens": completion,
        "total_tokens": asked.prompt_tokens + completion,
        "prompt_tokens_details": {"cached_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": reasoning},
    }


def _tokens(text: str) -> int:
    """Return the usual estimate: four characters make a token."""
    return math.ceil(len(text) / 4)


def _text_of(content: Any) -> str:
    """Return a message's text, given as a string or as a list of parts."""
    if isinstance(content, list):
        content = "\n".join(str(part.get("text") or "") for part in content if isinstance(part, dict))
    return clean_text(content) if isinstance(content, str) else ""


def _model_list() -> dict[str, object]:
    models = [{"id": name, "object": "model", "created": 1767225600, "owned_by": "panelist"} for name in DEMO_MODELS]
    return {"object": "list", "data": models}


def _json(value: dict[str, object]) -> list[bytes]:
    return [json.dumps(value, ensure_ascii=False).encode()]


def _event(value: dict[str, object]) -> bytes:
    return b"data: " + json.dumps(value, ensure_ascii=False).encode() + b"\n\n"

"""The Chat Completions dialect: a request as its body, a stream's data as run events."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping

from services.endpoints import profile_of
from services.errors import Failure, ModelError
from services.events import (
    FinishReason,
    ModelNamed,
    ReasoningDelta,
    RunEvent,
    StepFinished,
    TextDelta,
    UsageReported,
)
from services.messages import clean_text
from services.providers.base import ModelRequest
from services.providers.calls import CallAssembler
from services.providers.dialects import is_error
from services.providers.failures import Asked, classify_payload, garbled
from services.usage import Usage

DONE = "[DONE]"

_REASONS: dict[str, FinishReason] = {
    **dict.fromkeys(("stop", "eos", "eos_token", "end_turn", "stop_sequence", "stop_token", "complete"), "stop"),
    **dict.fromkeys(("length", "max_tokens", "max_output_tokens", "max_length", "model_length"), "length"),
    **dict.fromkeys(("model_context_window_exceeded", "context_length_exceeded"), "length"),
    **dict.fromkeys(("tool_calls", "tool_call", "tool_use", "function_call"), "tool_calls"),
    **dict.fromkeys(("content_filter", "content_filtered", "safety", "recitation", "blocklist"), "content_filter"),
    **dict.fromkeys(("prohibited_content", "spii", "sensitive", "guardrail_intervened"), "content_filter"),
    "refusal": "refusal",
}
"""What endpoints call the reasons. Every other word (`error`, `abort`, `network_error`, …) ends the step as a failure:
only a word that is known to mean "the model was done" may make an answer complete."""


def encode(request: ModelRequest) -> dict[str, object]:
    """Return the body of a streaming request. Holds nothing that the user did not set."""
    endpoint = request.endpoint
    body: dict[str, object] = {"model": request.model, "messages": _messages(request), "stream": True}
    if profile_of(endpoint.profile).usage_in_stream and "stream_options" not in endpoint.dropped:
        body["stream_options"] = {"include_usage": True}
    return body


def _messages(request: ModelRequest) -> list[dict[str, str]]:
    """Return the path as the model receives it: text only, and never two of a role in a row.

    An answer that failed before its first word is left out. The two questions around it become one, because the chat
    templates of many local models refuse roles that do not alternate.
    """
    messages: list[dict[str, str]] = []
    system = clean_text(request.system_prompt or "")
    if system.strip():
        messages.append({"role": "system", "content": system})
    for message in request.messages:
        text = clean_text(message.text)
        if not text.strip():
            continue
        if messages and messages[-1]["role"] == message.role:
            messages[-1]["content"] += f"\n\n{text}"
        else:
            messages.append({"role": message.role, "content": text})
    return messages


class _Joiner:
    """Cleans a text that comes in pieces; the first half of a cut emoji waits for the second."""

    def __init__(self) -> None:
        self._half = ""

    def feed(self, text: str) -> str:
        text = self._half + text
        self._half = text[-1] if text and "\ud800" <= text[-1] <= "\udbff" else ""
        return clean_text(text[:-1] if self._half else text)

    def close(self) -> str:
        half, self._half = self._half, ""
        return clean_text(half)


class ChatAccumulator:
    """Turns the data of one stream's events into run events.

    A finish reason is held back until the stream has ended: usage may follow it, and some servers put one on every
    chunk. Content after a reason takes it back; from then on a reason only counts if the server also ends the stream
    properly, with `[DONE]`. That alone is no reason: without one there is no `StepFinished`.
    """

    def __init__(self, asked: Asked, headers: Mapping[str, str] | None = None, request_id: str | None = None) -> None:
        self._asked = asked
        self._headers = headers or {}
        self._request_id = request_id
        self._model: str | None = None
        self._response_id: str | None = None
        self._named = False
        self._text = _Joiner()
        self._reasoning = _Joiner()
        self._calls = CallAssembler()
        self._usage: Usage | None = None
        self._usage_reported: Usage | None = None
        self._raw_reason: str | None = None
        self._reason_taken_back = False
        self._refused = False
        self._has_text = False
        self.done = False
        """The server said that nothing more comes."""

    @property
    def has_reason(self) -> bool:
        """The model has said why it stopped; only usage can still follow."""
        return self._raw_reason is not None

    def feed(self, data: str, event: str = "message") -> list[RunEvent]:
        """Take the data of one event in.

        Raises:
            ModelError: it reports an error, or cannot be read.
        """
        data = data.strip()
        if self.done or not data:
            return []
        if data == DONE:
            self.done = True
            return []
        try:
            payload = json.loads(data)
        except (ValueError, RecursionError) as error:
            if event == "error":
                raise ModelError(classify_payload(self._asked, data, self._headers)) from error
            raise ModelError(garbled(self._asked, "data that cannot be read", data)) from error
        if not isinstance(payload, dict):
            raise ModelError(garbled(self._asked, "data of an unknown kind", data))
        if event == "error" or is_error(payload):
            raise ModelError(classify_payload(self._asked, payload, self._headers))
        return [*self._name(payload), *self._usage_of(payload), *self._choice(payload)]

    def close(self) -> list[RunEvent]:
        """Return what was held back, without saying that the answer is complete: for a stream that broke off."""
        events: list[RunEvent] = []
        if half := self._reasoning.close():
            events.append(ReasoningDelta(half))
        if half := self._text.close():
            events.append(TextDelta(half))
        events += self._calls.finish()
        if self._usage is not None and self._usage != self._usage_reported:
            events.append(UsageReported(self._usage))
        return events

    def finish(self) -> list[RunEvent]:
        """Return what was held back, at the end of the stream.

        Raises:
            ModelError: the stream ended for a reason that does not make an answer complete.
        """
        if self._raw_reason is None or (self._reason_taken_back and not self.done):
            return self.close()
        reason = _REASONS.get(self._raw_reason.lower())
        if reason is None:
            message = f"{self._asked.name} ended the answer with {self._raw_reason[:60]!r}; it may not be complete."
            raise ModelError(Failure(kind="server", message=message, next_step="retry", request_id=self._request_id))
        if reason == "stop" and self._calls:
            reason = "tool_calls"
        elif reason == "stop" and self._refused:
            reason = "refusal"
        return [*self.close(), StepFinished(reason, self._raw_reason)]

    def _name(self, payload: Mapping[str, object]) -> Iterator[RunEvent]:
        """Azure's first chunk names no model, so a name may come later; later ids of other chunks say nothing new."""
        model, response_id = _string(payload.get("model")), _string(payload.get("id"))
        if self._named and (self._model or not model) and (self._response_id or not response_id):
            return
        self._named = True
        self._model = self._model or model
        self._response_id = self._response_id or response_id
        if self._model or self._response_id or self._request_id:
            yield ModelNamed(self._model, self._response_id, self._request_id)

    def _usage_of(self, payload: Mapping[str, object]) -> Iterator[RunEvent]:
        """Note the usage, which may stand beside, inside (Moonshot) or without choices.

        Where it comes with every chunk (Perplexity), only the first and the last report are passed on.
        """
        places = [payload, payload.get("x_groq"), *_list(payload.get("choices"))]
        for place in places:
            usage = _usage(place.get("usage")) if isinstance(place, dict) else None
            self._usage = usage or self._usage
        if self._usage is not None and self._usage_reported is None:
            self._usage_reported = self._usage
            yield UsageReported(self._usage)

    def _choice(self, payload: Mapping[str, object]) -> Iterator[RunEvent]:
        choices = (choice for choice in _list(payload.get("choices")) if isinstance(choice, dict))
        choice = next((choice for choice in choices if not choice.get("index")), None)
        if choice is None:
            return
        if choice.get("error"):
            raise ModelError(classify_payload(self._asked, choice, self._headers))
        delta = choice.get("delta")
        if not isinstance(delta, dict) and not self._has_text:
            delta = choice.get("message")  # the whole answer at once, by a server that does not stream
        if isinstance(delta, dict):
            yield from self._delta(delta)
        reason = choice.get("finish_reason")
        if isinstance(reason, str) and reason.strip() not in {"", "null"}:
            self._raw_reason = clean_text(reason.strip())

    def _delta(self, delta: Mapping[str, object]) -> Iterator[RunEvent]:
        reasoning = next((text for key in ("reasoning_content", "reasoning") if (text := _string(delta.get(key)))), "")
        text = ""
        for kind, piece in _content(delta.get("content")):
            if kind == "text":
                text += piece
            else:
                reasoning += piece
        if refusal := _string(delta.get("refusal")):
            self._refused = True
            text += refusal
        legacy = delta.get("function_call")
        fragments = [*_list(delta.get("tool_calls")), *([{"function": legacy}] if isinstance(legacy, dict) else [])]
        called = [self._calls.feed(fragment) for fragment in fragments]
        if self._raw_reason is not None and (reasoning or text or any(called)):
            self._raw_reason = None
            self._reason_taken_back = True
        if reasoning := self._reasoning.feed(reasoning):
            yield ReasoningDelta(reasoning)
        if text := self._text.feed(text):
            self._has_text = True
            yield TextDelta(text)


def _content(content: object) -> Iterator[tuple[str, str]]:
    """Yield the pieces of a delta's content, which Mistral sends as a list of parts, thinking among them."""
    if isinstance(content, str):
        yield "text", content
        return
    for part in [content] if isinstance(content, dict) else _list(content):
        if isinstance(part, str):
            yield "text", part
        elif isinstance(part, dict) and part.get("type") == "thinking":
            yield from (("thinking", text) for _, text in _content(part.get("thinking")))
        elif isinstance(part, dict) and isinstance(part.get("text"), str):
            yield "text", part["text"]


def _usage(report: object) -> Usage | None:
    """Return the tokens of a report, or None where it counts nothing: unknown is not zero."""
    if not isinstance(report, dict):
        return None
    read, wrote = report.get("prompt_tokens_details"), report.get("completion_tokens_details")
    cached = _count(read, "cached_tokens") or _count(report, "cached_tokens", "prompt_cache_hit_tokens")
    reasoning = _count(wrote, "reasoning_tokens") or _count(report, "reasoning_tokens")
    given = _count(report, "prompt_tokens", "input_tokens")
    output = _count(report, "completion_tokens", "output_tokens")
    if reasoning and _count(report, "total_tokens") == given + output + reasoning:
        output += reasoning  # xAI counts reasoning beside the output, not in it
    if not given and not output:
        return None
    return Usage(input=given, cached_input=cached, output=output, reasoning=reasoning)


def _count(counts: object, *names: str) -> int:
    values = [counts.get(name) for name in names] if isinstance(counts, dict) else []
    return next((int(value) for value in values if isinstance(value, int | float) and 0 < value < 1e15), 0)


def _list(value: object) -> list[object]:
    return value if isinstance(value, list) else []


def _string(value: object) -> str | None:
    return value if isinstance(value, str) and value else None

"""What the streams of both APIs have in common: their data in, run events out."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping

from services.errors import Failure, ModelError
from services.events import (
    MAX_NAMED,
    FinishReason,
    ModelNamed,
    ReasoningDelta,
    RunEvent,
    StepFinished,
    TextDelta,
    UsageReported,
)
from services.messages import clean_text
from services.providers.calls import CallAssembler
from services.providers.dialects import is_error
from services.providers.failures import Asked, classify_payload, garbled
from services.usage import Usage

DONE = "[DONE]"

_REASONS: dict[str, FinishReason] = {
    **dict.fromkeys(("stop", "eos", "eos_token", "end_turn", "stop_sequence", "stop_token"), "stop"),
    **dict.fromkeys(("complete", "completed"), "stop"),
    **dict.fromkeys(("length", "max_tokens", "max_output_tokens", "max_length", "model_length"), "length"),
    **dict.fromkeys(("model_context_window_exceeded", "context_length_exceeded"), "length"),
    **dict.fromkeys(("tool_calls", "tool_call", "tool_use", "function_call"), "tool_calls"),
    **dict.fromkeys(("content_filter", "content_filtered", "safety", "recitation", "blocklist"), "content_filter"),
    **dict.fromkeys(("prohibited_content", "spii", "sensitive", "guardrail_intervened"), "content_filter"),
    "refusal": "refusal",
}
"""What endpoints call the reasons. Every other word (`error`, `abort`, `network_error`, …) ends the step as a failure:
only a word that is known to mean "the model was done" may make an answer complete."""


class Accumulator(ABC):
    """Turns the data of one stream's events into run events.

    A finish reason is held back until the stream has ended; without one there is no `StepFinished`.
    """

    def __init__(self, asked: Asked, headers: Mapping[str, str] | None = None, request_id: str | None = None) -> None:
        self._asked = asked
        self._headers = headers or {}
        self._request_id = request_id
        self._model: str | None = None
        self._response_id: str | None = None
        self._named = False
        self._text = Joiner()
        self._reasoning = Joiner()
        self._calls = CallAssembler()
        self._usage: Usage | None = None
        self._usage_reported: Usage | None = None
        self._raw_reason: str | None = None
        self._refused = False
        self.done = False
        """The server said that nothing more comes."""

    @property
    def has_reason(self) -> bool:
        """The model has said why it stopped; only usage can still follow."""
        return self._raw_reason is not None

    @abstractmethod
    def is_answer(self, body: Mapping[str, object]) -> bool:
        """Whether a JSON object is a whole answer, from a server that does not stream."""

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
        if event == "error" or self._is_error(payload):
            raise ModelError(classify_payload(self._asked, payload, self._headers))
        return list(self._read(payload, event))

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
        if self._raw_reason is None:
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

    @abstractmethod
    def _read(self, payload: Mapping[str, object], event: str) -> Iterator[RunEvent]:
        """Yield what one JSON object of the stream says."""

    def _is_error(self, payload: Mapping[str, object]) -> bool:
        return is_error(payload)

    def _name(self, answer: Mapping[str, object]) -> Iterator[RunEvent]:
        """Azure's first chunk names no model, so a name may come later; later ids of other chunks say nothing new."""
        model, response_id = _named_in(answer, "model"), _named_in(answer, "id")
        if self._named and (self._model or not model) and (self._response_id or not response_id):
            return
        self._named = True
        self._model = self._model or model
        self._response_id = self._response_id or response_id
        if self._model or self._response_id or self._request_id:
            yield ModelNamed(self._model, self._response_id, self._request_id)

    def _note_usage(self, *reports: object) -> None:
        """Remember the last report that counts something; it is passed on at the end."""
        for report in reports:
            self._usage = usage_in(report) or self._usage


class Joiner:
    """Cleans a text that comes in pieces; the first half of a cut emoji waits for the second."""

    def __init__(self) -> None:
        self._half = ""
        self._began = False
        self._gap = False

    def feed(self, text: str) -> str:
        """Take a piece in and return what can be shown."""
        if text and self._gap:
            text, self._gap = f"\n\n{text}", False
        self._began = self._began or bool(text)
        text = self._half + text
        self._half = text[-1] if text and "\ud800" <= text[-1] <= "\udbff" else ""
        return clean_text(text[:-1] if self._half else text)

    def end_block(self) -> None:
        """Let a blank line come before whatever follows."""
        self._gap = self._began

    def go_on(self) -> None:
        """Take the blank line back: the block has not ended."""
        self._gap = False

    def close(self) -> str:
        half, self._half = self._half, ""
        return clean_text(half)


def usage_in(report: object) -> Usage | None:
    """Return the tokens of a report of either API, or None where it counts nothing: unknown is not zero."""
    if not isinstance(report, dict):
        return None
    read = report.get("prompt_tokens_details") or report.get("input_tokens_details")
    wrote = report.get("completion_tokens_details") or report.get("output_tokens_details")
    cached = _number(read, "cached_tokens") or _number(report, "cached_tokens", "prompt_cache_hit_tokens")
    reasoning = _number(wrote, "reasoning_tokens") or _number(report, "reasoning_tokens")
    given = _number(report, "prompt_tokens", "input_tokens")
    output = _number(report, "completion_tokens", "output_tokens")
    if reasoning and _number(report, "total_tokens") == given + output + reasoning:
        output += reasoning  # xAI counts reasoning beside the output, not in it
    if not given and not output:
        return None
    return Usage(input=given, cached_input=cached, output=output, reasoning=reasoning)


def items_in(value: object) -> list[object]:
    """Return a JSON list, or an empty one for whatever stands in its place."""
    return value if isinstance(value, list) else []


def _named_in(answer: Mapping[str, object], name: str) -> str | None:
    text = text_in(answer.get(name))
    return text and text[:MAX_NAMED]


def text_in(value: object) -> str | None:
    """Return a JSON text that is not empty, or None for whatever stands in its place."""
    return value if isinstance(value, str) and value else None


def _number(counts: object, *names: str) -> int:
    values = [counts.get(name) for name in names] if isinstance(counts, dict) else []
    return next((int(value) for value in values if isinstance(value, int | float) and 0 < value < 1e15), 0)

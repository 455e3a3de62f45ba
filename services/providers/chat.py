"""The Chat Completions dialect: a request as its body, a stream's data as run events."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from services.endpoints import profile_of
from services.errors import ModelError
from services.events import ReasoningDelta, RunEvent, TextDelta, TokensScored, UsageReported
from services.messages import clean_text
from services.parameters import fields_of
from services.probabilities import MOST_OTHERS
from services.providers.accumulator import Accumulator, items_in, text_in
from services.providers.base import Image, ModelRequest
from services.providers.failures import Asked, classify_payload
from services.providers.scores import Scores


def encode(request: ModelRequest) -> dict[str, object]:
    """Return the body of a streaming request. Holds nothing that the user did not set."""
    endpoint = request.endpoint
    body: dict[str, object] = {"model": request.model, "messages": _messages(request), "stream": True}
    if profile_of(endpoint.profile).usage_in_stream and "stream_options" not in endpoint.dropped:
        body["stream_options"] = {"include_usage": True}
    fields = fields_of(request.options, endpoint)
    if "logprobs" in fields and "top_logprobs" not in endpoint.dropped:
        fields["top_logprobs"] = MOST_OTHERS
    return {**body, **fields}


def _messages(request: ModelRequest) -> list[dict[str, object]]:
    """Return the path as the model receives it: texts and pictures, and never two of a role in a row.

    An answer that failed before its first word is left out. The two questions around it become one, because the chat
    templates of many local models refuse roles that do not alternate.
    """
    messages: list[dict[str, object]] = []
    system = clean_text(request.system_prompt or "")
    if system.strip():
        messages.append({"role": "system", "content": system})
    for message in request.messages:
        pieces = request.pieces(message)
        if not pieces:
            continue
        content = _content_of(pieces)
        if messages and messages[-1]["role"] == message.role:
            messages[-1]["content"] = _joined(messages[-1]["content"], content)
        else:
            messages.append({"role": message.role, "content": content})
    return messages


_Content = str | list[dict[str, object]]


def _content_of(pieces: list[str | Image]) -> _Content:
    """Return a plain text where there are no pictures: many servers know nothing else."""
    texts = [piece for piece in pieces if isinstance(piece, str)]
    return "".join(texts) if len(texts) == len(pieces) else [_item(piece) for piece in pieces]


def _item(piece: str | Image) -> dict[str, object]:
    if isinstance(piece, Image):
        return {"type": "image_url", "image_url": {"url": piece.url}}
    return {"type": "text", "text": piece}


def _joined(before: object, after: _Content) -> _Content:
    if isinstance(before, str) and isinstance(after, str):
        return f"{before}\n\n{after}"
    lists = [[_item(content)] if isinstance(content, str) else content for content in (before, after)]
    return [item for items in lists if isinstance(items, list) for item in items]


class ChatAccumulator(Accumulator):
    """Turns the chunks of one stream into run events.

    Usage may follow the finish reason, and some servers put one on every chunk. Content after a reason takes it back;
    from then on a reason only counts if the server also ends the stream properly, with `[DONE]`. That alone is no
    reason.
    """

    def __init__(self, asked: Asked, headers: Mapping[str, str] | None = None, request_id: str | None = None) -> None:
        super().__init__(asked, headers, request_id)
        self._reason_taken_back = False
        self._has_text = False
        self._scores = Scores()

    def is_answer(self, body: Mapping[str, object]) -> bool:
        return isinstance(body.get("choices"), list)

    def finish(self) -> list[RunEvent]:
        return self.close() if self._reason_taken_back and not self.done else super().finish()

    def _read(self, payload: Mapping[str, object], event: str) -> Iterator[RunEvent]:
        # Usage may stand beside, inside (Moonshot) or without choices.
        places = [payload, payload.get("x_groq"), *items_in(payload.get("choices"))]
        yield from self._name(payload)
        self._note_usage(*(place.get("usage") for place in places if isinstance(place, dict)))
        if self._usage is not None and self._usage_reported is None:
            # Where usage comes with every chunk (Perplexity), only the first and the last report are passed on.
            self._usage_reported = self._usage
            yield UsageReported(self._usage)
        yield from self._choice(payload)

    def _choice(self, payload: Mapping[str, object]) -> Iterator[RunEvent]:
        choices = (choice for choice in items_in(payload.get("choices")) if isinstance(choice, dict))
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
        logprobs = choice.get("logprobs")
        if isinstance(logprobs, dict) and (tokens := self._scores.read(logprobs.get("content"))):
            yield TokensScored(tokens)
        reason = choice.get("finish_reason")
        if isinstance(reason, str) and reason.strip() not in {"", "null"}:
            self._raw_reason = clean_text(reason.strip())

    def _delta(self, delta: Mapping[str, object]) -> Iterator[RunEvent]:
        reasoning = next((text for key in ("reasoning_content", "reasoning") if (text := text_in(delta.get(key)))), "")
        text = ""
        for kind, piece in _content(delta.get("content")):
            if kind == "text":
                text += piece
            else:
                reasoning += piece
        if refusal := text_in(delta.get("refusal")):
            self._refused = True
            text += refusal
        legacy = delta.get("function_call")
        fragments = [*items_in(delta.get("tool_calls")), *([{"function": legacy}] if isinstance(legacy, dict) else [])]
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
    for part in [content] if isinstance(content, dict) else items_in(content):
        if isinstance(part, str):
            yield "text", part
        elif isinstance(part, dict) and part.get("type") == "thinking":
            yield from (("thinking", text) for _, text in _content(part.get("thinking")))
        elif isinstance(part, dict) and isinstance(part.get("text"), str):
            yield "text", part["text"]

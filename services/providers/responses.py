"""The Responses dialect: a request as its body, a stream's data as run events.

Stateless: nothing is stored there, the app owns the history. Reasoning that comes encrypted is kept with the message
and goes back to where it came from.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping

from services.endpoints import Endpoint
from services.errors import ModelError
from services.events import ReasoningDelta, RunEvent, TextDelta
from services.messages import Message, ProviderMetadata, ReasoningPart, TextPart, clean_text
from services.providers.accumulator import Accumulator, items_in, text_in
from services.providers.base import ModelRequest
from services.providers.failures import Asked, classify_payload

_UNFINISHED = ("incomplete", "failed", "cancelled")
_CUTS = ("max_output_tokens", "max_tokens", "length", "content_filter")
"""What may be behind `incomplete`; any other word must not make the answer look complete."""


def encode(request: ModelRequest) -> dict[str, object]:
    """Return the body of a streaming request. Holds nothing that the user did not set, and asks to store nothing."""
    body: dict[str, object] = {"model": request.model, "input": _input(request), "stream": True, "store": False}
    instructions = clean_text(request.system_prompt or "")
    if instructions.strip():
        body["instructions"] = instructions
    if _keeps_reasoning(request.endpoint):
        body["include"] = ["reasoning.encrypted_content"]
    return body


def _keeps_reasoning(endpoint: Endpoint) -> bool:
    return "include" not in endpoint.dropped


def _origin(endpoint: Endpoint) -> str:
    """Return who can read what was encrypted: every other server refuses the whole request."""
    return f"{endpoint.profile} {endpoint.base_url}"


def _input(request: ModelRequest) -> list[dict[str, object]]:
    """Return the path as items, without answers that failed before their first word.

    Questions in a row become one item: behind many servers are chat templates that refuse roles that do not alternate.
    """
    items: list[dict[str, object]] = []
    questions: list[dict[str, str]] = []
    for message in request.messages:
        text = clean_text(message.text)
        if not text.strip():
            continue
        if message.role == "assistant":
            questions = []
            items += _answer(message, request.endpoint)
            continue
        if not questions:
            items.append({"type": "message", "role": "user", "content": questions})
        questions.append({"type": "input_text", "text": text})
    return items


def _answer(message: Message, endpoint: Endpoint) -> list[dict[str, object]]:
    """Return an answer's items. A reasoning item without the text it led to would be refused, so it is left out."""
    origin = _origin(endpoint) if _keeps_reasoning(endpoint) else None
    items: list[dict[str, object]] = []
    thoughts: list[dict[str, object]] = []
    content: list[dict[str, str]] = []
    for part in message.parts:
        match part:
            case ReasoningPart(provider_metadata=ProviderMetadata(origin=made_by, data=data)) if made_by == origin:
                thoughts.append(json.loads(data))
            case TextPart(text=text) if text := clean_text(text):
                if thoughts or not content:
                    content = []
                    items += [*thoughts, {"type": "message", "role": "assistant", "content": content}]
                    thoughts = []
                content.append({"type": "output_text", "text": text})
            case _:
                pass  # failures and calls are no part of what was said
    return items


class ResponsesAccumulator(Accumulator):
    """Turns the events of one stream into run events. Only `response.completed` and `incomplete` hold a reason.

    Texts come as deltas and again in the item they belong to; the item counts where no delta came.
    """

    def __init__(self, asked: Asked, headers: Mapping[str, str] | None = None, request_id: str | None = None) -> None:
        super().__init__(asked, headers, request_id)
        self._came: set[str] = set()
        """Types of the items of which something has come."""
        self._open: set[str] = set()
        """Types of the items that have not ended and of which deltas came; for arguments with the item's place."""

    def is_answer(self, body: Mapping[str, object]) -> bool:
        return isinstance(body.get("output"), list)

    def _is_error(self, payload: Mapping[str, object]) -> bool:
        """Events have a dot in their type; one of an unknown type is no error, whatever fields it has."""
        is_event = "." in (text_in(payload.get("type")) or "")
        return bool(payload.get("error")) or (not is_event and super()._is_error(payload))

    def _read(self, payload: Mapping[str, object], event: str) -> Iterator[RunEvent]:
        kind, response, item = payload.get("type") or event, payload.get("response"), payload.get("item")
        if "type" not in payload and self.is_answer(payload):
            kind, response = f"response.{payload.get('status')}", payload
        place = payload.get("output_index")
        if isinstance(response, dict):
            yield from self._name(response)
        match kind:
            case "response.output_text.delta" | "response.refusal.delta":
                yield from self._say(payload.get("delta"), refused=kind == "response.refusal.delta")
            case "response.reasoning_summary_text.delta" | "response.reasoning_text.delta":
                yield from self._think(payload.get("delta"))
            case "response.reasoning_summary_part.added":
                self._reasoning.end_block()
            case "response.function_call_arguments.delta":
                self._call(place, arguments=payload.get("delta"))
            case "response.function_call_arguments.done" if f"arguments {place}" not in self._open:
                self._call(place, arguments=payload.get("arguments"))
            case "response.output_item.added" if isinstance(item, dict):
                self._begin(item, place)
            case "response.output_item.done" if isinstance(item, dict):
                yield from self._end(item, place)
            case "response.completed" | "response.incomplete" | "response.failed" | "response.cancelled":
                yield from self._close_response(str(kind), response if isinstance(response, dict) else {})
            case _:
                pass  # new events appear every few months; the text is in the ones above

    def _say(self, text: object, *, refused: bool = False) -> Iterator[RunEvent]:
        if text := text_in(text):
            self._take("message")
            self._refused = self._refused or refused
            if shown := self._text.feed(text):
                yield TextDelta(shown)

    def _take(self, kind: str) -> None:
        self._came.add(kind)
        self._open.add(kind)

    def _think(self, text: object) -> Iterator[RunEvent]:
        if text := text_in(text):
            self._take("reasoning")
            if shown := self._reasoning.feed(text):
                yield ReasoningDelta(shown)

    def _call(self, place: object, item: Mapping[str, object] | None = None, arguments: object = None) -> None:
        self._came.add("function_call")
        if arguments:
            self._open.add(f"arguments {place}")
        named = item or {}
        call_id = named.get("call_id") or named.get("id")
        function = {"name": named.get("name"), "arguments": arguments}
        self._calls.feed({"index": place, "id": call_id, "function": function})

    def _begin(self, item: Mapping[str, object], place: object) -> None:
        kind = item.get("type")
        if kind == "function_call":
            self._call(place, item)
        elif kind == "message":
            self._text.end_block()
        elif kind == "reasoning":
            self._reasoning.end_block()
        self._open.discard(str(kind))

    def _end(self, item: Mapping[str, object], place: object) -> Iterator[RunEvent]:
        """Take a whole item in: what has not come in deltas, and what only the item holds."""
        kind = item.get("type")
        if kind == "function_call":
            came = f"arguments {place}" in self._open
            self._call(place, item, None if came else item.get("arguments"))
            self._open.discard(f"arguments {place}")
        elif kind == "message":
            if "message" not in self._open:
                for part in _dicts(item.get("content")):
                    yield from self._say(part.get("text"))
                    yield from self._say(part.get("refusal"), refused=True)
            self._text.end_block()
        elif kind == "reasoning":
            if "reasoning" not in self._open:
                for part in [*_dicts(item.get("summary")), *_dicts(item.get("content"))]:
                    yield from self._think(part.get("text"))
                    self._reasoning.end_block()
            self._reasoning.end_block()
            yield from self._keep(item)
        self._open.discard(str(kind))

    def _keep(self, item: Mapping[str, object]) -> Iterator[RunEvent]:
        """Keep an encrypted item as its server wants it back: null and unknown fields would be refused."""
        encrypted = text_in(item.get("encrypted_content"))
        if encrypted is None:
            return
        self._came.add("reasoning")
        summary = [
            {"type": "summary_text", "text": clean_text(text)}
            for part in _dicts(item.get("summary"))
            if (text := text_in(part.get("text")))
        ]
        kept = {"type": "reasoning", "summary": summary, "encrypted_content": clean_text(encrypted)}
        if item_id := text_in(item.get("id")):
            kept["id"] = item_id  # Azure refuses an item without it
        half = self._reasoning.close()
        yield ReasoningDelta(half, ProviderMetadata(_origin(self._asked.endpoint), json.dumps(kept)))

    def _close_response(self, kind: str, response: Mapping[str, object]) -> Iterator[RunEvent]:
        """Take the last event in. A status that says less than the event's name wins: no cut answer looks complete.

        Raises:
            ModelError: the response failed.
        """
        ended, status = kind.removeprefix("response."), response.get("status")
        details = response.get("incomplete_details")
        why = details.get("reason") if isinstance(details, dict) else None
        if ended == "completed" and (why or status in _UNFINISHED):  # vLLM completes what is incomplete
            ended = str(status) if status in _UNFINISHED else "incomplete"
        self._note_usage(response.get("usage"))
        if ended == "failed" and response.get("error"):
            raise ModelError(classify_payload(self._asked, response, self._headers))
        came = set(self._came)
        for place, item in enumerate(_dicts(response.get("output"))):
            if item.get("type") not in came:  # from a server that has no event for it
                yield from self._end(item, place)
        if ended == "incomplete" and why in _CUTS:
            self._raw_reason = str(why)
        else:
            self._raw_reason = f"{ended} ({clean_text(str(why))})" if why else ended
        self.done = True


def _dicts(value: object) -> Iterator[Mapping[str, object]]:
    return (item for item in items_in(value) if isinstance(item, dict))

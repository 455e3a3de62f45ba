"""The Responses dialect: a request as its body, a stream's data as run events.

Stateless: nothing is stored there, the app owns the history. Reasoning that comes encrypted is kept with the message
and goes back to where it came from.
"""

from __future__ import annotations

import json
import time
from collections.abc import Generator, Iterator, Mapping

from services.endpoints import Endpoint
from services.errors import Failure, ModelError
from services.events import ReasoningDelta, ReasoningStarted, RunEvent, TextDelta, TokensScored
from services.messages import Message, ProviderMetadata, ReasoningPart, TextPart, clean_text
from services.parameters import fields_of
from services.providers.accumulator import Accumulator, items_in, text_in
from services.providers.base import Image, ModelRequest
from services.providers.failures import Asked, classify_payload
from services.providers.retold import Retold
from services.providers.scores import Scores

_UNFINISHED = ("incomplete", "failed", "cancelled")
_ENDS = frozenset(f"response.{word}" for word in ("completed", *_UNFINISHED))
_CUTS = ("max_output_tokens", "max_tokens", "length", "content_filter")
"""What may be behind `incomplete`; any other word must not make the answer look complete."""


def encode(request: ModelRequest) -> dict[str, object]:
    """Return the body of a streaming request. Holds nothing that the user did not set, and asks to store nothing."""
    body: dict[str, object] = {"model": request.model, "input": _input(request), "stream": True, "store": False}
    instructions = clean_text(request.system_prompt or "")
    if instructions.strip():
        body["instructions"] = instructions
    fields = fields_of(request.options, request.endpoint)
    if _keeps_reasoning(request.endpoint):
        scores = ["message.output_text.logprobs"] if "top_logprobs" in fields else []
        body["include"] = ["reasoning.encrypted_content", *scores]
    return {**body, **fields}


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
        pieces = request.pieces(message)
        if not pieces:
            continue
        if message.role == "assistant":
            questions = []
            items += _answer(message, request.endpoint)
            continue
        if not questions:
            items.append({"type": "message", "role": "user", "content": questions})
        questions += map(_asked_with, pieces)
    return items


def _asked_with(piece: str | Image) -> dict[str, str]:
    if isinstance(piece, Image):
        return {"type": "input_image", "image_url": piece.url, "detail": "auto"}  # vLLM insists on `detail`
    return {"type": "input_text", "text": piece}


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

    Texts come as deltas and again, whole, with their part, their item and the response: what came only so counts too.
    """

    _text: Retold
    _reasoning: Retold

    def __init__(self, asked: Asked, headers: Mapping[str, str] | None = None, request_id: str | None = None) -> None:
        super().__init__(asked, headers, request_id)
        self._text = Retold()
        self._reasoning = Retold()
        self._came: set[str] = set()
        """Types of the items that came with events of their own."""
        self._is_cut = False
        """Whether the last message calls itself incomplete."""
        self._failure: Failure | None = None
        self._scores = Scores()

    def is_answer(self, body: Mapping[str, object]) -> bool:
        return isinstance(body.get("output"), list)

    def finish(self) -> list[RunEvent]:
        if self._failure is not None:
            raise ModelError(self._failure)
        return super().finish()

    def _is_error(self, payload: Mapping[str, object]) -> bool:
        """Events have a dot in their type; one of an unknown type is no error, whatever fields it has."""
        if self._is_response(payload):
            return False  # what it says of an error is read with the rest
        kind = text_in(payload.get("type")) or ""
        if "." in kind:
            return bool(payload.get("error")) or kind == "response.error"
        return super()._is_error(payload)

    def _is_response(self, payload: Mapping[str, object]) -> bool:
        return "type" not in payload and self.is_answer(payload)

    def _read(self, payload: Mapping[str, object], event: str) -> Iterator[RunEvent]:
        kind, response, item = text_in(payload.get("type")) or event, payload.get("response"), payload.get("item")
        is_bare = self._is_response(payload)
        if is_bare:
            kind, response = f"response.{payload.get('status')}", payload
        if isinstance(response, dict):
            yield from self._name(response)
        if kind in _ENDS or is_bare:
            yield from self._close_response(kind, response if isinstance(response, dict) else payload)
        elif kind == "response.output_item.added" and isinstance(item, dict):
            self._begin(item, payload.get("output_index"))
            if item.get("type") == "reasoning":  # it may show nothing of it, for minutes
                yield ReasoningStarted(time.time())
        elif kind == "response.output_item.done" and isinstance(item, dict):
            yield from self._end(item, payload.get("output_index"))
        else:
            yield from self._read_part(kind, payload)

    def _read_part(self, kind: str, payload: Mapping[str, object]) -> Iterator[RunEvent]:
        place, part = payload.get("output_index"), payload.get("part")
        match kind:
            case "response.output_text.delta" | "response.refusal.delta":
                yield from self._say(payload.get("delta"), _item(payload), refused=kind == "response.refusal.delta")
                if tokens := self._scores.read(payload.get("logprobs")):
                    yield TokensScored(tokens)
            case "response.reasoning_summary_text.delta" | "response.reasoning_text.delta":
                yield from self._think(payload.get("delta"))
            case "response.content_part.added":
                self._text.begin_part(_part(payload))
            case "response.reasoning_summary_part.added":
                self._reasoning.begin_part(_part(payload))
                self._reasoning.end_block()
            case "response.output_text.done" | "response.refusal.done":
                yield from self._tell([payload], self._text.since(_part(payload), _item(payload)))
            case "response.content_part.done" if isinstance(part, dict) and part.get("type") != "reasoning_text":
                yield from self._tell([part], self._text.since(_part(payload), _item(payload)))
            case "response.reasoning_summary_text.done" | "response.reasoning_text.done":
                yield from self._recall([payload], self._reasoning.since(_part(payload), _item(payload)))
            case "response.reasoning_summary_part.done" | "response.reasoning_part.done" | "response.content_part.done":
                yield from self._recall([part], self._reasoning.since(_part(payload), _item(payload)))
            case "response.function_call_arguments.delta":
                self._call(place, {}, payload.get("delta"))
            case "response.function_call_arguments.done":
                self._call(place, {}, payload.get("arguments"), whole=True)
            case _:
                pass  # new events appear every few months; the text is in the ones above

    def _say(self, text: object, item: str | None = None, *, refused: bool = False) -> Iterator[RunEvent]:
        if text := text_in(text):
            self._refused = self._refused or refused
            if shown := self._text.feed(text, item):
                yield TextDelta(shown)

    def _think(self, text: object) -> Iterator[RunEvent]:
        if (text := text_in(text)) and (shown := self._reasoning.feed(text)):
            yield ReasoningDelta(shown)

    def _tell(self, parts: object, told: str) -> Generator[RunEvent, None, str]:
        """Say what a message's parts hold beyond what was `told`; return what of that comes after them."""
        for part in _dicts(parts):
            for name in ("text", "refusal"):
                text = text_in(part.get(name)) or ""
                missing, told = self._text.compare(text, told)
                yield from self._say(missing)
                self._refused = self._refused or (name == "refusal" and bool(text))
        return told

    def _recall(self, parts: object, told: str) -> Generator[RunEvent, None, str]:
        """As `_tell`, for the parts of a reasoning."""
        for part in _dicts(parts):
            missing, told = self._reasoning.compare(text_in(part.get("text")) or "", told)
            yield from self._think(missing)
            self._reasoning.end_block()
        return told

    def _call(
        self, place: object, item: Mapping[str, object], arguments: object = None, *, whole: bool = False
    ) -> None:
        if arguments:
            self._came.add("function_call")
        call_id = item.get("call_id") or item.get("id")
        function = {"name": item.get("name"), "arguments": arguments}
        self._calls.feed({"index": place, "id": call_id, "function": function}, whole=whole)

    def _begin(self, item: Mapping[str, object], place: object) -> None:
        match item.get("type"):
            case "function_call":
                self._call(place, item, item.get("arguments"), whole=True)
            case "message":
                self._text.begin(f"{item.get('id')} {place}")
            case "reasoning":
                self._reasoning.begin(f"{item.get('id')} {place}")

    def _end(self, item: Mapping[str, object], place: object) -> Iterator[RunEvent]:
        """Take a whole item in: what has not come in deltas, and what only the item holds."""
        name = f"{item.get('id')} {place}"
        match item.get("type"):
            case "function_call":
                self._call(place, item, item.get("arguments"), whole=True)
                self._came.add("function_call")
            case "message":
                yield from self._tell(item.get("content"), self._text.since(name))
                self._text.end(name)
                self._is_cut = item.get("status") == "incomplete"
            case "reasoning":
                yield from self._recall(_thoughts(item), self._reasoning.since(name))
                self._reasoning.end(name)
                yield from self._keep(item)

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
        """Take the last event in. A status that says less than the event's name wins: no cut answer looks complete."""
        self._note_usage(response.get("usage"))
        yield from self._take_output(response.get("output"))
        ended, status = kind.removeprefix("response."), response.get("status")
        details = response.get("incomplete_details")
        why = details.get("reason") if isinstance(details, dict) else None
        if ended == "completed" and (why or self._is_cut or status in _UNFINISHED):  # vLLM completes what is incomplete
            ended = str(status) if status in _UNFINISHED else "incomplete"
        if response.get("error"):
            self._failure = classify_payload(self._asked, response, self._headers)
        elif ended == "incomplete" and why in _CUTS:
            self._raw_reason = str(why)
        elif kind in _ENDS:
            self._raw_reason = f"{ended} ({clean_text(str(why))})" if why else ended
        self.done = kind in _ENDS

    def _take_output(self, output: object) -> Iterator[RunEvent]:
        """Take in what only the last event holds, from a server that has no other for it."""
        told, thought, came = self._text.told, self._reasoning.told, set(self._came)
        for place, item in enumerate(_dicts(output)):
            match item.get("type"):
                case "message":
                    told = yield from self._tell(item.get("content"), told)
                    self._text.end_block()
                    self._is_cut = item.get("status") == "incomplete"
                case "reasoning":
                    thought = yield from self._recall(_thoughts(item), thought)
                    if "reasoning" not in came:
                        yield from self._keep(item)
                case "function_call" if "function_call" not in came:
                    yield from self._end(item, place)


def _dicts(value: object) -> Iterator[Mapping[str, object]]:
    return (item for item in items_in(value) if isinstance(item, dict))


def _thoughts(item: Mapping[str, object]) -> list[object]:
    return [*items_in(item.get("summary")), *items_in(item.get("content"))]


def _item(payload: Mapping[str, object]) -> str | None:
    """Return the name of the item that an event belongs to, or None where it does not say."""
    item = text_in(payload.get("item_id"))
    return f"{item} {payload.get('output_index')}" if item else None


def _part(payload: Mapping[str, object]) -> str:
    return f"{_item(payload)} {payload.get('content_index')} {payload.get('summary_index')}"

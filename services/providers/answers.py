"""Reading the body of an answer: an event stream, a whole JSON answer, or something that is none."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator

from services.errors import ModelError
from services.events import RunEvent, merged
from services.messages import clean_text
from services.providers.accumulator import Accumulator
from services.providers.dialects import is_error, parse_body
from services.providers.failures import Asked, garbled
from services.providers.sse import MAX_EVENT_BYTES, SSEDecoder

_DRAIN_S = 0.1
"""How long a stream that said `[DONE]` may take to end; one that does leaves its connection to the next call."""

_MAX_OTHER_BYTES = 64 * 1024
"""How much is read of a body that is no answer: enough to quote from."""

_FIELDS = (b"data:", b"event:", b"id:", b"retry:", b":")
_LONGEST_FIELD = 6


async def read_answer(
    body: AsyncGenerator[bytes, None], content_type: str, asked: Asked, acc: Accumulator, tail_timeout_s: float
) -> AsyncGenerator[RunEvent, None]:
    """Yield what a body with status 200 says. After the finish reason, wait `tail_timeout_s` at most for the rest.

    A whole JSON answer, from a server that does not stream, is taken as well: cut short it would be no JSON.

    Raises:
        ModelError: it reports an error, or is no answer.
        GarbledError: an event is too large to be one.
    """
    data = await _start(body)
    if not _is_event_stream(content_type, data):
        whole = await read_all(body, data)
        for event in _whole(whole, content_type, asked, acc):
            yield event
        for event in acc.finish():
            yield event
        return
    decoder = SSEDecoder()
    ended = False
    tail_ends: float | None = None
    while not acc.done and not ended:
        for event in merged(event for said in decoder.feed(data) for event in acc.feed(said.data, said.event)):
            yield event
        if not acc.done:
            tail_ends = _tail_end(acc, tail_ends, tail_timeout_s)
            try:
                async with asyncio.timeout_at(tail_ends):
                    data = await anext(body)
            except (StopAsyncIteration, TimeoutError):
                ended = True
    for said in decoder.close() if ended else ():
        for event in acc.feed(said.data, said.event):
            yield event
    for event in acc.finish():
        yield event
    if not ended:
        await _drain(body)


def _tail_end(acc: Accumulator, before: float | None, tail_timeout_s: float) -> float | None:
    """Return when the wait for what follows a finish reason ends. It is set once: keep-alives do not put it off."""
    if not acc.has_reason:
        return None
    return before if before is not None else asyncio.get_running_loop().time() + tail_timeout_s


async def read_all(body: AsyncGenerator[bytes, None], start: bytes = b"") -> bytes:
    """Return a whole body; of one that is not even JSON only the beginning."""
    data = bytearray(start)
    async for piece in body:
        data += piece
        is_json = bytes(data[:64]).lstrip().startswith((b"{", b"["))
        if len(data) > (MAX_EVENT_BYTES if is_json else _MAX_OTHER_BYTES):
            break
    return bytes(data)


def kind_of(body: object, content_type: str = "") -> str:
    """Say in words what came instead of an answer."""
    if isinstance(body, str):
        if not body:
            return "an empty body"
        return "a web page" if body[:1] == "<" or "html" in content_type.lower() else "plain text"
    return "JSON of another kind"


def model_names(body: object) -> list[str] | None:
    """Return the names in a list of models, or None where the body is no such list."""
    if isinstance(body, dict):
        given = [body[key] for key in ("data", "models") if key in body]
        if not given:
            return None
        body = given[0] if given[0] is not None else []  # Ollama without any model: `"data": null`
    if not isinstance(body, list):
        return None
    names = []
    for item in body:
        fields = (item.get("id"), item.get("name"), item.get("model")) if isinstance(item, dict) else (item,)
        names.append(next((clean_text(field) for field in fields if isinstance(field, str) and field), ""))
    return list(dict.fromkeys(filter(None, names)))


async def _start(body: AsyncGenerator[bytes, None]) -> bytes:
    """Return the beginning of a body, long enough to tell what it is."""
    start = b""
    async for piece in body:
        start = (start + piece).removeprefix(b"\xef\xbb\xbf").lstrip()
        if len(start) >= _LONGEST_FIELD or start[:1] in {b":", b"{", b"[", b"<"}:
            break
    return start


def _is_event_stream(content_type: str, start: bytes) -> bool:
    """Believe the bytes before the header: streams called JSON exist, and errors called streams."""
    if start[:1] in {b"{", b"[", b"<"}:
        return False
    return start.startswith(_FIELDS) or content_type.lower().startswith("text/event-stream")


def _whole(data: bytes, content_type: str, asked: Asked, acc: Accumulator) -> list[RunEvent]:
    body = parse_body(data)
    if isinstance(body, dict) and (acc.is_answer(body) or is_error(body)):
        return acc.feed(data.decode("utf-8", "replace"))
    raise ModelError(garbled(asked, kind_of(body, content_type), data.decode("utf-8", "replace")))


async def _drain(body: AsyncGenerator[bytes, None]) -> None:
    try:
        async with asyncio.timeout(_DRAIN_S):
            async for _ in body:
                pass
    except Exception:  # noqa: S110 - the answer is complete and handed over; the connection is closed anyway
        pass

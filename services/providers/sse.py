"""Server-sent events: bytes in, events out.

Follows https://html.spec.whatwg.org/multipage/server-sent-events.html#event-stream-interpretation, with one addition:
`close()` accepts a last event without its blank line where nothing can be missing from it.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

MAX_EVENT_BYTES = 16 * 1024 * 1024

_BOM = b"\xef\xbb\xbf"


class GarbledError(ValueError):
    """The bytes are no event stream that can be read with bounded memory."""


@dataclass(frozen=True, slots=True)
class SSEEvent:
    event: str
    """`message` where the server gave no other name."""
    data: str


class SSEDecoder:
    """Decodes a stream that arrives in pieces of any size. Costs the same per byte however it is cut.

    Lines are cut as bytes and decoded whole, so a character split over two pieces needs no care: no byte of a
    multi-byte character looks like a line break. Bytes that are no UTF-8 become U+FFFD, as the standard has it; one
    damaged character is no reason to lose an answer.
    """

    def __init__(self, *, max_event_bytes: int = MAX_EVENT_BYTES) -> None:
        self._max = max_event_bytes
        self._line = bytearray()
        """The line that has not ended yet."""
        self._data: list[str] = []
        self._data_size = 0
        self._event = ""
        self._skip_lf = False
        self._at_start = True

    def feed(self, data: bytes) -> list[SSEEvent]:
        """Take a piece in and return the events that it completes.

        Raises:
            GarbledError: an event is larger than any real one.
        """
        if self._skip_lf and data:
            # The line ended with the CR before; an LF right after it belongs to the same line break.
            self._skip_lf = False
            if data[0] == 0x0A:
                data = data[1:]
        events: list[SSEEvent] = []
        if b"\n" in data or b"\r" in data:
            *lines, rest = _split(data)
            for line in lines:
                self._end_line(line, events)
            self._skip_lf = data.endswith(b"\r")
        else:
            rest = data
        self._line += rest
        if self._data_size + len(self._line) > self._max:
            raise GarbledError(f"an event is larger than {self._max} bytes")
        return events

    def close(self) -> list[SSEEvent]:
        """Return the last event if the server only forgot to end it.

        An unfinished event is taken only when its data is a whole JSON object or `[DONE]`: no strict beginning of an
        object is itself one, so nothing that was cut off can look whole.
        """
        events: list[SSEEvent] = []
        if self._line:
            self._end_line(b"", events)
        data = "\n".join(self._data)
        if not _is_whole(data):
            return []
        return [SSEEvent(self._event or "message", data)]

    def _end_line(self, end: bytes, events: list[SSEEvent]) -> None:
        line = bytes(self._line) + end
        self._line.clear()
        if self._at_start:
            self._at_start = False
            line = line.removeprefix(_BOM)
        if not line:
            if self._data:
                events.append(SSEEvent(self._event or "message", "\n".join(self._data)))
            self._data = []
            self._data_size = 0
            self._event = ""
            return
        name, _, value = line.partition(b":")
        if name == b"data":
            self._data.append(value.removeprefix(b" ").decode("utf-8", "replace"))
            self._data_size += len(line)
        elif name == b"event":
            self._event = value.removeprefix(b" ").decode("utf-8", "replace")
        # A comment has an empty name; `id` and `retry` are for reconnecting, which would ask the model again.


def _split(data: bytes) -> list[bytes]:
    """Split at LF, CR LF and CR. The last item is what follows the last break, empty where nothing does."""
    lines = data.splitlines()
    if data.endswith((b"\n", b"\r")):
        lines.append(b"")
    return lines


def _is_whole(data: str) -> bool:
    if data.strip() == "[DONE]":
        return True
    try:
        return isinstance(json.loads(data), dict)
    except (ValueError, RecursionError):
        return False

"""The reply being written, as paints: finished blocks are sent once, the open tail as what changed of it."""

from __future__ import annotations

from typing import Any

from components.state import Delta
from services.render import MarkdownStream


class StreamingMarkdown:
    """Turns the deltas of one reply into the messages that paint it."""

    def __init__(self, message_id: str) -> None:
        self.message_id = message_id
        self._fed: list[str] = []
        self._stream = MarkdownStream()
        self._tail = ""
        self._thought_s = 0.0

    def paint(self, delta: Delta) -> dict[str, Any]:
        """Take a delta in and return what the page has to do: append `r` and `f`, change the tail by `k` and `t`."""
        message: dict[str, Any] = {"type": "live", "id": self.message_id}
        if delta.thinking_s is not None:
            message["thinking"] = delta.thinking_s
        if delta.thought_s is not None:
            self._thought_s += delta.thought_s
            message["thought"] = self._thought_s
        if delta.reasoning:
            message["r"] = delta.reasoning
        if delta.text:
            self._fed.append(delta.text)
            self._stream.feed(delta.text)
            paint = self._stream.paint()
            if paint.frozen:
                message["f"] = paint.frozen
            message |= self._tail_change(paint.tail)
        return message

    def finish(self, text: str) -> tuple[dict[str, Any], bool]:
        """Return the last paint, and whether the page then shows `text`, the whole answer, as a fresh render would.

        It does not when a run ended before anybody could follow it, or when the text's end changed its beginning.
        """
        paint = self._stream.finish()
        message: dict[str, Any] = {"type": "live", "id": self.message_id, **self._tail_change("")}
        if paint.frozen:
            message["f"] = paint.frozen
        return message, not paint.changed and "".join(self._fed) == text

    def _tail_change(self, tail: str) -> dict[str, Any]:
        kept = _common_length(self._tail, tail)
        self._tail = tail
        # The page counts UTF-16 units, as every string in a browser does.
        return {"k": len(tail[:kept].encode("utf-16-le")) // 2, "t": tail[kept:]}


def _common_length(one: str, other: str) -> int:
    """Return how many characters two strings begin with in common, by bisection: slices compare in C."""
    low, high = 0, min(len(one), len(other))
    while low < high:
        middle = (low + high + 1) // 2
        if one[low:middle] == other[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low

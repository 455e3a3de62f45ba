"""The reply being written, as paints: finished blocks are sent once, the open tail as what changed of it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from components.chat.views import answer_html
from components.deltas import Delta
from services.render import MarkdownStream


class StreamingMarkdown:
    """Turns the deltas of one reply into the messages that paint it."""

    def __init__(self, message_id: str) -> None:
        self.message_id = message_id
        self._fed: list[str] = []
        self._stream = MarkdownStream()
        self._tail = ""
        self._thought_s = 0.0
        self._named = False
        self.finished = False

    def paint(self, delta: Delta) -> Iterator[list[Any]]:
        """Take a delta in and yield what the page has to do: ["live", id, kept, tail, blocks, kept, more].

        Before that comes an empty list wherever others may have their turn: a paint is cut into steps of some
        milliseconds. Nothing else may be painted before its end.

        The id comes with the first paint; 0 is for the same message as before.
        The tail's HTML is what it was, up to `kept`, and then `tail`; None leaves it. `blocks` are finished, and come
        before it: their HTML is that of the tail before this paint, up to their `kept`, and then `blocks`. `more` is
        about reasoning. Lists take half the room of maps on Bokeh's wire, and what is absent at the end none.
        """
        more: dict[str, Any] = {}
        if delta.thinking_s is not None:
            more["thinking"] = delta.thinking_s
        if delta.thought_s is not None:
            self._thought_s += delta.thought_s
            more["thought"] = self._thought_s
        if delta.reasoning:
            more["r"] = delta.reasoning
        if not delta.text:
            yield ["live", self._id(), 0, None, "", 0, more]
            return
        self._fed.append(delta.text)
        self._stream.feed(delta.text)
        for paint in self._stream.painting():
            yield self._message(paint.frozen, paint.tail, more) if paint else []

    def finish(self) -> Iterator[list[Any]]:
        """Yield the last paint, in steps as well; nothing may be painted after it."""
        self.finished = True
        for paint in self._stream.finishing():
            yield self._message(paint.frozen, "", {}) if paint else []

    @property
    def text(self) -> str:
        """What was painted."""
        return "".join(self._fed)

    @property
    def defines(self) -> bool:
        """Whether links are defined in it: its end may have changed its beginning."""
        return self._stream.defined

    def shows(self, text: str) -> bool:
        """Return whether a page that was given the last paint shows `text`, the whole answer, as a fresh render would.

        It does not when a run ended before anybody could follow it, or when the text's end changed its beginning.
        """
        return self.text == text and (not self.defines or self._stream.shown == answer_html(text))

    def _id(self) -> str | int:
        named, self._named = self._named, True
        return 0 if named else self.message_id

    def _message(self, frozen: str, tail: str, more: dict[str, Any]) -> list[Any]:
        before, self._tail = self._tail, tail
        message: list[Any] = ["live", self._id(), *_change(before, tail)]
        if frozen or more:
            kept, rest = _change(before, frozen)
            message += [rest, kept]
        return [*message, more] if more else message


def _change(before: str, now: str) -> tuple[int, str]:
    """Return how much of `before`, in UTF-16 units as a browser counts, is kept, and what comes instead of the rest."""
    kept = _common_length(before, now)
    return len(now[:kept].encode("utf-16-le")) // 2, now[kept:]


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

"""How each API says one and the same answer, so that a fault of the wire has to be written down only once."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from functools import cached_property

from services.endpoints import Api
from tests.faults.upstream import Play
from tests.providers import responses as rs

WORDS = ("Eins 🥊 ", "zwei 🥊 ", "drei 🥊 ", "vier 🥊 ", "fünf 🥊")
TEXT = "".join(WORDS)


def event(payload: object, name: str = "") -> bytes:
    data = payload if isinstance(payload, str) else json.dumps(payload, ensure_ascii=False, separators=(",", ":"))
    return f"{f'event: {name}' + chr(10) if name else ''}data: {data}\n\n".encode("utf-8", "backslashreplace")


DONE = event("[DONE]")


class Wire(ABC):
    """The events of one API, and what is composed of them in the same way for all."""

    name: str
    api: Api
    path: str
    sizes: tuple[int | None, ...]
    """In pieces of how many bytes this wire's answers are written; None for all at once."""
    blank: bytes
    """An event without anything in it."""
    after: bytes = b""
    """What follows the event that says that the model is done."""

    @property
    def begin(self) -> bytes:
        """What comes before the first word."""
        return b""

    @abstractmethod
    def delta(self, text: str, number: int = 0) -> bytes:
        """Return the event that brings a piece of the answer; `number` counts the words before it."""

    @abstractmethod
    def thought(self, text: str) -> bytes:
        """Return the event that brings a piece of the reasoning."""

    @abstractmethod
    def calling(self, *arguments: str) -> list[bytes]:
        """Return the events that ask for the tool `f`, as far as the pieces of its arguments go."""

    @abstractmethod
    def finish(self, text: str = TEXT) -> bytes:
        """Return the event that says that the model is done."""

    @abstractmethod
    def answer(self, text: str) -> object:
        """Return the JSON that a server sends which does not stream."""

    def close(self, text: str = TEXT) -> bytes:
        """Return what comes between the last word and the finish."""
        return b""

    def end(self, text: str = TEXT) -> bytes:
        return self.close(text) + self.finish(text) + self.after

    @cached_property
    def words(self) -> tuple[bytes, ...]:
        return tuple(self.delta(word, number) for number, word in enumerate(WORDS))

    @property
    def spoken(self) -> bytes:
        """Every word, and nothing after the last."""
        return self.begin + b"".join(self.words)

    @property
    def unfinished(self) -> bytes:
        """Everything but the event that says that the model is done."""
        return self.spoken + self.close()

    @property
    def whole(self) -> bytes:
        return self.spoken + self.end()

    @property
    def healthy(self) -> Play:
        return Play(self.whole, TEXT, whole=True)

    def upto(self, i: int, rest: bytes = b"", end: str = "ended", text: str = "") -> Play:
        """Play the first `i` words, then `rest`."""
        return Play(self.begin + b"".join(self.words[:i]) + rest, "".join(WORDS[:i]) + text, end=end)

    def around(self, extra: bytes, i: int) -> bytes:
        """Return a whole answer with something odd before word `i`."""
        return self.begin + b"".join((*self.words[:i], extra, *self.words[i:])) + self.end()


class Chat(Wire):
    name = "chat"
    api = "chat"
    path = "/chat/completions"
    sizes = (None, 7, 1, 4_096, 65_536)
    usage = event({"choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 5}})
    after = usage + DONE
    blank = event({"choices": []})

    def delta(self, text: str, number: int = 0) -> bytes:
        return event({"choices": [{"delta": {"content": text}}]})

    def thought(self, text: str) -> bytes:
        return event({"choices": [{"delta": {"reasoning_content": text}}]})

    def calling(self, *arguments: str) -> list[bytes]:
        named = {"index": 0, "id": "a", "function": {"name": "f", "arguments": ""}}
        pieces = [{"index": 0, "function": {"arguments": piece}} for piece in arguments]
        return [event({"choices": [{"delta": {"tool_calls": [call]}}]}) for call in (named, *pieces)]

    def finish(self, text: str = TEXT) -> bytes:
        return self.ended("stop")

    def ended(self, reason: object, **more: object) -> bytes:
        return event({"choices": [{"delta": {}, "finish_reason": reason}], **more})

    def answer(self, text: str) -> object:
        return {"choices": [{"message": {"role": "assistant", "content": text}, "finish_reason": "stop"}]}


_REQUIRED = {"created_at": 1, "parallel_tool_calls": True, "tool_choice": "auto", "tools": []}
"""What every response has and nobody here reads."""
LENGTH = {"reason": "max_output_tokens"}
USAGE = {
    "input_tokens": 3,
    "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
    "output_tokens": 5,
    "output_tokens_details": {"reasoning_tokens": 0},
    "total_tokens": 8,
}


def over(*output: rs.Event, status: str = "completed", **fields: object) -> rs.Event:
    """Return the last event of a response."""
    return rs.over(*output, status=status, **{**_REQUIRED, "usage": USAGE, **fields})


class Responses(Wire):
    """As OpenAI writes it: numbered, named twice, and every text again in its part, its item and the response."""

    name = "responses"
    api = "responses"
    path = "/responses"
    sizes = (None, 7)
    blank = event({"type": "keepalive", "sequence_number": 3}, "keepalive")

    def say(self, *events: rs.Event, number: int = 0) -> bytes:
        """Write events, numbered from `number`."""
        return b"".join(event({**e, "sequence_number": n}, e["type"]) for n, e in enumerate(events, number))

    @property
    def begin(self) -> bytes:
        created = rs.whole(status="in_progress", **_REQUIRED)
        return self.say(
            rs.ev("created", response=created),
            rs.ev("in_progress", response=created),
            rs.added({**rs.said(), "status": "in_progress"}),
            rs.part("added", ""),
        )

    def delta(self, text: str, number: int = 0) -> bytes:
        return self.say(rs.delta(text), number=4 + number)

    def thought(self, text: str) -> bytes:
        return self.say(
            rs.ev("reasoning_summary_text.delta", item_id="rs_1", output_index=0, summary_index=0, delta=text)
        )

    def calling(self, *arguments: str) -> list[bytes]:
        pieces = [
            rs.ev("function_call_arguments.delta", item_id="fc_a", output_index=1, delta=piece) for piece in arguments
        ]
        return [self.say(piece, number=n) for n, piece in enumerate([rs.added(rs.call(arguments=""), 1), *pieces], 9)]

    def close(self, text: str = TEXT) -> bytes:
        return self.say(
            rs.text_done(text),
            rs.part("done", text),
            rs.ended(rs.said(text)),
            number=9,
        )

    def finish(self, text: str = TEXT) -> bytes:
        return self.say(over(rs.said(text)), number=12)

    def answer(self, text: str) -> object:
        return over(rs.said(text))["response"]


class Bare(Responses):
    """As the smallest servers write it: nothing but the words and a word at the end."""

    name = "responses_bare"
    sizes = (1,)
    blank = event({"type": "keepalive"})

    @property
    def begin(self) -> bytes:
        return b""

    def say(self, *events: rs.Event, number: int = 0) -> bytes:
        kept = ("type", "delta", "item", "response")
        return b"".join(event({name: e[name] for name in kept if name in e}) for e in events)

    def close(self, text: str = TEXT) -> bytes:
        return b""

    def finish(self, text: str = TEXT) -> bytes:
        return self.say(rs.ev("completed", response={"status": "completed"}))


CHAT = Chat()
RESPONSES = Responses()
BARE = Bare()
WIRES: tuple[Wire, ...] = (CHAT, RESPONSES, BARE)

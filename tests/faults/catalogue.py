"""Every fault of a model's wire that we know of, at the first, a middle and the last piece of one answer."""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial

from tests.faults.upstream import Play

KEY = "sk-canary-0123456789abcdef"

WORDS = ("Eins 🥊 ", "zwei 🥊 ", "drei 🥊 ", "vier 🥊 ", "fünf 🥊")
TEXT = "".join(WORDS)
EVERY_SIZE = (None, 7, 1)
"""Bytes that are written at a time; None for all at once."""
PLACES = {"first": 0, "middle": 2, "last": 4}


def event(payload: object, name: str = "") -> bytes:
    data = payload if isinstance(payload, str) else json.dumps(payload, ensure_ascii=False, separators=(",", ":"))
    return f"{f'event: {name}' + chr(10) if name else ''}data: {data}\n\n".encode()


def delta(text: str, **choice: object) -> bytes:
    return event({"choices": [{"delta": {"content": text}, **choice}]})


def finish(reason: object = "stop", **more: object) -> bytes:
    return event({"choices": [{"delta": {}, "finish_reason": reason}], **more})


EVENTS = tuple(map(delta, WORDS))
FINISH = finish()
USAGE = event({"choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 5}})
DONE = event("[DONE]")
END = FINISH + USAGE + DONE
WHOLE = b"".join(EVENTS) + END
HTML = "<html><head><title>502</title></head><body><h1>Bad Gateway</h1></body></html>"
HEALTHY = Play(WHOLE, TEXT, whole=True)


@dataclass(frozen=True, slots=True)
class Fault:
    name: str
    play: Callable[[int], Play]
    """What the server does when the fault comes at the word of that number."""
    places: tuple[str, ...] = tuple(PLACES)
    sizes: tuple[int | None, ...] = EVERY_SIZE


def once(name: str, play: Play, *sizes: int | None) -> Fault:
    return Fault(name, lambda _: play, ("-",), sizes or EVERY_SIZE)


def head(status: str, content_type: str = "application/json", *more: str) -> str:
    return "\r\n".join([status, f"Content-Type: {content_type}", *more])


def upto(i: int, rest: bytes = b"", end: str = "ended", text: str = "") -> Play:
    """Play the first `i` words, then `rest`."""
    return Play(b"".join(EVENTS[:i]) + rest, "".join(WORDS[:i]) + text, end=end)


def harmless(extra: bytes, i: int) -> Play:
    """Play a whole answer with something odd before word `i`."""
    return Play(b"".join((*EVENTS[:i], extra, *EVENTS[i:])) + END, TEXT, whole=True)


def fatal(name: str, extra: bytes, *sizes: int | None) -> Fault:
    """Put something before word `i` after which nothing counts, though the server goes on."""
    return Fault(
        name,
        lambda i: replace(upto(i), body=b"".join((*EVENTS[:i], extra, *EVENTS[i:])) + END),
        sizes=sizes or EVERY_SIZE,
    )


def cuts() -> Iterator[Fault]:
    kinds: dict[str, Callable[[int], tuple[bytes, str]]] = {
        "between events": lambda i: (b"", ""),
        "inside an event": lambda i: (EVENTS[i][:4], ""),
        "inside JSON": lambda i: (EVENTS[i][:-6], ""),
        "inside UTF-8": lambda i: (EVENTS[i][: EVENTS[i].index("🥊".encode()) + 2], ""),
        "before the blank line": lambda i: (EVENTS[i][:-1], WORDS[i]),
        "before the line's end": lambda i: (EVENTS[i][:-2], WORDS[i]),
    }
    for end in ("ended", "closed", "dropped", "reset"):
        for kind, rest in kinds.items():
            if end not in {"ended", "closed"} and kind.startswith("before the"):
                continue  # whether an event without its end counts is open when the connection broke
            yield Fault(f"cut {kind}, {end}", lambda i, end=end, rest=rest: _cut(i, end, *rest(i)))  # type: ignore[misc]
        yield once(f"cut after the headers, {end}", Play(end=end), None)
        yield once(f"cut before the finish reason, {end}", Play(b"".join(EVENTS), TEXT, end=end))
        yield once(f"cut inside the finish reason, {end}", Play(b"".join(EVENTS) + FINISH[:-8], TEXT, end=end))
        yield once(f"cut before [DONE], {end}", Play(b"".join(EVENTS) + FINISH, TEXT, whole=True, end=end))
    yield once("[DONE] without a finish reason", Play(b"".join(EVENTS) + DONE, TEXT))


def _cut(i: int, end: str, rest: bytes, text: str) -> Play:
    return upto(i, rest, end, text)


def errors() -> Iterator[Fault]:
    said = {"message": f"The model fell over <b>here</b>. Key {KEY}", "code": 500}
    yield fatal("error object", event({"error": said}))
    yield fatal("error string", event({"error": "The model fell over."}))
    yield fatal("error as detail", event({"detail": "The model fell over."}))
    yield fatal("event: error, JSON", event({"text": "The model fell over."}, "error"))
    yield fatal("event: error, text", event("The model fell over.", "error"))
    yield fatal("object: error", event({"object": "error", **said}))
    yield fatal("error in a choice", event({"choices": [{"delta": {}, "error": said}]}))
    yield fatal("rate limit in the stream", event({"error": {"message": "slow down", "code": 429}}))
    yield fatal("bad JSON", b'data: {"choices":[{"delta":{"content":"x"}\n\n')
    yield fatal("JSON of another kind", event([1, 2]))
    yield Fault("a web page in the stream", lambda i: upto(i, HTML.encode() + b"\n\n"))


def oddities() -> Iterator[Fault]:
    for name, payload in {
        "no choices": {"choices": []},
        "choices: null": {"choices": None},
        "choices missing": {"id": "x"},
        "a choice: null": {"choices": [None]},
        "delta: null": {"choices": [{"delta": None}]},
        "content: null": {"choices": [{"delta": {"content": None}, "finish_reason": None}]},
        "usage: null": {"choices": [], "usage": None},
        "odd usage": {"choices": [], "usage": {"prompt_tokens": "many", "completion_tokens": -1, "total_tokens": 1e99}},
        "error: null": {"error": None, "choices": []},
    }.items():
        yield Fault(name, partial(harmless, event(payload)))
    yield Fault("a comment", partial(harmless, b": keep-alive\n\n"))
    yield Fault("finish reason too early", partial(harmless, FINISH))
    yield Fault("finish reason too early, then cut", lambda i: upto(i + 1, FINISH + delta("Noch"), text="Noch"))
    yield Fault("bad UTF-8", _bad_utf8)
    yield Fault("an emoji in two surrogates", _surrogates)
    yield once("byte-order mark", Play(b"\xef\xbb\xbf" + WHOLE, TEXT, whole=True))
    yield once("line ends CR LF", Play(WHOLE.replace(b"\n", b"\r\n"), TEXT, whole=True))
    yield once("usage missing", Play(b"".join(EVENTS) + FINISH + DONE, TEXT, whole=True))
    yield once("usage after [DONE]", Play(b"".join(EVENTS) + FINISH + DONE + USAGE, TEXT, whole=True))
    usage = {"prompt_tokens": 3, "completion_tokens": 5}
    yield once("usage on the finish", Play(b"".join(EVENTS) + finish(usage=usage) + DONE, TEXT, whole=True))
    yield once("an error after the finish", Play(b"".join(EVENTS) + FINISH + event({"error": "late"}), TEXT, None))
    yield once("bad JSON after the finish", Play(b"".join(EVENTS) + FINISH + b"data: {\n\n", TEXT, None))
    for reason in ("length", "content_filter", "tool_calls", "refusal", "network_error", "gibberish", "", None, 7):
        yield once(f"finish reason {reason!r}", Play(b"".join(EVENTS) + finish(reason) + USAGE + DONE, TEXT))
    yield once("a finish reason and no word", Play(END))


def _bad_utf8(i: int) -> Play:
    events = [word.replace("🥊".encode(), b"\xff") if n == i else word for n, word in enumerate(EVENTS)]
    words = [word.replace("🥊", "\ufffd") if n == i else word for n, word in enumerate(WORDS)]
    return Play(b"".join(events) + END, "".join(words), whole=True)


def _surrogates(i: int) -> Play:
    halves = [b'data: {"choices":[{"delta":{"content":"\\u%s"}}]}\n\n' % half for half in (b"d83e", b"dd4a")]
    play = harmless(b"".join(halves), i)
    return replace(play, text="".join((*WORDS[:i], "🥊", *WORDS[i:])))


def silences() -> Iterator[Fault]:
    for end, name in (("hang", "stall"), ("chatter", "keep-alives for ever"), ("empty", "empty events for ever")):
        yield Fault(f"{name} before a word", lambda i, end=end: upto(i, end=end), sizes=(None,))  # type: ignore[misc]
        yield once(f"{name} before the finish reason", upto(5, end=end), None)
        whole = Play(b"".join(EVENTS) + FINISH, TEXT, whole=True, end=end)
        yield once(f"{name} after the finish reason", whole, None)
        yield once(f"{name} after [DONE]", replace(whole, body=WHOLE), None)
    yield once("stall before the headers", Play(head="", end="hang"), None)
    yield Fault("stall inside an event", lambda i: upto(i, EVENTS[i][:20], "hang"), sizes=(None, 7))


def sizes() -> Iterator[Fault]:
    for name, size in (("1 MB", 1_000_000), ("5 MB", 5_000_000)):
        pieces = (None, 65_536) if size > 1_000_000 else (None, 65_536, 4_096)
        yield Fault(f"an event of {name}", lambda i, size=size: _long(i, size), sizes=pieces)  # type: ignore[misc]
        yield Fault(f"an event of {name}, cut", lambda i, size=size: upto(i, delta("x" * size)[:-9]), sizes=pieces)  # type: ignore[misc]
    yield once("an event of 17 MB", upto(2, delta("x" * 17_000_000)), None)


def _long(i: int, size: int) -> Play:
    return Play(
        b"".join((*EVENTS[:i], delta("x" * size), *EVENTS[i + 1 :])) + END,
        "".join((*WORDS[:i], "x" * size, *WORDS[i + 1 :])),
        whole=True,
    )


def gzips() -> Iterator[Fault]:
    header = head("200 OK", "text/event-stream", "Content-Encoding: gzip")
    yield once("gzip", Play(_gzip(WHOLE, ended=True), TEXT, True, header))
    for end in ("ended", "dropped"):
        yield Fault(f"gzip, cut, {end}", lambda i, end=end: _gzip_cut(i, header, end))  # type: ignore[misc]
    yield once("gzip that is none", Play(WHOLE, head=header))


def _gzip(data: bytes, *, ended: bool) -> bytes:
    packer = zlib.compressobj(wbits=31)
    return packer.compress(data) + packer.flush(zlib.Z_FINISH if ended else zlib.Z_SYNC_FLUSH)


def _gzip_cut(i: int, header: str, end: str) -> Play:
    return replace(upto(i, end=end), body=_gzip(b"".join(EVENTS[:i]), ended=False), head=header)


def refusals() -> Iterator[Fault]:
    said = json.dumps({"error": {"message": f"No: {KEY} <script>alert(1)</script>"}}).encode()
    for status in ("400 Bad Request", "401 Unauthorized", "402 Payment Required", "403 Forbidden", "404 Not Found"):
        yield once(status, Play(said, head=head(status), end="length"), None, 7)
    for status in ("429 Too Many Requests", "500 Oops", "502 Bad Gateway", "503 Unavailable", "529 Overloaded"):
        yield once(status, Play(said, head=head(status), end="length"), None, 7)
        yield once(f"{status}, a web page", Play(HTML.encode(), head=head(status, "text/html"), end="closed"), None)
    for after in ("7", "7000", "Wed, 21 Oct 2065 07:28:00 GMT", "soon", "-1"):
        refused = head("429 Too Many Requests", "application/json", f"Retry-After: {after}")
        yield once(f"429 Retry-After {after[:7]}", Play(said, head=refused, end="length"), None)
    for status in ("301 Moved", "302 Found", "307 Temporary Redirect", "308 Permanent Redirect"):
        moved = head(status, "text/plain", "Location: /elsewhere/v1/chat/completions")
        yield once(status, Play(b"moved", head=moved, end="length"), None)
    yield once("400, body cut", Play(said[:20], head=head("400 Bad Request"), end="dropped"), None)
    yield once("204 and nothing", Play(head="204 No Content", end="closed"), None)


def strangers() -> Iterator[Fault]:
    answer = {"choices": [{"message": {"role": "assistant", "content": TEXT}, "finish_reason": "stop"}]}
    whole = json.dumps(answer).encode()
    yield once("a whole JSON answer", Play(whole, TEXT, True, head("200 OK"), end="length"))
    yield once("a JSON answer, cut", Play(whole[:-9], head=head("200 OK"), end="closed"))
    yield once("a JSON error with status 200", Play(b'{"error":{"message":"no"}}', head=head("200 OK"), end="length"))
    for kind in ("text/html", "text/event-stream", "application/json"):
        yield once(f"a web page as {kind}", Play(HTML.encode(), head=head("200 OK", kind), end="length"))
    for kind in ("text/plain", "application/json", "application/octet-stream", "text/html"):
        yield once(f"a stream called {kind}", Play(WHOLE, TEXT, True, head("200 OK", kind)))
    yield once("plain text", Play(b"Hello there", head=head("200 OK", "text/plain"), end="length"))
    yield once("an empty body", Play(head=head("200 OK", "text/event-stream"), end="length"), None)
    yield once("closed before the headers", Play(head="", end="closed"), None)
    yield once("reset before the headers", Play(head="", end="reset"), None)
    yield once("cut inside the headers", Play(b"HTTP/1.1 200 OK\r\nContent-Ty", head="", end="closed"))
    yield once("not HTTP", Play(b"SSH-2.0-OpenSSH_9.2\r\n", head="", end="closed"))


FAULTS = [
    *cuts(),
    *errors(),
    *oddities(),
    *silences(),
    *sizes(),
    *gzips(),
    *refusals(),
    *strangers(),
]

"""Every fault that can befall any model's wire, at the first, a middle and the last piece of one answer."""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial

from tests.faults.upstream import Play
from tests.faults.wires import DONE, TEXT, WORDS, Wire, event
from tests.keyed import SHAPED

KEY = SHAPED

EVERY_SIZE = (None, 7, 1)
"""Bytes that are written at a time; None for all at once."""
PLACES = {"first": 0, "middle": 2, "last": 4}
HTML = "<html><head><title>502</title></head><body><h1>Bad Gateway</h1></body></html>"


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


def harmless(wire: Wire, name: str, extra: bytes) -> Fault:
    """Put something odd before a word, which changes nothing."""
    return Fault(name, lambda i: Play(wire.around(extra, i), TEXT, whole=True))


def fatal(wire: Wire, name: str, extra: bytes) -> Fault:
    """Put something before a word after which nothing counts, though the server goes on."""
    return Fault(name, lambda i: replace(wire.upto(i), body=wire.around(extra, i)))


def common(wire: Wire) -> Iterator[Fault]:
    for faults in (cuts, errors, oddities, thoughts, silences, sizes, gzips, refusals, strangers):
        yield from faults(wire)


def cuts(wire: Wire) -> Iterator[Fault]:
    kinds: dict[str, Callable[[bytes], int]] = {
        "between events": lambda word: 0,
        "inside an event": lambda word: 4,
        "inside JSON": lambda word: -6,
        "inside UTF-8": lambda word: word.index("🥊".encode()) + 2,
        "before the blank line": lambda word: -1,
        "before the line's end": lambda word: -2,
    }
    for end in ("ended", "closed", "dropped", "reset"):
        for kind, at in kinds.items():
            if end not in {"ended", "closed"} and kind.startswith("before the"):
                continue  # whether an event without its end counts is open when the connection broke
            yield Fault(f"cut {kind}, {end}", partial(_cut, wire, end, at))
        yield once(f"cut after the headers, {end}", Play(end=end), None)
        yield once(f"cut before the finish reason, {end}", Play(wire.unfinished, TEXT, end=end))
        yield once(f"cut inside the finish reason, {end}", Play(wire.unfinished + wire.finish()[:-8], TEXT, end=end))
    yield once("[DONE] without a finish reason", Play(wire.unfinished + DONE, TEXT))


def _cut(wire: Wire, end: str, at: Callable[[bytes], int], i: int) -> Play:
    rest = wire.words[i][: at(wire.words[i])]
    return wire.upto(i, rest, end, WORDS[i] if rest.rstrip().endswith(b"}") else "")


def errors(wire: Wire) -> Iterator[Fault]:
    said = {"message": f"The model fell over <b>here</b>. Key {KEY}", "code": 500}
    yield fatal(wire, "error object", event({"error": said}))
    yield fatal(wire, "error string", event({"error": "The model fell over."}))
    yield fatal(wire, "error as detail", event({"detail": "The model fell over."}))
    yield fatal(wire, "event: error, JSON", event({"text": "The model fell over."}, "error"))
    yield fatal(wire, "event: error, text", event("The model fell over.", "error"))
    yield fatal(wire, "object: error", event({"object": "error", **said}))
    yield fatal(wire, "rate limit in the stream", event({"error": {"message": "slow down", "code": 429}}))
    yield fatal(wire, "bad JSON", wire.delta("x").replace(b"}\n\n", b"\n\n"))
    yield fatal(wire, "JSON of another kind", event([1, 2]))
    yield Fault("a web page in the stream", lambda i: wire.upto(i, HTML.encode() + b"\n\n"))


def oddities(wire: Wire) -> Iterator[Fault]:
    yield harmless(wire, "a comment", b": keep-alive\n\n")
    yield harmless(wire, "an event without anything", wire.blank)
    yield harmless(wire, "a word that is empty", wire.delta(""))
    yield harmless(wire, "a word of control characters", wire.delta("\x00\x1b"))
    yield Fault("bad UTF-8", partial(_bad_utf8, wire))
    yield Fault("an emoji in two surrogates", partial(_surrogates, wire))
    yield once("byte-order mark", replace(wire.healthy, body=b"\xef\xbb\xbf" + wire.whole))
    yield once("line ends CR LF", replace(wire.healthy, body=wire.whole.replace(b"\n", b"\r\n")))
    yield once("a finish reason and no word", Play(wire.begin + wire.end("")))


def _bad_utf8(wire: Wire, i: int) -> Play:
    events = [word.replace("🥊".encode(), b"\xff") if n == i else word for n, word in enumerate(wire.words)]
    words = [word.replace("🥊", "\ufffd") if n == i else word for n, word in enumerate(WORDS)]
    return Play(wire.begin + b"".join(events) + wire.end(), "".join(words), whole=True)


def _surrogates(wire: Wire, i: int) -> Play:
    halves = b"".join(wire.delta("HALF").replace(b"HALF", half) for half in (rb"\ud83e", rb"\udd4a"))
    text = "".join((*WORDS[:i], "🥊", *WORDS[i:]))
    return Play(wire.around(halves, i).replace(wire.end(), wire.end(text)), text, whole=True)


def thoughts(wire: Wire) -> Iterator[Fault]:
    """What else a model sends than words, whole and cut."""
    hm = wire.thought("Hm. ")
    yield Fault("a thought", lambda i: Play(wire.around(hm, i), TEXT, whole=True, thoughts="Hm. "))
    *call, last = wire.calling('{"city"', ': "Bern"}')
    called = b"".join(call)
    for end in ("ended", "dropped"):
        yield once(f"a thought, {end}", Play(wire.begin + hm + hm, thoughts="Hm. Hm. ", end=end))
        yield once(f"a thought, cut, {end}", Play(wire.begin + hm + hm[:-6], thoughts="Hm. ", end=end))
        for name, rest, came in (("", last, '{"city": "Bern"}'), (", cut", last[:-6], '{"city"')):
            yield Fault(f"a tool call{name}, {end}", partial(_called, wire, called + rest, end, came))


def _called(wire: Wire, call: bytes, end: str, arguments: str, i: int) -> Play:
    return replace(wire.upto(i, call, end), calls=(arguments,))


def silences(wire: Wire) -> Iterator[Fault]:
    comment = b": keep-alive\n\n"
    for name, noise in (("stall", b""), ("keep-alives for ever", comment), ("empty events for ever", wire.blank)):
        silent = Play(text=TEXT, end="hang", noise=noise)
        yield Fault(f"{name} before a word", partial(_silent, wire, noise), sizes=(None,))
        yield once(f"{name} before the finish reason", replace(silent, body=wire.unfinished), None)
        finished = wire.unfinished + wire.finish()
        yield once(f"{name} after the finish reason", replace(silent, body=finished, whole=True), None)
    yield once("stall before the headers", Play(head="", end="hang"), None)
    yield Fault("stall inside an event", lambda i: wire.upto(i, wire.words[i][:20], "hang"), sizes=(None, 7))


def _silent(wire: Wire, noise: bytes, i: int) -> Play:
    return replace(wire.upto(i, end="hang"), noise=noise)


def sizes(wire: Wire) -> Iterator[Fault]:
    for name, size in (("1 MB", 1_000_000), ("5 MB", 5_000_000)):
        long = "x" * size
        pieces = (None, 65_536) if size > 1_000_000 else (None, 65_536, 4_096)
        yield Fault(f"an event of {name}", partial(_long, wire, long), sizes=pieces)
        cut = wire.delta(long)[:-9]
        yield Fault(f"an event of {name}, cut", partial(wire.upto, rest=cut), sizes=pieces)
    yield once("an event of 17 MB", wire.upto(2, wire.delta("x" * 17_000_000)), None)


def _long(wire: Wire, long: str, i: int) -> Play:
    words = [*WORDS[:i], long, *WORDS[i + 1 :]]
    return Play(wire.begin + b"".join(map(wire.delta, words)) + wire.end(""), "".join(words), whole=True)


def gzips(wire: Wire) -> Iterator[Fault]:
    header = head("200 OK", "text/event-stream", "Content-Encoding: gzip")
    yield once("gzip", Play(_gzip(wire.whole, ended=True), TEXT, True, header))
    for end in ("ended", "dropped"):
        yield Fault(f"gzip, cut, {end}", partial(_gzip_cut, wire, header, end))
    yield once("gzip that is none", Play(wire.whole, head=header))


def _gzip(data: bytes, *, ended: bool) -> bytes:
    packer = zlib.compressobj(wbits=31)
    return packer.compress(data) + packer.flush(zlib.Z_FINISH if ended else zlib.Z_SYNC_FLUSH)


def _gzip_cut(wire: Wire, header: str, end: str, i: int) -> Play:
    play = wire.upto(i, end=end)
    return replace(play, body=_gzip(play.body, ended=False), head=header)


def refusals(wire: Wire) -> Iterator[Fault]:
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
        moved = head(status, "text/plain", f"Location: /elsewhere/v1{wire.path}")
        yield once(status, Play(b"moved", head=moved, end="length"), None)
    yield once("400, body cut", Play(said[:20], head=head("400 Bad Request"), end="dropped"), None)
    yield once("204 and nothing", Play(head="204 No Content", end="closed"), None)


def strangers(wire: Wire) -> Iterator[Fault]:
    whole = json.dumps(wire.answer(TEXT)).encode()
    yield once("a whole JSON answer", Play(whole, TEXT, True, head("200 OK"), end="length"))
    yield once("a JSON answer, cut", Play(whole[:-9], head=head("200 OK"), end="closed"))
    yield once("a JSON error with status 200", Play(b'{"error":{"message":"no"}}', head=head("200 OK"), end="length"))
    for kind in ("text/html", "text/event-stream", "application/json"):
        yield once(f"a web page as {kind}", Play(HTML.encode(), head=head("200 OK", kind), end="length"))
    for kind in ("text/plain", "application/json", "application/octet-stream", "text/html"):
        yield once(f"a stream called {kind}", replace(wire.healthy, head=head("200 OK", kind)))
    yield once("plain text", Play(b"Hello there", head=head("200 OK", "text/plain"), end="length"))
    yield once("an empty body", Play(head=head("200 OK", "text/event-stream"), end="length"), None)
    yield once("closed before the headers", Play(head="", end="closed"), None)
    yield once("reset before the headers", Play(head="", end="reset"), None)
    yield once("cut inside the headers", Play(b"HTTP/1.1 200 OK\r\nContent-Ty", head="", end="closed"))
    yield once("not HTTP", Play(b"SSH-2.0-OpenSSH_9.2\r\n", head="", end="closed"))

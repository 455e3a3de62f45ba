"""The event stream decoder: any cut gives the same events, and nothing cut off looks whole."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.providers.sse import GarbledError, SSEDecoder, SSEEvent

STREAM = (
    "\ufeffdata: first\n\n"
    ": keep-alive\r\n\r\n"
    "event: error\rdata: second\rdata:  line 😀\r\r"
    "id: 7\r\nretry: 10\r\ndata\r\ndata: {}\r\n\r\n"
    "event: lonely\n\n"
    "data: na\u00efve \u2028 stays\r\n\n"
).encode()
EVENTS = [
    SSEEvent("message", "first"),
    SSEEvent("error", "second\n line 😀"),
    SSEEvent("message", "\n{}"),
    SSEEvent("message", "na\u00efve \u2028 stays"),
]


def decode(*pieces: bytes) -> list[SSEEvent]:
    decoder = SSEDecoder()
    return [event for piece in pieces for event in decoder.feed(piece)] + decoder.close()


def cut(data: bytes, cuts: list[int]) -> list[bytes]:
    places = sorted({0, len(data), *(place % (len(data) + 1) for place in cuts)})
    return [data[a:b] for a, b in itertools.pairwise(places)]


def test_whole_and_bytewise() -> None:
    assert decode(STREAM) == EVENTS
    assert decode(*(bytes([byte]) for byte in STREAM)) == EVENTS


@given(st.lists(st.integers(0, 10_000), max_size=40))
def test_any_cut_gives_the_same_events(cuts: list[int]) -> None:
    assert decode(*cut(STREAM, cuts)) == EVENTS


@given(
    st.lists(st.sampled_from(["data: a", "data:", "data: 😀é", ": c", "event: x", "", "", "junk", "data:  b"])),
    st.lists(st.sampled_from(["\n", "\r", "\r\n"]), min_size=1),
    st.lists(st.integers(0, 10_000), max_size=20),
)
def test_any_cut_of_any_stream(lines: list[str], breaks: list[str], cuts: list[int]) -> None:
    data = "".join(line + breaks[i % len(breaks)] for i, line in enumerate(lines)).encode()
    assert decode(*cut(data, cuts)) == decode(data)


def test_cr_ends_a_line_at_once() -> None:
    decoder = SSEDecoder()
    assert decoder.feed(b"data: a\r\r") == [SSEEvent("message", "a")]
    assert decoder.feed(b"\ndata: b\r\n\r") == [SSEEvent("message", "b")]
    assert decoder.feed(b"") == []
    assert decoder.feed(b"\n\n") == []


def test_one_crlf_over_two_pieces_is_one_break() -> None:
    assert decode(b"data: a\r", b"\ndata: b\n\n") == [SSEEvent("message", "a\nb")]


@pytest.mark.parametrize("tail", [b'data: {"a": "b"}', b"data: [DONE]", b"data: [DONE]\n", b'data: {\ndata: "a": 1}'])
def test_a_last_event_without_its_blank_line_is_taken_when_whole(tail: bytes) -> None:
    assert len(decode(b"data: x\n\n" + tail)) == 2


@pytest.mark.parametrize(
    "tail",
    [b'data: {"a": "b"', b"data: [DON", b"data: hello\n", b"data: 12", b"da", b"data: {}x", b": {}", b"event: {}"],
)
def test_a_last_event_that_may_be_cut_is_not(tail: bytes) -> None:
    assert len(decode(b"data: x\n\n" + tail)) == 1


@given(st.integers(0, 200))
def test_no_beginning_of_an_event_is_taken_for_it(length: int) -> None:
    whole = b'data: {"choices": [{"delta": {"content": "}{ \\" }"}, "finish_reason": "stop"}]}\n\n'
    events = decode(whole[:length])
    assert events in ([], decode(whole))


def test_damaged_utf8_costs_one_character() -> None:
    assert decode(b"data: a\xffb\xf0\x9f\n\n") == [SSEEvent("message", "a\ufffdb\ufffd")]


def test_a_bom_is_removed_at_the_start_only() -> None:
    assert decode(b"\xef\xbb\xbfdata: a\n\n\xef\xbb\xbfdata: b\n\n") == [SSEEvent("message", "a")]


@pytest.mark.parametrize("piece", [b"x" * 64, b"data: " + b"x" * 58 + b"\n", b":" * 40])
def test_an_endless_event_is_refused(piece: bytes) -> None:
    decoder = SSEDecoder(max_event_bytes=1000)
    for _ in range(900 // len(piece)):
        decoder.feed(piece)
    with pytest.raises(GarbledError):
        decoder.feed(piece * 100)


def test_many_events_are_not_one_large_one() -> None:
    decoder = SSEDecoder(max_event_bytes=1000)
    assert sum(len(decoder.feed(b"data: " + b"x" * 90 + b"\n\n")) for _ in range(100)) == 100


def test_a_megabyte_in_single_bytes() -> None:
    """Quadratic work would take hours here."""
    decoder = SSEDecoder()
    one = [bytes([byte]) for byte in range(256)]
    data = b'data: "' + b"x" * 1_000_000 + b'"\n\n'
    events = [event for byte in data for event in decoder.feed(one[byte])]
    assert len(events[0].data) == 1_000_002


def test_many_short_lines_of_one_event() -> None:
    decoder = SSEDecoder()
    for _ in range(200_000):
        decoder.feed(b"data: x\n")
    assert len(decoder.feed(b"\n")[0].data) == 399_999

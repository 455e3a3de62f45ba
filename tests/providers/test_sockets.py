"""The provider against a real server on a socket, scripted byte by byte: the aiohttp transport is what users get."""

from __future__ import annotations

import asyncio
import gzip
import json
from contextlib import aclosing
from dataclasses import replace

import pytest

from services.errors import ModelError
from services.events import RequestSent, TextDelta
from services.messages import TextPart
from services.pacing import Pace
from services.providers import chat
from tests.providers.asking import ANSWER, KEY, ask, data, finished, provider, request, text
from tests.providers.sockets import CHUNKED, chunk, hanging, head, reset, sending, serving, stay

GOOD = [CHUNKED, *(chunk(ANSWER[i : i + 7]) for i in range(0, len(ANSWER), 7)), b"0\r\n\r\n"]


async def test_a_good_answer_leaves_the_connection_for_the_next() -> None:
    async with serving(sending(*GOOD, then=stay)) as server, provider() as made:
        for _ in range(3):
            events, failure = await ask(made, request(server.url))
            assert failure is None
            assert (text(events), finished(events)) == ("Hello", True)
    assert len(server.requests) == 3
    assert server.connections == 1
    assert b"authorization: Bearer " + KEY.encode() in server.requests[0]


async def test_a_large_request_comes_whole_and_leaves_the_connection() -> None:
    async with serving(sending(*GOOD, then=stay)) as server, provider() as made:
        asked = request(server.url)
        asked = replace(asked, messages=(replace(asked.messages[0], parts=(TextPart("é\n" * 1_000_000),)),))
        for _ in range(2):
            events, failure = await ask(made, asked)
            assert failure is None
            assert (text(events), finished(events)) == ("Hello", True)
    assert server.connections == 1
    sent_head, _, body = server.requests[1].partition(b"\r\n\r\n")
    assert b"transfer-encoding" not in sent_head.lower()
    assert json.loads(body) == chat.encode(asked)


class Patient(Pace):
    """Rests until the server has said everything."""

    def __init__(self) -> None:
        super().__init__()
        self.rests = 0
        self.said = asyncio.Event()

    async def rest(self, since: float | None = None, *, thin: bool = False) -> None:
        self.rests += 1
        await self.said.wait()
        await asyncio.sleep(0.05)  # it has to arrive, too


async def test_what_comes_during_a_rest_is_read_in_one_piece() -> None:
    pace = Patient()

    async def script(writer: asyncio.StreamWriter) -> None:
        await sending(CHUNKED, chunk(data("0 ")), then=stay)(writer)
        while not pace.rests:  # only from the first word on: until then nobody gathers
            await asyncio.sleep(0.001)
        await sending(*(chunk(data(f"{number} ")) for number in range(1, 50)), then=stay)(writer)
        await sending(chunk(data(finish="stop") + "data: [DONE]\n\n"), b"0\r\n\r\n", then=stay)(writer)
        pace.said.set()

    async with serving(script) as server, provider(pace=pace) as made:
        events, failure = await ask(made, request(server.url))
    assert failure is None
    assert (text(events), finished(events)) == ("".join(f"{number} " for number in range(50)), True)
    assert pace.rests <= 2, "one by one they would have been fifty"


async def test_without_a_key_there_is_no_header() -> None:
    async with serving(sending(*GOOD)) as server, provider(key=None) as made:
        await ask(made, request(server.url))
    assert b"authorization" not in server.requests[0].lower()


async def test_a_proxy_of_the_environment_is_not_for_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    async with serving(sending(*GOOD)) as server, provider() as made:
        assert (await ask(made, request(server.url)))[1] is None


@pytest.mark.parametrize(
    "pieces",
    [
        [CHUNKED, chunk(data("Hel")), b"0\r\n\r\n"],
        [CHUNKED, chunk(data("Hel")), chunk(data(finish="stop")[:-6]), b"0\r\n\r\n"],
        [head(), data("Hel").encode()],
        [head(), data("Hel").encode(), b'data: {"choices'],
    ],
)
async def test_a_stream_that_ends_early_is_not_finished(pieces: list[bytes]) -> None:
    async with serving(sending(*pieces)) as server, provider() as made:
        events, failure = await ask(made, request(server.url))
    assert (text(events), finished(events), failure) == ("Hel", False, None)


@pytest.mark.parametrize("then", [None, reset])
@pytest.mark.parametrize(
    "pieces",
    [
        [CHUNKED, chunk(data("Hel"))],
        [CHUNKED, chunk(data("Hel")) + b"ff\r\ndata: "],
        [head("200 OK", "text/event-stream", "Content-Length: 999"), data("Hel").encode()],
    ],
)
async def test_a_broken_connection_is_a_failure(pieces: list[bytes], then: None) -> None:
    async with serving(sending(*pieces, then=then)) as server, provider() as made:
        events, failure = await ask(made, request(server.url))
    assert not finished(events)
    assert failure is not None
    assert (failure.kind, failure.next_step) == ("unreachable", "retry")
    if then is None:  # a reset may overtake what was sent before it
        assert text(events) == "Hel"


async def test_a_connection_broken_after_the_finish_reason_costs_nothing() -> None:
    async with (
        serving(sending(CHUNKED, chunk(data("Hello")), chunk(data(finish="stop")))) as server,
        provider() as made,
    ):
        events, failure = await ask(made, request(server.url))
    assert (text(events), finished(events), failure) == ("Hello", True, None)


async def test_a_finished_answer_does_not_wait_for_a_server_that_stays() -> None:
    script = hanging(CHUNKED, chunk(data("Hello")), chunk(data(finish="stop")))
    async with serving(script) as server, provider(tail_timeout_s=0.05) as made:
        events, failure = await ask(made, request(server.url))
        await server.hung_up.wait()
    assert (text(events), finished(events), failure) == ("Hello", True, None)


async def test_done_ends_a_stream_that_the_server_keeps_open() -> None:
    async with serving(hanging(CHUNKED, chunk(ANSWER))) as server, provider() as made:
        events, failure = await ask(made, request(server.url))
        await server.hung_up.wait()
    assert (finished(events), failure) == (True, None)


async def test_closing_the_generator_hangs_up() -> None:
    async with serving(hanging(CHUNKED, chunk(data("Hel")))) as server, provider() as made:
        async with aclosing(made.stream(request(server.url))) as events:
            async for event in events:
                if isinstance(event, TextDelta):
                    break
            assert not server.hung_up.is_set()
        async with asyncio.timeout(10):
            await server.hung_up.wait()


@pytest.mark.parametrize("pieces", [[], [CHUNKED], [CHUNKED, chunk(data("Hel"))], [head("500 Oops"), b"never ends"]])
async def test_cancelling_hangs_up(pieces: list[bytes]) -> None:
    async with serving(hanging(*pieces)) as server, provider() as made:
        task = asyncio.ensure_future(ask(made, request(server.url)))
        while not server.requests:
            await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        async with asyncio.timeout(10):
            await server.hung_up.wait()


async def test_keep_alives_are_not_content() -> None:
    async def script(writer: asyncio.StreamWriter) -> None:
        writer.write(CHUNKED)
        while True:
            writer.write(chunk(": keep-alive\n\n"))
            await writer.drain()
            await asyncio.sleep(0)

    async with serving(script) as server, provider() as made, aclosing(made.stream(request(server.url))) as events:
        assert isinstance(await anext(events), RequestSent), "which the model has no part in"
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2):
                await anext(events)


def packed(body: str) -> bytes:
    return gzip.compress(body.encode())


GZIP = head("200 OK", "text/event-stream", "Content-Encoding: gzip")


async def test_gzip() -> None:
    async with serving(sending(GZIP, packed(ANSWER))) as server, provider() as made:
        events, failure = await ask(made, request(server.url))
    assert (text(events), finished(events), failure) == ("Hello", True, None)


@pytest.mark.parametrize("length", [1, 15, 40, 70])
async def test_cut_gzip_is_not_finished(length: int) -> None:
    long = "".join(data(f"{i * i}") for i in range(100)) + data(finish="stop")
    async with serving(sending(GZIP, packed(long)[:length])) as server, provider() as made:
        events, _ = await ask(made, request(server.url))
    assert not finished(events)


async def test_damaged_gzip_is_a_failure() -> None:
    async with serving(sending(GZIP, b"\x1f\x8b\x08\x00 no gzip at all")) as server, provider() as made:
        events, failure = await ask(made, request(server.url))
    assert events == []
    assert failure is not None
    assert failure.kind == "garbled"


@pytest.mark.parametrize(
    ("answer", "kind", "word"),
    [
        (head("200 OK", "text/html") + b"<html>Login</html>", "garbled", "web page"),
        (head("200 OK", "text/plain") + b"It works!", "garbled", "plain text"),
        (head("307 Moved", "text/plain", "Location: https://evil.test/v1"), "garbled", "evil.test"),
        (head("401 No", "application/json") + f'{{"error": {{"message": "Bad key {KEY}"}}}}'.encode(), "auth", "key"),
        (head("503 Busy", "text/html", "Retry-After: 3") + b"<html></html>", "server", "overloaded"),
        (head("500 Oops", "text/plain", "Content-Encoding: gzip") + b"no gzip", "garbled", "compressed"),
        (b"SSH-2.0-OpenSSH_9.6\r\n", "garbled", "HTTP"),
        (b"HTTP/1.1 200 OK\r\nBad\x00Header: \xff\r\n\r\n", "garbled", "HTTP"),
        (b"", "unreachable", "broke off"),
    ],
)
async def test_answers_that_are_none(answer: bytes, kind: str, word: str) -> None:
    async with serving(sending(answer)) as server, provider() as made:
        events, failure = await ask(made, request(server.url))
    assert events == []
    assert failure is not None
    assert failure.kind == kind
    assert word in failure.message
    assert KEY not in repr(failure)
    assert len(server.requests) == 1


async def test_a_redirect_to_a_server_that_would_answer_is_not_followed() -> None:
    async with serving(sending(*GOOD)) as other:
        answer = head("307 Moved", "text/plain", f"Location: {other.url}/chat/completions", "Content-Length: 0")
        async with serving(sending(answer)) as server, provider() as made:
            events, failure = await ask(made, request(server.url))
            with pytest.raises(ModelError):
                await made.list_models(request(server.url).endpoint)
    assert (events, other.requests) == ([], [])
    assert failure is not None


async def test_a_reset_before_the_answer() -> None:
    async with serving(sending(then=reset)) as server, provider() as made:
        _, failure = await ask(made, request(server.url))
    assert failure is not None
    assert failure.kind == "unreachable"


async def test_nobody_there() -> None:
    async with serving(sending()) as server:
        pass
    async with provider() as made:
        _, failure = await ask(made, request(server.url))
        with pytest.raises(ModelError) as caught:
            await made.list_models(request(server.url).endpoint)
    assert failure is not None
    assert (failure.kind, failure.next_step) == ("unreachable", "check_endpoint")
    assert "is it running?" in failure.message
    assert caught.value.failure.kind == "unreachable"


async def test_an_unknown_host() -> None:
    async with provider() as made:
        _, failure = await ask(made, request("http://no-such-host.invalid/v1"))
    assert failure is not None
    assert failure.kind in {"unreachable", "timeout"}  # a resolver without a network may only fall silent


async def test_tls_to_a_server_without_it() -> None:
    def answer(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server, provider() as made:
        _, failure = await ask(made, request(f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"))
    assert failure is not None
    assert (failure.kind, failure.next_step) == ("unreachable", "check_endpoint")
    assert "secure" in failure.message


async def test_models_over_a_socket() -> None:
    answer = head("200 OK", "application/json") + b'{"data": [{"id": "a"}]}'
    async with serving(sending(answer)) as server, provider() as made:
        assert await made.list_models(request(server.url).endpoint) == ["a"]
    assert server.requests[0].startswith(b"GET /v1/models ")


async def test_many_at_once_share_what_they_can() -> None:
    # A server that closes without a word would break off whoever takes the connection over in that moment.
    async with serving(sending(*GOOD, then=stay)) as server, provider() as made:
        answers = await asyncio.gather(*(ask(made, request(server.url)) for _ in range(20)))
    assert all(finished(events) and failure is None for events, failure in answers)

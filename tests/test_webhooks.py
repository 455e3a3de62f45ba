"""Webhooks: three tries, no redirect, and an address that is in no log and no sentence."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator

import pytest

from services import webhooks
from services.errors import InputError
from services.webhooks import check_hook, host_of, tell

SECRET = "T0secret0token"
BODY = {"event": "test", "text": "ü “quoted”"}


class Place:
    """A server that answers with what it is told to, in turn, and keeps what it got."""

    def __init__(self) -> None:
        self.answers: list[str | None] = []
        self.got: list[tuple[str, bytes]] = []
        self.url = ""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        size = next(int(line.split(":")[1]) for line in head.splitlines() if line.lower().startswith("content-length"))
        self.got.append((head, await reader.readexactly(size)))
        answer = self.answers.pop(0) if self.answers else "200 OK"
        if answer is None:
            await reader.read()  # until whoever asked has had enough
        else:
            more = f"Location: {self.url}/elsewhere\r\n" if answer.startswith("3") else ""
            writer.write(f"HTTP/1.1 {answer}\r\n{more}Content-Length: 0\r\nConnection: close\r\n\r\n".encode())
            await writer.drain()
        writer.close()


@pytest.fixture
async def place() -> AsyncIterator[Place]:
    place = Place()
    server = await asyncio.start_server(place.serve, "127.0.0.1", 0)
    place.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    yield place
    server.close()
    await server.wait_closed()


async def told(place: Place, path: str = f"/services/{SECRET}?token={SECRET}") -> str:
    return await tell(place.url + path, BODY, (0.0, 0.0))


async def test_it_gets_json_at_its_whole_address(place: Place) -> None:
    assert await told(place) == ""
    [(head, body)] = place.got
    assert head.startswith(f"POST /services/{SECRET}?token={SECRET} HTTP/1.1")
    assert "application/json" in head
    assert json.loads(body) == BODY


@pytest.mark.parametrize(
    ("answers", "tries", "says"),
    [
        (["500 Oops", "503 Busy", "200 OK"], 3, None),
        (["429 Slow", "200 OK"], 2, None),
        (["500 Oops"] * 4, 3, "answered 500. Try again later."),
        (["404 Not found", "200 OK"], 1, "answered 404. Check the address."),
        (["302 Found", "200 OK"], 1, "redirect, which is not followed"),
        (["307 Again", "200 OK"], 1, "redirect, which is not followed"),
    ],
)
async def test_what_may_help_is_tried_again(
    place: Place, caplog: pytest.LogCaptureFixture, answers: list[str | None], tries: int, says: str | None
) -> None:
    caplog.set_level(logging.DEBUG)
    place.answers = answers
    why = await told(place)
    assert len(place.got) == tries
    assert (why == "") if says is None else (says in why)
    assert not any("elsewhere" in head for head, _ in place.got)
    assert SECRET not in why + caplog.text


async def test_one_that_says_nothing_or_is_not_there(
    place: Place, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level(logging.DEBUG)
    monkeypatch.setattr(webhooks, "TIMEOUT_S", 0.05)
    place.answers = [None]
    assert await told(place) == "", "the second time it answered"
    gone = await tell(f"http://127.0.0.1:9/{SECRET}", BODY, (0.0,))
    assert gone == "127.0.0.1:9 could not be reached (ClientConnectorError). Check the address."
    assert SECRET not in gone + caplog.text


@pytest.mark.parametrize(
    "url",
    [
        *("", "hooks.example.org/x", "ftp://a.example/x", "javascript:alert(1)", "https://", "https://a b.example/"),
        *("https://[::1", "https://a.example:99999/", "https://a.example/\n", "https://me:pass@a.example/"),
        *("http://169.254.169.254/latest", "http://[fe80::1]/", "http://0.0.0.0/", "http://[::ffff:169.254.169.254]/"),
        "https://a.example/" + "x" * 3_000,
    ],
)
def test_what_is_no_address_is_refused(url: str) -> None:
    if url.endswith("\n"):
        assert check_hook(url) == url.strip()
        return
    with pytest.raises(InputError) as refused:
        check_hook(url)
    assert "pass" not in str(refused.value).replace("password", "")


async def test_a_name_for_such_an_address_is_not_told(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    from aiohttp.resolver import ThreadedResolver

    async def resolve(*_: object) -> list[dict[str, object]]:
        return [{"hostname": "a", "host": "169.254.169.254", "port": 80, "family": 2, "proto": 0, "flags": 0}]

    monkeypatch.setattr(ThreadedResolver, "resolve", resolve)
    assert "could not be reached" in await tell(f"http://inside.example/{SECRET}", BODY, ())


def test_only_the_host_is_shown() -> None:
    assert host_of(f"https://hooks.example.org:8443/{SECRET}?a={SECRET}") == "hooks.example.org:8443"

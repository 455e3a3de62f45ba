"""One model server on 127.0.0.1 that plays for each question what was written down for it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

from tests.providers.sockets import reset


@dataclass(frozen=True, slots=True)
class Call:
    """One request, and the way back to who sent it."""

    path: str
    question: str
    """The last question in it; an answer that failed without a word leaves two in one message."""
    body: dict[str, Any]
    writer: asyncio.StreamWriter
    reader: asyncio.StreamReader
    headers: dict[str, str] = field(default_factory=dict)

    @property
    def gone(self) -> bool:
        """Whether the client has closed the connection."""
        return self.reader.at_eof() or self.writer.is_closing()

    async def write(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()
        await asyncio.sleep(0)  # so that the client can read this piece before the next is there


Answer = Callable[[Call], Awaitable[None]]


@dataclass
class Upstream:
    url: str = ""
    paths: list[str] = field(default_factory=list)
    """Of every request, in order."""
    answering: int = 0
    """Requests that are being answered at the moment."""

    def lane(self, number: int) -> str:
        """Return a base URL of its own: every lane leads to this server."""
        return f"{self.url}/lane{number}/v1"


@asynccontextmanager
async def serving(answer: Answer) -> AsyncIterator[Upstream]:
    """Answer every request on every connection, several at once."""
    state = Upstream()
    tasks: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while not writer.is_closing():
                call = await _read(reader, writer)
                state.paths.append(call.path)
                state.answering += 1
                try:
                    await answer(call)
                finally:
                    state.answering -= 1
        except (asyncio.IncompleteReadError, ConnectionError):
            pass  # the client went away, which is its right
        finally:
            writer.close()
            with suppress(ConnectionError):
                await writer.wait_closed()

    def on_connection(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        tasks.add(task := asyncio.ensure_future(serve(reader, writer)))
        task.add_done_callback(tasks.discard)

    server = await asyncio.start_server(on_connection, "127.0.0.1", 0)
    state.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield state
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await server.wait_closed()


async def _read(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> Call:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    first, *fields = head.split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in fields)}
    body = json.loads(await reader.readexactly(int(headers.get("content-length", "0"))) or b"{}")
    return Call(first.split()[1], _question(body), body, writer, reader, headers)


def _question(body: dict[str, Any]) -> str:
    """Return the last question, whichever API it was asked in."""
    items = body.get("messages") or body.get("input") or []
    asked = [item["content"] for item in items if item.get("role") == "user"]
    last = asked[-1] if asked else ""
    return last.rsplit("\n\n", 1)[-1] if isinstance(last, str) else last[-1]["text"]


@dataclass(frozen=True, slots=True)
class Play:
    """What the server does with one question, and what must be kept of it."""

    body: bytes = b""
    text: str = ""
    """The words that arrive before the fault: exactly these are in the stored message."""
    whole: bool | None = False
    """Whether the model's answer is finished, so that it is stored as complete; None where both can be defended."""
    head: str = "200 OK\r\nContent-Type: text/event-stream"
    """Status and headers; empty where not even those come."""
    end: str = "ended"
    """`ended`: the body's end is announced; `closed`: the connection's end is the body's; `dropped`: closed before the
    announced end; `reset`; `hang`: nothing but `noise` for ever; `length`: the length is announced; `open`: more is
    written by somebody else."""
    noise: bytes = b""
    """What is written again and again by a server that hangs."""
    thoughts: str = ""
    """The reasoning that has to be kept, as `text`."""
    calls: tuple[str, ...] = ()
    """The arguments of the tool calls that have to be kept, as far as they came."""


async def perform(call: Call, play: Play, size: int | None) -> None:
    """Write the body in pieces of `size` bytes, or whole."""
    chunked = play.end not in {"closed", "length"}
    if play.head:
        lines = [f"HTTP/1.1 {play.head}"]
        if play.end == "length":
            lines.append(f"Content-Length: {len(play.body)}")
        else:
            lines.append("Transfer-Encoding: chunked" if chunked else "Connection: close")
        await call.write("\r\n".join([*lines, "", ""]).encode())
    step = size or len(play.body) or 1
    for start in range(0, len(play.body), step):
        piece = play.body[start : start + step]
        await call.write(b"%x\r\n%b\r\n" % (len(piece), piece) if chunked and play.head else piece)
    match play.end:
        case "ended":
            await call.write(b"0\r\n\r\n")
        case "closed" | "dropped":
            call.writer.close()
        case "reset":
            await asyncio.sleep(0.02)  # what was sent has arrived: a reset may throw away what is still on its way
            reset(call.writer)
        case "hang":
            while not call.gone:
                await asyncio.sleep(0.02)
                if play.noise and not call.gone:
                    await call.write(b"%x\r\n%b\r\n" % (len(play.noise), play.noise))

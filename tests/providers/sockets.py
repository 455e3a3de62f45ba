"""A model server on a real socket that says, byte by byte, what its script tells it to."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

Script = Callable[[asyncio.StreamWriter], Awaitable[None]]


@dataclass
class Server:
    url: str = ""
    requests: list[bytes] = field(default_factory=list)
    connections: int = 0
    hung_up: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when the client has closed a connection."""


@asynccontextmanager
async def serving(script: Script) -> AsyncIterator[Server]:
    """Serve one script for every request on every connection."""
    state = Server()
    tasks: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        early: bytes = b""  # the first byte of the next request, which may come before this side is done
        try:
            while True:
                head = early + await reader.readuntil(b"\r\n\r\n")
                length = next(
                    (line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")), b":0"
                )
                state.requests.append(head + await reader.readexactly(int(length.split(b":")[1])))
                playing = asyncio.ensure_future(script(writer))
                watching = asyncio.ensure_future(reader.read(1))
                await asyncio.wait({playing, watching}, return_when=asyncio.FIRST_COMPLETED)
                seen = watching.result() if watching.done() and watching.exception() is None else b""
                if not playing.done() and not seen:
                    playing.cancel()
                watching.cancel()
                _, last = await asyncio.gather(playing, watching, return_exceptions=True)
                if writer.is_closing() or last == b"":
                    break
                early = seen
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            state.hung_up.set()
            writer.close()

    async def on_connection(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        state.connections += 1
        tasks.add(task := asyncio.ensure_future(serve(reader, writer)))
        task.add_done_callback(tasks.discard)

    server = await asyncio.start_server(on_connection, "127.0.0.1", 0)
    state.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
    try:
        yield state
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await server.wait_closed()


def head(status: str = "200 OK", content_type: str = "text/event-stream", *more: str) -> bytes:
    return "\r\n".join([f"HTTP/1.1 {status}", f"Content-Type: {content_type}", *more, "", ""]).encode()


CHUNKED = head("200 OK", "text/event-stream", "Transfer-Encoding: chunked")


def chunk(body: bytes | str) -> bytes:
    body = body.encode() if isinstance(body, str) else body
    return b"%x\r\n%b\r\n" % (len(body), body)


def sending(*pieces: bytes, then: Callable[[asyncio.StreamWriter], None] | None = None) -> Script:
    """Write the pieces one by one, then close (the default), or do what `then` says."""

    async def script(writer: asyncio.StreamWriter) -> None:
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(0)
        (then or asyncio.StreamWriter.close)(writer)

    return script


def stay(writer: asyncio.StreamWriter) -> None:
    """Leave the connection open."""


def reset(writer: asyncio.StreamWriter) -> None:
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    writer.transport.abort()


def hanging(*pieces: bytes) -> Script:
    """Write the pieces and then nothing, for ever."""

    async def script(writer: asyncio.StreamWriter) -> None:
        await sending(*pieces, then=stay)(writer)
        await asyncio.Event().wait()

    return script

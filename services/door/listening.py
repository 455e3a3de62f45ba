"""Lets terminals in: whoever has the database listens on a socket that only the same person can reach."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import logging
import os
import socket
import struct
from collections.abc import Sequence
from pathlib import Path

from services.door import Door
from services.door.wire import (
    CALLS,
    MAX_LINE,
    VERSION,
    OtherVersionError,
    error_line,
    is_private,
    line_of,
    read_line,
    value_of,
)
from services.errors import PanelistError, StorageError

log = logging.getLogger(__name__)

_PATIENCE_S = 30.0
"""For a line that does not come, so that nobody's half a question is waited for for ever."""

_LAST_WORDS_S = 0.5
"""In which terminals are told how their answers ended."""


class Listening:
    """Answers what terminals ask. A call that is cut off was carried out, or was not; a run goes on either way."""

    def __init__(self, door: Door) -> None:
        self._door = door
        self._server: asyncio.Server | None = None
        self._path: Path | None = None
        self._calls: set[asyncio.Task[None]] = set()

    @classmethod
    async def at(cls, door: Door, places: Sequence[Path]) -> Listening:
        """Listen in the first place that can be had; where there is none, terminals are told to wait.

        Only for whoever has the database: what is found in a place is of somebody who had it before, and crashed.
        """
        listening = cls(door)
        for place in places:
            try:
                await listening._listen(place)
            except OSError as error:
                log.info("no terminal can come in by %s: %s", place, error)
            else:
                break
        return listening

    @property
    def busy(self) -> bool:
        """Whether a terminal is being answered."""
        return bool(self._calls)

    def refuse(self) -> None:
        """Let nobody in any more; who is in goes on."""
        if self._server is not None:
            self._server.close()
            self._server = None
        if self._path is not None:
            self._path.unlink(missing_ok=True)
            self._path = None

    async def close(self) -> None:
        """Let nobody in any more, and end the calls that do not end by themselves."""
        self.refuse()
        if self._calls:
            await asyncio.wait(self._calls, timeout=_LAST_WORDS_S)
        for call in self._calls:
            call.cancel()
        await asyncio.gather(*self._calls, return_exceptions=True)

    async def _listen(self, path: Path) -> None:
        self._server = await asyncio.start_unix_server(self._on_connection, sock=_bound_to(path), limit=MAX_LINE)
        self._path = path

    def _on_connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        call = asyncio.create_task(self._call(reader, writer), name="terminal", context=contextvars.Context())
        self._calls.add(call)
        call.add_done_callback(self._calls.discard)

    async def _call(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            if not _is_same_person(writer):
                log.warning("somebody else tried to come in by the terminal's door")
                return
            async with asyncio.timeout(_PATIENCE_S):
                line = await reader.readline()
            if line:
                await self._answer(line, writer)
        except (OSError, TimeoutError, ValueError):
            log.debug("a terminal left")  # or said more than a line can hold
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    async def _answer(self, line: bytes, writer: asyncio.StreamWriter) -> None:
        try:
            asked = read_line(line)
            if asked.get("version") != VERSION:
                writer.write(line_of({"error": "version"}))
            elif asked.get("do") == "follow":
                await self._follow(asked, writer)
            else:
                writer.write(line_of({"done": await self._do(asked)}))
        except PanelistError as error:
            writer.write(error_line(error))
        except OSError:
            raise
        except Exception:  # whatever it is, the terminal has to be told something
            log.exception("a terminal could not be answered")
            said = "Something unforeseen went wrong in the server; its log says more."
            writer.write(error_line(StorageError(said)))
        await writer.drain()

    async def _follow(self, asked: dict[str, object], writer: asyncio.StreamWriter) -> None:
        run_id: str = value_of(str, asked.get("run_id"))
        after: int = value_of(int, asked.get("after"))
        async for happened in self._door.follow(run_id, after):
            writer.write(line_of(happened))
            await writer.drain()
        writer.write(line_of({"done": None}))

    async def _do(self, asked: dict[str, object]) -> object:
        takes = CALLS.get(str(asked.get("do")))
        if takes is None:
            raise OtherVersionError
        given = {name: value_of(kind, asked.get(name)) for name, kind in takes.items() if name != "return"}
        return await getattr(self._door, str(asked["do"]))(**given)


def _bound_to(path: Path) -> socket.socket:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not is_private(path.parent):
        raise OSError(f"{path.parent} is not a folder of this person alone")
    path.unlink(missing_ok=True)
    bound = socket.socket(socket.AF_UNIX)
    try:
        bound.bind(str(path))
        path.chmod(0o600)
    except BaseException:
        bound.close()
        raise
    return bound


def _is_same_person(writer: asyncio.StreamWriter) -> bool:
    """Whether a connection is of this person, or root, as far as the system tells."""
    if not hasattr(socket, "SO_PEERCRED"):
        return True  # the folder and the socket let nobody else in
    peer = writer.get_extra_info("socket")
    _, uid, _ = struct.unpack("3i", peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i")))
    return uid in {os.getuid(), 0}

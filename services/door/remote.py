"""The door of a server that has the database, from another process of the same person."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from pathlib import Path
from typing import Any

from services.attachments import Piece, Progress
from services.conversation import Conversation
from services.door import Answer, Begun, Door, Happened, LostError, Question, Said
from services.door.wire import (
    CALLS,
    MAX_LINE,
    VERSION,
    OtherVersionError,
    error_of,
    is_private,
    line_of,
    read_line,
    value_of,
)
from services.options import Options


class RemoteDoor(Door):
    """Asks over a socket, with a connection for each call. Make it with `find`."""

    def __init__(self, path: Path) -> None:
        self._path = path

    @classmethod
    async def find(cls, places: Sequence[Path]) -> RemoteDoor | None:
        """Return the door of whoever listens in one of these places; None where nobody does.

        Raises:
            OtherVersionError: it is another version that listens there.
        """
        for place in places:
            if is_private(place.parent):
                door = cls(place)
                try:
                    await door.trouble()
                except LostError:
                    continue  # a socket that a crash left behind
                return door
        return None

    async def ask(self, question: Question) -> Begun:
        begun: Begun = await self._call("ask", question=question)
        return begun

    async def retry(self, conversation_id: str, message_id: str) -> Begun:
        begun: Begun = await self._call("retry", conversation_id=conversation_id, message_id=message_id)
        return begun

    async def follow(self, run_id: str, after: int = 0) -> AsyncGenerator[Happened, None]:
        async with self._asked("follow", run_id=run_id, after=after) as lines:
            async for said in lines:
                if "done" in said:
                    return
                yield value_of(Happened, said)
        raise LostError

    async def stop(self, run_id: str) -> None:
        await self._call("stop", run_id=run_id)

    async def answer(self, conversation_id: str, message_id: str, warned: int = 0) -> Answer:
        answer: Answer = await self._call(
            "answer", conversation_id=conversation_id, message_id=message_id, warned=warned
        )
        return answer

    async def trouble(self) -> str | None:
        sentence: str | None = await self._call("trouble")
        return sentence

    async def conversations(self, limit: int) -> tuple[Conversation, ...]:
        found: tuple[Conversation, ...] = await self._call("conversations", limit=limit)
        return found

    async def conversation(self, conversation_id: str) -> Conversation:
        found: Conversation = await self._call("conversation", conversation_id=conversation_id)
        return found

    async def said(self, conversation_id: str, last: int) -> tuple[Said, ...]:
        said: tuple[Said, ...] = await self._call("said", conversation_id=conversation_id, last=last)
        return said

    async def set_options(self, conversation_id: str, options: Options) -> None:
        await self._call("set_options", conversation_id=conversation_id, options=options)

    async def attach(self, piece: Piece) -> Progress:
        progress: Progress = await self._call("attach", piece=piece)
        return progress

    async def endpoints(self) -> tuple[str, ...]:
        names: tuple[str, ...] = await self._call("endpoints")
        return names

    async def models(self, endpoint: str | None) -> tuple[str, ...]:
        names: tuple[str, ...] = await self._call("models", endpoint=endpoint)
        return names

    async def _call(self, name: str, **given: object) -> Any:
        async with self._asked(name, **given) as lines:
            async for said in lines:
                if "done" not in said:
                    raise OtherVersionError
                return value_of(CALLS[name]["return"], said["done"])
        raise LostError

    @contextlib.asynccontextmanager
    async def _asked(self, name: str, **given: object) -> AsyncIterator[AsyncGenerator[dict[str, object], None]]:
        try:
            reader, writer = await asyncio.open_unix_connection(self._path, limit=MAX_LINE)
        except OSError as error:
            raise LostError from error
        try:
            async with contextlib.aclosing(_lines(reader, writer, {**given, "version": VERSION, "do": name})) as lines:
                yield lines
        finally:
            writer.close()


async def _lines(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, asked: dict[str, object]
) -> AsyncGenerator[dict[str, object], None]:
    """Ask, and yield what is said to it."""
    try:
        writer.write(line_of(asked))
        await writer.drain()
        while line := await reader.readline():
            if not line.endswith(b"\n"):
                return  # it ended in the middle
            said = read_line(line)
            if (wrong := error_of(said)) is not None:
                raise wrong
            yield said
    except OSError as error:
        raise LostError from error

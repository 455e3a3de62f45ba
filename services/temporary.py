"""Temporary chats: the same door, over a database of its own that is only in memory. Nothing of them is ever stored."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace

from services.chat import ChatService
from services.conversation import TEMPORARY, Whole, is_temporary
from services.errors import InputError, NotFoundError
from services.runner import RunManager
from services.storage.store import Store
from services.trouble import StorageTrouble

__all__ = ["Room", "Temporary", "is_temporary"]

MAX_ROOMS = 20
"""Temporary chats that can be open at once, in all tabs: each may take as much memory as follows."""

MAX_MEMORY = 64_000_000
"""Bytes of the messages of one, from which on it takes no more; the answer being written still comes to its end."""

MAX_FILES = 200_000_000
"""Bytes of its attached files."""


@dataclass(frozen=True, slots=True)
class Wired:
    """A door over a store, with what has to be closed with it."""

    chat: ChatService
    runs: RunManager
    trouble: StorageTrouble


class Room:
    """The temporary chat of one tab. What is in it is gone when it is closed."""

    def __init__(self, owner: str, store: Store, wired: Wired) -> None:
        self.owner = owner
        self.chat = wired.chat
        self._store = store
        self._wired = wired

    async def conversation_id(self) -> str | None:
        """Return the conversation that is in it, once something was said."""
        return next((conversation.id for conversation in await self.chat.catalogue.conversations(self.owner)), None)

    async def keep(self, stored: Store) -> str:
        """Store what is in it like any other conversation, with all its versions, and return the id it has there.

        Raises:
            InputError: nothing was said yet, an answer is still being written, or messages wait.
        """
        here = await self.conversation_id()
        if here is None:
            raise InputError("There is nothing to keep yet. Ask something first.")
        copied = await self._copy_files(stored, frozenset())  # which may take long, and the chat goes on meanwhile
        async with self.chat.handing_over(self.owner, here):
            await self._copy_files(stored, copied)
            whole = await self._store.whole(self.owner, here)
            sent = {part.sha256: part for part in whole.attachments}
            await stored.add_wholes(self.owner, lambda: [_moved(whole)], list(sent.values()))
        return here.removeprefix(TEMPORARY)

    async def _copy_files(self, stored: Store, copied: frozenset[str]) -> frozenset[str]:
        """Store all attached files but those that were copied, also the draft's; return the hashes of all."""
        parts = await self._store.every_attachment(self.owner)
        for part in parts:
            if part.sha256 not in copied:
                data = await self._store.attachment_bytes(self.owner, part.sha256)
                await stored.add_attachment(self.owner, part.name, part.media_type, data)
        return frozenset(part.sha256 for part in parts)

    async def close(self) -> None:
        """Stop what is being written and let go of everything."""
        await self._wired.runs.close()
        await self._wired.trouble.close()
        await self._store.close()


class Temporary:
    """The temporary chats of this process."""

    def __init__(self, stored: Store, wire: Callable[[Store], Wired]) -> None:
        self._stored = stored
        self._wire = wire
        self._rooms: list[Room] = []
        self._opening = 0
        self._closing: set[asyncio.Task[None]] = set()

    @property
    def busy(self) -> bool:
        """Whether any answer is being written in one of them."""
        return any(room.chat.busy for room in self._rooms)

    @property
    def running(self) -> int:
        """How many are."""
        return sum(room.chat.running for room in self._rooms)

    async def open(self, owner: str) -> Room:
        """Return a new, empty one.

        Raises:
            InputError: too many are open.
        """
        if len(self._rooms) + self._opening >= MAX_ROOMS:
            raise InputError(f"{MAX_ROOMS} temporary chats are open already. Close one of them first.")
        self._opening += 1
        try:
            store = await Store.in_memory(most=MAX_MEMORY, most_files=MAX_FILES)
        finally:
            self._opening -= 1
        room = Room(owner, store, self._wire(store))
        self._rooms.append(room)
        return room

    async def keep(self, room: Room) -> str:
        """Store what is in a chat, and return the id of the conversation that it is from then on; see `Room.keep`."""
        kept = await room.keep(self._stored)
        room.chat.changes.ring(room.owner, kept)
        return kept

    def drop(self, room: Room) -> None:
        """Close one, whether or not anybody waits for it; once more does nothing."""
        if room in self._rooms:
            self._rooms.remove(room)
            task = asyncio.create_task(room.close(), name="close a temporary chat", context=contextvars.Context())
            self._closing.add(task)
            task.add_done_callback(self._closing.discard)

    async def holding(self, owner: str, conversation_id: str) -> ChatService:
        """Return the door to a temporary conversation.

        Raises:
            NotFoundError: this owner has none of that id.
        """
        for room in self._rooms:
            if room.owner == owner and await room.conversation_id() == conversation_id:
                return room.chat
        raise NotFoundError("That temporary chat is closed. Begin a new one.")

    async def attachment(self, owner: str, sha256: str) -> tuple[str, bytes] | None:
        """Return the media type of an attached file and what it holds, if a temporary chat of this owner has it."""
        for room in self._rooms:
            if room.owner == owner:
                with suppress(NotFoundError):
                    return await room.chat.attachment(owner, sha256)
        return None

    async def close(self) -> None:
        """Close all of them."""
        for room in list(self._rooms):
            self.drop(room)
        if self._closing:
            await asyncio.wait(self._closing)


def _moved(whole: Whole) -> Whole:
    id = whole.conversation.id.removeprefix(TEMPORARY)
    messages = tuple(replace(message, conversation_id=id) for message in whole.messages)
    runs = tuple(replace(run, conversation_id=id) for run in whole.runs)
    return Whole(replace(whole.conversation, id=id), messages, runs)

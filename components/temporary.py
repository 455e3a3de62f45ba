"""The temporary chat of one tab: opened when it is needed, and gone some time after the person has left it."""

from __future__ import annotations

import asyncio

from services.chat import ChatService
from services.conversation import TEMPORARY
from services.errors import NotFoundError
from services.temporary import Room, Temporary

BLANK = f"{TEMPORARY}new"
"""Stands for a temporary chat in which nothing was said yet, as `None` does for others."""

BACK_S = 30.0
"""For which a chat that was left can be come back to."""

GONE = "That temporary chat is closed, and nothing is left of it."


class TemporaryTab:
    """Which temporary chats a tab holds: the one it shows, and the one it left last."""

    def __init__(self, door: Temporary | None, owner: str) -> None:
        self._door = door
        self._owner = owner
        self._here: Room | None = None
        self._left: Room | None = None
        self._opening = asyncio.Lock()
        self._timer: asyncio.TimerHandle | None = None
        self._closed = False

    async def door(self, *, blank: bool = False) -> ChatService:
        """Return the door to the chat on show; with `blank` to one in which nothing was said.

        Raises:
            InputError: too many are open.
            NotFoundError: the tab is closed, or there are none here.
        """
        async with self._opening:
            if self._door is None:
                raise NotFoundError("Temporary chats are not offered here. Begin a new chat.")
            here = self._here
            if blank and here is not None and await here.conversation_id() is not None and here is self._here:
                self.leave()  # what was begun in it was never shown
            if self._here is None:
                room = await self._door.open(self._owner)
                if self._closed:  # meanwhile, when there was nothing to close yet
                    self._door.drop(room)
                    raise NotFoundError(GONE)
                self._here = room
            return self._here.chat

    async def holding(self, conversation_id: str) -> ChatService:
        """Return the door to a conversation, whether it is on show or was just left.

        Raises:
            NotFoundError: it is closed.
        """
        for room in (self._here, self._left):
            if room is not None and await room.conversation_id() == conversation_id:
                return room.chat
        raise NotFoundError(GONE)

    @property
    def shown(self) -> ChatService | None:
        """The door to the chat on show, once it was needed."""
        return self._here.chat if self._here is not None else None

    def leave(self) -> None:
        """Put the chat on show aside; it is closed a little later, and the one before it now."""
        room, self._here = self._here, None
        if room is not None:
            self._forget()
            self._left = room
            self._timer = asyncio.get_running_loop().call_later(BACK_S, self._forget)

    async def come_back(self) -> str:
        """Show the chat that was left again, and return its conversation.

        Raises:
            NotFoundError: it is closed, or nothing was said in it.
        """
        room = self._left
        here = await room.conversation_id() if room is not None else None
        if room is None or room is not self._left or here is None:
            raise NotFoundError(GONE)
        self._left = None
        self._forget()
        if self._here is not None and self._door is not None:
            self._door.drop(self._here)
        self._here = room
        return here

    async def keep(self) -> str:
        """Store the chat on show, close it, and return its conversation; see `Room.keep`."""
        room = self._here
        if room is None or self._door is None:
            raise NotFoundError("There is nothing to keep yet. Ask something first.")
        kept = await self._door.keep(room)
        if self._here is room:
            self._here = None
        self._door.drop(room)
        return kept

    def close(self) -> None:
        """Close what there is, and what is being opened."""
        self._closed = True
        self._forget()
        if self._here is not None and self._door is not None:
            self._door.drop(self._here)
        self._here = None

    def _forget(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        room, self._left, self._timer = self._left, None, None
        if room is not None and self._door is not None:
            self._door.drop(room)

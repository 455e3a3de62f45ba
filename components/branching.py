"""The tree of the open conversation in one tab, and what a person does with it."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Protocol

from components.notices import Notice, telling
from services.branching import Branching
from services.conversation import Branches, Conversation, Outline, Pruned, Removed


class Tab(Protocol):
    """What is to be known of the tab whose conversation it is."""

    conversation: Conversation | None
    notice: Notice | None

    async def open(self, conversation_id: str | None) -> None:
        """Show a conversation, or a new, empty one for None."""

    async def open_at(self, conversation_id: str, message_id: str) -> None:
        """Show a conversation on the branch that holds a message, and that message."""


class BranchingState:
    """Intents are plain verbs; each does nothing while no conversation is open."""

    def __init__(self, door: Callable[[], Branching], owner: str, tab: Tab) -> None:
        """Take what returns the door to the open conversation."""
        self._door = door
        self._owner = owner
        self._tab = tab

    @property
    def _here(self) -> str | None:
        return self._tab.conversation.id if self._tab.conversation is not None else None

    async def map(self) -> Outline | None:
        """Return all messages of the open conversation; None where there is none, or it cannot be read."""
        if self._here is not None:
            with telling(self._tab):
                return await self._door().map(self._owner, self._here)
        return None

    async def branches(self, one: str, other: str) -> Branches | None:
        """Return two branches from where they part; None where they cannot be read."""
        if self._here is not None:
            with telling(self._tab):
                return await self._door().branches(self._owner, self._here, one, other)
        return None

    async def go(self, message_id: str) -> None:
        """Show a message, on whichever branch it is."""
        if self._here is not None:
            await self._tab.open_at(self._here, message_id)

    async def prune(self, message_id: str) -> None:
        """Take a message and all below it out of the conversation, with an undo in the notice."""
        if self._here is None:
            return
        with telling(self._tab):
            door = self._door()  # also for the undo: what is open then may be behind another one
            pruned = await door.prune(self._owner, self._here, message_id)
            if not pruned.count:  # a double click
                return
            await self._reopen(pruned.conversation_id)
            many = "a message" if pruned.count == 1 else f"{pruned.count:,} messages"
            self._tab.notice = Notice(f"Removed {many}.", undo=partial(self._unprune, door, pruned))

    async def removed(self) -> list[Removed]:
        """Return what was taken out of the open conversation and can be brought back, the last first."""
        if self._here is not None:
            with telling(self._tab):
                return await self._door().removed(self._owner, self._here)
        return []

    async def restore(self, message_id: str) -> None:
        """Bring back what was taken out with a message."""
        if self._here is not None:
            await self._unprune(self._door(), Pruned(self._here, message_id, 1))

    async def _unprune(self, door: Branching, pruned: Pruned) -> None:
        with telling(self._tab):
            await door.unprune(self._owner, pruned)
            await self._reopen(pruned.conversation_id)

    async def pick(self, message_id: str) -> None:
        """Put a copy of a message behind the end of the branch on show, with an undo in the notice."""
        here = self._here
        if here is None:
            return
        with telling(self._tab):
            door = self._door()
            copy = await door.pick(self._owner, here, message_id)
            await self._reopen(here)
            self._tab.notice = Notice("Copied to the end of this branch.", undo=partial(self._unpick, door, here, copy))

    async def _unpick(self, door: Branching, conversation_id: str, copy: str) -> None:
        with telling(self._tab):
            await door.prune(self._owner, conversation_id, copy)
            await self._reopen(conversation_id)

    async def _reopen(self, conversation_id: str) -> None:
        """Show the conversation as it is now, unless the person has gone elsewhere."""
        if self._here == conversation_id:
            await self._tab.open(conversation_id)

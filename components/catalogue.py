"""All conversations as one tab lists them, and what a person does with them there."""

from __future__ import annotations

import asyncio
import dataclasses
from datetime import UTC, tzinfo
from functools import partial
from typing import Any, Protocol

import param

from components.notices import Notice, telling
from services.catalogue import Catalogue, Imported
from services.conversation import Conversation, Deleted
from services.exchange import Preview
from services.search import Hit

PAGE = 200
"""Conversations that the list shows at first, and more each time its end is reached."""

HITS = 20
"""Hits of a search that come at once."""


class Tab(Protocol):
    """What the list knows of the tab that it belongs to."""

    conversation: Conversation | None
    notice: Notice | None
    looking: asyncio.Lock
    """Held while it is found out what was done elsewhere."""

    async def open(self, conversation_id: str | None) -> None:
        """Show a conversation, or a new, empty one for None."""


class CatalogueState(param.Parameterized):
    """The list, search, the trash, and files with conversations."""

    conversations: tuple[Conversation, ...] = param.ClassSelector(class_=tuple, default=(), doc="All, last used first.")  # type: ignore[assignment]

    def __init__(self, door: Catalogue, owner: str, tab: Tab, **params: Any) -> None:
        super().__init__(**params)
        self._door = door
        self._owner = owner
        self._tab = tab
        self._asked = self._listed = 0  # number of the last request for the list, and of the one that is shown
        self._limit = PAGE

    async def search(self, typed: str, *, zone: tzinfo = UTC, before: int | None = None) -> tuple[Hit, ...]:
        """Return the next hits of what was typed, `HITS` at most; `before` is the place of the last one known.

        Raises:
            PanelistError: nothing can be searched at the moment, and why.
        """
        return await self._door.search(self._owner, typed, zone=zone, limit=HITS, before=before)

    async def rename(self, conversation_id: str, title: str) -> None:
        """Give a conversation a title of a person's own."""
        with telling(self._tab):
            await self._door.rename(self._owner, conversation_id, title)
            await self.refresh()

    async def delete(self, conversation_id: str) -> None:
        """Take a conversation out of the list, with an undo in the notice."""
        with telling(self._tab):
            known = (*self.conversations, self._tab.conversation)
            gone = next((c for c in known if c is not None and c.id == conversation_id), None)
            async with self._tab.looking:  # a look in between would take it for deleted by somebody else
                await self._door.delete(self._owner, conversation_id)
                here = self._tab.conversation is not None and self._tab.conversation.id == conversation_id
                if here:
                    await self._tab.open(None)
                await self.refresh()
            if gone is not None:
                undo = partial(self.restore, conversation_id, reopen=here)
                self._tab.notice = Notice(f"Deleted “{gone.title}”.", undo=undo)

    async def restore(self, conversation_id: str, *, reopen: bool = False) -> None:
        """Undo `delete`; with `reopen` show the conversation again, unless another one is open by now."""
        with telling(self._tab):
            await self._door.restore(self._owner, conversation_id)
            await self.refresh()
            if reopen and self._tab.conversation is None:
                await self._tab.open(conversation_id)

    async def trash(self) -> tuple[Deleted, ...]:
        """Return what was deleted and can be restored, the last first."""
        with telling(self._tab):
            return await self._door.trash(self._owner)
        return ()

    async def erase(self, conversation_id: str) -> None:
        """Remove a deleted conversation for good."""
        with telling(self._tab):
            await self._door.erase(self._owner, conversation_id)

    async def preview_import(self, word: str) -> Preview:
        """Return what would come in with a file that this server was sent; PanelistError when it cannot be."""
        return await self._door.preview_import(self._owner, word)

    async def import_(self, word: str) -> None:
        """Bring the conversations of such a file in, with an undo in the notice; PanelistError when none came in."""
        imported = await self._door.import_(self._owner, word)
        await self.refresh()
        came = len(imported.added) + len(imported.restored)
        said = f"Imported {came} conversation{'' if came == 1 else 's'}."
        if imported.skipped:
            said = f"{said[:-1]}; {imported.skipped} had come before."
        self._tab.notice = Notice(said, undo=partial(self._undo_import, imported) if came else None)

    async def drop_import(self, word: str) -> None:
        """Have such a file forgotten."""
        await self._door.drop_import(self._owner, word)

    async def _undo_import(self, imported: Imported) -> None:
        with telling(self._tab):
            await self._door.undo_import(self._owner, imported)

    async def show_more(self) -> None:
        """Show older conversations in the list, as far as there are any."""
        if len(self.conversations) >= self._limit:
            self._limit += PAGE
            with telling(self._tab):
                await self.refresh()

    async def refresh(self) -> None:
        """Read the list anew; PanelistError when it cannot be read."""
        self._asked = asked = self._asked + 1
        conversations = await self._door.conversations(self._owner, self._limit)
        if asked < self._listed:
            return  # a later one has overtaken it
        self._listed = asked
        self.conversations = conversations
        here = self._tab.conversation
        listed = next((c for c in conversations if here is not None and c.id == here.id), None)
        if here is not None and listed is not None and here.title != listed.title:
            self._tab.conversation = dataclasses.replace(here, title=listed.title, title_source=listed.title_source)

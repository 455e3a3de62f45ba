"""All conversations as one tab lists them, and what a person does with them there."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime, tzinfo
from functools import partial
from typing import Any, Protocol

import param

from components.notices import Notice, telling
from services.arranging import Archive, Arrangement, Before, Delete, Move, Pin, Tag
from services.catalogue import Catalogue, Imported
from services.conversation import Conversation, Deleted
from services.errors import PanelistError
from services.exchange import Preview
from services.folders import Defaults, Folder, RemovedFolder
from services.listing import Listing, View
from services.search import Hit

NOTHING = Listing((), 0, (), (), ())

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
    """The list and its order, search, the trash, and files with conversations."""

    listing: Listing = param.ClassSelector(class_=Listing, default=NOTHING, doc="What of the list is in view.")  # type: ignore[assignment]

    def __init__(self, door: Catalogue, owner: str, tab: Tab, **params: Any) -> None:
        super().__init__(**params)
        self._door = door
        self._owner = owner
        self._tab = tab
        self._asked = self._listed = 0  # number of the last request for the list, and of the one that is shown
        self.seen = View(midnight=datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0))
        """What of the list the page shows; it says where its days begin."""

    @property
    def conversations(self) -> tuple[Conversation, ...]:
        """The rows in view, from the top."""
        return self.listing.conversations

    async def see(self, seen: View) -> None:
        """Show another part of the list, or another list."""
        if seen != self.seen:
            before, self.seen = self.seen, seen
            try:
                await self.refresh()
            except PanelistError as error:
                self.seen = before  # which is what is still shown
                self._tab.notice = Notice(str(error), "error")

    async def ids(self, first: int, count: int) -> tuple[str, ...]:
        """Return the ids of rows of the list, in view or not, as far as they can be arranged at once."""
        with telling(self._tab):
            return await self._door.listed_ids(self._owner, self.seen, first, count)
        return ()

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
            here = self._tab.conversation
            if here is not None and here.id == conversation_id:
                self._take_title(await self._door.conversation(self._owner, here.id))

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

    async def pin(self, ids: Sequence[str], on: bool = True) -> None:
        """Keep conversations at the top of the list, or not any more."""
        await self._arrange(ids, Pin(on), "Pinned" if on else "Unpinned")

    async def archive(self, ids: Sequence[str], on: bool = True) -> None:
        """Put conversations away from the list, or back into it."""
        await self._arrange(ids, Archive(on), "Archived" if on else "Took out of the archive:")

    async def move(self, ids: Sequence[str], folder_id: str | None) -> None:
        """Put conversations into a folder, or with None out of any."""
        folder = self.folder(folder_id)
        into = f" to “{folder.name}”" if folder else "" if folder_id else " out of the folder"
        await self._arrange(ids, Move(folder_id), "Moved", into)

    async def tag(self, ids: Sequence[str], add: Sequence[str], remove: Sequence[str] = ()) -> None:
        """Put tags on conversations, and take tags off."""
        await self._arrange(ids, Tag(tuple(add), tuple(remove)), "Changed the tags of")

    async def delete_all(self, ids: Sequence[str]) -> None:
        """Take conversations out of the list, with an undo in the notice."""
        async with self._tab.looking:  # a look in between would take the open one for deleted by somebody else
            await self._arrange(ids, Delete(), "Deleted")

    async def _arrange(self, ids: Sequence[str], arrangement: Arrangement, did: str, where: str = "") -> None:
        """Arrange conversations, with an undo in the notice for what was changed."""
        known = {c.id: c for c in (*self.conversations, self._tab.conversation) if c is not None}
        with telling(self._tab):
            before = await self._door.arrange(self._owner, ids, arrangement)
            here = self._tab.conversation
            left = here.id if here and isinstance(arrangement, Delete) and here.id in before.ids else None
            if left is not None:
                await self._tab.open(None)
            await self.refresh()
            if not before.ids:
                self._tab.notice = Notice("Nothing had to be changed: that is so already.")
                return
            one = known.get(before.ids[0]) if len(before.ids) == 1 else None
            count = len(before.ids)
            what = f"“{one.title}”" if one else f"{count:,} conversation{'' if count == 1 else 's'}"
            self._tab.notice = Notice(f"{did} {what}{where}.", undo=partial(self._put_back, before, left))

    async def _put_back(self, before: Before, reopen: str | None) -> None:
        with telling(self._tab):
            await self._door.put_back(self._owner, before)
            await self.refresh()
            if reopen is not None and self._tab.conversation is None:
                await self._tab.open(reopen)

    def folder(self, folder_id: str | None) -> Folder | None:
        """Return a folder that the list knows."""
        return next((folder for folder in self.listing.folders if folder.id == folder_id), None)

    async def defaults(self, folder_id: str) -> Defaults:
        """Return what holds in a folder; PanelistError when it cannot be read."""
        return await self._door.defaults(self._owner, folder_id)

    async def add_folder(self, name: str, parent_id: str | None = None) -> Folder | None:
        """Make a folder and return it, with an undo in the notice; None where that is refused."""
        made: Folder | None = None
        with telling(self._tab):
            made = await self._door.add_folder(self._owner, name, parent_id)
            undo = partial(self._door.remove_folder, self._owner, made.id)
            await self._done(f"Made the folder “{made.name}”.", undo)
        return made

    async def rename_folder(self, folder_id: str, name: str) -> None:
        """Give a folder another name, with an undo in the notice."""
        with telling(self._tab):
            was = await self._door.rename_folder(self._owner, folder_id, name)
            undo = partial(self._door.rename_folder, self._owner, folder_id, was.name)
            await self._done(f"Renamed the folder “{was.name}”.", undo)

    async def move_folder(self, folder_id: str, parent_id: str | None) -> None:
        """Put a folder into another one, or with None at the top, with an undo in the notice."""
        with telling(self._tab):
            was = await self._door.move_folder(self._owner, folder_id, parent_id)
            undo = partial(self._door.move_folder, self._owner, folder_id, was.parent_id)
            await self._done(f"Moved the folder “{was.name}”.", undo)

    async def set_defaults(self, folder_id: str, defaults: Defaults) -> None:
        """Set what holds in a folder, with an undo in the notice."""
        with telling(self._tab):
            was = await self._door.set_defaults(self._owner, folder_id, defaults)
            before = Defaults(was.options, was.system_prompt)
            undo = partial(self._door.set_defaults, self._owner, folder_id, before)
            await self._done(f"Changed the settings of “{was.name}”.", undo)

    async def unfold(self, folder_id: str, unfolded: bool) -> None:
        """Show what is in a folder, or hide it."""
        with telling(self._tab):
            await self._door.unfold(self._owner, folder_id, unfolded)
            await self.refresh()

    async def remove_folder(self, folder_id: str) -> None:
        """Remove a folder, with an undo in the notice; what was in it moves to the one around it."""
        with telling(self._tab):
            removed: RemovedFolder = await self._door.remove_folder(self._owner, folder_id)
            undo = partial(self._door.bring_folder_back, self._owner, removed)
            held = len(removed.conversations) + len(removed.folders)
            kept = " What was in it is still there." if held else ""
            await self._done(f"Removed the folder “{removed.folder.name}”.{kept}", undo)

    async def _done(self, said: str, undo: Callable[[], Awaitable[object]]) -> None:
        """Show what was done with a folder, and say so."""

        async def take_back() -> None:
            with telling(self._tab):
                await undo()
                await self.refresh()

        await self.refresh()
        self._tab.notice = Notice(said, undo=take_back)

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
        with telling(self._tab):  # what came in is in, and can be undone, also where the list cannot be read
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

    async def refresh(self) -> None:
        """Read the list anew; PanelistError when it cannot be read."""
        self._asked = asked = self._asked + 1
        listing = await self._door.listing(self._owner, self.seen)
        if asked < self._listed:
            return  # a later one has overtaken it
        self._listed = asked
        self.listing = listing
        here = self._tab.conversation
        listed = next((c for c in listing.conversations if here is not None and c.id == here.id), None)
        if listed is not None:
            self._take_title(listed)

    async def open_one(self) -> Conversation | None:
        """Return the conversation that is open as it is now, whether or not the list shows it.

        Raises:
            PanelistError: it was deleted, or cannot be read.
        """
        here = self._tab.conversation
        if here is None:
            return None
        listed = next((c for c in self.conversations if c.id == here.id), None)
        found = listed or await self._door.conversation(self._owner, here.id)
        self._take_title(found)
        return found

    def _take_title(self, now: Conversation) -> None:
        here = self._tab.conversation
        if here is not None and here.id == now.id and here.title != now.title:
            self._tab.conversation = dataclasses.replace(here, title=now.title, title_source=now.title_source)

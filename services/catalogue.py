"""The door to an owner's conversations as a whole: the list, its order, search, the trash, and files out and in."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, Callable, Coroutine, Sequence
from dataclasses import replace
from datetime import UTC, tzinfo
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar

from services.arranging import MAX_AT_ONCE, Arrangement, Before, Delete
from services.changes import Changes
from services.conversation import Conversation, Deleted
from services.errors import InputError
from services.folders import Defaults, Folder, RemovedFolder, clean_prompt, folder_name
from services.intents import Intents
from services.listing import MAX_ROWS, Listing, View
from services.messages import clean_text, new_id
from services.runner import RunManager
from services.search import Hit, parse
from services.storage.store import Imported, Store
from services.system_prompts import SystemPrompts

if TYPE_CHECKING:
    from services.exchange import Exchange, Export, Preview
    from services.exporting import Kind
    from services.sharing import Choice

__all__ = ["Catalogue", "Imported"]

T = TypeVar("T")

_RUNG_EACH = 100
"""Conversations that are told one by one to have changed; of more, tabs look at everything."""

IN_TRASH = 500
"""Deleted conversations that are shown at once."""


class Catalogue:
    """An owner's conversations. Every method takes the owner first and sees nothing of anybody else."""

    def __init__(
        self, store: Store, runs: RunManager, intents: Intents, changes: Changes, prompts: SystemPrompts
    ) -> None:
        self._store = store
        self._runs = runs
        self._prompts = prompts
        self._intents = intents
        self._changes = changes
        self._listing: dict[tuple[str, View, int], asyncio.Task[Listing]] = {}
        """Reads of the list that are under way, by owner, view and the version of what the owner was told."""

    @cached_property
    def _exchange(self) -> Exchange:
        from services.exchange import Exchange  # noqa: PLC0415 - takes 0.2 s, which no question has to wait for

        return Exchange(self._store, self._prompts)

    async def conversations(self, owner: str, limit: int = 200) -> tuple[Conversation, ...]:
        """Return the owner's conversations, archived ones too, last used first, at most `limit` of them."""
        return tuple(await self._store.conversations(owner, limit=limit))

    async def conversation(self, owner: str, conversation_id: str) -> Conversation:
        """Return one conversation.

        Raises:
            NotFoundError: there is none of that id for this owner.
        """
        return await self._store.conversation(owner, conversation_id)

    async def listing(self, owner: str, seen: View) -> Listing:
        """Return what of the list somebody sees.

        Tabs that hear of the same change ask at the same moment, and those that see the same get what one read found.
        """
        seen = replace(seen, first=max(0, seen.first), count=max(1, min(seen.count, MAX_ROWS)))
        asked = (owner, seen, self._changes.version(owner))
        if asked not in self._listing:

            async def listed() -> Listing:
                try:
                    return await self._store.listing(owner, seen)
                finally:
                    del self._listing[asked]

            self._listing[asked] = self._intents.begin(listed())
        return await asyncio.shield(self._listing[asked])

    async def listed_ids(self, owner: str, seen: View, first: int, count: int) -> tuple[str, ...]:
        """Return the ids of rows of a list, in view or not; at most as many as can be arranged at once."""
        first, count = max(0, first), max(0, min(count, MAX_AT_ONCE))
        return tuple(await self._store.listed_ids(owner, seen, first, count))

    async def arrange(self, owner: str, conversation_ids: Sequence[str], arrangement: Arrangement) -> Before:
        """Pin, archive, move, tag or delete conversations, all or none; return what `put_back` takes to undo it.

        Those that are not there any more, and those that are so already, are left out. Runs in what is deleted are
        stopped.

        Raises:
            InputError: they are more than `MAX_AT_ONCE`, or one of them would have too many tags.
            NotFoundError: there is no such folder for this owner.
        """
        if len(conversation_ids) > MAX_AT_ONCE:
            raise InputError(f"{MAX_AT_ONCE:,} conversations are the most at once. Choose fewer.")
        return await self._intents.through(self._arrange(owner, conversation_ids, arrangement))

    async def put_back(self, owner: str, before: Before) -> None:
        """Undo `arrange`: what it changed is as it was; once more changes nothing."""
        await self._intents.through(self._put_back(owner, before))

    async def add_folder(self, owner: str, name: str, parent_id: str | None = None) -> Folder:
        """Make a folder, in another one or at the top.

        Raises:
            InputError: the name is blank or too long, there are too many folders, or it would lie too deep.
            NotFoundError: the folder around it is gone.
        """
        folder = Folder(id=new_id(), name=folder_name(name), parent_id=parent_id)
        await self._intents.through(self._changed(owner, folder.id, self._store.add_folder(owner, folder)))
        return folder

    async def rename_folder(self, owner: str, folder_id: str, name: str) -> Folder:
        """Give a folder another name; return it as it was.

        Raises:
            InputError: the name is blank or too long.
            NotFoundError: it is gone.
        """
        name = folder_name(name)
        return await self._change_folder(owner, folder_id, lambda folder: replace(folder, name=name))

    async def move_folder(self, owner: str, folder_id: str, parent_id: str | None) -> Folder:
        """Put a folder into another one, or with None at the top; return it as it was.

        Raises:
            InputError: it would lie in itself, or too deep.
            NotFoundError: it is gone, or the other one is.
        """
        return await self._change_folder(owner, folder_id, lambda folder: replace(folder, parent_id=parent_id))

    async def set_defaults(self, owner: str, folder_id: str, defaults: Defaults) -> Folder:
        """Set what holds in a folder, as far as it says something of its own; return it as it was.

        Conversations that are begun in it get the options; those that are there keep theirs. The system prompt is that
        of whatever folder a conversation is in when it is asked something.

        Raises:
            InputError: the system prompt is too long.
            NotFoundError: the folder is gone.
        """
        prompt = clean_prompt(defaults.system_prompt or "")
        return await self._change_folder(
            owner, folder_id, lambda folder: replace(folder, options=defaults.options, system_prompt=prompt)
        )

    async def unfold(self, owner: str, folder_id: str, unfolded: bool) -> None:
        """Show what is in a folder, or hide it.

        Raises:
            NotFoundError: it is gone.
        """
        await self._change_folder(owner, folder_id, lambda folder: replace(folder, unfolded=unfolded))

    async def remove_folder(self, owner: str, folder_id: str) -> RemovedFolder:
        """Remove a folder; what was in it is in the one around it then. Return what `bring_folder_back` takes.

        Raises:
            NotFoundError: it is gone.
        """
        return await self._intents.through(self._all_changed(self._store.remove_folder(owner, folder_id)))

    async def bring_folder_back(self, owner: str, removed: RemovedFolder) -> None:
        """Undo `remove_folder`, but for what was moved elsewhere since; once more changes nothing."""
        await self._intents.through(self._all_changed(self._store.bring_folder_back(owner, removed)))

    async def defaults(self, owner: str, folder_id: str) -> Defaults:
        """Return what holds in a folder, by itself or by those around it; nothing where it is gone."""
        return await self._store.defaults(owner, folder_id)

    async def search(
        self, owner: str, typed: str, *, zone: tzinfo = UTC, limit: int = 20, before: int | None = None
    ) -> tuple[Hit, ...]:
        """Return the messages and titles in which everything was found that a person typed; see `services.search`.

        Args:
            owner: Whose conversations are searched.
            typed: Anything at all.
            zone: Where days begin.
            limit: How many.
            before: The `place` of the last hit that is known already.
        """
        return tuple(await self._store.search(owner, parse(typed, zone), limit=limit, before=before))

    async def rename(self, owner: str, conversation_id: str, title: str) -> None:
        """Give a conversation a title of a person's own.

        Raises:
            InputError: the title is blank.
        """
        title = " ".join(clean_text(title).split())
        if not title:
            raise InputError("A title needs at least one character.")
        await self._intents.through(
            self._changed(owner, conversation_id, self._store.rename(owner, conversation_id, title, "user"))
        )

    async def delete(self, owner: str, conversation_id: str) -> None:
        """Take a conversation out of the list; `restore` brings it back. A run in it is stopped."""
        await self._intents.through(self._delete(owner, conversation_id))

    async def restore(self, owner: str, conversation_id: str) -> None:
        """Undo `delete`."""
        await self._intents.through(self._changed(owner, conversation_id, self._store.restore(owner, conversation_id)))

    async def trash(self, owner: str) -> tuple[Deleted, ...]:
        """Return the last `IN_TRASH` of what the owner deleted; what is older than `TRASH` is erased before."""
        await self._store.empty_trash()
        return tuple(await self._store.trash(owner, limit=IN_TRASH))

    async def erase(self, owner: str, conversation_id: str) -> None:
        """Remove a deleted conversation for good.

        Raises:
            InputError: its last answer is just being stopped.
            NotFoundError: the owner's trash does not hold it.
        """
        await self._intents.through(self._store.erase(owner, conversation_id))

    async def export(self, owner: str, conversation_ids: Sequence[str] | None, kind: Kind) -> Export:
        """Return conversations, or with None all of them, as a file that is made while it is read.

        Raises:
            NotFoundError: one of them is not there for this owner.
        """
        return await self._exchange.export(owner, conversation_ids, kind)

    async def share(self, owner: str, conversation_id: str, choice: Choice) -> Export:
        """Return the chosen messages of the branch on show as one page, to be given to somebody.

        Raises:
            InputError: none of them is on show.
            NotFoundError: there is no such conversation for this owner.
        """
        return await self._exchange.share(owner, conversation_id, choice)

    async def receive_import(self, owner: str, pieces: AsyncIterable[bytes]) -> str:
        """Take a file with conversations in it and return a word for it; nothing is imported yet.

        Raises:
            InputError: it is too large.
        """
        return await self._exchange.receive(owner, pieces)

    async def preview_import(self, owner: str, word: str) -> Preview:
        """Return what would come in with a file that was received.

        Raises:
            InputError: it cannot be imported, or is not there any more.
        """
        return await self._exchange.preview(owner, word)

    async def import_(self, owner: str, word: str) -> Imported:
        """Store what a file holds, all or nothing; what is there already stays as it is.

        Raises:
            InputError: it cannot be imported, or is not there any more.
        """
        imported = await self._intents.through(self._exchange.import_(owner, word))
        self._changes.ring_all()
        return imported

    async def undo_import(self, owner: str, imported: Imported) -> None:
        """Take out of the list what an import brought into it. Runs in it are stopped."""
        await self._intents.through(self._undo_import(owner, imported))

    async def drop_import(self, owner: str, word: str) -> None:
        """Forget a file that was received."""
        await self._exchange.drop(owner, word)

    async def _undo_import(self, owner: str, imported: Imported) -> None:
        ids = (*imported.added, *imported.restored)
        await self._store.delete_all(owner, ids, folder_ids=imported.folders)
        for id in ids:
            self._stop_runs_in(id)
        self._changes.ring_all()

    async def _delete(self, owner: str, conversation_id: str) -> None:
        await self._store.delete(owner, conversation_id)
        self._stop_runs_in(conversation_id)
        self._changes.ring(owner, conversation_id)

    async def _arrange(self, owner: str, conversation_ids: Sequence[str], arrangement: Arrangement) -> Before:
        before = await self._store.arrange(owner, conversation_ids, arrangement)
        if isinstance(arrangement, Delete):
            for id in before.ids:
                self._stop_runs_in(id)
        self._ring_many(owner, before.ids)
        return before

    async def _put_back(self, owner: str, before: Before) -> None:
        await self._store.put_back(owner, before)
        self._ring_many(owner, before.ids)

    async def _change_folder(self, owner: str, folder_id: str, by: Callable[[Folder], Folder]) -> Folder:
        work = self._store.change_folder(owner, folder_id, by)
        return await self._intents.through(self._changed(owner, folder_id, work))

    async def _changed(self, owner: str, id: str, work: Coroutine[Any, Any, T]) -> T:
        done = await work
        self._changes.ring(owner, id)
        return done

    async def _all_changed(self, work: Coroutine[Any, Any, T]) -> T:
        done = await work
        self._changes.ring_all()
        return done

    def _ring_many(self, owner: str, ids: Sequence[str]) -> None:
        if len(ids) > _RUNG_EACH:
            self._changes.ring_all()
        else:
            for id in ids:
                self._changes.ring(owner, id)

    def _stop_runs_in(self, conversation_id: str) -> None:
        for live in self._runs.live_in(conversation_id):
            self._runs.stop(live.spec.id)

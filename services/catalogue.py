"""The door to an owner's conversations as a whole: the list, its order, search, the trash, and files out and in."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, Coroutine, Sequence
from datetime import UTC, tzinfo
from typing import Any

from services.changes import Changes
from services.conversation import Conversation, Deleted
from services.errors import InputError
from services.exchange import Exchange, Export, Preview
from services.exporting import Kind
from services.intents import Intents
from services.messages import clean_text
from services.runner import RunManager
from services.search import Hit, parse
from services.storage.store import Imported, Store

__all__ = ["Catalogue", "Imported"]


class Catalogue:
    """An owner's conversations. Every method takes the owner first and sees nothing of anybody else."""

    def __init__(self, store: Store, runs: RunManager, exchange: Exchange, intents: Intents, changes: Changes) -> None:
        self._store = store
        self._runs = runs
        self._exchange = exchange
        self._intents = intents
        self._changes = changes
        self._listing: dict[tuple[str, int, int], asyncio.Task[tuple[Conversation, ...]]] = {}
        """Reads of the list that are under way, by owner, limit and the version of what the owner was told."""

    async def conversations(self, owner: str, limit: int = 200) -> tuple[Conversation, ...]:
        """Return the owner's conversations, last used first, at most `limit` of them.

        Tabs that hear of the same change ask at the same moment, and get what one read found.
        """
        asked = (owner, limit, self._changes.version(owner))
        if asked not in self._listing:

            async def listed() -> tuple[Conversation, ...]:
                try:
                    return tuple(await self._store.conversations(owner, limit=limit))
                finally:
                    del self._listing[asked]

            self._listing[asked] = self._intents.begin(listed())
        return await asyncio.shield(self._listing[asked])

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
        """Return what the owner deleted, the last first; what is older than `TRASH` is erased before."""
        await self._store.empty_trash()
        return tuple(await self._store.trash(owner))

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
        """Take out of the list what an import brought into it."""
        await self._store.delete_all(owner, (*imported.added, *imported.restored))
        self._changes.ring_all()

    async def drop_import(self, owner: str, word: str) -> None:
        """Forget a file that was received."""
        await self._exchange.drop(owner, word)

    async def _delete(self, owner: str, conversation_id: str) -> None:
        await self._store.delete(owner, conversation_id)
        live = self._runs.live_in(conversation_id)
        if live is not None:
            self._runs.stop(live.spec.id)
        self._changes.ring(owner, conversation_id)

    async def _changed(self, owner: str, conversation_id: str, work: Coroutine[Any, Any, object]) -> None:
        await work
        self._changes.ring(owner, conversation_id)

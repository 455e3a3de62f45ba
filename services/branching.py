"""The door to a conversation's tree as a whole: its map, branches side by side, copies, and what leaves the tree."""

from __future__ import annotations

from services.changes import Changes
from services.conversation import Branches, Outline, Pruned, Removed
from services.intents import Intents
from services.storage.store import Store


class Branching:
    """The trees of an owner's conversations. Every method takes the owner first and sees nothing of anybody else."""

    def __init__(self, store: Store, intents: Intents, changes: Changes) -> None:
        self._store = store
        self._intents = intents
        self._changes = changes

    async def map(self, owner: str, conversation_id: str) -> Outline:
        """Return what a map of a conversation shows: all its messages, without what they say.

        Raises:
            NotFoundError: there is no such conversation for this owner.
        """
        return await self._store.outline(owner, conversation_id)

    async def branches(self, owner: str, conversation_id: str, one: str, other: str, *, most: int = 20) -> Branches:
        """Return the messages from where two branches part to one message each, at most so many of both.

        Raises:
            NotFoundError: one of the messages is not there for this owner.
        """
        return await self._store.branches(owner, conversation_id, one, other, most=most)

    async def prune(self, owner: str, conversation_id: str, message_id: str) -> Pruned:
        """Take a message and all below it out of the conversation; `unprune` brings them back, for `TRASH`.

        Where they were on show, the nearest branch that stays is shown. Once more does nothing.

        Raises:
            InputError: an answer among them is still being written, or nothing would be left.
            NotFoundError: there is no such message for this owner.
        """
        return await self._intents.through(self._prune(owner, conversation_id, message_id))

    async def unprune(self, owner: str, pruned: Pruned) -> None:
        """Undo `prune`; a branch that was on show is shown again, unless another one was chosen meanwhile.

        Raises:
            InputError: what they followed was removed later.
            NotFoundError: their time was over.
        """
        await self._intents.through(self._unprune(owner, pruned))

    async def removed(self, owner: str, conversation_id: str) -> list[Removed]:
        """Return what was pruned and can be brought back, the last first.

        Raises:
            NotFoundError: there is no such conversation for this owner.
        """
        return await self._store.removed(owner, conversation_id)

    async def pick(self, owner: str, conversation_id: str, message_id: str) -> str:
        """Put a copy of a message of any branch behind the end of the one on show, and return the copy's id.

        It has all that the original has, and says which message that is. A copy that stands there already is enough.

        Raises:
            InputError: it is a question and the branch ends with one, or both are answers, or one is still being
                written.
            NotFoundError: there is no such message for this owner.
        """
        return await self._intents.through(self._pick(owner, conversation_id, message_id))

    async def _prune(self, owner: str, conversation_id: str, message_id: str) -> Pruned:
        async with self._intents.alone_in(conversation_id):
            pruned = await self._store.prune(owner, conversation_id, message_id)
        self._changes.ring(owner, conversation_id)
        return pruned

    async def _unprune(self, owner: str, pruned: Pruned) -> None:
        async with self._intents.alone_in(pruned.conversation_id):
            await self._store.unprune(owner, pruned)
        self._changes.ring(owner, pruned.conversation_id)

    async def _pick(self, owner: str, conversation_id: str, message_id: str) -> str:
        async with self._intents.alone_in(conversation_id):
            copy = await self._store.pick(owner, conversation_id, message_id)
        self._changes.ring(owner, conversation_id)
        return copy

"""Messages that wait for the answer before them, and the sending of each when its time has come."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass

from services.answering import Answering
from services.changes import Changes
from services.conversation import Conversation, Queued
from services.errors import NotFoundError, PanelistError, StorageError
from services.fitting import Asking, Fitting, TooLongError
from services.intents import Intents
from services.messages import ENDED_BY_MODEL, Message
from services.runner import RunLog, RunManager
from services.storage.store import Begun, Store

log = logging.getLogger(__name__)

Sent = tuple[Begun, tuple[Message, ...]]

_AGAIN_S = 1.0
"""After which a waiting message is tried again that storage was in no state for."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """The messages of a conversation that wait for the answer before them."""

    messages: tuple[Queued, ...] = ()
    held: bool = False
    """Whether they wait for a person: the last answer was stopped, cut off or failed, so none is sent by itself."""
    too_long: str | None = None
    """The one that would be too long for the model; they wait for a person because of it."""


class Queueing:
    """Sends what waits at the end of each answer."""

    def __init__(
        self,
        store: Store,
        runs: RunManager,
        answering: Answering,
        intents: Intents,
        changes: Changes,
        fitting: Fitting,
    ) -> None:
        self._fitting = fitting
        self._store = store
        self._runs = runs
        self._answering = answering
        self._intents = intents
        self._changes = changes
        self._too_long: dict[str, str] = {}
        """By conversation: the waiting message whose turn it was when it was too long."""
        self._advancing: dict[str, asyncio.Task[None]] = {}
        """By conversation: sees after the end of an answer whether a message waits."""
        self._hurried: dict[str, str] = {}
        """By conversation: the waiting message that a person wants sent, once the answers have been stopped."""
        self._whole: set[str] = set()
        """Conversations in which an answer was ended by the model, while others beside it are still being written."""

    def waiting(self, conversation_id: str, messages: tuple[Queued, ...]) -> Waiting:
        """Return what storage holds for a conversation as a tab shows it."""
        held = bool(messages) and not self.occupied(conversation_id)
        long = self._too_long.get(conversation_id)
        return Waiting(messages, held, long if held and any(queued.id == long for queued in messages) else None)

    def occupied(self, conversation_id: str) -> bool:
        """Whether an answer is being written, or a waiting message is about to be sent."""
        return bool(self._runs.live_in(conversation_id)) or conversation_id in self._advancing

    async def find(self, owner: str, conversation_id: str, queued_id: str) -> Queued:
        """Return a waiting message.

        Raises:
            NotFoundError: it does not wait any more.
        """
        found = [q for q in await self._store.queue(owner, conversation_id) if q.id == queued_id]
        if not found:
            raise NotFoundError("That message does not wait any more: it was sent or removed.")
        return found[0]

    async def send(self, owner: str, conversation: Conversation, queued: Queued, *, anyway: bool = False) -> Sent:
        """Send a waiting message whose turn it is.

        Raises:
            TooLongError: it would be too long for the model, so it waits on; not with `anyway`.
        """
        here = conversation.id
        if not anyway:
            named = tuple((part.sha256, part.name) for part in queued.attachments)
            asking = Asking(conversation_id=here, text=queued.text, attachments=named, options=conversation.options)
            try:
                await self._fitting.check(owner, asking)
            except TooLongError:
                self._too_long[here] = queued.id
                raise
        self._too_long.pop(here, None)
        return await self._answering.ask_queued(owner, conversation, queued)

    def hurry(self, owner: str, conversation_id: str, queued_id: str) -> None:
        """Stop the answers being written, so that a waiting message is sent at their end, whatever that is."""
        self._hurried[conversation_id] = queued_id
        live = self._runs.live_in(conversation_id)
        for run in live:
            self._runs.stop(run.spec.id)
        if not live and conversation_id not in self._advancing:  # it has ended meanwhile
            self._move_on(owner, conversation_id)

    def on_end(self, run: RunLog) -> None:
        """Send what waits behind an answer that has ended, if that was the model's doing or a person wants it so.

        Of several side by side the last to end decides when, and the one that the conversation goes on with whether.
        """
        here = run.spec.conversation_id
        if run.reply.status in ENDED_BY_MODEL:
            self._whole.add(here)
        if self._runs.live_in(here):
            return
        whole = here in self._whole
        self._whole.discard(here)
        if whole or here in self._hurried:
            self._move_on(run.spec.owner, here)

    def _move_on(self, owner: str, conversation_id: str) -> None:
        task = self._runs.background(self._advance(owner, conversation_id), name=f"next in {conversation_id}")
        if task is not None:
            self._advancing[conversation_id] = task

    async def _advance(self, owner: str, conversation_id: str) -> None:
        """Send the waiting message whose turn it is; one that cannot be sent goes on waiting, for a person."""
        try:
            while True:
                if await self._advanced(owner, conversation_id):
                    break
                await asyncio.sleep(_AGAIN_S)
        except PanelistError as error:
            log.warning("a waiting message of conversation %s was not sent: %s", conversation_id, error)
        finally:
            if self._advancing.get(conversation_id) is asyncio.current_task():
                del self._advancing[conversation_id]
            self._changes.ring(owner, conversation_id)

    async def _advanced(self, owner: str, conversation_id: str) -> bool:
        """Send the next waiting message, if there is one; False when storage failed and it is to be tried again."""
        async with self._intents.alone_in(conversation_id):
            hurried = self._hurried.pop(conversation_id, None)
            try:
                queue = await self._store.queue(owner, conversation_id)
                next_one = next((queued for queued in queue if hurried in {None, queued.id}), None)
                if next_one is not None and not self._runs.live_in(conversation_id):
                    conversation = await self._store.conversation(owner, conversation_id)
                    if hurried is None and not await self._ended_by_model(owner, conversation):
                        return True
                    await self.send(owner, conversation, next_one)
            except StorageError as error:
                log.warning("a waiting message of conversation %s waits on: %s", conversation_id, error)
                if hurried is not None:
                    self._hurried.setdefault(conversation_id, hurried)
                return False
        return True

    async def _ended_by_model(self, owner: str, conversation: Conversation) -> bool:
        """Whether the answer that the conversation goes on with was ended by the model, and not cut off."""
        if conversation.head_id is None:
            return True
        head = await self._store.message(owner, conversation.id, conversation.head_id)
        return head.status in ENDED_BY_MODEL

"""The door to how long a conversation is for a model, and to what makes it shorter when it is too long."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from services.changes import Changes
from services.connect import Connections
from services.errors import Failure, InputError, ModelError, PanelistError
from services.estimates import Estimate, Shortening
from services.intents import Intents
from services.messages import Memory
from services.storage.store import Store
from services.summarising import Progress, Summarising, Tell
from services.weighing import Asking, Weighed, Weighing
from services.windows import Windows

__all__ = ["Asking", "Choices", "Fitting", "Progress", "Shortened", "TooLongError", "too_long"]

log = logging.getLogger(__name__)

_LARGER = 8
"""Models that are named for a conversation that is too long."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Choices:
    """What can be done with a conversation that is too long."""

    estimate: Estimate
    trim: int = 0
    """Messages that would be left out; 0 where that is not enough or there are none."""
    summarise: int = 0
    """Messages that a summary would stand for, likewise."""
    larger: tuple[tuple[str, str, int], ...] = ()
    """Endpoint, model and window of models that would take it, the smallest first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shortened:
    """A conversation whose beginning is not told any more, or is again, and what is needed to take that back."""

    conversation_id: str
    message_id: str
    count: int
    """How many messages that concerns."""
    memory: Memory | None
    before: Memory | None


class TooLongError(ModelError):
    """What is about to be asked is more than its model takes. Nothing was asked, and nothing stored."""

    def __init__(self, asking: Asking, found: Estimate) -> None:
        next_step = "Choose a larger model, or make the conversation shorter."
        super().__init__(
            Failure(
                kind="too_long",
                message=f"{too_long(found)} {next_step}",
                next_step="choose_model",
                tokens=found.total,
                window=found.window,
            )
        )
        self.asking = asking


def too_long(found: Estimate) -> str:
    """Return in a sentence by how much a request is too long."""
    say = f"This would be about {found.total:,} tokens"
    if found.window is not None:
        say += f", and {found.model or 'the model'} takes {found.window:,}"
        if found.total < found.window:
            say += f": less than {found.room:,} would be left for the answer"
    return f"{say}."


class Fitting:
    """How long conversations are. Every method takes the owner first and sees nothing of anybody else."""

    def __init__(
        self,
        store: Store,
        connections: Connections,
        weighing: Weighing,
        summarising: Summarising,
        windows: Windows,
        intents: Intents,
        changes: Changes,
    ) -> None:
        self._store = store
        self._connections = connections
        self._weighing = weighing
        self._summarising = summarising
        self._windows = windows
        self._intents = intents
        self._changes = changes

    async def estimate(self, owner: str, asking: Asking) -> Estimate:
        """Return about how many tokens would be sent, and for how much; see `Weighing.weigh`."""
        return (await self._weighing.weigh(owner, asking)).estimate

    async def check(self, owner: str, asking: Asking) -> None:
        """Do nothing where a question fits, as far as that is known.

        Raises:
            TooLongError: it does not.
        """
        try:
            if await self._weighing.surely_fits(owner, asking):
                return
            found = (await self._weighing.weigh(owner, asking)).estimate
        except PanelistError as error:  # whoever asks is told of it, if it matters for that
            log.info("it could not be measured how long a question is: %s", error)
            return
        if found.over:
            raise TooLongError(asking, found)

    async def choices(self, owner: str, asking: Asking, models: Sequence[tuple[str, str]] = ()) -> Choices:
        """Return what could be done so that a question is not too long; `models` are those that could answer instead.

        Raises:
            PanelistError: as `Weighing.weigh`.
        """
        weighed = await self._weighing.weigh(owner, asking)
        trim, summarise = weighed.trim(), weighed.summarise()
        return Choices(
            estimate=weighed.estimate,
            trim=trim.left_out if trim else 0,
            summarise=summarise.left_out if summarise else 0,
            larger=await asyncio.to_thread(self._larger, weighed, models),
        )

    async def trim(self, owner: str, asking: Asking) -> Shortened:
        """Leave the oldest messages out of what the model is told, as many as that takes; `undo` takes it back.

        Raises:
            InputError: nothing can be left out, or that is not enough.
            PanelistError: as `Weighing.weigh`.
        """
        weighed = await self._weighing.weigh(owner, asking)
        where = _possible(weighed.trim(), weighed)
        return await self._remember(owner, weighed, where, Memory(at=datetime.now(UTC)))

    async def summarise(self, owner: str, asking: Asking, tell: Tell = lambda _: None) -> Shortened:
        """Have the model write a summary of the beginning, which it is told instead from then on; `undo` takes it back.

        `tell` is told how far it has come. Whoever cancels this closes the stream to the model, and changes nothing.

        Raises:
            InputError: nothing can be summarised, or that is not enough.
            ModelError: the model wrote no summary, and why.
            PanelistError: as `Weighing.weigh`.
        """
        weighed = await self._weighing.weigh(owner, asking)
        where = _possible(weighed.summarise(), weighed)
        summary = await self._summarising.summary(owner, weighed, where, tell)
        memory = Memory(summary=summary, model=weighed.model, at=datetime.now(UTC))
        return await self._remember(owner, weighed, where, memory)

    async def tell_all(self, owner: str, conversation_id: str, message_id: str) -> Shortened:
        """Let the model be told again what is above: the message and all before it; `undo` takes that back.

        Raises:
            NotFoundError: there is no such message for this owner.
        """
        path = await self._store.path(owner, conversation_id, message_id)
        return await self._intents.through(
            self._set(owner, conversation_id, Shortening(message_id, len(path)), None, None)
        )

    async def undo(self, owner: str, shortened: Shortened) -> None:
        """Take back what was done, unless something else was done there since."""
        where = Shortening(shortened.message_id, shortened.count)
        await self._intents.through(self._set(owner, shortened.conversation_id, where, shortened.before, shortened))

    def _larger(self, weighed: Weighed, models: Sequence[tuple[str, str]]) -> tuple[tuple[str, str, int], ...]:
        found: list[tuple[str, str, int]] = []
        here = weighed.estimate
        for name, model in models:
            if not self._connections.knows(name) or (name, model) == (weighed.endpoint.name, weighed.model):
                continue
            window = self._windows.of(self._connections.get(name), model)
            if window is not None and here.total + here.room <= window and window > (here.window or 0):
                found.append((name, model, window))
        return tuple(sorted(found, key=lambda one: one[2])[:_LARGER])

    async def _remember(self, owner: str, weighed: Weighed, where: Shortening, memory: Memory) -> Shortened:
        here = weighed.path[0].conversation_id
        return await self._intents.through(self._set(owner, here, where, memory, None))

    async def _set(
        self, owner: str, conversation_id: str, where: Shortening, memory: Memory | None, only: Shortened | None
    ) -> Shortened:
        """Set what is told instead of a message and all before it; with `only`, unless that was changed since then."""
        async with self._intents.alone_in(conversation_id):
            if only is not None:
                now = (await self._store.message(owner, conversation_id, where.message_id)).memory
                if now != only.memory:
                    return replace(only, before=now)
            before = await self._store.remember(owner, conversation_id, where.message_id, memory)
        self._changes.ring(owner, conversation_id)
        return Shortened(
            conversation_id=conversation_id,
            message_id=where.message_id,
            count=where.left_out,
            memory=memory,
            before=before,
        )


def _possible(where: Shortening | None, weighed: Weighed) -> Shortening:
    if where is None:
        window = weighed.estimate.window
        takes = f", which takes {window:,} tokens" if window is not None else ""
        raise InputError(f"The question alone is too long for the model{takes}. Shorten it, or choose a larger one.")
    return where

"""The door to what steps make of complete answers: it is kept beside the answer, and shown or not."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING

from services.changes import Changes
from services.errors import InputError, PanelistError
from services.intents import Intents
from services.messages import Message, Processed, TextPart
from services.options import Options
from services.storage.store import Store

if TYPE_CHECKING:
    from services.post import Step

log = logging.getLogger(__name__)

_THREADS = ThreadPoolExecutor(2, "post")
"""Its own: steps of the operator's may take seconds, and must not keep anything else waiting."""


class Processing:
    """What is made of an owner's answers. Every method takes the owner first and sees nothing of anybody else."""

    def __init__(self, names: Sequence[str], store: Store, intents: Intents, changes: Changes) -> None:
        """Take the names of the steps that answers go through where a conversation says nothing."""
        self.names = tuple(names)
        self._store = store
        self._intents = intents
        self._changes = changes

    async def steps(self) -> tuple[Step, ...]:
        """Return all steps there are, those that cannot be used among them."""
        return await asyncio.get_running_loop().run_in_executor(_THREADS, _steps)

    def names_of(self, options: Options | None) -> tuple[str, ...]:
        """Return the names of the steps that an answer goes through which was asked with these options."""
        return self.names if options is None or options.post is None else options.post

    def prepare(self, options: Options | None) -> None:
        """Load what the steps need, while the answer is still being written."""
        if names := self.names_of(options):
            _THREADS.submit(_prepare, names)

    async def run(self, owner: str, conversation_id: str, message_id: str) -> None:
        """Run the steps that a complete answer was asked with, and keep what they make of it.

        Whatever goes wrong, the answer stays as it came.
        """
        try:
            message = await self._store.message(owner, conversation_id, message_id)
            names = self.names_of(message.options)
            if message.status != "complete" or not names:
                return
            made = await asyncio.get_running_loop().run_in_executor(_THREADS, processed, message, names)
            if made is not None:
                await self._store.set_processed(owner, conversation_id, message_id, lambda _: made)
        except PanelistError as error:
            log.warning("an answer of conversation %s stays as it came: %s", conversation_id, error)

    async def show(self, owner: str, conversation_id: str, message_id: str, *, raw: bool) -> None:
        """Show an answer as it came, or as the steps made it; that is also what is copied, exported and sent on.

        Raises:
            InputError: nothing was made of it.
            NotFoundError: there is no such message for this owner.
        """
        await self._intents.through(self._show(owner, conversation_id, message_id, raw))

    async def _show(self, owner: str, conversation_id: str, message_id: str, raw: bool) -> None:
        def by(message: Message) -> Processed:
            if message.processed is None:
                raise InputError("This answer is shown as it came.")
            return replace(message.processed, shown=not raw)

        async with self._intents.alone_in(conversation_id):
            await self._store.set_processed(owner, conversation_id, message_id, by)
        self._changes.ring(owner, conversation_id)


def processed(message: Message, names: Sequence[str]) -> Processed | None:
    """Return what these steps make of an answer; None where they change nothing and have nothing to say.

    Takes as long as they do: for a thread.
    """
    from services.post import run  # noqa: PLC0415 - see below

    done = [run(part.text, names) for part in message.parts if isinstance(part, TextPart)]
    changed = tuple(name for name in names if any(name in one.changed_by for one in done))
    problems = tuple(dict.fromkeys(problem for one in done for problem in one.problems))
    if not changed and not problems:
        return None
    return Processed(tuple(one.text for one in done), changed, problems)


def _steps() -> tuple[Step, ...]:
    from services.post import steps  # noqa: PLC0415 - Markdown's parsers, which no question has to wait for

    return steps()


def _prepare(names: Sequence[str]) -> None:
    from services.post import prepare  # noqa: PLC0415 - likewise

    prepare(names)

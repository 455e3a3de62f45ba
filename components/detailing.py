"""How the answers of the open conversation were written, as one tab asks for it."""

from __future__ import annotations

from collections.abc import Callable

from components.branching import Tab
from components.notices import telling
from services.conversation import Difference
from services.details import AnswerDetails, Details, Rebuilt
from services.errors import NotFoundError
from services.options import Options


class DetailsState:
    """Intents are plain verbs; each does nothing while no conversation is open."""

    def __init__(self, door: Callable[[], Details], owner: str, tab: Tab) -> None:
        """Take what returns the door to the open conversation."""
        self._door = door
        self._owner = owner
        self._tab = tab

    async def of(self, message_id: str) -> AnswerDetails | None:
        """Return how an answer was written; None where that cannot be read, which a notice says."""
        here = self._tab.conversation
        if here is not None:
            with telling(self._tab):
                return await self._door().of(self._owner, here.id, message_id)
        return None

    async def differences(self, one: str, other: str) -> tuple[Difference, ...]:
        """Return what differs in how two answers were asked for; nothing where that cannot be read."""
        here = self._tab.conversation
        if here is not None:
            with telling(self._tab):
                return await self._door().differences(self._owner, here.id, one, other)
        return ()

    async def options(self, message_id: str, run_id: str) -> Options | None:
        """Return the options that ask for an answer as a run did; None where a notice says that they cannot be told."""
        here = self._tab.conversation
        if here is not None:
            with telling(self._tab):
                return await self._door().options(self._owner, here.id, message_id, run_id)
        return None

    async def request(self, message_id: str, run_id: str) -> Rebuilt:
        """Return what a run of an answer asked, made again.

        Raises:
            PanelistError: that is not known, or cannot be made any more; the sentence says why.
        """
        here = self._tab.conversation
        if here is None:
            raise NotFoundError("That conversation is not open any more.")
        return await self._door().request(self._owner, here.id, message_id, run_id)

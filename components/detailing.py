"""How the answers of the open conversation were written, as one tab asks for it."""

from __future__ import annotations

from collections.abc import Callable

from components.branching import Tab
from components.notices import telling
from services.details import AnswerDetails, Details


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

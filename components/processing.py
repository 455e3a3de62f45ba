"""What is made of the open conversation's complete answers, as one tab shows and changes it."""

from __future__ import annotations

from collections.abc import Callable

from components.branching import Tab
from components.notices import telling
from services.post import Step
from services.processing import Processing


class ProcessingState:
    """Intents are plain verbs."""

    def __init__(self, door: Callable[[], Processing], owner: str, tab: Tab) -> None:
        """Take what returns the door to the open conversation."""
        self._door = door
        self._owner = owner
        self._tab = tab

    @property
    def names(self) -> tuple[str, ...]:
        """The steps that answers go through where a conversation says nothing of them."""
        return self._door().names

    async def steps(self) -> tuple[Step, ...]:
        """Return all steps there are."""
        return await self._door().steps()

    async def show(self, message_id: str, *, raw: bool) -> None:
        """Show an answer as it came, or as the steps made it; does nothing while no conversation is open."""
        here = self._tab.conversation
        if here is not None:
            with telling(self._tab):
                await self._door().show(self._owner, here.id, message_id, raw=raw)
                await self._tab.open(here.id)

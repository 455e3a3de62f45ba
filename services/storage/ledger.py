"""What requests measured and what may be spent, behind methods that take the owner first."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from services.measures import Measured
from services.spending import Budget, Hold, Period, Refused, Standing
from services.statistics import Costly, Selection, Stats
from services.storage import requests, tallies
from services.storage.engine import Database


class Ledger:
    """The money side of a store. Every method raises `StorageError` as the store's do."""

    def __init__(self, database: Database, now: Callable[[], datetime]) -> None:
        self._database = database
        self._now = now

    async def append(self, owner: str, measured: Measured) -> None:
        """Keep what a request measured; the same one again changes nothing."""
        await self._database.write(requests.append, owner, measured)

    async def stats(self, owner: str, selection: Selection) -> Stats:
        """Return what the owner's requests of a selection come to."""
        return await self._database.read(tallies.stats, owner, selection)

    async def costly(self, owner: str, selection: Selection, limit: int) -> list[Costly]:
        """Return the conversations that cost the most, temporary chats as one of them; the dearest first."""
        return await self._database.read(tallies.costly, owner, selection, limit)

    async def page(self, owner: str, selection: Selection, after: Measured | None, limit: int) -> list[Measured]:
        """Return the next requests of a selection in the order of their times, behind one that was read before."""
        return await self._database.read(requests.page, owner, selection, after, limit)

    async def reserve(self, owner: str, run_id: str, conversation_id: str | None, hold: Hold) -> Refused | None:
        """Reserve what a run could cost at most, or say which budget has no room for it.

        For a run of another store, or one of which nobody knows whether its beginning reserved that already.
        """
        return await self._database.write(requests.reserve, owner, run_id, conversation_id, hold, self._now())

    async def settle(self, owner: str, run_id: str, measured: Measured | None) -> None:
        """Put what a run of another store cost in the place of what was reserved for it; once more changes nothing."""
        await self._database.write(requests.settle, owner, run_id, measured)

    async def standings(
        self, owner: str, period: Period, conversation_id: str | None = None, endpoint: str | None = None
    ) -> list[Standing]:
        """Return how much is used of the owner's budgets: those of all conversations, and of this one.

        Without an endpoint, of every endpoint that has one.
        """
        return await self._database.read(requests.standings, owner, period, conversation_id, endpoint)

    async def budgets(self, owner: str) -> list[Budget]:
        """Return the owner's budgets."""
        return await self._database.read(requests.every, owner)

    async def put_budget(self, owner: str, budget: Budget) -> None:
        """Set a budget, in the place of what there was for the same."""
        await self._database.write(requests.put_budget, owner, budget)

    async def remove_budget(self, owner: str, budget: Budget) -> None:
        """Remove what was set for the same as a budget is."""
        await self._database.write(requests.remove_budget, owner, budget)

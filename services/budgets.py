"""Budgets that hold: what a run could cost is reserved with its beginning, and a mark that was passed is told."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from services import prices
from services.changes import Changes
from services.endpoints import Endpoint
from services.errors import StorageError
from services.measures import Measured
from services.options import Options
from services.parameters import offered
from services.spending import Budget, Hold, Period, Standing, crossed, warning
from services.storage.ledger import Ledger
from services.usage import Usage

log = logging.getLogger(__name__)

ANSWER_TOKENS = 16_000
"""What an answer is cut off at where a budget holds and nobody chose: without an end its price would have none."""


@dataclass(frozen=True, slots=True)
class Warned:
    """A mark that was passed."""

    number: int
    """Grows with each."""
    sentence: str


class Budgets:
    """The budgets of all owners, and what is reserved of them."""

    def __init__(
        self, ledger: Ledger, changes: Changes, now: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self.ledger = ledger
        self._changes = changes
        self._now = now
        self._set: dict[str, list[Budget]] = {}
        self._warned: dict[str, Warned] = {}

    async def of(self, owner: str) -> list[Budget]:
        """Return the owner's budgets."""
        if owner not in self._set:  # one process writes them
            self._set[owner] = await self.ledger.budgets(owner)
        return self._set[owner]

    async def standings(self, owner: str, conversation_id: str | None = None) -> list[Standing]:
        """Return how much is used of the budgets of all conversations, and of those of this one."""
        if not await self.of(owner):
            return []
        return await self.ledger.standings(owner, Period.of(self._now()), conversation_id)

    async def put(self, owner: str, budget: Budget) -> None:
        """Set a budget, in the place of what there was for the same."""
        await self.ledger.put_budget(owner, budget)
        self._set.pop(owner, None)

    async def remove(self, owner: str, budget: Budget) -> None:
        """Remove a budget."""
        await self.ledger.remove_budget(owner, budget)
        self._set.pop(owner, None)

    def warned(self, owner: str) -> Warned | None:
        """Return the last mark that was passed since the process began; the owner's changes ring when one is."""
        return self._warned.get(owner)

    async def hold(
        self,
        owner: str,
        endpoint: Endpoint,
        model: str,
        options: Options,
        given: int,
        *,
        beyond: bool = False,
    ) -> tuple[Hold | None, Options]:
        """Return what a run could cost at most, and the options that see to it; no hold where no budget is set.

        It sends about so many tokens as are `given`, see `services.metering`.
        An answer that nobody cut off is at `ANSWER_TOKENS`. A model whose price nobody knows cannot be held back.
        """
        if not await self.of(owner):
            return None, options
        tokens = options.max_output_tokens or ANSWER_TOKENS
        now = self._now()
        used = Usage(input=given, output=tokens)
        if prices.in_list(endpoint):
            await asyncio.to_thread(prices.load)
        worst = prices.price_of(used, endpoint, model, at=now, service_tier=options.service_tier)
        if not worst:
            return None, options
        if any(parameter.name == "max_output_tokens" for parameter in offered(endpoint)):
            options = replace(options, max_output_tokens=tokens)
        hold = Hold(worst=worst, endpoint=endpoint.name, input_tokens=given, period=Period.of(now), beyond=beyond)
        return hold, options

    async def look(self, owner: str, measured: Measured | None, conversation_id: str | None) -> None:
        """Tell the owner of the marks that were passed with what a request cost."""
        if not measured or not measured.price:
            return
        try:
            if not await self.of(owner):
                return
            period = Period.of(self._now())
            found = await self.ledger.standings(owner, period, conversation_id, measured.endpoint)
        except StorageError as error:
            log.warning("budgets were not looked at: %s", error)
            return
        for standing in found:
            budget = standing.budget
            before = (standing.spent - measured.price) * 100 // budget.amount if budget.amount else 0
            mark = crossed(before, standing)
            if mark is not None:
                number = self._warned[owner].number + 1 if owner in self._warned else 1
                self._warned[owner] = Warned(number, warning(standing, mark))
                self._changes.ring(owner, conversation_id or "")

"""Requests beside answers: held by budgets, measured and settled like these, but written into no message."""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator
from contextlib import aclosing

from services.budgets import Budgets
from services.errors import StorageError
from services.events import Reply, RunEvent, RunFinished
from services.loop import Deadlines, run_loop
from services.measures import RequestKind
from services.messages import new_id
from services.metering import Meter, input_tokens, measured_by
from services.options import Options
from services.providers.base import ModelRequest, Provider
from services.runner import RunManager

log = logging.getLogger(__name__)


class Asides:
    """Makes them."""

    def __init__(self, provider: Provider, runs: RunManager, budgets: Budgets) -> None:
        self._provider = provider
        self._runs = runs
        self._budgets = budgets

    async def ask(
        self,
        owner: str,
        kind: RequestKind,
        conversation_id: str | None,
        request: ModelRequest,
        deadlines: Deadlines,
        *,
        most: int,
    ) -> AsyncGenerator[RunEvent, None]:
        """Yield the events of a request, as `run_loop` does; whoever has enough of it closes this.

        Args:
            owner: Who pays.
            kind: What it is for.
            conversation_id: What it is about; None of a temporary chat.
            request: What is asked.
            deadlines: For how long.
            most: Tokens that it could come to, thoughts included.
        """
        run_id = new_id()
        asked = Options(max_output_tokens=most)
        hold, _ = await self._budgets.hold(owner, request.endpoint, request.model, asked, input_tokens(request))
        refused = None if hold is None else await self._budgets.ledger.reserve(owner, run_id, conversation_id, hold)
        if refused is not None:
            yield RunFinished("failed", refused.failure)
            return
        meter, reply = Meter(kind, conversation_id), Reply()
        meter.sends(request)
        try:
            async with aclosing(run_loop(self._provider, request, deadlines)) as events:
                async for event in events:
                    meter.note(event)
                    reply.apply(event)
                    yield event
        finally:
            self._runs.background(self._settle(owner, run_id, meter, reply), name=f"measure a {kind}")

    async def _settle(self, owner: str, run_id: str, meter: Meter, reply: Reply) -> None:
        """Keep what a request measured, also where somebody did not wait for its end."""
        if reply.status == "streaming":
            reply.apply(RunFinished("stopped"))
        measured = await measured_by(meter, reply, meter.elapsed_s)
        try:
            await self._budgets.ledger.settle(owner, run_id, measured)
        except StorageError as error:
            log.warning("what a request cost was not kept: %s", error)
        if measured is not None:
            self._runs.observers.tell(meter.observed(owner, measured))

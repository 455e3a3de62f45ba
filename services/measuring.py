"""The door to what was measured: what requests come to, and the table of them as a file."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from services.statistics import EVERYTHING, Costly, Instead, Selection, Stats, day_of, has_price, instead
from services.storage.ledger import Ledger

if TYPE_CHECKING:
    from services.endpoints import Endpoint
    from services.exchange import Export
    from services.sheets import Sheet, SheetKind

ROWS_AT_ONCE = 5_000
"""Requests that are in memory while a file of them is made."""


class Measuring:
    """What was measured of an owner's requests. Every method takes the owner first and sees nothing of anybody else.

    None of them needs a page, nor that anything can be written.
    """

    def __init__(self, ledger: Ledger, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._ledger = ledger
        self._now = now

    async def stats(self, owner: str, selection: Selection = EVERYTHING) -> Stats:
        """Return what the requests of a selection come to: sums, errors and times, by day and by model.

        Raises:
            StorageError: it cannot be read.
        """
        return await self._ledger.stats(owner, selection)

    async def costly(self, owner: str, selection: Selection = EVERYTHING, limit: int = 20) -> list[Costly]:
        """Return the conversations that cost the most in a selection, the dearest first.

        Raises:
            StorageError: it cannot be read.
        """
        return await self._ledger.costly(owner, selection, limit)

    async def instead(self, stats: Stats, endpoint: Endpoint, model: str) -> Instead:
        """Return what the requests of a selection would have cost on another model; unknown stays unknown."""
        return await asyncio.to_thread(instead, stats, endpoint, model)

    async def priced(self, models: Iterable[tuple[Endpoint, str]]) -> list[tuple[Endpoint, str]]:
        """Return those of some models that have a known price."""
        now = self._now()
        return await asyncio.to_thread(lambda: [one for one in models if has_price(*one, now)])

    async def export(self, owner: str, kind: SheetKind, selection: Selection = EVERYTHING) -> Export:
        """Return the table of the requests of a selection as a file that is made while it is read.

        Raises:
            InputError: what makes such a file is not installed.
        """
        from services.exchange import Export  # noqa: PLC0415 - comes with all that renders
        from services.sheets import MEDIA_TYPES, sheet  # noqa: PLC0415

        made = await asyncio.to_thread(sheet, kind)
        name = f"panelist-requests-{day_of(self._now())}.{kind}"
        return Export(name, MEDIA_TYPES[kind], self._pieces(owner, made, selection))

    async def _pieces(self, owner: str, made: Sheet, selection: Selection) -> AsyncIterator[bytes]:
        last = None
        while some := await self._ledger.page(owner, selection, last, ROWS_AT_ONCE):
            yield await asyncio.to_thread(made.rows, some)
            last = some[-1]
        yield await asyncio.to_thread(made.end)

"""What is wrong with storage, in a sentence, for as long as it is."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Awaitable, Callable

from services.errors import StorageError

CHECK_S = 1.0


class StorageTrouble:
    """Gathers what fails; while storage fails it is tried again and again, so that the end is noticed too.

    Nothing is tried while all is well: a healthy disk is left alone.
    """

    def __init__(self, check: Callable[[], Awaitable[None]]) -> None:
        """Take what reads and writes something, and raises StorageError when it cannot."""
        self._check = check
        self._reports: dict[str, str] = {}
        self._checking: asyncio.Task[None] | None = None
        self.on_change: Callable[[], None] = lambda: None

    @property
    def sentence(self) -> str | None:
        return next(iter(self._reports.values()), None)

    def report(self, source: str, error: StorageError | None) -> None:
        """Take in how the last try of `source` ended; it stays as it is until the next."""
        before = self.sentence
        if error is None:
            self._reports.pop(source, None)
        else:
            self._reports[source] = str(error)
        if self.sentence != before:
            self.on_change()

    def suspect(self) -> None:
        """Find out whether something that failed was storage itself, and when it works again."""
        if self._checking is None or self._checking.done():
            self._checking = asyncio.create_task(self._watch(), name="check storage", context=contextvars.Context())

    async def close(self) -> None:
        """End the checks."""
        if self._checking is not None:
            self._checking.cancel()
            await asyncio.gather(self._checking, return_exceptions=True)

    async def _watch(self) -> None:
        while True:
            try:
                await self._check()
            except StorageError as error:
                self.report("check", error)
                await asyncio.sleep(CHECK_S)
            else:
                self.report("check", None)
                return

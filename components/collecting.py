"""When the interpreter looks for what nobody needs any more.

A full collection looks at every object there is and stops everything meanwhile: 0.1 s, and as much again for each 40
open pages. The interpreter begins one whenever a quarter more has come, and Panel whenever a page has gone. So what a
page is made of is set aside once it is there (`gc.freeze`, which takes no time), and looked at again only after many
pages have gone, in a moment in which no answer is being written.
"""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable

from panel.io import document

ENOUGH_GONE, MOST_GONE = 20, 200
"""Pages, of half a megabyte each: how many must be gone to be worth a stop, and may wait for a good moment."""
CALM_S = 5.0
"""Seconds from the end of the last of them, or the last look, to the next look whether it is a good moment."""
LONG_S = 900.0
"""Seconds after which fewer pages are worth it, too."""


class Collecting:
    """Sets aside what stays, and collects what pages leave behind. One for the process."""

    def __init__(self) -> None:
        self.is_busy: Callable[[], bool] = lambda: False
        """Whether somebody would notice a stop of a tenth of a second."""
        self._gone = 0
        self._waiting: asyncio.TimerHandle | None = None

    def page_came(self) -> None:
        """Set aside all that there is now; what is young and dead already is found first, at little cost."""
        gc.collect(1)
        gc.freeze()

    def page_went(self) -> None:
        """Collect what it and others leave behind, in a good moment."""
        self._gone += 1
        if self._waiting is None:
            self._wait(LONG_S)
        if self._gone == ENOUGH_GONE:
            self._wait(CALM_S)

    def _wait(self, seconds: float) -> None:
        if self._waiting is not None:
            self._waiting.cancel()
        self._waiting = asyncio.get_running_loop().call_later(seconds, self._look)

    def _look(self) -> None:
        if self.is_busy() and self._gone < MOST_GONE:
            self._wait(CALM_S)
            return
        self._waiting = None
        self._gone = 0
        gc.unfreeze()
        gc.collect()
        gc.freeze()


process = Collecting()


def install() -> None:
    """Have it done like this from now on, and not by Panel."""
    setattr(document, "_garbage_collect", lambda: None)  # noqa: B010 - Panel looks it up under this name

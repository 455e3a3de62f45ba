"""How often what flows is looked at: a token on its own costs as much as ten of them together."""

from __future__ import annotations

import asyncio

LEAST_S = 0.06
"""Seconds between two looks while there is little to do: 16 pictures a second read as one movement."""
THIN_S = 0.08
"""The same where only a few words came, as from a model that writes as fast as people read."""
MOST_S = 0.13
"""While there is more to do than the event loop can; what is shown is then late by this and some."""
_RARELY = 5
"""Times as long as a rest grew, where nobody waits for what is looked at."""
_WEIGHT = 0.1
"""Of the newest look in the average of how late they are."""
_MOST_LATE_S = 1.0
"""Seconds that one look may count as late: a machine that slept says nothing about how busy it is."""
_PATIENCE = 3.0
"""Seconds of rest for each second that looks are late."""


class Pace:
    """The rest between two looks at what flows, one for the process: all of them together are what it has to do.

    A look that comes late says that the event loop is busy, so that all rest longer and gather more in one piece.
    """

    def __init__(self) -> None:
        self._late_s = 0.0

    @property
    def rest_s(self) -> float:
        """Seconds that a rest takes now."""
        return min(MOST_S, LEAST_S + _PATIENCE * self._late_s)

    @property
    def aside_s(self) -> float:
        """Seconds to wait now with a look that nobody waits for, as that at what happens elsewhere."""
        return LEAST_S + _RARELY * (self.rest_s - LEAST_S)

    async def rest(self, since: float | None = None, *, thin: bool = False) -> None:
        """Wait until it is time for the next look. `thin`: the last one found little.

        `since`: when the last one began, by the loop's clock, where its own time is to be part of the rest. Whoever
        looks at what another one gathers does so, or would look ever later behind it.
        """
        now = asyncio.get_running_loop().time
        rest_s = max(self.rest_s, THIN_S) if thin else self.rest_s
        due = max(now(), (now() if since is None else since) + rest_s)
        await asyncio.sleep(due - now())
        late_s = min(_MOST_LATE_S, max(0.0, now() - due))
        self._late_s += _WEIGHT * (late_s - self._late_s)

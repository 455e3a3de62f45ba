"""Tells whoever shows something that it changed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass, field

_REMEMBERED = 1_000
"""Changed conversations of an owner that are told apart; who missed more is told that anything may have changed."""


@dataclass(slots=True)
class _Bell:
    rung: dict[str, int] = field(default_factory=dict)
    """Number of each conversation's last ring, the newest at the end."""
    forgotten: int = 0
    """Number of the newest ring that is not in it any more."""
    last: int = 0


class Changes:
    """Tells whoever listens which of an owner's conversations changed; what changed, they look up themselves."""

    def __init__(self) -> None:
        self._bells: dict[str, _Bell] = {}
        self._count = self._all = 0
        self._rung = asyncio.Event()

    def ring(self, owner: str, conversation_id: str) -> None:
        """Tell the owner's listeners."""
        self._count += 1
        bell = self._bells.setdefault(owner, _Bell())
        bell.rung.pop(conversation_id, None)
        bell.rung[conversation_id] = bell.last = self._count
        if len(bell.rung) > _REMEMBERED:
            bell.forgotten = bell.rung.pop(next(iter(bell.rung)))
        self._wake()

    def ring_all(self) -> None:
        """Tell every listener, of whatever owner, that anything may have changed."""
        self._count += 1
        self._all = self._count
        self._wake()

    def version(self, owner: str) -> int:
        """Return a number that grows with every change that the owner is told of."""
        return max(self._all, self._bells[owner].last if owner in self._bells else 0)

    def listen(self, owner: str, wait_s: Callable[[], float] = lambda: 0.0) -> AsyncGenerator[frozenset[str] | None]:
        """Yield the conversations that changed, from this call on; None when it may be any.

        Changes while the listener was busy, and within `wait_s` after the first, come together.
        """
        return self._listen(owner, self.version(owner), wait_s)

    async def _listen(
        self, owner: str, seen: int, wait_s: Callable[[], float]
    ) -> AsyncGenerator[frozenset[str] | None]:
        while True:
            rung = self._rung
            if self.version(owner) == seen:
                await rung.wait()
                continue
            await asyncio.sleep(wait_s())
            changed, seen = self._since(owner, seen), self.version(owner)
            yield changed

    def _since(self, owner: str, seen: int) -> frozenset[str] | None:
        bell = self._bells.get(owner, _Bell())
        if self._all > seen or bell.forgotten > seen:
            return None
        return frozenset(id for id, number in bell.rung.items() if number > seen)

    def _wake(self) -> None:
        rung, self._rung = self._rung, asyncio.Event()
        rung.set()

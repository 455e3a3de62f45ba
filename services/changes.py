"""Tells whoever shows something that it changed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator


class Changes:
    """Tells whoever listens that an owner's conversations changed; what changed, they look up themselves."""

    def __init__(self) -> None:
        self._versions: dict[str, int] = {}
        self._all = 0
        self._bell = asyncio.Event()

    def ring(self, owner: str) -> None:
        """Tell the owner's listeners."""
        self._versions[owner] = self._versions.get(owner, 0) + 1
        self._wake()

    def ring_all(self) -> None:
        """Tell every listener, of whatever owner."""
        self._all += 1
        self._wake()

    def _wake(self) -> None:
        bell, self._bell = self._bell, asyncio.Event()
        bell.set()

    def _version(self, owner: str) -> tuple[int, int]:
        return self._versions.get(owner, 0), self._all

    def listen(self, owner: str) -> AsyncGenerator[None, None]:
        """Yield once per change from this call on; several while the listener was busy are one."""
        return self._listen(owner, self._version(owner))

    async def _listen(self, owner: str, seen: tuple[int, int]) -> AsyncGenerator[None, None]:
        while True:
            bell = self._bell
            if (now := self._version(owner)) != seen:
                seen = now
                yield
            else:
                await bell.wait()

"""Connections to endpoints, kept open between requests for as long as their key is one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar


class _Closable(Protocol):
    async def close(self) -> None: ...


Client = TypeVar("Client", bound=_Closable)


@dataclass(eq=False)
class _Held(Generic[Client]):
    client: Client
    requests: int = 0


class Pool(Generic[Client]):
    """Clients by base URL and key. One whose key is gone is closed behind the last request that it serves."""

    def __init__(self, holds: Callable[[str, str], bool]) -> None:
        """Ask `holds` whether a base URL can still come with a key."""
        self._holds = holds
        self._held: dict[tuple[str, str], _Held[Client]] = {}
        self._closing: set[asyncio.Task[None]] = set()

    def has(self, base_url: str, key: str) -> bool:
        """Whether there is a client for them."""
        return (base_url, key) in self._held

    @asynccontextmanager
    async def lent(self, base_url: str, key: str, make: Callable[[], Awaitable[Client]]) -> AsyncIterator[Client]:
        """Lend the client for them, made if there is none, for one request."""
        name = (base_url, key)
        if name not in self._held:
            client = await make()
            if name in self._held:  # another first call was faster
                self._close(client)
            else:
                self._held[name] = _Held(client)
        held = self._held[name]
        held.requests += 1
        self._sweep()
        try:
            yield held.client
        finally:
            held.requests -= 1
            self._sweep()

    async def close(self) -> None:
        """Close every client, whatever it is doing."""
        clients = [held.client for held in self._held.values()]
        self._held.clear()
        for client in clients:
            self._close(client)
        await asyncio.gather(*self._closing)

    def _sweep(self) -> None:
        gone = [name for name, held in self._held.items() if not held.requests and not self._holds(*name)]
        for name in gone:
            self._close(self._held.pop(name).client)

    def _close(self, client: Client) -> None:
        task = asyncio.create_task(client.close(), name="close a client")
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)

"""Carries through what people ask for, one thing at a time in each conversation."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Coroutine
from contextlib import asynccontextmanager
from typing import Any, TypeVar
from weakref import WeakValueDictionary

from services.errors import InputError

T = TypeVar("T")


class Intents:
    """What was asked for and is being done."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[Any]] = set()
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._refusal: str | None = None

    def __bool__(self) -> bool:
        """Return whether anything is being done at the moment."""
        return bool(self._tasks)

    @asynccontextmanager
    async def alone_in(self, conversation_id: str) -> AsyncGenerator[None, None]:
        """Let one thing at a time begin in a conversation; what comes meanwhile waits for its end.

        Raises:
            InputError: nothing begins any more; see `refuse`.
        """
        lock = self._locks.setdefault(conversation_id, asyncio.Lock())
        async with lock:
            if self._refusal is not None:
                raise InputError(self._refusal)
            yield

    def refuse(self, why: str) -> None:
        """Let nothing begin any more in any conversation, not even what waits already; `why` is a sentence."""
        self._refusal = why

    async def through(self, work: Coroutine[Any, Any, T]) -> T:
        """Carry an intent through although its sender may leave: what storage holds is then always worked on."""
        return await asyncio.shield(self.begin(work))

    def begin(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """Do something whether or not anybody waits for it."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._carried)
        return task

    def _carried(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            task.exception()  # a sender who left is told of no refusal, and the log neither

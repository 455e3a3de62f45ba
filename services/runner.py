"""Runs belong to the process: closing a tab never ends one; its own end, *Stop* and the end of the process do."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine
from contextlib import aclosing
from dataclasses import dataclass, field

from services.errors import Failure, ModelError, StorageError
from services.events import Numbered, ReasoningDelta, Reply, RunEvent, RunFinished, TextDelta, is_delta
from services.loop import Deadlines, run_loop
from services.providers.base import ModelRequest, Provider
from services.storage.store import Store

log = logging.getLogger(__name__)

FLUSH_S = 0.25
FLUSH_CHARS = 2_000
_STORAGE_RETRY_S = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSpec:
    """A run that storage already knows and that is about to begin."""

    id: str
    owner: str
    conversation_id: str
    message_id: str
    """The answer that the run writes."""
    prepare: Callable[[], Awaitable[ModelRequest]]
    """Builds the request; called inside the run, so that what it waits for never delays the question."""


@dataclass(eq=False)
class RunLog:
    """A run's events in memory, numbered, with the fold of them. Readers hold a cursor, never a queue."""

    spec: RunSpec
    events: list[Numbered] = field(default_factory=list)
    reply: Reply = field(default_factory=Reply)
    first_token_s: float | None = None
    ending: bool = False
    """Its end is being stored: too late to stop it."""
    _more: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def finished(self) -> bool:
        return self.reply.status != "streaming"

    def append(self, event: RunEvent) -> Numbered:
        """Give the event the next number and wake whoever waits for it."""
        assert not self.finished, "nothing happens after the end of a run"
        numbered = Numbered(len(self.events) + 1, event)
        self.events.append(numbered)
        self.reply.apply(event)
        self._more.set()
        return numbered

    async def follow(self, after: int) -> AsyncGenerator[list[Numbered], None]:
        """Yield all events with a number above `after`: at once what there is, then what comes, until the end.

        A reader that is slow gets more in one piece; it delays nobody.
        """
        while True:
            if after < len(self.events):
                batch = self.events[after:]
                after = len(self.events)
                yield batch
            elif self.finished:
                return
            else:
                self._more.clear()  # one thread, and no await since the check: no event can slip between
                await self._more.wait()


class RunManager:
    """Starts, stops and remembers runs, and writes their events down as they come."""

    def __init__(self, store: Store, provider: Provider, deadlines: Deadlines) -> None:
        self._store = store
        self._provider = provider
        self._deadlines = deadlines
        self._logs: dict[str, RunLog] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._others: set[asyncio.Task[None]] = set()
        self._pending: dict[str, list[Numbered]] = {}
        self._pending_chars = 0
        self._dirty = asyncio.Event()
        self._flush_now = asyncio.Event()
        self._flusher: asyncio.Task[None] | None = None
        self._closing = False

    def start(self, spec: RunSpec, on_end: Callable[[RunLog], None]) -> None:
        """Start a run that storage already holds. `on_end` is called once, when its end is stored."""
        if self._closing:
            raise StorageError("Panelist is shutting down; send again when it is back.")
        run = RunLog(spec)
        self._logs[spec.id] = run
        if self._flusher is None or self._flusher.done():
            self._flusher = asyncio.create_task(self._flush_loop(), name="flush", context=contextvars.Context())
        # A fresh context: a run must not hold on to the page that started it.
        self._tasks[spec.id] = asyncio.create_task(
            self._run(run, on_end), name=f"run {spec.id}", context=contextvars.Context()
        )

    def stop(self, run_id: str) -> None:
        """End a run as *stopped*, closing its stream. One that has ended already stays as it is."""
        run = self._logs.get(run_id)
        if run is not None and not run.ending:
            self._tasks[run_id].cancel("stop")

    def log_of(self, run_id: str) -> RunLog | None:
        """Return the log of a run that is being worked on, else None."""
        return self._logs.get(run_id)

    def live_in(self, conversation_id: str) -> RunLog | None:
        """Return the run that is writing an answer in the conversation, if there is one."""
        return next((run for run in self._logs.values() if run.spec.conversation_id == conversation_id), None)

    def background(self, work: Coroutine[object, object, None], name: str) -> None:
        """Run something that nobody waits for, with an owner and a strong reference."""
        task = asyncio.create_task(work, name=name, context=contextvars.Context())
        self._others.add(task)
        task.add_done_callback(self._others.discard)

    async def close(self) -> None:
        """Take no more runs, end the ones that are writing as *interrupted*, and store everything."""
        self._closing = True
        writing = [self._tasks[run_id] for run_id, run in self._logs.items() if not run.ending]
        for task in (*writing, *self._others):
            task.cancel("close")
        await asyncio.gather(*self._tasks.values(), *self._others, return_exceptions=True)
        if self._flusher is not None:
            self._flusher.cancel()
            await asyncio.gather(self._flusher, return_exceptions=True)

    async def _run(self, run: RunLog, on_end: Callable[[RunLog], None]) -> None:
        now = asyncio.get_running_loop().time
        started = now()
        try:
            end = await self._work(run, started)
        except asyncio.CancelledError as cancelled:
            end = self._ending_of(cancelled)
        except Exception as error:  # the last wall: whatever went wrong, the question and what came are kept
            log.exception("run %s failed in an unforeseen way", run.spec.id)
            message = f"Something unforeseen went wrong in Panelist ({type(error).__name__}); its log says more."
            began = bool(run.reply.parts)
            failure = Failure(kind="unexpected", message=message, next_step="retry")
            end = RunFinished("interrupted" if began else "failed", failure)
        run.ending = True
        await self._end(run, end, now() - started)
        on_end(run)

    async def _work(self, run: RunLog, started: float) -> RunFinished:
        try:
            request = await run.spec.prepare()
        except ModelError as error:
            return RunFinished("failed", error.failure)
        async with aclosing(run_loop(self._provider, request, self._deadlines)) as events:
            async for event in events:
                if isinstance(event, RunFinished):
                    return event
                if run.first_token_s is None and is_delta(event):
                    run.first_token_s = asyncio.get_running_loop().time() - started
                self._record(run, event)
        raise AssertionError("run_loop ended without RunFinished")

    @staticmethod
    def _ending_of(cancelled: asyncio.CancelledError) -> RunFinished:
        if cancelled.args == ("stop",):
            return RunFinished("stopped")
        message = "Panelist was shut down while this answer was being written."
        return RunFinished("interrupted", Failure(kind="unexpected", message=message, next_step="retry"))

    def _record(self, run: RunLog, event: RunEvent) -> None:
        numbered = run.append(event)
        self._pending.setdefault(run.spec.id, []).append(numbered)
        self._pending_chars += len(event.text) if isinstance(event, TextDelta | ReasoningDelta) else 0
        self._dirty.set()
        if self._pending_chars >= FLUSH_CHARS or not is_delta(event):
            self._flush_now.set()

    async def _end(self, run: RunLog, end: RunFinished, total_s: float) -> None:
        """Store the whole answer, then tell everybody. What cannot be stored is shown all the same, and said so."""
        run_id = run.spec.id
        self._pending.pop(run_id, None)  # the final message holds it all
        final = Reply()
        for numbered in run.events:
            final.apply(numbered.event)
        final.apply(end)
        try:
            await self._store.finish_run(run_id, reply=final, first_token_s=run.first_token_s, total_s=total_s)
        except StorageError as error:
            log.error("the answer of run %s could not be stored: %s", run_id, error)
            message = f"This answer is not saved yet: {error} Copy it before you leave."
            end = RunFinished(end.status, Failure(kind="storage", message=message, next_step="none"))
        run.append(end)
        del self._logs[run_id]
        del self._tasks[run_id]

    async def _flush_loop(self) -> None:
        """Write what is pending of all runs in one transaction, at most four times a second unless a boundary asks."""
        while True:
            await self._dirty.wait()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(FLUSH_S):
                    await self._flush_now.wait()
            self._dirty.clear()
            self._flush_now.clear()
            batch, self._pending, self._pending_chars = self._pending, {}, 0
            if not batch:
                continue
            try:
                await self._store.append_many(batch)
            except StorageError as error:
                log.error("events could not be stored and wait: %s", error)
                for run_id, events in batch.items():
                    if run_id in self._logs:
                        self._pending[run_id] = events + self._pending.get(run_id, [])
                        self._dirty.set()
                await asyncio.sleep(_STORAGE_RETRY_S)

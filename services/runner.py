"""Runs belong to the process: closing a tab never ends one; its own end, *Stop* and the end of the process do."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine
from contextlib import aclosing
from dataclasses import dataclass, field

from services.errors import Failure, ModelError, NotFoundError, StorageError
from services.events import (
    Completing,
    ModelNamed,
    Numbered,
    ReasoningDelta,
    Reply,
    RequestSent,
    RetryScheduled,
    RunEvent,
    RunFinished,
    StepStarted,
    TextDelta,
    is_delta,
)
from services.loop import Deadlines, run_loop
from services.measures import Measured
from services.metering import Meter, measured_by
from services.observing import Observers
from services.providers.base import ModelRequest, Provider
from services.recipes import Recipe
from services.retries import EndpointHealth
from services.storage.ledger import Ledger
from services.storage.store import Store
from services.trouble import StorageTrouble

log = logging.getLogger(__name__)

FLUSH_S = 0.25
FLUSH_CHARS = 2_000
_BEGINNINGS = (StepStarted, RequestSent, ModelNamed)
_STORAGE_RETRY_S = 1.0
_QUIET_S = 0.3
"""For which nothing is said of what follows a complete answer."""
_NOT_STORED = "An answer could not be stored, for a reason that Panelist does not know; its log says more."


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSpec:
    """A run that storage already knows and that is about to begin."""

    id: str
    owner: str
    conversation_id: str
    message_id: str
    """The answer that the run writes."""
    prepare: Callable[[], Awaitable[tuple[ModelRequest, Recipe]]]
    """Builds the request and says with what; called inside the run, so that what it waits for delays no question."""
    measured_as: str | None = None
    """The conversation's id in what is kept of the request; None where nothing is to lead back to it."""
    complete: Callable[[], Awaitable[None]] | None = None
    """What is to be done with a complete answer once it is stored, before its end is told; may be cancelled."""


@dataclass(eq=False)
class RunLog:
    """A run's events in memory, numbered, with the fold of them. Readers hold a cursor, never a queue."""

    spec: RunSpec
    meter: Meter
    events: list[Numbered] = field(default_factory=list)
    reply: Reply = field(default_factory=Reply)
    working: bool = False
    """Its task is at the model call, where it can be cancelled: neither not begun nor storing its end."""
    completing: bool = False
    """Its task is at what follows a complete answer, where it can be cancelled, too."""
    stop_asked: bool = False
    recipe: Recipe | None = None
    """What it asks with, once that is known."""
    measured: Measured | None = None
    """What is kept of it, once it has ended."""
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

    def __init__(
        self,
        store: Store,
        provider: Provider,
        deadlines: Deadlines,
        tries: int,
        trouble: StorageTrouble,
        ledger: Ledger | None = None,
        observers: Observers | None = None,
    ) -> None:
        """Keep answers in `store`, and what they measured in `ledger`: the store's own unless given."""
        self.observers = observers or Observers()
        """Told of each request once it is kept, or cannot be."""
        self._store = store
        self._ledger = ledger or store.ledger
        self._trouble = trouble
        self._provider = provider
        self.deadlines = deadlines
        self._tries = tries
        self._health = EndpointHealth()
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
        run = RunLog(spec, Meter("chat", spec.measured_as))
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
        if run is None or run.stop_asked:
            return
        run.stop_asked = True
        if (
            run.working or run.completing
        ):  # else its task sees the wish when it begins; a cancelled task that never ran would leave it open
            self._tasks[run_id].cancel()

    @property
    def closing(self) -> bool:
        """Whether the process is about to end, so that no run can begin any more."""
        return self._closing

    @property
    def busy(self) -> bool:
        """Whether any run is being worked on."""
        return bool(self._logs)

    @property
    def running(self) -> int:
        """How many are."""
        return len(self._logs)

    def refuse(self) -> None:
        """Take no more runs: the process is about to end."""
        self._closing = True

    def check_open(self) -> None:
        """Raise StorageError when no run can begin any more; asked before a question is stored for one."""
        if self._closing:
            raise StorageError("Panelist is shutting down; send again when it is back.")

    def log_of(self, run_id: str) -> RunLog | None:
        """Return the log of a run that is being worked on, else None."""
        return self._logs.get(run_id)

    def live_in(self, conversation_id: str) -> tuple[RunLog, ...]:
        """Return the runs that are writing answers in the conversation: none, one, or as many as stand side by side."""
        return tuple(run for run in self._logs.values() if run.spec.conversation_id == conversation_id)

    def background(self, work: Coroutine[object, object, None], name: str) -> asyncio.Task[None] | None:
        """Run something that nobody waits for, with an owner and a strong reference; None while shutting down."""
        if self._closing:
            work.close()
            return None
        task = asyncio.create_task(work, name=name, context=contextvars.Context())
        self._others.add(task)
        task.add_done_callback(self._others.discard)
        return task

    async def close(self) -> None:
        """Take no more runs, end the ones that are writing as *interrupted*, and store everything."""
        self.refuse()
        writing = [self._tasks[run_id] for run_id, run in self._logs.items() if run.working or run.completing]
        for task in (*writing, *self._others):
            task.cancel()
        await asyncio.gather(*self._tasks.values(), *self._others, return_exceptions=True)
        if self._flusher is not None:
            self._flusher.cancel()
            await asyncio.gather(self._flusher, return_exceptions=True)

    async def _run(self, run: RunLog, on_end: Callable[[RunLog], None]) -> None:
        run.working = True
        try:
            if run.stop_asked:
                end = RunFinished("stopped")
            elif self._closing:
                end = _shut_down()
            else:
                end = await self._work(run)
        except asyncio.CancelledError:
            end = self._ending_of(run)
        except Exception as error:  # the last wall: whatever went wrong, the question and what came are kept
            log.exception("run %s failed in an unforeseen way", run.spec.id)
            message = f"Something unforeseen went wrong in Panelist ({type(error).__name__}); its log says more."
            began = bool(run.reply.parts)
            failure = Failure(kind="unexpected", message=message, next_step="retry")
            end = RunFinished("interrupted" if began else "failed", failure)
        run.working = False
        try:
            try:
                await self._store_end(run, end)
            finally:
                if run.measured is not None:
                    self.observers.tell(run.meter.observed(run.spec.owner, run.measured))
            if end.status == "complete" and run.spec.complete is not None and not self._closing:
                await self._complete(run, run.spec.complete())
        finally:
            self._pending.pop(run.spec.id, None)
            run.append(end)
            del self._logs[run.spec.id]
            del self._tasks[run.spec.id]
            on_end(run)

    @staticmethod
    async def _complete(run: RunLog, work: Awaitable[None]) -> None:
        """Do what follows a complete answer, and say so if it takes a while. To stop it leaves the answer as it is."""
        run.completing = True
        task = asyncio.ensure_future(work)
        try:
            done, _ = await asyncio.wait([task], timeout=_QUIET_S)
            if not done:
                run.append(Completing())
            await task
        except asyncio.CancelledError:
            task.cancel()
        except Exception:  # the answer is stored, and stays as it is
            log.exception("what follows the answer of run %s failed", run.spec.id)
        finally:
            run.completing = False

    async def _work(self, run: RunLog) -> RunFinished:
        try:
            request, run.recipe = await run.spec.prepare()
        except ModelError as error:
            return RunFinished("failed", error.failure)
        except StorageError as error:
            return RunFinished("failed", Failure(kind="storage", message=str(error), next_step="retry"))
        except NotFoundError:  # the conversation was deleted before the model could be asked
            return RunFinished("stopped")
        run.meter.sends(request)
        loop = run_loop(self._provider, request, self.deadlines, health=self._health, tries=self._tries)
        async with aclosing(loop) as events:
            async for event in events:
                if isinstance(event, RunFinished):
                    return event
                run.meter.note(event)
                self._record(run, event)
        raise AssertionError("run_loop ended without RunFinished")

    @staticmethod
    def _ending_of(run: RunLog) -> RunFinished:
        """Say how a run ends that was cancelled."""
        last = run.events[-1].event if run.events else None
        if isinstance(last, RetryScheduled):  # it waited for the next try: the last one decides
            return RunFinished("failed", last.failure)
        return RunFinished("stopped") if run.stop_asked else _shut_down()

    def _record(self, run: RunLog, event: RunEvent) -> None:
        numbered = run.append(event)
        self._pending.setdefault(run.spec.id, []).append(numbered)
        self._pending_chars += len(event.text) if isinstance(event, TextDelta | ReasoningDelta) else 0
        self._dirty.set()
        if self._pending_chars >= FLUSH_CHARS or not (is_delta(event) or isinstance(event, _BEGINNINGS)):
            self._flush_now.set()  # what a call begins with says nothing that is lost, and the first word comes next

    async def _store_end(self, run: RunLog, end: RunFinished) -> None:
        """Store the whole answer. While that fails it stays in memory and on the page, and is tried again."""
        final = Reply()
        for numbered in run.events:
            final.apply(numbered.event)
        final.apply(end)
        total_s = run.meter.elapsed_s
        measured = run.measured = await measured_by(run.meter, final, total_s)
        events = [numbered for numbered in run.events if not is_delta(numbered.event)]
        together = self._ledger is self._store.ledger
        while True:
            try:
                if not together:  # first, as whoever sees the end stored takes the run for over
                    await self._ledger.settle(run.spec.owner, run.spec.id, measured)
                await self._store.finish_run(
                    run.spec.id,
                    reply=final,
                    first_token_s=run.meter.first_token_s,
                    total_s=total_s,
                    events=events,
                    recipe=run.recipe,
                    measured=measured if together else None,
                )
            except Exception as error:  # whatever it is, the answer is not stored, and giving up would lose it
                log.exception("the answer of run %s could not be stored yet", run.spec.id)
                told = error if isinstance(error, StorageError) else StorageError(_NOT_STORED)
                self._trouble.report(run.spec.id, told)
                if self._closing:
                    return
                await asyncio.sleep(_STORAGE_RETRY_S)
            else:
                self._trouble.report(run.spec.id, None)
                return

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
            begun = {
                run_id: run.recipe
                for run_id, events in batch.items()
                if events[0].seq == 1 and (run := self._logs.get(run_id)) is not None and run.recipe is not None
            }
            try:
                await self._store.append_many(batch, begun)
            except (
                Exception
            ) as error:  # whatever it is, what waits must not be lost, and later runs must be written down
                log.error("events could not be stored and wait: %s", error)
                for run_id, events in batch.items():
                    if run_id in self._logs:
                        self._pending[run_id] = events + self._pending.get(run_id, [])
                        self._dirty.set()
                await asyncio.sleep(_STORAGE_RETRY_S)


def _shut_down() -> RunFinished:
    message = "Panelist was shut down while this answer was being written."
    return RunFinished("interrupted", Failure(kind="unexpected", message=message, next_step="retry"))

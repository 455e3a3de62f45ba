"""A Panelist without chance: when storage answers and how time passes is drawn, and the same draw is the same life.

Its event loop never waits for a clock. When it has nothing left to do, either storage takes one step or time jumps to
the next timer. So a test can let a process live for any number of such moments, and have it die between two of them.
"""

from __future__ import annotations

import asyncio
import random
import selectors
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, cast

from services.errors import StorageError
from services.events import StepFinished
from services.keys import KeyRing
from services.runtime import Runtime, _wire
from services.settings import read_settings
from services.storage.store import Store
from tests.scripted import ScriptedProvider, Step, refusal

CALM_S = 3.0
"""Longer than anything in Panelist waits before it tries again; shorter than its patience with a model here."""
MOST_MOMENTS = 5_000
"""After so many it is not at work any more but going in circles."""
HANGS_S = 20.0
ENVIRON = {
    "OPENAI_BASE_URL": "http://127.0.0.1:9/v1",
    "PANELIST_TITLES": "off",
    "PANELIST_TRIES": "1",
    "PANELIST_FIRST_TOKEN_S": "50000",
    "PANELIST_STALL_S": "50000",
    "PANELIST_RUN_S": "50000",
}


class _Idle(selectors.DefaultSelector):
    """Asks what is to happen next where other loops wait."""

    rest: Callable[[float | None], None]
    real = 0
    """How many things are going on in threads; only these are waited for."""

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is not None and timeout <= 0:
            return super().select(0)
        if self.real:
            found = super().select(HANGS_S)
            assert found, "storage hangs"
            return found
        self.rest(timeout)
        return []


class Loop(asyncio.SelectorEventLoop):
    """An event loop that lives for as many moments as it is told to."""

    def __init__(self, chance: random.Random) -> None:
        self.chance = chance
        self.disk: Disk | None = None
        self.unforeseen: list[str] = []
        self._idle = _Idle()
        self._idle.rest = self._rest
        self._now = self._until = 0.0
        self._moments = 0
        super().__init__(self._idle)
        self.set_exception_handler(lambda _, context: self.unforeseen.append(str(context)))

    def time(self) -> float:
        return self._now

    def live(self, moments: int | None = None) -> None:
        """Go on for some moments, or until nothing more happens by itself."""
        self._moments = MOST_MOMENTS if moments is None else moments
        self._until = self._now + CALM_S
        self.run_forever()
        assert moments is not None or self._moments, "it does not come to rest"

    def really(self, work: Coroutine[Any, Any, Any]) -> Any:
        """Do something with threads in it, as if it took no time."""
        self._idle.real += 1
        try:
            return self.run_until_complete(work)
        finally:
            self._idle.real -= 1

    def begin(self, work: Awaitable[Any], then: Callable[[asyncio.Future[Any]], None]) -> None:
        """Have storage do something. Nothing else happens meanwhile."""

        def done(task: asyncio.Future[Any]) -> None:
            self._idle.real -= 1
            task.exception()  # whoever asked may be dead by now
            then(task)

        self._idle.real += 1
        asyncio.ensure_future(work, loop=self).add_done_callback(done)

    def end(self) -> None:
        """End whatever is left, as the end of a process does: nothing of it is carried out any more."""
        for _ in range(100):
            tasks = asyncio.all_tasks(self)
            if not tasks:
                return
            for task in tasks:
                task.cancel()
            self.live(10)
        raise AssertionError(f"these cannot be ended: {asyncio.all_tasks(self)}")

    def _rest(self, timeout: float | None) -> None:
        due = timeout is not None and self._now + timeout <= self._until
        busy = self.disk is not None and self.disk.busy
        if not self._moments or not (due or busy):
            self.stop()
            return
        self._moments -= 1
        if self.disk is not None and busy and not (due and self.chance.random() < 0.1):
            self.disk.step()
        else:
            self._now += timeout or 0.0


@dataclass(eq=False)
class Job:
    """A call of the store, which is carried out at one moment and answered at another."""

    name: str
    call: Callable[[], Awaitable[Any]]
    answer: asyncio.Future[Any]
    haste: float
    """How likely it is to be the next that something happens to."""
    result: asyncio.Future[Any] | None = None

    @property
    def reads(self) -> bool:
        return self.name in READS


READS = {
    *("conversations", "conversation", "listing", "message", "path", "snapshot", "versions", "newest_leaf"),
    *("outline", "branches", "queue", "events", "run", "written", "budgets", "standings"),
    "sightings",
    *("stats", "costly", "page", "count_queued"),
    *("counted", "alert_rules", "latest_alerts", "standing_alerts", "alert_owners", "alert_hook"),
}


class Disk:
    """The store as its callers see it. Writes are carried out and answered in order; reads overtake each other."""

    def __init__(self, store: Store, loop: Loop) -> None:
        self._store = store
        self._loop = loop
        self._jobs: list[Job] = []
        self._on_failure: Callable[[], None] = lambda: None
        self.dead = False
        self.failing = 0
        """How many writes are still going to fail."""

    @property
    def busy(self) -> bool:
        return bool(self._jobs)

    def on_failure(self, call: Callable[[], None]) -> None:
        self._on_failure = call

    @cached_property
    def ledger(self) -> Any:
        return _Ledger(self)

    def __getattr__(self, name: str) -> Callable[..., Awaitable[Any]]:
        return self.asking(name, getattr(self._store, name))

    def asking(self, name: str, method: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
        async def ask(*args: Any, **kwargs: Any) -> Any:
            if self.dead:
                raise asyncio.CancelledError
            haste = self._loop.chance.choice((1, 1, 1, 1, 0.02))
            job = Job(name, lambda: method(*args, **kwargs), self._loop.create_future(), haste)
            self._jobs.append(job)
            return await asyncio.shield(job.answer)  # what was begun is carried out, whoever leaves

        return ask

    def step(self) -> None:
        """Carry out one call, or answer one that was."""
        writes = [job for job in self._jobs if not job.reads]
        able = [job for job in self._jobs if job.reads or job is writes[0]]
        [job] = self._loop.chance.choices(able, [job.haste for job in able])
        if job.result is None:
            job.result = self._loop.create_future()
            if not job.reads and self.failing and job.name != "close":
                self.failing -= 1
                job.result.set_exception(StorageError("The disk is full. Free some space, then try again."))
                job.result.exception()  # whoever asked may have left
                self._on_failure()
            else:
                self._loop.begin(job.call(), lambda done: setattr(job, "result", done))
            return
        self._jobs.remove(job)
        if (error := job.result.exception()) is not None:
            job.answer.set_exception(error)
            job.answer.exception()
        else:
            job.answer.set_result(job.result.result())

    def die(self) -> None:
        """Carry out nothing more and answer nobody."""
        self.dead = True
        self._jobs.clear()


class _Ledger:
    """The ledger of a simulated store, which waits for the same disk."""

    def __init__(self, disk: Disk) -> None:
        self._disk = disk

    def __getattr__(self, name: str) -> Callable[..., Awaitable[Any]]:
        return self._disk.asking(name, getattr(self._disk._store.ledger, name))


@dataclass(eq=False)
class Call:
    """One call of the model, which says what it is told to."""

    run_id: str
    said: list[str] = field(default_factory=list)
    ending: str | None = None
    over: bool = False
    _steps: list[Step] = field(default_factory=list)
    _more: asyncio.Event = field(default_factory=asyncio.Event)

    def say(self, word: str) -> None:
        self.said.append(word)
        self._steps.append(word)
        self._more.set()

    def end(self, how: str) -> None:
        """End with a finish reason, a failure, or by nothing more than silence."""
        self.ending = how
        if how == "fail":
            self._steps.append(refusal("bad_request"))
        elif how != "cut":
            self._steps.append(StepFinished(how, how))  # type: ignore[arg-type]
        self._more.set()

    def __iter__(self) -> Iterator[Step]:
        try:
            while True:
                while self._steps:
                    yield self._steps.pop(0)
                if self.ending is not None:
                    return
                self._more.clear()
                yield self._more
        finally:
            self.over = True


class _Calls(list[Any]):
    """Scripts without an end: each call gets one that is written while it is played."""

    def __init__(self, made: list[Call]) -> None:
        super().__init__(["there is always one more"])
        self._made = made

    def pop(self, index: Any = -1) -> Call:
        task = asyncio.current_task()
        assert task is not None
        self._made.append(Call(task.get_name().removeprefix("run ")))
        return self._made[-1]


class Process:
    """One life of Panelist on a folder."""

    def __init__(self, folder: Path, loop: Loop, calls: list[Call]) -> None:
        self._loop = loop
        settings = read_settings(ENVIRON, folder)
        self._store: Store = loop.really(Store.open(settings.database))
        self.disk = loop.disk = Disk(self._store, loop)
        provider = ScriptedProvider()
        provider.scripts = _Calls(calls)
        keys = KeyRing(settings.environ, settings.app_dir, settings.env_file)
        wiring = loop.create_task(_wire(settings, cast(Store, self.disk), keys, provider))
        loop.live()
        self.app: Runtime = wiring.result()

    def kill(self) -> None:
        """Die: nothing is written any more, by nobody."""
        self.disk.die()
        self._loop.end()
        self._loop.disk = None
        self._loop.really(self._store.close())

    def shut_down(self) -> None:
        """End in order, as SIGTERM does."""
        closing = self._loop.create_task(self.app.close())
        self._loop.live()
        closing.result()
        self.kill()

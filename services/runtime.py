"""Wiring: builds and closes the process's one `Runtime`."""

from __future__ import annotations

import asyncio
import contextvars
import logging
import os
import signal
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from services.alerting import Alerting
from services.alerts import KEPT, hour_of
from services.budgets import Budgets
from services.catalogue import Catalogue
from services.changes import Changes
from services.chat import ChatService
from services.connect import Connections
from services.conversation import TEMPORARY, RunRecord
from services.door.listening import Listening
from services.door.own import OwnDoor
from services.door.wire import places
from services.endpoint_keys import EndpointKeys
from services.endpoints import Endpoint
from services.errors import InputError, NotFoundError, SettingsError, StorageError
from services.events import Reply
from services.fingerprints import Fingerprints
from services.keys import KeyRing
from services.logs import set_up_logging
from services.loop import Deadlines
from services.measures import Measured, orphaned
from services.measuring import Measuring
from services.observing import Observed, Observer, Observers
from services.pacing import Pace
from services.providers.base import KeySource, Provider
from services.providers.client import OnWindows, OpenAIProvider
from services.runner import RunManager
from services.settings import LOCAL_OWNER, Settings, read_settings
from services.storage.backup import backup, restore
from services.storage.store import Store
from services.telemetry import telemetry
from services.temporary import Temporary, Wired
from services.trouble import StorageTrouble
from services.windows import Windows

if TYPE_CHECKING:
    from services.metrics import Metrics
    from services.providers.demo import DemoTransport

log = logging.getLogger(__name__)

_TRASH_S = 24 * 60 * 60.0
_CLOSE_S = 4.0
_TELL_S = 0.4
"""After everything is stored: the pages get what was told them last."""


@dataclass(frozen=True, slots=True)
class Runtime:
    """Everything that lives as long as the process."""

    settings: Settings
    store: Store
    runs: RunManager
    connections: Connections
    chat: ChatService
    temporary: Temporary
    provider: Provider
    trouble: StorageTrouble
    measuring: Measuring
    keys: EndpointKeys
    metrics: Metrics | None = None
    """What Prometheus reads, where that is switched on."""
    listening: Listening | None = None

    @property
    def busy(self) -> bool:
        """Whether any answer is being written at the moment, whoever's."""
        return self.chat.busy or self.temporary.busy

    async def read_metrics(self, pages: int, accept: str) -> tuple[bytes, str]:
        """Return what Prometheus reads while so many pages are open, in a form that it accepts, and that form's name.

        Raises:
            NotFoundError: it is not switched on.
            StorageError: the database cannot be read.
        """
        if self.metrics is None:
            raise NotFoundError("There are no metrics here. Set PANELIST_METRICS=on and start Panelist again.")
        waiting = await self.store.count_queued()
        running = self.chat.running + self.temporary.running
        return await self.metrics.read(running=running, waiting=waiting, pages=pages, accept=accept)

    async def end(self) -> None:
        """Tell the pages, end what is running, and store it; what was stored can still be read."""
        if self.listening is not None:
            self.listening.refuse()
        self.chat.end()
        await self.temporary.close()
        await self.runs.close()

    async def close(self) -> None:
        """End everything, and close every connection."""
        await self.end()
        await self.chat.alerts.finish()
        if self.listening is not None:
            await self.listening.close()
        await self.trouble.close()
        await self.provider.aclose()
        await self.keys.close()
        await self.store.close()


def make_provider(
    keys: KeySource,
    *,
    stall_s: float = 60.0,
    demo_pace: float = 1.0,
    pace: Pace | None = None,
    on_windows: OnWindows = lambda *_: None,
) -> OpenAIProvider:
    """Return the provider that reaches every endpoint, the demo one inside this process, and reads at a pace.

    After a finish reason it waits for the usage no longer than a run may be silent: the answer is whole by then.
    """

    def transport_for(endpoint: Endpoint) -> DemoTransport | None:
        if not endpoint.is_demo:
            return None
        from services.providers.demo import DemoTransport  # noqa: PLC0415 - with all that it can say

        return DemoTransport(pace=demo_pace)

    tail_s = min(5.0, stall_s / 2)
    return OpenAIProvider(keys, transport_for=transport_for, tail_timeout_s=tail_s, pace=pace, on_windows=on_windows)


def terminal_provider(settings: Settings) -> tuple[KeyRing, OpenAIProvider]:
    """Return what answers a terminal, and its keys, to be given to `open_runtime` for each of its questions."""
    keys = KeyRing(settings.environ, settings.app_dir, settings.env_file)
    return keys, make_provider(keys, stall_s=settings.stall_s)


async def open_runtime(
    settings: Settings,
    *,
    provider: Provider | None = None,
    keys: KeyRing | None = None,
    trash_every_s: float = _TRASH_S,
    beside: bool = False,
    listen: bool = False,
    brief: bool = False,
    observer: Observer | None = None,
) -> Runtime:
    """Open the database, mend what a crash left behind, and wire the doors.

    Args:
        settings: What the environment says.
        provider: What answers; all endpoints unless given.
        keys: Those that it asks with, where it is given and has some.
        trash_every_s: Seconds after which the trash is looked into again for what has been there for its time.
        beside: Nothing can be written, and a server may be using the database meanwhile.
        listen: Terminals may come in, by a socket in the data directory.
        brief: It is for a question or two, so that what can wait for the next server is left to that.
        observer: Told of each request, like those that the settings ask for: also of those that a stop cut short.

    Raises:
        StorageError: the database cannot be used; its text says why and what to do.
    """
    keys = keys or KeyRing(settings.environ, settings.app_dir, settings.env_file)
    opening = Store.beside if beside else Store.open
    store = await opening(settings.database, attachments=settings.attachments)
    try:
        pace, windows = Pace(), Windows()
        provider = provider or make_provider(keys, stall_s=settings.stall_s, pace=pace, on_windows=windows.listed)
        tidy = not beside and not brief
        runtime = await _wire(
            settings, store, keys, provider, pace, windows, mend=not beside, tidy=tidy, observer=observer
        )
        if tidy:
            runtime.runs.background(_empty_trash(store, trash_every_s), "empty the trash")
        if listen:
            door = OwnDoor(LOCAL_OWNER, runtime.chat, runtime.connections)
            return replace(runtime, listening=await Listening.at(door, places(settings)))
        return runtime
    except BaseException:
        await store.close()  # and its lock with it, or the next attempt would find the database in use
        raise


async def _wire(
    settings: Settings,
    store: Store,
    keys: KeyRing,
    provider: Provider,
    pace: Pace | None = None,
    windows: Windows | None = None,
    *,
    mend: bool = True,
    tidy: bool = True,
    observer: Observer | None = None,
) -> Runtime:
    cut_short = await _end_orphans(settings, store) if mend else []
    if tidy:
        await _tidy(store)
    deadlines = Deadlines(first_token_s=settings.first_token_s, stall_s=settings.stall_s, run_s=settings.run_s)
    connections = Connections(settings, keys, provider, store)
    await connections.load()
    pace = pace or Pace()
    changes = Changes()
    ledger = store.ledger
    budgets = Budgets(ledger, changes)
    alerts = Alerting(
        ledger,
        changes,
        background=lambda work, name: kept.runs.background(work, name),  # noqa: PLW0108 - which is made below
    )
    observers = Observers()
    observers.add(alerts.note)
    if observer is not None:
        observers.add(observer)
    windows = windows or Windows()

    def wire(store: Store, settings: Settings, changes: Changes, prefix: str = "") -> Wired:
        trouble = StorageTrouble(store.check)
        store.on_failure(trouble.suspect)
        runs = RunManager(store, provider, deadlines, settings.tries, trouble, ledger, observers)
        chat = ChatService(
            settings,
            store,
            runs,
            connections,
            provider,
            trouble,
            pace,
            windows,
            budgets=budgets,
            alerts=alerts,
            changes=changes,
            prefix=prefix,
        )
        return Wired(chat, runs, trouble)

    quiet = replace(settings, titles=False)  # a title would be one more request, for a list that it is not in
    temporary = Temporary(store, lambda memory: wire(memory, quiet, changes, TEMPORARY))
    kept = wire(store, settings, changes)
    if mend:
        kept.runs.background(alerts.watch(), "watch for alerts")
    metrics = _metrics(observers, kept.runs) if settings.metrics else None
    for observed in cut_short:
        observers.tell(observed)
    return Runtime(
        settings,
        store,
        kept.runs,
        connections,
        kept.chat,
        temporary,
        provider,
        kept.trouble,
        Measuring(ledger),
        EndpointKeys(keys, connections, store, Fingerprints(settings.key_secret), kept.runs.background),
        metrics,
    )


def _metrics(observers: Observers, runs: RunManager) -> Metrics:
    """Begin to count what Prometheus reads."""
    from services.metrics import Metrics  # noqa: PLC0415 - few want it

    metrics = Metrics()
    observers.add(metrics.observe)
    runs.background(metrics.watch_loop(), "watch the event loop")
    return metrics


async def _tidy(store: Store) -> None:
    """Remove what nobody needs any more."""
    await store.remove_staged()
    await store.remove_orphans()
    await store.empty_trash()  # here too: a server may be started more often than it looks again
    await store.ledger.forget_hours(hour_of(datetime.now(UTC) - KEPT))


async def _end_orphans(settings: Settings, store: Store) -> list[Observed]:
    """End the runs that a stop of Panelist cut short, and count what they cost; return what is to be told of them."""
    endpoints = {endpoint.name: endpoint for endpoint in settings.endpoints}
    found: dict[str, Observed] = {}

    def measure(run: RunRecord, reply: Reply, input_tokens: int | None) -> Measured | None:
        endpoint = endpoints.get(run.endpoint or "")
        measured = orphaned(run, reply, endpoint, input_tokens)
        if measured is not None:
            asked = run.model or measured.model
            found[run.id] = Observed(owner=None, measured=measured, endpoint=endpoint, asked_model=asked)
        return measured

    orphans = await store.interrupt_orphans(measure)
    lost = [
        Observed(owner=None, measured=one, endpoint=endpoints.get(one.endpoint), asked_model=one.model)
        for one in orphans.lost
    ]
    return [*found.values(), *lost]


async def _empty_trash(store: Store, every_s: float) -> None:
    """Erase what has been in the trash for its time, again and again."""
    while True:
        await asyncio.sleep(every_s)
        try:
            await store.empty_trash()
            await store.ledger.forget_hours(hour_of(datetime.now(UTC) - KEPT))
        except StorageError as error:  # which the banner tells of, too
            log.error("the trash could not be emptied; that is tried again in %s s: %s", every_s, error)


@asynccontextmanager
async def catalogue_of(app_dir: Path, *, beside: bool) -> AsyncIterator[Catalogue]:
    """Open the door to this machine's conversations for a while; `beside` as for `open_runtime`.

    Raises:
        SettingsError: a setting cannot be read.
        StorageError: the database cannot be used, or without `beside` a server is using it.
    """
    runtime = await open_runtime(read_settings(os.environ, app_dir), beside=beside)
    try:
        yield runtime.chat.catalogue
    finally:
        await runtime.close()


@asynccontextmanager
async def measuring_of(app_dir: Path) -> AsyncIterator[Measuring]:
    """Open the door to what was measured on this machine for a while, also while a server is using the database.

    Raises:
        SettingsError: a setting cannot be read.
        StorageError: the database cannot be used.
    """
    settings = read_settings(os.environ, app_dir)
    store = await Store.beside(settings.database, attachments=settings.attachments)
    try:
        yield Measuring(store.ledger)
    finally:
        await store.close()


class _Process:
    """The one runtime of this process, opened by whoever needs it first."""

    opening: asyncio.Task[Runtime] | None = None


def back_up(app_dir: Path, target: Path) -> None:
    """Copy the database of this moment into a new file; a server may go on writing meanwhile.

    Raises:
        SettingsError: a setting cannot be read.
        StorageError: the copy cannot be made; nothing is left behind.
    """
    settings = read_settings(os.environ, app_dir)
    backup(settings.database, target, settings.attachments)


def bring_back(app_dir: Path, source: Path) -> Path | None:
    """Put a backup in the place of the database; return where the one before it is kept, None if there was none.

    Raises:
        SettingsError: a setting cannot be read.
        StorageError: a server is running, or the backup cannot be used; the database is then as it was.
    """
    settings = read_settings(os.environ, app_dir)
    return restore(source, settings.database, settings.attachments)


def check_settings(app_dir: Path) -> None:
    """Read the settings as `process_runtime` will.

    Raises:
        SettingsError: a setting cannot be read.
    """
    _read(app_dir)


def _read(app_dir: Path) -> Settings:
    settings = read_settings(os.environ, app_dir)
    if not settings.post:
        return settings
    from services.post import read_names  # noqa: PLC0415 - Markdown's parsers, which not every start needs

    try:
        read_names(",".join(settings.post))
    except InputError as error:
        raise SettingsError(f"PANELIST_POST: {error}") from error
    return settings


async def process_runtime(app_dir: Path) -> Runtime:
    """Return the process's runtime; the first caller opens it, and after a failure the next one tries again.

    Raises:
        SettingsError: a setting cannot be read.
        StorageError: the database cannot be used.
    """
    opening = _Process.opening
    if opening is None or (opening.done() and (opening.cancelled() or opening.exception() is not None)):
        # A fresh context: the first page to come must not be held for ever.
        opening = _Process.opening = asyncio.create_task(
            _open(app_dir), name="open runtime", context=contextvars.Context()
        )
    return await asyncio.shield(opening)


def opened_runtime() -> Runtime | None:
    """Return the process's runtime if it is open."""
    opening = _Process.opening
    done = opening is not None and opening.done() and not opening.cancelled() and opening.exception() is None
    return opening.result() if opening is not None and done else None


async def _open(app_dir: Path) -> Runtime:
    settings = await asyncio.to_thread(_read, app_dir)
    set_up_logging(settings.log, settings.log_level)
    observer = await asyncio.to_thread(telemetry, os.environ)  # which loads what is installed
    runtime = await open_runtime(settings, listen=True, observer=observer)
    _close_at_sigterm(runtime)
    return runtime


def _close_at_sigterm(runtime: Runtime) -> None:
    """End in order when the process is asked to: Panel's own handler stops the loop at once, and runs no `finally`."""
    loop = asyncio.get_running_loop()
    closing: list[asyncio.Task[None]] = []

    async def close() -> None:
        log.info("asked to end: storing what is being written")
        try:
            async with asyncio.timeout(_CLOSE_S):
                await runtime.end()
                await asyncio.sleep(_TELL_S)  # in which the pages read and show how their answers ended
                await runtime.close()
        except TimeoutError:
            log.warning("not everything was stored within %s s; the next start marks it as interrupted", _CLOSE_S)
            # A thread that waits for a database which is gone would keep the process; one that only takes long ends.
            last = threading.Timer(_CLOSE_S, os._exit, [0])
            last.daemon = True
            last.start()
        finally:
            loop.stop()

    def begin() -> None:
        if not closing:
            closing.append(loop.create_task(close(), name="close"))

    try:
        loop.add_signal_handler(signal.SIGTERM, begin)
    except (NotImplementedError, RuntimeError, ValueError):
        log.debug("no signal handler here: not the main thread, or Windows")

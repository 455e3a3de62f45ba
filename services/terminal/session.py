"""The way to the conversations: through a server that has the database, or else by having it for a while."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from services.door import Door
from services.door.remote import RemoteDoor
from services.door.wire import places
from services.errors import InUseError, PanelistError
from services.logs import set_up_logging
from services.settings import LOCAL_OWNER, read_settings
from services.terminal.ending import INCOMPLETE, code_of_error, say, tell_error

if TYPE_CHECKING:
    from services.keys import KeyRing
    from services.providers.client import OpenAIProvider
    from services.runtime import Runtime

_AGAIN_S = 0.05
_PATIENCE_S = 5.0
"""How long to wait for whoever has the database and does not let terminals in yet: it is just starting, or ending."""


class Session:
    """One terminal. What it needs of a Panelist is opened for each question and closed behind it.

    So a server can be started, or another terminal ask, while a person thinks about what to say next.
    """

    def __init__(self, app_dir: Path) -> None:
        """Read the settings.

        Raises:
            SettingsError: one cannot be read.
        """
        self.settings = read_settings(os.environ, app_dir)
        self._provider: tuple[KeyRing, OpenAIProvider] | None = None
        self._warming: asyncio.Task[None] | None = None

    @asynccontextmanager
    async def door(self, alone: Callable[[], None] = lambda: None) -> AsyncIterator[Door]:
        """Open the door to this person's conversations.

        Args:
            alone: Called where no server runs, before anything is opened; what it raises ends it.

        Raises:
            StorageError: the database cannot be used, or whoever has it lets nobody in.
        """
        give_up = asyncio.get_running_loop().time() + _PATIENCE_S
        while True:
            remote = await RemoteDoor.find(places(self.settings))
            if remote is not None:
                yield remote
                return
            alone()
            try:
                runtime = await self._open()
            except InUseError:
                if asyncio.get_running_loop().time() >= give_up:
                    raise
                await asyncio.sleep(_AGAIN_S)
            else:
                break
        from services.door.own import OwnDoor  # noqa: PLC0415 - comes with the runtime

        try:
            yield OwnDoor(LOCAL_OWNER, runtime.chat, runtime.connections)
            await _others_ended(runtime)
        finally:
            await runtime.close()

    async def _open(self) -> Runtime:
        with _keeping_all():
            from services.runtime import open_runtime, terminal_provider  # noqa: PLC0415 - a server may have it all

            if self._provider is None:
                self._provider = terminal_provider(self.settings)
                self._warming = asyncio.create_task(self._provider[1].warm())
            keys, provider = self._provider
            # A title would be one more request, and be waited for: the question is one.
            settings = replace(self.settings, titles=False)
            return await open_runtime(settings, provider=provider, keys=keys, listen=True, brief=True)


async def _others_ended(runtime: Runtime) -> None:
    """Let nobody in any more, and wait for the answers that other terminals asked for meanwhile."""
    if runtime.listening is not None:
        runtime.listening.refuse()
    heard = runtime.chat.changes.listen(LOCAL_OWNER)
    if runtime.busy:
        say("Waiting for an answer that another terminal has asked for.")
    while runtime.busy:
        await anext(heard)


@contextmanager
def _keeping_all() -> Iterator[None]:
    """Have nothing looked for that could be thrown away: what imports make stays, and looking takes its time."""
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


class Interrupts:
    """What Ctrl-C does: at first what is asked for, else an end of it all; the second one ends the process."""

    def __init__(self) -> None:
        self.pressed = False
        self._first: Callable[[], None] | None = None
        self._main: asyncio.Task[Any] | None = None

    @contextmanager
    def instead(self, first: Callable[[], None]) -> Iterator[None]:
        """Have the first Ctrl-C do something else than end it all."""
        self._first = first
        try:
            yield
        finally:
            self._first = None

    def begin(self) -> None:
        """Listen from now on, in the task that is running."""
        self._main = asyncio.current_task()
        asyncio.get_running_loop().add_signal_handler(signal.SIGINT, self.press)

    def end(self) -> None:
        """Leave Ctrl-C to whoever had it before."""
        asyncio.get_running_loop().remove_signal_handler(signal.SIGINT)

    def press(self) -> None:
        """Take a Ctrl-C."""
        if self.pressed:
            os._exit(INCOMPLETE)  # what waits for a disk or a pipe would wait on
        self.pressed = True
        if self._first is not None:
            self._first()
        elif self._main is not None:
            self._main.cancel()


def run(
    app_dir: Path, work: Callable[[Session, Interrupts], Coroutine[Any, Any, int]], *, as_json: bool = False
) -> int:
    """Do the work of a command and return its exit code; one that Ctrl-C ended is incomplete."""

    async def main(session: Session) -> int:
        interrupts = Interrupts()
        interrupts.begin()
        return await work(session, interrupts)

    return run_here(app_dir, lambda session: asyncio.run(main(session)), as_json=as_json)


def run_here(app_dir: Path, work: Callable[[Session], int], *, as_json: bool = False) -> int:
    """Do work that has an event loop of its own, or none, and return its exit code."""
    try:
        session = Session(app_dir)
        quiet = "PANELIST_LOG_LEVEL" not in session.settings.values  # failures are told in sentences
        set_up_logging(session.settings.log, "CRITICAL" if quiet else session.settings.log_level)
        return work(session)
    except (asyncio.CancelledError, KeyboardInterrupt):
        return INCOMPLETE
    except PanelistError as error:
        tell_error(error, as_json=as_json)
        return code_of_error(error)

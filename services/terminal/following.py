"""Shows an answer while it is written, and finds it again when whoever wrote it is gone."""

from __future__ import annotations

import asyncio
import time
from contextlib import aclosing, suppress
from typing import assert_never

from services.door import Answer, Begun, Door, LostError
from services.errors import PanelistError
from services.events import (
    Completing,
    KeyRefused,
    ModelNamed,
    ReasoningDelta,
    ReasoningEnded,
    ReasoningStarted,
    RequestSent,
    RetryScheduled,
    RunEvent,
    RunFinished,
    StepFinished,
    StepStarted,
    TextDelta,
    TokensScored,
    ToolCallRequested,
    UsageReported,
)
from services.terminal.ending import say
from services.terminal.output import GATHER_S, Activity, ClosedError, Output
from services.terminal.session import Interrupts, Session

_TROUBLE_S = 2.0
"""After which an answer that does not end is looked into."""


class Following:
    """One answer on its way."""

    def __init__(self, session: Session, door: Door, begun: Begun, *, show: bool = True) -> None:
        """With `show` its text is written as it comes."""
        self.output = Output()
        self._session = session
        self._door = door
        self._begun = begun
        self._show = show
        self._activity = Activity()
        self._stopping: asyncio.Task[None] | None = None

    async def answer(self, interrupts: Interrupts) -> Answer:
        """Return the answer when it has ended; the first Ctrl-C stops it."""
        with interrupts.instead(self._stop):
            try:
                if self._begun.run_id is not None:
                    await self._follow(self._begun.run_id)
                for run_id in self._begun.beside:  # to leave would end them, where this process writes them
                    await self._wait_for(run_id)
                answer = await self._find(self._door)
            except LostError:
                async with self._session.door() as door:  # which marks what was cut short
                    answer = await self._find(door)
            finally:
                self._activity.clear()
                if self._stopping is not None:
                    await asyncio.gather(self._stopping, return_exceptions=True)
        if self._show and answer.text.startswith(self.output.written):
            self.output.write(answer.text[len(self.output.written) :])
        return answer

    async def _find(self, door: Door) -> Answer:
        return await door.answer(self._begun.conversation_id, self._begun.message_id, self._begun.warned)

    def _stop(self) -> None:
        self._stopping = asyncio.create_task(self._stop_all())

    async def _stop_all(self) -> None:
        for run_id in (self._begun.run_id, *self._begun.beside):
            if run_id is not None:
                await self._door.stop(run_id)

    async def _wait_for(self, run_id: str) -> None:
        self._tell("Waiting for the answers beside it…")
        async with aclosing(self._door.follow(run_id)) as happenings:
            async for _ in happenings:
                pass

    async def _follow(self, run_id: str) -> None:
        looking = asyncio.create_task(self._tell_trouble())
        try:
            async with aclosing(self._door.follow(run_id)) as happenings:
                async for happened in happenings:
                    for event in happened.events:
                        self._take(event)
                    await self._write(run_id)
        finally:
            looking.cancel()
            await asyncio.gather(looking, return_exceptions=True)

    async def _write(self, run_id: str) -> None:
        if not self.output.is_waiting:
            return
        self._activity.clear()
        try:
            await self.output.flush()
        except ClosedError:  # as of `head`, which has read enough
            self._show = False
            await self._door.stop(run_id)
        await asyncio.sleep(GATHER_S)

    def _take(self, event: RunEvent) -> None:
        match event:
            case TextDelta(text=text):
                if self._show:
                    self.output.write(text)
            case StepStarted(model=model):
                self._tell(f"Waiting for {model}…")
            case KeyRefused():
                self._tell("Trying the next key…")
            case ReasoningStarted():
                self._tell("Thinking…")
            case RetryScheduled():
                self._retry(event)
            case Completing():
                self._tell("Going through its steps…")
            case RequestSent() | ModelNamed() | ReasoningDelta() | ReasoningEnded() | UsageReported() | StepFinished():
                pass
            case ToolCallRequested() | TokensScored() | RunFinished():
                pass  # the answer says so
            case _:
                assert_never(event)

    def _tell(self, text: str) -> None:
        if not self.output.begun:  # else it would stand in the middle of a line
            self._activity.show(text)

    def _retry(self, event: RetryScheduled) -> None:
        seconds = max(0.0, event.at - time.time())
        again = f"{event.failure.message} Trying again in {seconds:.0f} s ({event.attempt} of {event.of})."
        if self._activity.is_on:
            self._tell(again)
        else:
            say(again)

    async def _tell_trouble(self) -> None:
        """Say what keeps an answer from being stored, once."""
        with suppress(PanelistError):
            while True:
                sentence = await self._door.trouble()
                if sentence is not None:
                    self._activity.clear()
                    say(f"{sentence} The answer waits until it can be stored; Ctrl-C twice gives it up.")
                    return
                await asyncio.sleep(_TROUBLE_S)

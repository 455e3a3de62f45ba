"""The run loop: the only place that reads a model's stream."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing
from dataclasses import dataclass

from services.endpoints import Endpoint
from services.errors import Failure, ModelError
from services.events import (
    ReasoningDelta,
    ReasoningEnded,
    ReasoningStarted,
    RetryScheduled,
    RunEvent,
    RunFinished,
    StepFinished,
    StepStarted,
    TextDelta,
    ToolCallRequested,
)
from services.providers.base import ModelRequest, Provider
from services.retries import EndpointHealth, wait_before_retry


@dataclass(frozen=True, slots=True, kw_only=True)
class Deadlines:
    """Seconds, measured on content: a server that only sends keep-alives is silent."""

    first_token_s: float = 60.0
    stall_s: float = 60.0
    run_s: float = 900.0

    @property
    def thinking_s(self) -> float:
        """For a model that said it thinks and shows nothing of it."""
        return 5 * self.first_token_s


async def run_loop(
    provider: Provider,
    request: ModelRequest,
    deadlines: Deadlines,
    *,
    health: EndpointHealth | None = None,
    tries: int = 1,
) -> AsyncGenerator[RunEvent, None]:
    """Call the model and yield run events; the last one is always `RunFinished`.

    A call that fails before its first word is made again, at most `tries` times in all, by the policy of
    `services/retries.py`. Cancelling closes the stream to the endpoint and yields nothing more: who stopped the run
    says how it ended.
    """
    endpoint = request.endpoint
    if endpoint.is_demo:
        health = None  # it fails when it is told to, and needs no rest
    rest = health.resting(endpoint.name) if health else None
    if rest is not None:
        yield RunFinished("failed", rest)
        return
    attempt = 0
    while True:
        attempt += 1
        step, thinking = _Step(), _Thinking()
        yield StepStarted(endpoint.name, request.model)
        try:
            async with aclosing(_within(provider.stream(request), endpoint, deadlines)) as events:
                async for event in events:
                    for timed in thinking.around(event):
                        yield timed
                    step.note(event)
                    yield event
        except ModelError as error:
            step.error = error.failure
        if step.began:
            for timed in thinking.over():
                yield timed
        if health is not None:
            health.note(endpoint.name, step.error)
        wait = None if step.error is None or step.began else wait_before_retry(step.error, attempt, tries)
        if wait is None or (health is not None and health.resting(endpoint.name)):
            yield step.ending(endpoint)
            return
        assert step.error is not None
        yield RetryScheduled(attempt + 1, tries, time.time() + wait, step.error)
        await asyncio.sleep(wait)


class _Step:
    """What decides how one model call ended."""

    def __init__(self) -> None:
        self.finish: StepFinished | None = None
        self.error: Failure | None = None
        self.has_text = False
        self.has_reasoning = False
        self.call: ToolCallRequested | None = None

    @property
    def began(self) -> bool:
        return self.has_text or self.has_reasoning or self.call is not None

    def note(self, event: RunEvent) -> None:
        match event:
            case TextDelta():
                self.has_text = True
            case ReasoningDelta():
                self.has_reasoning = True
            case ToolCallRequested():
                self.call = event
            case StepFinished():
                self.finish = event
            case _:
                pass  # facts about the call; they do not decide how it ends

    def ending(self, endpoint: Endpoint) -> RunFinished:
        """Say how the run ends. Only the model's own finish reason makes an answer complete."""
        if self.finish is None:
            return self._cut(endpoint)
        match self.finish.reason:
            case "length":
                return RunFinished("truncated")
            case "content_filter":
                message = f"A content filter of {endpoint.name} ended this answer. Rephrase the question."
                return RunFinished("filtered", Failure(kind="filtered", message=message, next_step="shorten"))
            case "refusal":
                return RunFinished("refused")
            case "tool_calls":
                name = self.call.name if self.call else "a tool"
                message = f"The model asked to run {name!r}, and this conversation has no such tool."
                return RunFinished("interrupted" if self.has_text else "failed", _garbled(message))
            case "stop":
                if not self.has_text:
                    return RunFinished("failed", _garbled("The model ended its answer without writing a word."))
                return RunFinished("complete")

    def _cut(self, endpoint: Endpoint) -> RunFinished:
        shown = self.has_text or self.has_reasoning
        if self.error is not None:
            return RunFinished("interrupted" if shown else "failed", self.error)
        if shown:
            message = f"The answer broke off: {endpoint.name} closed the stream before the model said it was done."
            return RunFinished("interrupted", _garbled(message))
        return RunFinished("failed", _garbled(f"{endpoint.name} ended the stream without sending an answer."))


class _Thinking:
    """Times a model's reasoning: from its first sign to whatever comes after it."""

    def __init__(self) -> None:
        self._since: float | None = None

    def around(self, event: RunEvent) -> Iterator[RunEvent]:
        """Yield what is to be said before an event."""
        match event:
            case ReasoningStarted():  # the endpoint says so itself
                self._since = self._since or time.monotonic()
            case ReasoningDelta() if self._since is None:
                self._since = time.monotonic()
                yield ReasoningStarted(time.time())
            case TextDelta() | ToolCallRequested() | StepFinished():
                yield from self.over()
            case _:
                pass

    def over(self) -> Iterator[RunEvent]:
        """Yield the end of what goes on."""
        if self._since is not None:
            yield ReasoningEnded(round(time.monotonic() - self._since, 3))
            self._since = None


def _garbled(message: str) -> Failure:
    return Failure(kind="garbled", message=message, next_step="retry")


async def _within(
    events: AsyncGenerator[RunEvent, None], endpoint: Endpoint, deadlines: Deadlines
) -> AsyncGenerator[RunEvent, None]:
    """Pass events on, and raise when the model is silent, or busy, for too long."""
    now = asyncio.get_running_loop().time
    run_ends = now() + deadlines.run_s
    silent_until, limit_s = now() + deadlines.first_token_s, deadlines.first_token_s
    began = False
    async with aclosing(events):
        while True:
            try:
                async with asyncio.timeout_at(min(silent_until, run_ends)):
                    event = await anext(events)
            except StopAsyncIteration:
                return
            except TimeoutError as error:
                if run_ends <= silent_until:
                    said = f"The answer took longer than {deadlines.run_s:g} s and was ended."
                elif began:
                    said = f"{endpoint.name} went silent for {limit_s:g} s in the middle of the answer."
                else:
                    said = f"{endpoint.name} did not begin to answer within {limit_s:g} s."
                raise ModelError(Failure(kind="timeout", message=said, next_step="retry")) from error
            if isinstance(event, TextDelta | ReasoningDelta | ToolCallRequested):
                began = True
                silent_until, limit_s = now() + deadlines.stall_s, deadlines.stall_s
            elif isinstance(event, ReasoningStarted):
                silent_until, limit_s = now() + deadlines.thinking_s, deadlines.thinking_s
            yield event

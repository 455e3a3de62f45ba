"""The run loop: the only place that reads a model's stream."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass

from services.endpoints import Endpoint
from services.errors import Failure, ModelError
from services.events import (
    ReasoningDelta,
    RunEvent,
    RunFinished,
    StepFinished,
    StepStarted,
    TextDelta,
    ToolCallRequested,
)
from services.providers.base import ModelRequest, Provider


@dataclass(frozen=True, slots=True, kw_only=True)
class Deadlines:
    """Seconds, measured on content: a server that only sends keep-alives is silent."""

    first_token_s: float = 60.0
    stall_s: float = 60.0
    run_s: float = 900.0


async def run_loop(provider: Provider, request: ModelRequest, deadlines: Deadlines) -> AsyncGenerator[RunEvent, None]:
    """Call the model and yield run events; the last one is always `RunFinished`.

    Cancelling closes the stream to the endpoint and yields nothing more: who stopped the run says how it ended.
    """
    endpoint = request.endpoint
    yield StepStarted(endpoint.name, request.model)
    finish: StepFinished | None = None
    error: Failure | None = None
    has_text = has_reasoning = False
    call: ToolCallRequested | None = None
    try:
        async with aclosing(_within(provider.stream(request), endpoint, deadlines)) as events:
            async for event in events:
                yield event
                match event:
                    case TextDelta():
                        has_text = True
                    case ReasoningDelta():
                        has_reasoning = True
                    case ToolCallRequested():
                        call = event
                    case StepFinished():
                        finish = event
                    case _:
                        pass  # facts about the call; they do not decide how the run ends
    except ModelError as model_error:
        error = model_error.failure
    yield _ending(endpoint, finish, error, has_text=has_text, has_reasoning=has_reasoning, call=call)


def _ending(
    endpoint: Endpoint,
    finish: StepFinished | None,
    error: Failure | None,
    *,
    has_text: bool,
    has_reasoning: bool,
    call: ToolCallRequested | None,
) -> RunFinished:
    """Decide how a run ended. Only the model's own finish reason makes an answer complete."""
    if error is not None and finish is None:
        return RunFinished("interrupted" if has_text or has_reasoning else "failed", error)
    if finish is None:
        if not (has_text or has_reasoning):
            return RunFinished("failed", _garbled(f"{endpoint.name} ended the stream without sending an answer."))
        message = f"The answer broke off: {endpoint.name} closed the stream before the model said it was done."
        return RunFinished("interrupted", Failure(kind="garbled", message=message, next_step="retry"))
    match finish.reason:
        case "length":
            return RunFinished("truncated")
        case "content_filter":
            message = f"A content filter of {endpoint.name} ended this answer. Rephrase the question."
            return RunFinished("filtered", Failure(kind="filtered", message=message, next_step="shorten"))
        case "refusal":
            return RunFinished("refused")
        case "tool_calls":
            name = call.name if call else "a tool"
            message = f"The model asked to run {name!r}, and this conversation has no such tool."
            return RunFinished("interrupted" if has_text else "failed", _garbled(message))
        case "stop":
            if not has_text:
                return RunFinished("failed", _garbled("The model ended its answer without writing a word."))
            return RunFinished("complete")


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
            yield event

"""A provider that plays scripts, and fails on a call that nobody wrote a script for."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence

from services.endpoints import Endpoint
from services.errors import Failure, ModelError
from services.events import ReasoningDelta, RunEvent, StepFinished, TextDelta
from services.providers.base import ModelRequest

Step = RunEvent | BaseException | asyncio.Event | str
"""An event, a text (`TextDelta`), an exception to raise, or a gate to wait at."""


def answer(*pieces: str, reason: str = "stop") -> list[Step]:
    return [*map(TextDelta, pieces), StepFinished(reason, reason)]  # type: ignore[arg-type]


def thoughtful(thought: str, *pieces: str) -> list[Step]:
    return [ReasoningDelta(thought), *answer(*pieces)]


def refusal(kind: str = "server", message: str = "It failed.", **more: object) -> ModelError:
    return ModelError(Failure(kind=kind, message=message, **more))  # type: ignore[arg-type]


class ScriptedProvider:
    """Plays one script per call, in order, and keeps what it was asked."""

    def __init__(self, *scripts: Sequence[Step], models: Sequence[str] | ModelError = ("model-a", "model-b")) -> None:
        self.scripts = list(scripts)
        self.models = models
        self.requests: list[ModelRequest] = []
        self.closed_streams = 0
        self.counts: Callable[[str], int] | None = None
        """Counts tokens, as servers on this machine do."""

    async def stream(self, request: ModelRequest) -> AsyncGenerator[RunEvent, None]:
        self.requests.append(request)
        assert self.scripts, f"a call that no script was written for: {request.messages[-1].text!r}"
        try:
            for step in self.scripts.pop(0):
                match step:
                    case asyncio.Event():
                        await step.wait()
                    case BaseException():
                        raise step
                    case str():
                        yield TextDelta(step)
                    case _:
                        yield step
        finally:
            self.closed_streams += 1

    async def list_models(self, endpoint: Endpoint) -> list[str]:
        if isinstance(self.models, ModelError):
            raise self.models
        return list(self.models)

    async def count_tokens(self, endpoint: Endpoint, model: str, text: str) -> int | None:
        return self.counts(text) if self.counts is not None else None

    async def aclose(self) -> None:
        return None

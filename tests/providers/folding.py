"""Chunks of Chat Completions and the events they become, for tests."""

from __future__ import annotations

import json
from typing import Any

from services.endpoints import Endpoint
from services.events import ReasoningDelta, RunEvent, StepFinished, TextDelta, ToolCallRequested, UsageReported
from services.providers.chat import ChatAccumulator
from services.providers.failures import Asked
from services.usage import Usage

ENDPOINT = Endpoint(name="here", base_url="http://127.0.0.1:1/v1")


def run(*chunks: object) -> list[RunEvent]:
    acc = ChatAccumulator(Asked(endpoint=ENDPOINT, model="m1"))
    events = []
    for chunk in chunks:
        events += acc.feed(chunk if isinstance(chunk, str) else json.dumps(chunk))
    return events + acc.finish()


def delta(finish: object = None, **fields: object) -> dict[str, Any]:
    return {"choices": [{"index": 0, "delta": fields, "finish_reason": finish}]}


def text(events: list[RunEvent]) -> str:
    return "".join(event.text for event in events if isinstance(event, TextDelta))


def reasoning(events: list[RunEvent]) -> str:
    return "".join(event.text for event in events if isinstance(event, ReasoningDelta))


def finish(events: list[RunEvent]) -> str | None:
    return next((event.reason for event in events if isinstance(event, StepFinished)), None)


def calls(events: list[RunEvent]) -> list[tuple[str, str, str]]:
    return [(call.id, call.name, call.arguments) for call in events if isinstance(call, ToolCallRequested)]


def usage(events: list[RunEvent]) -> Usage | None:
    return next((event.usage for event in reversed(events) if isinstance(event, UsageReported)), None)


PLAIN = [delta(role="assistant", content=""), delta(content="Hel"), delta(content="lo"), delta("stop")]

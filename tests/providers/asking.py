"""Asking a provider, for its tests."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Literal

import httpx2

from services.endpoints import Api, Endpoint, ProfileName
from services.errors import Failure, ModelError
from services.events import RequestSent, RunEvent, StepFinished, TextDelta
from services.keys import Key, Refusals
from services.messages import Message, TextPart
from services.pacing import Pace
from services.providers.base import ModelRequest
from services.providers.client import OpenAIProvider
from tests.keyed import PLAIN

KEY = PLAIN
SSE = {"content-type": "text/event-stream"}


def data(content: str = "", finish: str | None = None) -> str:
    return (
        "data: "
        + json.dumps({"choices": [{"index": 0, "delta": {"content": content}, "finish_reason": finish}]})
        + "\n\n"
    )


ANSWER = data("Hel") + data("lo") + data(finish="stop") + "data: [DONE]\n\n"


def request(
    base_url: str,
    profile: ProfileName = "generic",
    dropped: frozenset[str] = frozenset(),
    api: Api | Literal["auto"] = "auto",
) -> ModelRequest:
    question = Message(
        id="m",
        conversation_id="c",
        parent_id=None,
        role="user",
        parts=(TextPart("Hi"),),
        status="complete",
        created_at=datetime.now(UTC),
    )
    endpoint = Endpoint(name="acme", base_url=base_url, profile=profile, dropped=dropped, api=api)
    return ModelRequest(endpoint=endpoint, model="m1", messages=(question,))


def text(events: list[RunEvent]) -> str:
    return "".join(event.text for event in events if isinstance(event, TextDelta))


def finished(events: list[RunEvent]) -> bool:
    return any(isinstance(event, StepFinished) for event in events)


@dataclass
class Keys:
    """The same key for every endpoint, or none."""

    key: str | None
    noted: list[tuple[str, bool]] = field(default_factory=list)

    async def key_of(self, endpoint: Endpoint, refusals: Refusals | None = None) -> Key | None:
        only = Key("only", self.key) if self.key is not None else None
        return only if refusals is None or only not in refusals.keys else None

    def note(self, endpoint: Endpoint, key: str, *, refused: bool) -> None:
        self.noted.append((key, refused))

    def holds(self, base_url: str, key: str) -> bool:
        return key == (self.key or "")


@asynccontextmanager
async def provider(
    handler: Callable[[httpx2.Request], httpx2.Response] | None = None,
    key: str | None = KEY,
    tail_timeout_s: float = 5.0,
    pace: Pace | None = None,
    transport: httpx2.AsyncBaseTransport | None = None,
) -> AsyncIterator[OpenAIProvider]:
    def transport_for(endpoint: Endpoint) -> httpx2.AsyncBaseTransport | None:
        return httpx2.MockTransport(handler) if handler else transport

    made = OpenAIProvider(Keys(key), transport_for=transport_for, tail_timeout_s=tail_timeout_s, pace=pace)
    try:
        yield made
    finally:
        await made.aclose()


async def ask(made: OpenAIProvider, asked: ModelRequest) -> tuple[list[RunEvent], Failure | None]:
    """Return what comes back, without the word that something goes out, and how it failed."""
    events: list[RunEvent] = []
    try:
        async for event in made.stream(asked):
            if not isinstance(event, RequestSent):
                events.append(event)
    except ModelError as error:
        return events, error.failure
    return events, None

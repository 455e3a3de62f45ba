"""Titles from the model: one cheap extra request that never delays an answer."""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator
from contextlib import aclosing
from datetime import UTC, datetime

from services.endpoints import Endpoint
from services.events import ReasoningDelta, RunEvent, TextDelta
from services.loop import Deadlines
from services.messages import Message, TextPart, new_id
from services.providers.base import ModelRequest

TITLE_PROMPT = (
    "You write a title for this conversation. Answer with the title alone: two to six words, in the language of the "
    "question, no quotes, no full stop."
)
_ENOUGH = 200
"""Characters after which the request is closed: a model that goes on is not writing a title."""

_ENOUGH_THOUGHT = 4_000
"""Characters of reasoning after which it is: a title is not worth more."""

_QUESTION_CHARS = 2_000

TITLE_TOKENS = 2_000
"""What one could come to at most, thoughts included."""


def title_request(endpoint: Endpoint, model: str, question: str) -> ModelRequest:
    """Return the request for a title of a conversation that begins with `question`."""
    message = Message(
        id=new_id(),
        conversation_id="",
        parent_id=None,
        role="user",
        parts=(TextPart(question[:_QUESTION_CHARS]),),
        status="complete",
        created_at=datetime.now(UTC),
    )
    return ModelRequest(endpoint=endpoint, model=model, messages=(message,), system_prompt=TITLE_PROMPT)


TITLE_DEADLINES = Deadlines(first_token_s=30.0, stall_s=15.0, run_s=60.0)


async def title_in(asked: AsyncGenerator[RunEvent, None]) -> str | None:
    """Return what a model gives as a title, or None when it is nothing usable; closes the request."""
    text, thought = "", 0
    async with aclosing(asked) as events:
        async for event in events:
            if isinstance(event, TextDelta):
                text += event.text
            elif isinstance(event, ReasoningDelta):
                thought += len(event.text)
            if len(text) > _ENOUGH or thought > _ENOUGH_THOUGHT:
                break
    return tidy_title(text)


def tidy_title(text: str) -> str | None:
    """Return what a model answered as a title: its first line without quotes, markers and a full stop, or None."""
    line = next((line.strip() for line in text.splitlines() if re.search(r"\w", line)), "")
    line = re.sub(r"^(?:title|titel|titre)\s*:\s*", "", line, flags=re.IGNORECASE)
    line = re.sub(r"\s+", " ", line).strip(" \"'`*_#“”„«».")
    return line if 0 < len(line) <= 80 else None

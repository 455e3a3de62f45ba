"""What is sent to the model: the path of the conversation with the system prompt."""

from __future__ import annotations

from collections.abc import Sequence

from services.endpoints import Endpoint
from services.messages import Message
from services.providers.base import ModelRequest


def build_request(
    path: Sequence[Message], *, endpoint: Endpoint, model: str, system_prompt: str | None
) -> ModelRequest:
    """Return the request that answers the last question of `path`; what comes after it is left out.

    Answers without a word in them (failed, stopped before the first token) say nothing to a model and are left out.
    """
    last = max((i for i, message in enumerate(path) if message.role == "user"), default=-1)
    messages = tuple(m for m in path[: last + 1] if m.role == "user" or m.text.strip())
    return ModelRequest(endpoint=endpoint, model=model, messages=messages, system_prompt=system_prompt)

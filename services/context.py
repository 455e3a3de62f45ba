"""What is sent to the model: the path of the conversation with the system prompt."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from services.endpoints import Endpoint
from services.messages import Message, TextPart
from services.providers.base import ModelRequest

GO_ON = (
    "Your last answer was cut off. Go on with it exactly where it stops, in the middle of a word or a code block if "
    "need be. Repeat nothing, and say nothing about having been cut off."
)
"""Asks for the rest of an answer: no endpoint's own way of continuing is common to all of them."""


def build_request(
    path: Sequence[Message], *, endpoint: Endpoint, model: str, system_prompt: str | None
) -> ModelRequest:
    """Return the request that fills the last answer of `path`.

    An answer that has text already is to be gone on with: it is sent, followed by `GO_ON`. Earlier answers without a
    word in them (failed, stopped before the first token) say nothing to a model and are left out.
    """
    messages = [m for m in path if m.role == "user" or m.text.strip()]
    if messages and messages[-1].role == "assistant":
        last = messages[-1]
        messages.append(dataclasses.replace(last, role="user", parts=(TextPart(GO_ON),), status="complete"))
    return ModelRequest(endpoint=endpoint, model=model, messages=tuple(messages), system_prompt=system_prompt)
